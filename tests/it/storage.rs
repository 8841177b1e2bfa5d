//! Storage on a real S3 server (SeaweedFS) and behind a web server that misbehaves: what unit tests cannot show.

pub(crate) mod proxy;
pub(crate) mod seaweed;
mod web;

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use gristmill_storage::{
    BlockingReader, BlockingWriter, Carry, Created, Credentials, Encoding, Format, Item, Kind, Lister, Open,
    Push, RetrySettings, S3Settings, Settings, Source, Store, StoreSource, Stores, Uri, Writer, conformance,
    list, open,
};
use proxy::{Mood, Proxy};
use seaweed::Seaweed;
use tokio::runtime::Handle;
use web::Web;

fn stores(endpoint: &str, secret: &str) -> Stores {
    let credentials = Credentials { access_key: seaweed::KEY.into(), secret_key: secret.into() };
    Stores::new(Settings {
        s3: S3Settings {
            endpoint: Some(endpoint.to_owned()),
            region: Some("us-east-1".into()),
            credentials: Some(credentials),
            ..S3Settings::default()
        },
        retry: RetrySettings { base_ms: 20, cap_ms: 500, timeout_ms: 20_000, ..RetrySettings::default() },
        ..Settings::default()
    })
}

fn at(stores: &Stores, uri: &str) -> (Arc<dyn Store>, String) {
    let uri: Uri = uri.parse().expect("a URI");
    stores.open(&uri).expect("opens")
}

/// Bytes that do not compress and do not repeat.
fn noise(len: usize) -> Bytes {
    (0..len as u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 51) as u8).collect::<Vec<_>>().into()
}

async fn read_all(store: &Arc<dyn Store>, key: &str) -> Vec<u8> {
    let mut pieces = store.read(key, 0..u64::MAX).await.expect("reads");
    let mut got = Vec::new();
    while let Some(piece) = pieces.next().await {
        got.extend_from_slice(&piece.expect("goes on"));
    }
    got
}

/// All of S3 in one test: the server takes seconds to start.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s3_keeps_every_promise() {
    let Some(server) = Seaweed::start().await else { return };
    let stores = stores(&server.endpoint(), seaweed::SECRET);
    let (store, prefix) = at(&stores, "s3://first-bucket/conformance/");
    conformance::run(store, &prefix).await;
    wrong_keys_are_refused(&server).await;
    orphaned_uploads_are_swept(&stores).await;
    inputs_are_listed(&stores).await;
    records_are_written_and_read_from_plain_threads(&stores).await;

    let proxy = Proxy::start(server.port()).await;
    let through = self::stores(&proxy.endpoint(), seaweed::SECRET);
    faults_on_the_way_are_outlived(&through, &proxy).await;
    an_object_replaced_while_it_is_read_is_an_error(&stores, &through, &proxy).await;
}

async fn wrong_keys_are_refused(server: &Seaweed) {
    let wrong = stores(&server.endpoint(), "not-the-secret");
    let (store, key) = at(&wrong, "s3://first-bucket/x");
    let error = store.get(&key, None).await.expect_err("refused");
    assert_eq!(error.kind(), Kind::Denied, "{error}");
    assert!(error.to_string().starts_with("s3://first-bucket/x: access denied (403"), "{error}");
    assert!(!format!("{error:?} {wrong:?}").contains("not-the-secret"));
}

async fn orphaned_uploads_are_swept(stores: &Stores) {
    let (store, prefix) = at(stores, "s3://first-bucket/orphans/");
    let mut upload = store.upload(&format!("{prefix}x")).await.expect("begins");
    upload.write(noise(9 << 20)).await.expect("writes");
    // As if the process had been killed: nothing is aborted.
    std::mem::forget(upload);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(store.sweep(&prefix, Duration::from_hours(1)).await.expect("sweeps"), 0, "too young");
    assert_eq!(store.sweep(&prefix, Duration::ZERO).await.expect("sweeps"), 1);
    assert_eq!(store.sweep(&prefix, Duration::ZERO).await.expect("sweeps"), 0);
}

