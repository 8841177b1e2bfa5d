//! What every store must do, checked: run by files, memory and a real S3 server.
//!
//! [`run`] panics at the first broken promise. It works under a prefix of its own and leaves nothing behind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the suite reports by panicking, like the tests that run it"
)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;

use crate::error::Kind;
use crate::store::{Created, Store, list};

/// All promises of [`Store`] under `prefix`, which ends in a slash and holds nothing.
pub async fn run(store: Arc<dyn Store>, prefix: &str) {
    missing_objects_are_said_to_be(&store, prefix).await;
    what_is_put_is_got(&store, prefix).await;
    ranges_are_cut_at_the_end(&store, prefix).await;
    one_creator_wins(&store, prefix).await;
    uploads_are_invisible_until_finished(&store, prefix).await;
    large_uploads_and_reads(&store, prefix).await;
    reads_go_on_with_one_version_only(&store, prefix).await;
    publishing_copies_and_may_be_repeated(&store, prefix).await;
    listings_give_each_key_once(&store, prefix).await;
    let left: Vec<String> = keys(&store, prefix, None).await;
    store.delete(&left).await.unwrap();
    assert!(keys(&store, prefix, None).await.is_empty(), "all is deleted");
}

async fn keys(store: &Arc<dyn Store>, prefix: &str, after: Option<&str>) -> Vec<String> {
    list(store.clone(), prefix, after).map(|entry| entry.expect("a listing goes on").key).collect().await
}

async fn missing_objects_are_said_to_be(store: &Arc<dyn Store>, prefix: &str) {
    let key = format!("{prefix}none/at/all");
    assert_eq!(store.stat(&key).await.unwrap_err().kind(), Kind::NotFound, "stat");
    assert_eq!(store.get(&key, None).await.unwrap_err().kind(), Kind::NotFound, "get");
    assert_eq!(store.get(&key, Some(0..5)).await.unwrap_err().kind(), Kind::NotFound, "ranged get");
    assert_eq!(store.read(&key, 0..5).await.err().unwrap().kind(), Kind::NotFound, "read");
    let to = format!("{prefix}to");
    assert_eq!(store.publish(&key, &to).await.unwrap_err().kind(), Kind::NotFound, "publish");
    assert!(keys(store, &key, None).await.is_empty(), "listing nothing");
    store.delete(std::slice::from_ref(&key)).await.expect("what is not there counts as deleted");
}

async fn what_is_put_is_got(store: &Arc<dyn Store>, prefix: &str) {
    for (name, data) in
        [("empty", ""), ("plain", "some bytes"), ("deep/er/down", "x"), ("blank & ü+%", "odd name")]
    {
        let key = format!("{prefix}put/{name}");
        store.put(&key, Bytes::from(data)).await.unwrap();
        assert_eq!(store.get(&key, None).await.unwrap(), data, "{name}");
        let meta = store.stat(&key).await.unwrap();
        assert_eq!(meta.size, data.len() as u64, "{name}");
        store.put(&key, Bytes::from(format!("{data} again"))).await.unwrap();
        assert_eq!(store.get(&key, None).await.unwrap(), format!("{data} again"), "{name} replaced");
        assert_ne!(store.stat(&key).await.unwrap().tag, meta.tag, "{name}: another version, another tag");
    }
}

async fn ranges_are_cut_at_the_end(store: &Arc<dyn Store>, prefix: &str) {
    let key = format!("{prefix}range");
    store.put(&key, Bytes::from_static(b"0123456789")).await.unwrap();
    for (range, expected) in [
        (0..10, "0123456789"),
        (0..1, "0"),
        (3..6, "345"),
        (8..99, "89"),
        (10..20, ""),
        (50..60, ""),
        (4..4, ""),
    ] {
        assert_eq!(store.get(&key, Some(range.clone())).await.unwrap(), expected, "get {range:?}");
        assert_eq!(read(store, &key, range.clone()).await, expected.as_bytes(), "read {range:?}");
    }
}

async fn read(store: &Arc<dyn Store>, key: &str, range: std::ops::Range<u64>) -> Vec<u8> {
    let mut pieces = store.read(key, range).await.unwrap();
    let mut got = Vec::new();
    while let Some(piece) = pieces.next().await {
        got.extend_from_slice(&piece.expect("a whole stream"));
    }
    got
}

