use std::io::Write as _;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;

use super::*;
use crate::store::{ByteStream, Created, Entry, Page, Store, Upload};
use crate::stores::Settings;

async fn stores(keys: &[(&str, &str)]) -> Stores {
    let stores = Stores::new(Settings::default());
    for (key, data) in keys {
        let (store, key) = stores.open(&format!("memory://t/{key}").parse().unwrap()).unwrap();
        store.put(&key, Bytes::from((*data).to_owned())).await.unwrap();
    }
    stores
}

async fn list(stores: &Stores, texts: &[&str], format: Option<Format>) -> Result<Vec<Input>, InputError> {
    let patterns: Vec<Pattern> =
        texts.iter().map(|&text| Pattern { text: text.to_owned(), format }).collect();
    Lister::new(stores).list(&patterns).await?.inputs()?.collect()
}

async fn names(stores: &Stores, patterns: &[&str]) -> Result<Vec<String>, String> {
    let listing = list(stores, patterns, None).await.map_err(|error| error.to_string())?;
    Ok(listing.into_iter().map(|input| input.name).collect())
}

#[tokio::test]
async fn patterns() {
    let stores = stores(&[
        ("a/1.warc.gz", "x"),
        ("a/2.warc.gz", "x"),
        ("a/sub/3.jsonl.zst", "x"),
        ("a/_tmp/4.jsonl", "x"),
        ("a/.hidden.jsonl", "x"),
        ("b/1.warc.gz", "x"),
        ("c/readme.md", "x"),
        ("lists/warc.paths", "crawl-data/x/1.warc.gz\n\n# note\ncrawl-data/x/2.warc.gz\n"),
        ("lists/own.txt", "../nothing.warc.gz\n"),
        ("lists/beside.txt", "one.html\nmemory://t/a/1.warc.gz\n"),
        ("lists/one.html", "x"),
        ("lists/empty.txt", "\n"),
        ("crawl-data/x/1.warc.gz", "x"),
        ("crawl-data/x/2.warc.gz", "x"),
    ])
    .await;
    for (patterns, expected) in [
        (&["memory://t/a/1.warc.gz"][..], Ok(&["1.warc.gz"][..])),
        (&["memory://t/a"], Ok(&["1.warc.gz", "2.warc.gz", "sub/3.jsonl.zst"])),
        (&["memory://t/a/"], Ok(&["1.warc.gz", "2.warc.gz", "sub/3.jsonl.zst"])),
        (&["memory://t/a/*.gz"], Ok(&["1.warc.gz", "2.warc.gz"])),
        (&["memory://t/a/**/*.{zst,gz}"], Ok(&["1.warc.gz", "2.warc.gz", "sub/3.jsonl.zst"])),
        (&["memory://t/*/1.warc.gz"], Ok(&["a/1.warc.gz", "b/1.warc.gz"])),
        (&["memory://t/a/1.warc.gz", "memory://t/b/1.warc.gz"], Ok(&["t/a/1.warc.gz", "t/b/1.warc.gz"])),
        (&["memory://t/a/?.warc.gz", "memory://t/a/1.warc.gz"], Ok(&["1.warc.gz", "2.warc.gz"])),
        (&["memory://t/lists/warc.paths"], Ok(&["crawl-data/x/1.warc.gz", "crawl-data/x/2.warc.gz"])),
        (&["memory://t/lists/beside.txt"], Ok(&["one.html", "t/a/1.warc.gz"])),
        (&["memory://t/none"], Err("nothing there matches")),
        (&["memory://t/a/*.parquet"], Err("nothing there matches")),
        (&["memory://t/c"], Err("tells no format")),
        (&["memory://t/lists/own.txt"], Err("line 1: ../nothing.warc.gz: a name may not")),
        (&["memory://t/lists/empty.txt"], Err("names no files")),
        (&["memory://t/a/{1"], Err("unclosed alternate")),
        (&["https://example.com/x/"], Err("cannot be listed")),
        (&["gs://x/y"], Err("unknown scheme")),
    ] {
        let got = names(&stores, patterns).await;
        match expected {
            Ok(expected) => {
                assert_eq!(got, Ok(expected.iter().map(|&s| s.to_owned()).collect()), "{patterns:?}");
            }
            Err(part) => assert!(got.as_ref().is_err_and(|e| e.contains(part)), "{patterns:?}: {got:?}"),
        }
    }
}