async fn inputs_are_listed(stores: &Stores) {
    let (store, prefix) = at(stores, "s3://first-bucket/crawl-data/CC/");
    for name in ["a/1.warc.gz", "a/2.warc.gz", "b/3.warc.gz", "_tmp/4.warc.gz", "b/notes.md"] {
        store.put(&format!("{prefix}{name}"), Bytes::from_static(b"x")).await.expect("puts");
    }
    let list = "crawl-data/CC/a/1.warc.gz\ncrawl-data/CC/b/3.warc.gz\n";
    store.put(&format!("{prefix}warc.paths"), Bytes::from(list)).await.expect("puts");
    for (pattern, expected) in [
        (
            "s3://first-bucket/crawl-data/CC/**/*.warc.gz",
            Ok(&["a/1.warc.gz", "a/2.warc.gz", "b/3.warc.gz"][..]),
        ),
        ("s3://first-bucket/crawl-data/CC/a", Ok(&["1.warc.gz", "2.warc.gz"])),
        ("s3://first-bucket/crawl-data/CC/{a,b}/[13].warc.gz", Ok(&["a/1.warc.gz", "b/3.warc.gz"])),
        (
            "s3://first-bucket/crawl-data/CC/warc.paths",
            Ok(&["crawl-data/CC/a/1.warc.gz", "crawl-data/CC/b/3.warc.gz"]),
        ),
        ("s3://first-bucket/crawl-data/CC/b", Err("tells no format")),
        ("s3://first-bucket/nothing", Err("nothing there")),
        ("s3://first-bucket/nothing.warc.gz", Err("nothing there")),
    ] {
        let found = Lister::new(stores).list(&[pattern.into()]).await;
        match expected {
            Ok(expected) => {
                let listing = found.expect(pattern);
                let inputs = listing.inputs().expect("reads back");
                let names: Vec<String> = inputs.map(|input| input.expect("reads back").name).collect();
                assert_eq!(names, expected, "{pattern}");
            }
            Err(part) => {
                let error = found.expect_err(pattern).to_string();
                assert!(error.contains(part), "{pattern}: {error}");
            }
        }
    }
}

