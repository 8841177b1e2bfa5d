//! Jobs that extend an index, killed at moments that a watcher sees in the folders.

use super::{copy, crawls, generations, manifest, must, with_index, write};
use crate::run::published;
use gristmill_tests::gristmill;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// How often a moment is tried to be met: some last a few milliseconds, and the machine may be busy.
const TRIES: usize = 100;

/// Starts a command again and again, each time from the same state of things, and kills it at the moment it is wanted at. Gives
/// whether it was killed then: not a moment later, and before it had ended.
#[track_caller]
pub(crate) fn kill_at<M: PartialEq + Debug>(
    wanted: &M,
    restore: impl Fn(),
    command: impl Fn() -> Command,
    moment: impl Fn() -> M,
) {
    let mut met = Vec::new();
    for _ in 0..TRIES {
        restore();
        let mut child =
            command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
        while moment() != *wanted && child.try_wait().expect("is there").is_none() {
            std::thread::yield_now();
        }
        child.kill().expect("is killed, or has ended");
        let ended = child.wait().expect("ends");
        met.push(moment());
        if !ended.success() && met.last() == Some(wanted) {
            return;
        }
    }
    panic!("it was never {wanted:?} when it was killed, but {met:?}");
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    Works,
    /// Some files of the dedup are in the index.
    Brings,
    /// All are.
    Brought,
    /// The generation is there, and not yet the dataset.
    Extended,
    Published,
}

/// `all`: files that the job brings.
fn moment(folder: &Path, all: usize) -> Moment {
    if folder.join("out-b/manifest.json").exists() {
        return Moment::Published;
    }
    if folder.join("index/generations/000002.json").exists() {
        return Moment::Extended;
    }
    match brought(folder) {
        0 => Moment::Works,
        some if some < all => Moment::Brings,
        _ => Moment::Brought,
    }
}

/// Files of the dedup that are in the index: keys, sets and ids of each task, and the drop list.
fn brought(folder: &Path) -> usize {
    let folders = fs::read_dir(folder.join("index/files")).into_iter().flatten().flatten();
    let second = folders.filter(|entry| entry.file_name().to_string_lossy().starts_with("000002-"));
    let files = second.flat_map(|entry| fs::read_dir(entry.path()).into_iter().flatten().flatten());
    let names = files.map(|file| file.file_name().to_string_lossy().into_owned());
    names.filter(|name| !name.contains("-tmp-") && !name.starts_with("segments-")).count()
}

/// The index holds the first crawl, and the job of the second is about to run.
fn fixture(folder: &Path) -> String {
    let [a, b, _] = crawls();
    write(folder, "a", &a);
    write(folder, "b", &b);
    let step = with_index("minhash_dedup: {preset: fineweb}", "{at: index, extend: true}");
    must(folder, "a", &step, "out-a");
    copy(&folder.join("index"), &folder.join("index-before"));
    must(folder, "b", &step, "out-b");
    step
}

fn restore(folder: &Path) {
    let _ = fs::remove_dir_all(folder.join("out-b"));
    fs::remove_dir_all(folder.join("index")).expect("is there");
    copy(&folder.join("index-before"), &folder.join("index"));
}

fn job(folder: &Path) -> Command {
    let mut command = gristmill();
    command.current_dir(folder).args(["run", "out-b.yaml", "--quiet", "--lanes", "1"]);
    command
}

#[test]
fn killed_at_any_moment_the_index_is_whole() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let step = fixture(folder);
    let (expected, data) = (generations(folder), published(&folder.join("out-b")));
    let all = brought(folder);
    assert!(all >= 4, "{all}");
    for wanted in [Moment::Brings, Moment::Brought, Moment::Extended, Moment::Published] {
        kill_at(&wanted, || restore(folder), || job(folder), || moment(folder, all));
        // Whoever reads the index meanwhile finds one generation or the other.
        let there: BTreeMap<_, _> =
            generations(folder).into_iter().filter(|(n, _)| !n.contains("-tmp-")).collect();
        assert!(there.iter().all(|(name, bytes)| expected.get(name) == Some(bytes)), "{wanted:?}");
        must(folder, "b", &step, "out-b");
        assert_eq!(published(&folder.join("out-b")), data, "{wanted:?}");
        let there: BTreeMap<_, _> =
            generations(folder).into_iter().filter(|(n, _)| !n.contains("-tmp-")).collect();
        assert_eq!(there, expected, "{wanted:?}");
    }
}

/// Between the two manifests the index is at its next generation already, and others go on from there.
#[test]
fn what_comes_to_the_index_before_the_dataset_is_published_does_not_harm_it() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let step = fixture(folder);
    let (data, all) = (published(&folder.join("out-b")), brought(folder));
    // Another job extends the index further.
    let more: Vec<_> =
        (0..9).map(|n| json!({"id": format!("c-{n}"), "text": format!("nothing like it {n}")})).collect();
    write(folder, "c", &more);
    kill_at(&Moment::Extended, || restore(folder), || job(folder), || moment(folder, all));
    must(folder, "c", &step, "out-c");
    must(folder, "b", &step, "out-b");
    assert_eq!(published(&folder.join("out-b")), data);
    assert_eq!(manifest(folder, "out-c")["indexes"][0]["wrote"], 3);

    // A takedown takes the generation away that the job wrote, and the one that it read.
    kill_at(&Moment::Extended, || restore(folder), || job(folder), || moment(folder, all));
    fs::write(folder.join("list.txt"), "domain:b.example\nid:a-000\n").expect("write");
    let args = ["takedown", "--urls", "list.txt", "--index", "index"];
    let ended = gristmill().current_dir(folder).args(args).output().expect("the program starts");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    must(folder, "b", &step, "out-b");
    assert_eq!(
        published(&folder.join("out-b")),
        data,
        "its documents are taken out of it by a takedown of it"
    );
    let names: Vec<String> = generations(folder).into_keys().filter(|name| !name.contains("-tmp-")).collect();
    assert_eq!(names, ["000001.json", "000002.json", "000003.json"]);
}
