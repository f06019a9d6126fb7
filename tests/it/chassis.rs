//! What keeps a clone mergeable: the line between app and chassis, held by reading the source.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::harness::Scratch;

/// In two halves, so that this file does not hold it.
const TEMPLATE: &str = concat!("flo", "tilla");

/// Modules of the chassis that an app may name.
const FACE: [&str; 12] = [
    "Chassis",
    "config",
    "health",
    "lifecycle::Drain",
    "middleware::Served",
    "openapi",
    "problem",
    "request",
    "router",
    "telemetry::Identity",
    "upstream",
    "wsgi",
];

/// A file below the repository's root.
struct File {
    name: String,
    text: String,
}

impl File {
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// Where `wrong` holds, as `file:line: text`.
    fn places(&self, wrong: impl Fn(&str) -> bool) -> Vec<String> {
        let found = self.lines().filter(|(_, line)| wrong(line));
        found.map(|(number, line)| format!("{}:{number}: {}", self.name, line.trim())).collect()
    }

    fn is_test(&self) -> bool {
        self.name.ends_with("/tests.rs") || self.name.ends_with("/test.rs") || self.name.contains("/tests/")
    }
}

#[test]
fn the_chassis_names_neither_the_service_nor_the_app() {
    let wrong = |line: &str| {
        let line = line.to_lowercase();
        line.contains(TEMPLATE) || line.contains("crate::app") || line.contains("service::app")
    };
    none(sources("src/chassis").iter().flat_map(|file| file.places(wrong)));
}

#[test]
fn only_config_reads_the_environment() {
    let files = sources("src");
    let files = files.iter().filter(|file| !file.name.starts_with("src/chassis/config"));
    none(files.flat_map(|file| {
        let is_main = file.name == "src/main.rs";
        // Arguments are no environment, and `env!` is of the build.
        file.places(move |line| line.contains("env::") && !(is_main && line.contains("env::args_os")))
    }));
}

#[test]
fn the_app_uses_the_public_face_of_the_chassis() {
    let known = |name: &String| FACE.iter().any(|face| name == face || name.starts_with(&format!("{face}::")));
    none(sources("src/app").iter().filter(|file| !file.is_test()).flat_map(|file| {
        let code: Vec<&str> = file.text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let used = used(&code.join("\n"));
        used.into_iter()
            .filter(|name| !known(name))
            .map(|name| format!("{}: chassis::{name}", file.name))
            .collect::<Vec<_>>()
    }));
}

/// What stands behind each `chassis::`, group or not, as paths; a nested group counts as its first part.
fn used(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for rest in code.split("chassis::").skip(1) {
        match rest.strip_prefix('{') {
            None => names.push(path(rest)),
            Some(group) => names.extend(members(group).iter().map(|member| path(member))),
        }
    }
    names
}

/// The members of a group whose brace is open.
fn members(group: &str) -> Vec<String> {
    let (mut depth, mut members) = (0, vec![String::new()]);
    for letter in group.chars() {
        match letter {
            '}' if depth == 0 => break,
            ',' if depth == 0 => members.push(String::new()),
            letter => {
                depth += i32::from(letter == '{') - i32::from(letter == '}');
                members.last_mut().expect("one at least").push(letter);
            }
        }
    }
    members.iter().map(|member| member.trim().to_owned()).filter(|member| !member.is_empty()).collect()
}

fn path(text: &str) -> String {
    let path: String =
        text.chars().take_while(|letter| letter.is_alphanumeric() || matches!(letter, '_' | ':')).collect();
    path.trim_end_matches(':').to_owned()
}

#[test]
fn the_templates_name_stands_in_six_places() {
    let holders: Vec<String> = tracked()
        .into_iter()
        // A clone's note of where it comes from.
        .filter(|file| file.name != ".template")
        .filter(|file| file.text.to_lowercase().contains(TEMPLATE))
        .map(|file| file.name)
        .collect();
    let at_home = |name: &str| {
        matches!(name, "Cargo.toml" | "Cargo.lock" | "README.md")
            || name.ends_with("/Chart.yaml")
            || name.ends_with("/values.yaml")
            || name.starts_with("k8s/")
    };
    none(holders.iter().filter(|name| !at_home(name)).cloned());
    let places = holders.iter().filter(|name| !name.starts_with("k8s/")).count();
    assert!(places <= 5, "one of the six is the rendered k8s: {holders:?}");
}

