//! What the tests have in common: where the test data lies, and how its files are read.

use std::io::Read;
use std::path::{Path, PathBuf};

/// The folder of golden vectors and real crawls, which is not part of this repository.
///
/// Looked for in `GRISTMILL_SHARED`, then in `../shared` beside the checkout. Where it is missing the calling
/// test says that it is skipped; under `CI` it fails instead, so that nothing is skipped there unseen.
#[must_use]
pub fn shared(wanted: &str) -> Option<PathBuf> {
    let root = std::env::var_os("GRISTMILL_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let path = root.join(wanted);
    if path.exists() {
        return Some(path);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "{} is not there: CI needs the test data, set GRISTMILL_SHARED",
        path.display()
    );
    eprintln!("SKIPPED: {} is not there; set GRISTMILL_SHARED to the folder that holds it", path.display());
    None
}

/// The lines of a `.jsonl` or `.jsonl.zst` file, each parsed.
///
/// # Panics
/// If the file cannot be read or a line is not JSON: test data is trusted.
#[must_use]
pub fn jsonl(path: &Path) -> Vec<serde_json::Value> {
    let raw = std::fs::read(path).expect("test data is readable");
    let mut text = String::new();
    if path.extension().is_some_and(|e| e == "zst") {
        zstd::Decoder::new(&raw[..]).expect("zstd").read_to_string(&mut text).expect("UTF-8");
    } else {
        text = String::from_utf8(raw).expect("UTF-8");
    }
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// A Python that can import a module: the one that `GRISTMILL_PYTHON` names, or that of the `.venv` at the root of the repository, into
/// which `requirements.txt` beside these tests is installed.
///
/// Where there is none the calling test says that it is skipped; under `CI` it fails instead.
#[must_use]
pub fn python(module: &str) -> Option<PathBuf> {
    let python = std::env::var_os("GRISTMILL_PYTHON")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/bin/python"), PathBuf::from);
    let found = std::process::Command::new(&python).args(["-c", &format!("import {module}")]).output();
    if found.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    let missing = format!(
        "{} cannot import {module}: set GRISTMILL_PYTHON to a python with tests/requirements.txt",
        python.display()
    );
    assert!(std::env::var_os("CI").is_none(), "{missing}");
    eprintln!("SKIPPED: {missing}");
    None
}

/// The program under test: `GRISTMILL_BINARY`, else built as the tests were.
///
/// # Panics
/// If it cannot be built.
#[must_use]
pub fn gristmill() -> std::process::Command {
    static BUILT: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    let path = BUILT.get_or_init(|| {
        if let Some(binary) = std::env::var_os("GRISTMILL_BINARY") {
            return PathBuf::from(binary);
        }
        // TARGET/PROFILE/deps/this-test: the program lies in TARGET/PROFILE.
        let test = std::env::current_exe().expect("a test knows where it lies");
        let folder = test.ancestors().nth(2).expect("deps lies in a profile's folder").to_owned();
        let release = folder.file_name().is_some_and(|name| name == "release");
        let mut build = std::process::Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "-p", "gristmill-cli"]).current_dir(env!("CARGO_MANIFEST_DIR"));
        build.args(if release { &["--release"][..] } else { &[] });
        assert!(build.status().expect("cargo runs").success(), "the program does not build");
        folder.join("gristmill")
    });
    let mut command = std::process::Command::new(path);
    command.env_remove("GRISTMILL_MODELS");
    command
}
