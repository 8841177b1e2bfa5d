//! What operators install: the chart, the image, the cluster in containers, the cluster of plain processes.

mod chart;
mod cluster;
mod compose;
mod dashboards;
mod scripts;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the repository is there")
}

/// A program that pip installed beside the Python of the tests.
fn tool(name: &str) -> Option<PathBuf> {
    let python = gristmill_tests::python("yaml")?;
    let path = python.parent().expect("a Python lies in a folder").join(name);
    assert!(path.is_file(), "{} is not there: install tests/requirements.txt", path.display());
    Some(path)
}

/// The variables that a role reads its settings from, as its help names them.
fn variables(role: &str) -> BTreeSet<String> {
    let help = gristmill_tests::gristmill().args([role, "--help"]).output().expect("runs");
    let help = String::from_utf8(help.stdout).expect("UTF-8");
    let named = help.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
    let named = named.filter(|word| word.starts_with("GRISTMILL_"));
    // Those of the log are for all roles, and no flags.
    let of_the_log = ["GRISTMILL_LOG", "GRISTMILL_LOG_FORMAT"];
    named.chain(of_the_log).map(str::to_owned).collect()
}

/// What is said to a role that it does not know: a variable that is spelt wrong does nothing, and nobody notices.
fn unknown<'a>(role: &str, said: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let known = variables(role);
    assert!(known.len() > 5, "{role} --help names its variables: {known:?}");
    said.into_iter().filter(|name| name.starts_with("GRISTMILL_") && !known.contains(*name)).collect()
}