#[tokio::test]
async fn local_files_and_overrides() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("in/_x")).unwrap();
    for name in ["in/a.jsonl", "in/b.data", "in/_x/c.jsonl"] {
        std::fs::write(folder.path().join(name), "{}").unwrap();
    }
    let stores = Stores::new(Settings::default());
    let pattern = folder.path().join("in").display().to_string();
    assert!(list(&stores, &[&pattern], None).await.unwrap_err().to_string().contains("b.data"));
    let inputs = list(&stores, &[&pattern], Some(Format::Jsonl)).await.unwrap();
    assert_eq!(inputs.iter().map(|i| i.name.as_str()).collect::<Vec<_>>(), ["a.jsonl", "b.data"]);
    assert_eq!(inputs[0].size, 2);
    let missing = folder.path().join("in/none.jsonl").display().to_string();
    assert!(list(&stores, &[&missing], None).await.unwrap_err().to_string().contains("none.jsonl"));
}

/// A store of invented files that gives its keys in any order.
#[derive(Debug)]
struct Invented {
    keys: Vec<String>,
}

impl Invented {
    /// `files` keys in eight folders, turned by `turn` places.
    fn new(files: u64, turn: usize) -> Self {
        let mut keys: Vec<String> = (0..files)
            .map(|n| format!("crawl/segment-{}/CC-MAIN-20240412101354-20240412131354-{n:08}.warc.gz", n % 8))
            .collect();
        keys.rotate_left(turn);
        Self { keys }
    }

    fn meta(key: &str) -> Meta {
        let size =
            key.bytes().fold(7_u64, |sum, b| sum.wrapping_mul(31).wrapping_add(u64::from(b))) % 1_000_000;
        Meta { size, tag: format!("{size:032x}"), modified_ms: None }
    }
}

#[async_trait]
impl Store for Invented {
    fn uri(&self, key: &str) -> String {
        format!("memory://invented/{key}")
    }

    async fn stat(&self, key: &str) -> Result<Meta, StoreError> {
        Err(StoreError::NotFound { uri: self.uri(key) })
    }

    async fn get(&self, key: &str, _: Option<Range<u64>>) -> Result<Bytes, StoreError> {
        Err(StoreError::NotFound { uri: self.uri(key) })
    }

    async fn read(&self, key: &str, _: Range<u64>) -> Result<ByteStream, StoreError> {
        Err(StoreError::NotFound { uri: self.uri(key) })
    }

    async fn create(&self, _: &str, _: Bytes) -> Result<Created, StoreError> {
        Ok(Created::Exists)
    }

    async fn put(&self, _: &str, _: Bytes) -> Result<(), StoreError> {
        Ok(())
    }

    async fn upload(&self, key: &str) -> Result<Box<dyn Upload>, StoreError> {
        Err(StoreError::NotFound { uri: self.uri(key) })
    }

    async fn publish(&self, _: &str, to: &str) -> Result<Meta, StoreError> {
        Err(StoreError::NotFound { uri: self.uri(to) })
    }

    async fn list_page(&self, _: &str, after: Option<&str>, _: usize) -> Result<Page, StoreError> {
        // The last eight digits say where a key stands.
        let digits = |key: &str| key[key.len() - 16..key.len() - 8].parse::<usize>().unwrap_or_default();
        let start = after.map_or(0, |after| {
            (digits(after) + self.keys.len() - digits(&self.keys[0])) % self.keys.len() + 1
        });
        let end = self.keys.len().min(start + 1000);
        let entry = |key: &String| Entry { key: key.clone(), meta: Self::meta(key) };
        Ok(Page { entries: self.keys[start..end].iter().map(entry).collect(), more: end < self.keys.len() })
    }