async fn records_are_written_and_read_from_plain_threads(stores: &Stores) {
    let handle = Handle::current();
    for encoding in [
        Encoding::Jsonl(gristmill_storage::Compression::Zstd),
        Encoding::Jsonl(gristmill_storage::Compression::None),
        Encoding::Parquet,
    ] {
        let uri = format!("s3://first-bucket/records/x{}", encoding.extension());
        let (store, key) = at(stores, &uri);
        let handle = handle.clone();
        let lane = std::thread::spawn(move || {
            let upload = BlockingWriter::new(&handle, store.clone(), &key);
            let mut writer = Writer::new(upload, encoding, Carry::default()).expect("begins");
            let row =
                |n: u64| format!(r#"{{"id":{n},"text":"{}"}}"#, "words and words ".repeat(n as usize % 200));
            for n in 0..20_000 {
                assert_eq!(writer.push(&row(n)).expect("pushes"), Push::Written);
            }
            let finished = writer.finish().expect("ends");
            let meta = finished.inner.finish().expect("stored");
            assert_eq!(meta.size, finished.written.bytes);
            assert_eq!(finished.written.rows, 20_000);

            let format = if encoding == Encoding::Parquet { Format::Parquet } else { Format::Jsonl };
            let source: Arc<dyn Source> =
                Arc::new(StoreSource::new(handle.clone(), store.clone(), &key, meta.size));
            let mut next = 0;
            for part in 0..3 {
                let mut what = Open::whole("x", format);
                what.slice = Some(meta.size * part / 3..meta.size * (part + 1) / 3);
                let mut records = open(source.clone(), &what).expect("opens");
                while let Some(item) = records.next().expect("reads") {
                    let Item::Json { line, .. } = item else { panic!("{item:?}") };
                    assert_eq!(line, row(next));
                    next += 1;
                }
            }
            assert_eq!(next, 20_000);

            let mut stored = Vec::new();
            BlockingReader::new(&handle, store.clone(), &key, 0..u64::MAX)
                .read_to_end(&mut stored)
                .expect("reads");
            assert_eq!(stored.len() as u64, meta.size);

            // A writer that is dropped leaves nothing.
            let mut dropped = BlockingWriter::new(&handle, store, &format!("{key}.dropped"));
            dropped.write_all(&noise(3 << 20)).expect("writes");
        });
        lane.join().expect("the lane ends well");
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (store, prefix) = at(stores, "s3://first-bucket/records/");
    let left: Vec<String> = list(store, &prefix, None).map(|entry| entry.expect("lists").key).collect().await;
    assert_eq!(left.len(), 3, "{left:?}");
}

async fn faults_on_the_way_are_outlived(stores: &Stores, proxy: &Proxy) {
    let (store, key) = at(stores, "s3://first-bucket/faults/x");
    // The answer to a conditional create is lost: the next try finds the object, which is ours.
    proxy.moods(&[Mood::LoseAnswer]);
    assert_eq!(store.create(&key, Bytes::from_static(b"ours")).await.expect("answers"), Created::Exists);
    assert_eq!(store.get(&key, None).await.expect("gets"), "ours");

    proxy.moods(&[Mood::SlowDown, Mood::Refuse, Mood::SlowDown, Mood::Hangup]);
    assert_eq!(store.stat(&key).await.expect("stats").size, 4);
    let throttled =
        stores.meter().requests().into_iter().find(|count| (count.0, count.1) == ("stat", "throttled"));
    assert_eq!(throttled.map(|count| count.2), Some(2));

    // Parts of an upload meet trouble one by one.
    let data = noise(40 << 20);
    let mut upload = store.upload(&key).await.expect("begins");
    for (i, piece) in data.chunks(3 << 20).enumerate() {
        if i % 3 == 1 {
            proxy.moods(&[Mood::SlowDown, Mood::Refuse]);
        }
        upload.write(data.slice_ref(piece)).await.expect("writes");
    }
    proxy.moods(&[Mood::LoseAnswer]);
    upload.finish().await.expect("finishes, though the answer was lost");

    // A download is cut again and again.
    proxy.moods(&[Mood::CutAfter(3 << 20), Mood::CutAfter(5 << 20), Mood::SlowDown, Mood::CutAfter(1 << 20)]);
    assert!(read_all(&store, &key).await == data, "the bytes are whole");
}

async fn an_object_replaced_while_it_is_read_is_an_error(stores: &Stores, through: &Stores, proxy: &Proxy) {
    let (direct, key) = at(stores, "s3://first-bucket/faults/replaced");
    direct.put(&key, vec![1; 6 << 20].into()).await.expect("puts");
    let (store, _) = at(through, "s3://first-bucket/faults/replaced");
    proxy.moods(&[Mood::CutAfter(3 << 20)]);
    let mut pieces = store.read(&key, 0..u64::MAX).await.expect("begins");
    let first = pieces.next().await.expect("more").expect("bytes");
    assert!(first.iter().all(|byte| *byte == 1));
    direct.put(&key, vec![2; 6 << 20].into()).await.expect("replaces");
    let error = loop {
        match pieces.next().await.expect("an error before the end") {
            Ok(piece) => assert!(piece.iter().all(|byte| *byte == 1), "bytes of one version only"),
            Err(error) => break error,
        }
    };
    assert!(error.kind() == Kind::Corrupt && error.to_string().contains("was replaced"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn web_servers_are_read_by_ranges() {
    let data = noise(5 << 20);
    let web = Web::start(data.clone()).await;
    let stores = stores("http://127.0.0.1:9", "unused");
    for path in ["plain", "no-head", "cut", "slow-down"] {
        let (store, key) = at(&stores, &web.uri(path));
        assert_eq!(store.stat(&key).await.expect(path).size, data.len() as u64, "{path}");
        assert_eq!(store.get(&key, Some(100..200)).await.expect(path), data.slice(100..200), "{path}");
        assert_eq!(
            store.get(&key, Some(99 << 20..100 << 20)).await.expect(path),
            "",
            "{path}: behind the end"
        );
        assert!(read_all(&store, &key).await == data, "{path}: all of it");
    }
    let (store, key) = at(&stores, &web.uri("no-range"));
    assert_eq!(store.get(&key, Some(0..10)).await.expect("from the start"), data.slice(..10));
    let error = store.get(&key, Some(10..20)).await.expect_err("not from the middle");
    assert!(error.kind() == Kind::Invalid && error.to_string().contains("range requests"), "{error}");
    for (path, kind) in [("missing", Kind::NotFound), ("secret", Kind::Denied), ("broken", Kind::Retry)] {
        let (store, key) = at(&stores, &web.uri(path));
        let error = store.get(&key, None).await.expect_err(path);
        assert_eq!(error.kind(), kind, "{path}: {error}");
    }
    assert_eq!(store.put("x", Bytes::new()).await.expect_err("read only").kind(), Kind::Invalid);

    // A file that is replaced while it is read is an error, never a mix of two.
    for path in ["replaced", "replaced-untagged"] {
        let (store, key) = at(&stores, &web.uri(path));
        let mut pieces = store.read(&key, 0..u64::MAX).await.expect("begins");
        let mut versions = std::collections::BTreeSet::new();
        let error = loop {
            match pieces.next().await.expect("an error before the end") {
                Ok(piece) => versions.extend(piece),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), Kind::Corrupt, "{path}: {error}");
        assert_eq!(versions.len(), 1, "{path}: all bytes are of one version");
    }

    // Redirects stay within the host, and what an address was signed with is not repeated.
    let (store, key) = at(&stores, &web.uri("moved"));
    assert_eq!(store.get(&key, Some(5..9)).await.expect("is followed"), data.slice(5..9));
    for path in ["moved-away", "moved-to-a-port"] {
        let (store, key) = at(&stores, &web.uri(path));
        let error = store.get(&key, None).await.expect_err("is not followed");
        assert_eq!(error.kind(), Kind::Invalid, "{path}: {error}");
        let text = error.to_string();
        assert!(text.contains("redirects to another host, http://") && !text.contains("signature"), "{text}");
    }
    let inputs = Lister::new(&stores).list(&[web.uri("plain.warc.gz").as_str().into()]).await;
    assert!(inputs.expect_err("not there").to_string().contains("plain.warc.gz: not found"));
}