async fn one_creator_wins(store: &Arc<dyn Store>, prefix: &str) {
    for round in 0..10 {
        let key = format!("{prefix}race/{round}");
        let racers: Vec<_> = (0..8)
            .map(|racer| {
                let (store, key) = (store.clone(), key.clone());
                // A loser that met the race itself is told to try again, as the retrying wrapper does.
                tokio::spawn(async move {
                    loop {
                        match store.create(&key, Bytes::from(format!("racer {racer}"))).await {
                            Err(error) if error.kind() == Kind::Retry => {}
                            other => return other,
                        }
                    }
                })
            })
            .collect();
        let mut winners = Vec::new();
        for (racer, task) in racers.into_iter().enumerate() {
            if task.await.unwrap().expect("a create answers") == Created::New {
                winners.push(racer);
            }
        }
        assert_eq!(winners.len(), 1, "round {round}: exactly one creates");
        assert_eq!(store.get(&key, None).await.unwrap(), format!("racer {}", winners[0]));
        assert_eq!(store.create(&key, Bytes::from_static(b"late")).await.unwrap(), Created::Exists);
        assert_eq!(store.get(&key, None).await.unwrap(), format!("racer {}", winners[0]), "and stays");
    }
}

async fn uploads_are_invisible_until_finished(store: &Arc<dyn Store>, prefix: &str) {
    let key = format!("{prefix}upload/x");
    let mut upload = store.upload(&key).await.unwrap();
    upload.write(Bytes::from_static(b"one ")).await.unwrap();
    assert_eq!(store.stat(&key).await.unwrap_err().kind(), Kind::NotFound, "before the end");
    assert!(keys(store, &format!("{prefix}upload/"), None).await.is_empty(), "nor listed");
    upload.write(Bytes::from_static(b"two")).await.unwrap();
    let meta = upload.finish().await.unwrap();
    assert_eq!(meta.size, 7);
    assert_eq!(store.get(&key, None).await.unwrap(), "one two");
    assert_eq!(store.stat(&key).await.unwrap().tag, meta.tag, "finish and stat agree");

    let mut aborted = store.upload(&format!("{prefix}upload/aborted")).await.unwrap();
    aborted.write(Bytes::from_static(b"x")).await.unwrap();
    aborted.abort().await.unwrap();
    let mut dropped = store.upload(&format!("{prefix}upload/dropped")).await.unwrap();
    dropped.write(Bytes::from_static(b"x")).await.unwrap();
    drop(dropped);
    store.upload(&format!("{prefix}upload/empty")).await.unwrap().finish().await.unwrap();
    let seen = keys(store, &format!("{prefix}upload/"), None).await;
    assert_eq!(seen, [format!("{prefix}upload/empty"), key], "only what was finished");
    store.sweep(prefix, Duration::ZERO).await.unwrap();
}