    async fn delete(&self, _: &[String]) -> Result<(), StoreError> {
        Ok(())
    }
}

fn invented(files: u64, turn: usize) -> Stores {
    let stores = Stores::new(Settings::default());
    stores.replace(&"memory://invented/".parse().unwrap(), Arc::new(Invented::new(files, turn))).unwrap();
    stores
}

const ALL: &str = "memory://invented/crawl/**/*.warc.gz";

#[tokio::test]
async fn the_same_listing_whatever_the_order_and_spilled_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    for (turn, buffer) in [(0, 1 << 30), (1234, 1 << 30), (0, 50_000), (2999, 7_000)] {
        let mut lister = Lister::new(&invented(3000, turn)).scratch(folder.path());
        lister.buffer = buffer;
        // The second pattern means files that are known already, by other names.
        let listing = lister.list(&[ALL.into(), "memory://invented/crawl".into()]).await.unwrap();
        assert_eq!(listing.is_in_memory(), buffer == 1 << 30);
        for _ in 0..2 {
            let inputs: Vec<Input> = listing.inputs().unwrap().collect::<Result<_, _>>().unwrap();
            seen.push((listing.sha256().to_owned(), listing.kinds().clone(), inputs));
        }
        assert_eq!(listing.files(), 3000);
        assert_eq!(listing.kinds()[&(Format::Warc, Compression::Gzip)].bytes, listing.bytes());
    }
    assert!(seen.windows(2).all(|two| two[0] == two[1]));
    let inputs = &seen[0].2;
    assert!(inputs.windows(2).all(|two| two[0].name < two[1].name));
    assert_eq!(inputs.iter().map(|input| input.size).sum::<u64>(), seen[0].1.values().next().unwrap().bytes);
}

#[tokio::test]
async fn shared_names_become_locations_also_when_spilled() {
    let stores =
        stores(&[("a/1.jsonl", "x"), ("b/1.jsonl", "xx"), ("c/1.jsonl", "xxx"), ("a/2.jsonl", "x")]).await;
    let patterns: Vec<Pattern> = ["memory://t/a", "memory://t/b", "memory://t/c"].map(Pattern::from).into();
    for buffer in [100, 1 << 20] {
        let mut lister = Lister::new(&stores);
        lister.buffer = buffer;
        let listing = lister.list(&patterns).await.unwrap();
        let names: Vec<String> = listing.inputs().unwrap().map(|input| input.unwrap().name).collect();
        assert_eq!(names, ["t/a/1.jsonl", "t/b/1.jsonl", "t/c/1.jsonl", "2.jsonl"]);
    }
}

#[tokio::test]
async fn the_first_pattern_that_means_a_file_names_it() {
    let stores = stores(&[("a/1.jsonl", "x")]).await;
    let whole = Pattern { text: "memory://t/a/1.jsonl".into(), format: Some(Format::Html) };
    for (patterns, name, format) in [
        ([whole.clone(), "memory://t/".into()], "1.jsonl", Format::Html),
        (["memory://t/".into(), whole], "a/1.jsonl", Format::Jsonl),
    ] {
        let listing = Lister::new(&stores).list(&patterns).await.unwrap();
        let inputs: Vec<Input> = listing.inputs().unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(inputs.len(), 1);
        assert_eq!((inputs[0].name.as_str(), inputs[0].format), (name, format));
    }
}

