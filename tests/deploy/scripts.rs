//! Linters for what no compiler looks at.

use std::process::Command;

use crate::{root, tool};

fn passes(command: &mut Command) {
    let output = command.current_dir(root()).output().expect("runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn scripts_are_sound() {
    let Some(shellcheck) = tool("shellcheck") else { return };
    let scripts = std::fs::read_dir(root().join("deploy")).expect("a folder");
    let scripts = scripts.map(|entry| entry.expect("an entry").path());
    let scripts: Vec<_> = scripts.filter(|path| path.extension().is_some_and(|e| e == "sh")).collect();
    assert!(scripts.len() >= 3, "{scripts:?}");
    passes(Command::new(shellcheck).args(scripts).arg(".ci/run"));
}

#[test]
fn the_image_is_built_as_hadolint_likes_it() {
    let Some(hadolint) = tool("hadolint") else { return };
    passes(Command::new(hadolint).arg("deploy/Dockerfile"));
}

/// What the build copies must not be kept out of its context.
#[test]
fn the_image_s_build_gets_what_it_needs() {
    let ignore = std::fs::read_to_string(root().join(".dockerignore")).expect("reads");
    let let_in: Vec<&str> = ignore.lines().filter_map(|line| line.strip_prefix('!')).collect();
    for path in &let_in {
        assert!(root().join(path).exists(), "{path}");
    }
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("reads");
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = ")).expect("members");
    for member in members.split('"').skip(1).step_by(2) {
        let folder = member.trim_end_matches("/*");
        assert!(let_in.contains(&folder), "{folder}");
    }
    // Benchmarks lie outside the crates that name them.
    assert!(let_in.contains(&"bench") && let_in.contains(&"Cargo.lock"));
}
