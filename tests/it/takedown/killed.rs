//! Takedowns, killed at moments that a watcher sees in the folders.

use super::{TAKEDOWN, all_files, fixture, gristmill_in, stdout};
use crate::index::killed::kill_at;
use crate::index::{copy, ids};
use gristmill_tests::gristmill;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// How far a takedown is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Reads,
    /// It says in the dataset that it has begun.
    Begun,
    /// Files of the index are written anew.
    WritesIndex,
    /// The generation without the documents is there, and the one before.
    WroteIndex,
    /// The one before is taken away, and not yet its files.
    CleansIndex,
    /// The index is done, and the dataset is not.
    DoneIndex,
    /// Files of the dataset are written anew.
    WritesData,
    /// All are, and the manifest lists the old ones.
    WroteData,
    /// The manifest lists the new ones, and the old are there still.
    CleansData,
    Done,
}

/// Files of the index that were written for a generation.
fn files_for(folder: &Path, generation: &str) -> usize {
    let of = |entry: fs::DirEntry| {
        let is_of = entry.file_name().to_string_lossy().starts_with(generation);
        if is_of { names(&entry.path()).len() } else { 0 }
    };
    fs::read_dir(folder.join("index/files")).into_iter().flatten().flatten().map(of).sum()
}

fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| !name.contains("-tmp-")).collect()
}

/// `kept`: files of the first generation that hold none of the documents.
fn moment(folder: &Path, kept: usize) -> Moment {
    let text = |path: &str| fs::read_to_string(folder.join(path)).unwrap_or_default();
    let is_replaced = folder.join("out/_takedowns/000001-replaced.json").exists();
    if text("out/manifest.json").contains("\"takedowns\"") {
        return if is_replaced { Moment::CleansData } else { Moment::Done };
    }
    if is_replaced {
        return Moment::WroteData;
    }
    if names(&folder.join("out/data")).iter().any(|name| name.contains("-t1.")) {
        return Moment::WritesData;
    }
    let second = !text("index/generations/000002.json").is_empty();
    if second && !text("index/generations/000001.json").contains("removed") {
        return Moment::WroteIndex;
    }
    if second {
        let cleans = files_for(folder, "000001-") > kept;
        return if cleans { Moment::CleansIndex } else { Moment::DoneIndex };
    }
    if files_for(folder, "000002-") > 0 {
        return Moment::WritesIndex;
    }
    let begun = folder.join("out/_takedowns/000001.json").exists();
    if begun { Moment::Begun } else { Moment::Reads }
}

#[test]
fn killed_at_any_moment_the_dataset_is_whole() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    fixture(folder, "seed=0");
    for name in ["out", "index"] {
        copy(&folder.join(name), &folder.join(format!("{name}-before")));
    }
    stdout(gristmill_in(folder, &TAKEDOWN));
    let kept = files_for(folder, "000001-");
    assert_eq!(moment(folder, kept), Moment::Done);
    let (out, index) = (all_files(&folder.join("out")), all_files(&folder.join("index")));
    let restore = || {
        for name in ["out", "index"] {
            fs::remove_dir_all(folder.join(name)).expect("is there");
            copy(&folder.join(format!("{name}-before")), &folder.join(name));
        }
    };
    let takedown = || {
        let mut command = gristmill();
        command.current_dir(folder).args(TAKEDOWN);
        command
    };
    let whole = |files: BTreeMap<String, Vec<u8>>| -> BTreeMap<String, Vec<u8>> {
        files.into_iter().filter(|(name, _)| !name.contains("-tmp-")).collect()
    };
    for wanted in [
        Moment::Begun,
        Moment::WritesIndex,
        Moment::WroteIndex,
        Moment::CleansIndex,
        Moment::WritesData,
        Moment::WroteData,
        Moment::CleansData,
    ] {
        kill_at(&wanted, restore, takedown, || moment(folder, kept));
        // Whoever reads finds the dataset as it was or as it is to be.
        let rows = if wanted == Moment::CleansData { 13 } else { 30 };
        assert_eq!(ids(folder, "out").len(), rows, "{wanted:?}");
        stdout(gristmill_in(folder, &TAKEDOWN));
        assert_eq!(whole(all_files(&folder.join("out"))), out, "{wanted:?}");
        assert_eq!(whole(all_files(&folder.join("index"))), index, "{wanted:?}");
    }
    stdout(gristmill_in(folder, &["verify", "out"]));
}