#[tokio::test]
async fn large_lists_are_read_line_by_line_and_their_files_listed_by_folder() {
    let gzip = |text: &str| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(text.as_bytes()).unwrap();
        Bytes::from(packed.finish().unwrap())
    };
    let stores = stores(&[]).await;
    let (store, _) = stores.open(&"memory://t/".parse().unwrap()).unwrap();
    let mut text = String::new();
    for n in 0..3000 {
        let key = format!("crawl-data/{}/{n:05}.warc.gz", n % 3);
        store.put(&key, Bytes::from_static(b"x")).await.unwrap();
        text += &(key + "\n");
    }
    store.put("x/warc.paths.gz", gzip(&text)).await.unwrap();
    let before = stores.meter().requests();
    assert_eq!(names(&stores, &["memory://t/x/warc.paths.gz"]).await.unwrap().len(), 3000);
    let asked = |requests: Vec<(&str, &str, u64)>| {
        requests.iter().filter(|r| r.0 == "stat").map(|r| r.2).sum::<u64>()
    };
    assert!(asked(stores.meter().requests()) - asked(before) < 10, "files of a folder are listed");

    for (data, part) in [
        (Bytes::from(vec![b'x'; 70_000]), "line 1: not a list of paths"),
        (Bytes::from_static(b"a.jsonl\n\xff\xfe\n"), "line 2: not a list of paths: the file is not UTF-8"),
        (gzip(&text).slice(..2000), "does not unpack"),
        (
            Bytes::from_static(b"crawl-data/0/00000.warc.gz\nsome words of prose\n"),
            "line 2: `some words of prose`",
        ),
    ] {
        store.put("x/bad.txt", data).await.unwrap();
        let error = names(&stores, &["memory://t/x/bad.txt"]).await.unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test]
async fn what_a_guard_refuses_is_not_looked_at() {
    let stores =
        stores(&[("a/1.jsonl", "x"), ("a/2.jsonl", "x"), ("l.txt", "a/1.jsonl\nmemory://other/2.jsonl\n")])
            .await;
    let guard: Guard = Arc::new(|uri| match uri {
        Uri::Memory { name, .. } if name == "t" => Ok(()),
        _ => Err(format!("{uri} is not for you").into()),
    });
    let lister = Lister::new(&stores).guard(guard);
    assert_eq!(lister.list(&["memory://t/a".into()]).await.unwrap().files(), 2);
    let before = stores.meter().requests();
    let error = lister.list(&["memory://t/l.txt".into()]).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (Kind::Denied, "memory://other/2.jsonl is not for you")
    );
    let not_found = |requests: &[(&str, &str, u64)]| requests.iter().filter(|r| r.1 == "not_found").count();
    assert_eq!(not_found(&stores.meter().requests()), not_found(&before), "nobody asked for it");
}

#[tokio::test]
async fn a_scratch_folder_that_cannot_be_used_is_an_error_that_may_pass() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "x").unwrap();
    let mut lister = Lister::new(&invented(3000, 0)).scratch(folder.path().join("file/scratch"));
    lister.buffer = 1000;
    let error = lister.list(&[ALL.into()]).await.unwrap_err();
    assert!(error.kind() == Kind::Retry && error.to_string().contains("name another folder"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_that_is_dropped_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut lister = Lister::new(&invented(200_000, 0)).scratch(folder.path());
    lister.buffer = 100_000;
    let listing = tokio::spawn(async move { lister.list(&[ALL.into()]).await.map(|_| ()) });
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    listing.abort();
    assert!(listing.await.unwrap_err().is_cancelled());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// `cargo test --release -p gristmill-storage -- --ignored --nocapture a_million_files`; `LISTED_FILES` says how many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute"]
async fn a_million_files_take_little_memory() {
    let memory = |what: &str| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with(what)).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    };
    let files = std::env::var("LISTED_FILES").map_or(1_000_000, |n| n.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let stores = invented(files, files as usize / 3);
    let (before, start) = (memory("VmRSS"), std::time::Instant::now());
    let listing = Lister::new(&stores).scratch(folder.path()).list(&[ALL.into()]).await.unwrap();
    let listed = start.elapsed();
    let read = listing.inputs().unwrap().flatten().count() as u64;
    assert_eq!((read, listing.files()), (files, files));
    // The invented store itself holds all its keys.
    let peak = memory("VmHWM") - before;
    println!(
        "{files} files: {peak} MiB above {before}, listed in {listed:?}, with one reading {:?}",
        start.elapsed()
    );
    assert!(peak < 200, "{peak} MiB");
}
