//! What no compiler holds: names, sizes and lines between modules, held by reading the source.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::harness::{Scratch, tools};

/// In two halves, so that this file does not hold it.
const TEMPLATE: &str = concat!("flo", "tilla");

/// A file below the repository's root.
#[derive(Clone)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) text: String,
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

    pub(crate) fn is_test(&self) -> bool {
        self.name.ends_with("/tests.rs") || self.name.ends_with("/test.rs") || self.name.contains("/tests/")
    }
}

#[test]
fn the_chassis_names_neither_the_service_nor_the_app() {
    let wrong = |line: &str| {
        let line = line.to_lowercase();
        line.contains(TEMPLATE) || line.contains("crate::app") || line.contains("service::app")
    };
    none(sources("crates/chassis/src").iter().flat_map(|file| file.places(wrong)));
}

#[test]
fn only_process_reads_the_environment() {
    let files = [sources("src"), sources("crates/chassis/src")].concat();
    let files = files.iter().filter(|file| !file.is_test() && !file.name.starts_with("crates/chassis/src/process"));
    none(files.flat_map(|file| file.places(|line| line.contains("env::"))));
}

/// A name that is read anywhere else is missing from the list, and ranks nowhere.
#[test]
fn only_the_list_and_its_reader_know_the_names_of_opentelemetry() {
    let at_home = ["telemetry/standard.rs", "config/otel.rs", "config/otel_names.rs"];
    let files = [sources("src"), sources("crates/chassis/src")].concat();
    let files = files.iter().filter(|file| !file.is_test() && !at_home.iter().any(|home| file.name.ends_with(home)));
    // The first test module ends the code of a file.
    let code = files.map(|file| File {
        name: file.name.clone(),
        text: file.text.split("#[cfg(test)]").next().unwrap_or_default().to_owned(),
    });
    none(code.flat_map(|file| file.places(|line| line.contains("\"OTEL_"))));
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
        [sources("src"), sources("crates/chassis/src")]
            .concat()
            .iter()
            .filter(|file| long(file))
            .map(|file| format!("{}: {}", file.name, file.text.lines().count())),
    );
}

#[test]
fn every_module_of_the_chassis_names_the_next() {
    let leads_on = |file: &File| file.text.lines().any(|line| line.starts_with("//! Next: ") && line.contains('`'));
    let files = sources("crates/chassis/src");
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

/// Nothing may be `wrong`; what is, is listed.
pub(crate) fn none(wrong: impl IntoIterator<Item = String>) {
    let wrong: Vec<String> = wrong.into_iter().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The Rust files below `directory`.
pub(crate) fn sources(directory: &str) -> Vec<File> {
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
    tools::repository()
}