async fn large_uploads_and_reads(store: &Arc<dyn Store>, prefix: &str) {
    // More than two parts of a multipart upload, in writes that fit no part.
    let key = format!("{prefix}large");
    let piece: Vec<u8> = (0..1_100_003_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut upload = store.upload(&key).await.unwrap();
    for _ in 0..17 {
        upload.write(Bytes::from(piece.clone())).await.unwrap();
    }
    let size = upload.finish().await.unwrap().size;
    assert_eq!(size, 17 * piece.len() as u64);
    let all = read(store, &key, 0..u64::MAX).await;
    assert!(all.chunks(piece.len()).all(|got| got == piece), "what is read is what was written");
    let middle = read(store, &key, 5_000_000..9_000_000).await;
    assert!(middle == all[5_000_000..9_000_000], "and so is its middle");
}

async fn reads_go_on_with_one_version_only(store: &Arc<dyn Store>, prefix: &str) {
    let key = format!("{prefix}version");
    store.put(&key, Bytes::from_static(b"0123456789")).await.unwrap();
    let (_, version) = store.read_version(&key, 0..u64::MAX, None).await.unwrap();
    // Stores whose reads are not cut name no versions.
    let Some(version) = version else { return };
    let (mut rest, same) = store.read_version(&key, 6..u64::MAX, Some(&version)).await.unwrap();
    assert_eq!(rest.next().await.unwrap().unwrap(), "6789", "the rest of the same version");
    assert_eq!(same.as_ref(), Some(&version));
    let (mut end, _) = store.read_version(&key, 10..u64::MAX, Some(&version)).await.unwrap();
    assert!(end.next().await.is_none(), "a cut at the very end");
    for other in ["abcdefghij", "short"] {
        store.put(&key, Bytes::from(other)).await.unwrap();
        let error =
            store.read_version(&key, 6..u64::MAX, Some(&version)).await.err().expect("another version");
        assert_eq!(error.kind(), Kind::Corrupt, "{other}: {error}");
    }
    assert_eq!(read(store, &key, 0..9).await, b"short", "a new read has the new version");
}

async fn publishing_copies_and_may_be_repeated(store: &Arc<dyn Store>, prefix: &str) {
    let (from, to) = (format!("{prefix}publish/from ü"), format!("{prefix}publish/final/to"));
    store.put(&from, Bytes::from_static(b"the bytes")).await.unwrap();
    for _ in 0..2 {
        assert_eq!(store.publish(&from, &to).await.unwrap().size, 9);
        assert_eq!(store.get(&to, None).await.unwrap(), "the bytes");
        assert_eq!(store.get(&from, None).await.unwrap(), "the bytes", "the source stays");
    }
    store.put(&from, Bytes::from_static(b"others")).await.unwrap();
    assert_eq!(store.get(&to, None).await.unwrap(), "the bytes", "what is published does not change");
    store.delete(&[from]).await.unwrap();
    assert_eq!(store.get(&to, None).await.unwrap(), "the bytes", "and outlives its source");
}

async fn listings_give_each_key_once(store: &Arc<dyn Store>, prefix: &str) {
    let base = format!("{prefix}list/");
    let sorted = listed(store, &base).await;
    let order = keys(store, &base, None).await;
    let mut found = order.clone();
    found.sort();
    assert_eq!(found, sorted);
    for (i, after) in order.iter().enumerate() {
        assert_eq!(keys(store, &base, Some(after)).await, order[i + 1..], "after {after}");
    }
    let part = format!("{base}a");
    let expected: Vec<&String> = order.iter().filter(|key| key.starts_with(&part)).collect();
    assert_eq!(
        keys(store, &part, None).await.iter().collect::<Vec<_>>(),
        expected,
        "a prefix is of the key, not of a folder"
    );
    // Pages of two give the same.
    let mut paged = Vec::new();
    loop {
        let page = store.list_page(&base, paged.last().map(String::as_str), 2).await.unwrap();
        assert!(page.entries.len() <= 2);
        paged.extend(page.entries.into_iter().map(|entry| entry.key));
        if !page.more {
            break;
        }
    }
    assert_eq!(paged, order);
}

/// The stricter promise of files, memory and S3 itself, which not every compatible server keeps.
pub async fn listings_are_in_byte_order(store: Arc<dyn Store>, prefix: &str) {
    let base = format!("{prefix}order/");
    let sorted = listed(&store, &base).await;
    assert_eq!(keys(&store, &base, None).await, sorted);
    // A marker need not be a key.
    let between = format!("{base}a/");
    let later: Vec<String> = sorted.iter().filter(|key| **key > between).cloned().collect();
    assert_eq!(keys(&store, &base, Some(&between)).await, later);
    store.delete(&sorted).await.unwrap();
}

/// Puts keys whose byte order differs from that of a tree walk (`-` and `.` sort before `/`, `0` after it) and gives them sorted.
async fn listed(store: &Arc<dyn Store>, base: &str) -> Vec<String> {
    let mut sorted: Vec<String> = ["a-b", "a.b", "a/x", "a/y/z", "a0", "b", "ü", "B"]
        .iter()
        .map(|name| format!("{base}{name}"))
        .collect();
    sorted.sort();
    for key in &sorted {
        store.put(key, Bytes::from_static(b"x")).await.unwrap();
    }
    sorted
}
