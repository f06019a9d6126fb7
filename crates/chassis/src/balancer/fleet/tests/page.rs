//! The tables and figures of `docs/fleet.md` are those of today; `make fleet` writes them anew.
//!
//! Next: [`super::predictions`].

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use super::{plots, predictions, tables};

#[test]
fn the_tables_of_the_page_are_fresh() {
    let path = root().join("docs/fleet.md");
    let page = fs::read_to_string(&path).expect("docs/fleet.md");
    let made = tables::all().iter().fold(page, |page, (name, table)| filled(&page, name, table));
    holds(&path, &made);
}

#[test]
fn the_figures_of_the_page_are_fresh() {
    for (name, plot) in plots::all() {
        holds(&root().join(format!("docs/fleet/{name}.svg")), &plot.svg());
    }
}

#[test]
fn the_predictions_for_real_processes_are_fresh() {
    holds(&root().join("template/tests/fleet/predicted.json"), &predictions::all());
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The page with `table` between its marks.
fn filled(page: &str, name: &str, table: &str) -> String {
    let (begin, end) = (format!("<!-- made by `make fleet`: {name} -->\n"), "<!-- made -->\n");
    let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("docs/fleet.md: no {begin}"));
    let (_, after) = rest.split_once(end).unwrap_or_else(|| panic!("docs/fleet.md: no {end} after {name}"));
    format!("{before}{begin}\n{table}\n{end}{after}")
}

/// The file is `content`; with `UPDATE=1` it is made so.
fn holds(path: &Path, content: &str) {
    if env::var_os("UPDATE").is_some_and(|value| value == "1") {
        fs::create_dir_all(path.parent().expect("a folder above")).expect("creating the folder");
        fs::write(path, content).expect("writing a generated file");
    }
    let found =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}: run `make fleet`", path.display()));
    assert!(found == content, "{} is stale: run `make fleet`", path.display());
}