#[test]
fn no_file_is_longer_than_300_lines() {
    let long = |file: &File| file.text.lines().count() > 300;
    none(
        sources("src")
            .iter()
            .filter(|file| long(file))
            .map(|file| format!("{}: {}", file.name, file.text.lines().count())),
    );
}

#[test]
fn every_module_of_the_chassis_names_the_next() {
    let leads_on = |file: &File| file.text.lines().any(|line| line.starts_with("//! Next: ") && line.contains('`'));
    let files = sources("src/chassis");
    none(files.iter().filter(|file| !file.is_test() && !leads_on(file)).map(|file| file.name.clone()));
}

/// Cargo wants every target that the manifest lists, also those that the image is built without.
#[test]
fn the_image_is_built_from_what_it_copies() {
    let files = tracked();
    let dockerfile = files.iter().find(|file| file.name == "Dockerfile").expect("the Dockerfile");
    let lines =
        dockerfile.text.lines().filter_map(|line| line.strip_prefix("COPY ")).filter(|line| !line.starts_with("--"));
    let copied: Vec<&str> = lines.flat_map(|line| line.rsplit_once(' ').expect("a target").0.split(' ')).collect();
    let context = Scratch::new("image");
    for file in files.iter().filter(|file| copied.iter().any(|name| Path::new(&file.name).starts_with(name))) {
        let to = context.path().join(&file.name);
        fs::create_dir_all(to.parent().expect("a folder")).expect("a folder of the context");
        fs::write(to, &file.text).expect("a file of the context");
    }
    let found = targets(context.path());
    let manifest: toml::Table = read(&root().join("Cargo.toml")).text.parse().expect("the manifest");
    let listed =
        ["bin", "example", "test", "bench"].into_iter().filter_map(|kind| manifest.get(kind)?.as_array()).flatten();
    let listed = listed.map(|target| target["name"].as_str().expect("a name").to_owned());
    none(
        listed
            .filter(|name| !found.contains(name))
            .map(|name| format!("{name}: cargo does not find it; does it have a path?")),
    );
}

/// The names of what cargo finds to build.
fn targets(workspace: &Path) -> Vec<String> {
    let cargo = ["metadata", "--offline", "--no-deps", "--format-version", "1"];
    let read = Command::new(env!("CARGO")).args(cargo).current_dir(workspace).output().expect("running cargo");
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&read.stdout).expect("metadata");
    let list = |value: &serde_json::Value| value.as_array().expect("a list").clone();
    let targets = list(&metadata["packages"]).into_iter().flat_map(|package| list(&package["targets"]));
    targets.map(|target| target["name"].as_str().expect("a name").to_owned()).collect()
}

fn none(wrong: impl IntoIterator<Item = String>) {
    let wrong: Vec<String> = wrong.into_iter().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The Rust files below `directory`.
fn sources(directory: &str) -> Vec<File> {
    let mut files = Vec::new();
    let mut waiting = vec![root().join(directory)];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory).expect("a source directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(read(&path));
            }
        }
    }
    assert!(!files.is_empty(), "no source in {directory}");
    files
}

/// What git has or would take; files that are no text count as empty.
fn tracked() -> Vec<File> {
    let arguments = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let listed = Command::new("git").args(arguments).current_dir(root()).output().expect("running git");
    assert!(listed.status.success(), "git: {}", String::from_utf8_lossy(&listed.stderr));
    let names = String::from_utf8(listed.stdout).expect("names in UTF-8");
    names.lines().map(|name| root().join(name)).filter(|path| path.is_file()).map(|path| read(&path)).collect()
}

fn read(path: &Path) -> File {
    let name = path.strip_prefix(root()).expect("a path in the repository").to_string_lossy().into_owned();
    File { name, text: fs::read_to_string(path).unwrap_or_default() }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
