//! Real crawls and odd files: every one is read to its end, and everything in it is accounted for.
//!
//! The counts are those of the test data's own table (made with warcio), and for the odd files what the table says is odd
//! about them. `content` counts records with content (`response`, `resource`, `conversion`), of which `http` have an HTTP head.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use gristmill_storage::{Format, Item, Open, PathSource, WarcRecord, open};

fn items(path: &Path) -> Vec<Item> {
    let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
    let format = Format::of_name(name).0.unwrap_or(Format::Warc);
    let source = Arc::new(PathSource::open(path).expect("test data is readable"));
    let mut records = open(source, &Open::whole(name, format)).expect("opens");
    let mut items = Vec::new();
    while let Some(item) = records.next().expect("test data is readable") {
        items.push(item);
    }
    items
}

fn records(name: &str) -> Option<Vec<WarcRecord>> {
    let path = gristmill_tests::shared(&format!("data/warc/{name}"))?;
    let records = items(&path).into_iter().filter_map(|item| match item {
        Item::Warc(record) => Some(*record),
        _ => None,
    });
    Some(records.collect())
}

/// Items by what they are: `response`, `http` (those with an HTTP head), `skipped:<kind>`, `broken:<reason>`.
fn counts(items: &[Item]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let mut count = |what: String| *counts.entry(what).or_default() += 1;
    for item in items {
        match item {
            Item::Warc(record) => {
                count(record.record_type.clone());
                if record.http.is_some() {
                    count("http".into());
                }
            }
            Item::Skipped { kind, .. } => count(format!("skipped:{kind}")),
            Item::Broken { reason, .. } => count(format!("broken:{reason}")),
            other => panic!("an archive holds no {other:?}"),
        }
    }
    counts
}

const EXPECTED: &[(&str, &str)] = &[
    (
        "cc-2020-34-excerpt.warc.gz",
        "response 13 http 13 skipped:warcinfo 1 skipped:request 14 skipped:metadata 13",
    ),
    (
        "cc-2024-22-whirlwind.warc.gz",
        "response 1 http 1 skipped:warcinfo 1 skipped:request 1 skipped:metadata 1",
    ),
    ("cc-2024-22-whirlwind.warc.wet.gz", "conversion 1 skipped:warcinfo 1"),
    ("cc-2024-22-whirlwind.warc.wat.gz", "skipped:warcinfo 1 skipped:metadata 1"),
    ("cc-2025-33-records.warc.gz", "response 3 http 3"),
    (
        "heritrix-2008-archive-org.warc.gz",
        "response 299 http 261 skipped:request 261 skipped:metadata 261 skipped:warcinfo 1",
    ),
    (
        "wget-dolma-0000.warc.gz",
        "response 22 http 22 resource 2 skipped:warcinfo 1 skipped:request 22 skipped:metadata 1",
    ),
    (
        "wget-dolma-0001.warc.gz",
        "response 15 http 15 resource 2 skipped:warcinfo 1 skipped:request 15 skipped:metadata 1",
    ),
    (
        "webrecorder-revisits.warc",
        "response 10 http 10 skipped:revisit 5 skipped:request 15 skipped:warcinfo 2",
    ),
    // Odd files.
    (
        "quirks/warcio-example.warc.gz",
        "skipped:warcinfo 2 skipped:request 2 response 1 http 1 skipped:revisit 1",
    ),
    (
        "quirks/warcio-example-trunc.warc",
        "skipped:warcinfo 2 response 1 http 1 skipped:stray_bytes 1 skipped:request 1",
    ),
    // One gzip member for all records.
    (
        "quirks/warcio-example-bad.warc.gz.bad",
        "skipped:warcinfo 1 skipped:request 2 response 2 http 2 skipped:revisit 1",
    ),
    (
        "quirks/warcio-example-bad-non-chunked.warc.gz",
        "skipped:warcinfo 2 skipped:request 2 response 1 http 1 skipped:revisit 1",
    ),
    // One member; then two records whose lengths run over the next, and a last one that the file does not hold.
    ("quirks/aut-badexample.arc.gz", "skipped:filedesc 1 response 4 http 3 broken:truncated 1"),
    // Members cut at the wrong places.
    ("quirks/warcio-example-wrong-chunks.warc.gz", "response 1 http 1 skipped:request 1"),
    ("quirks/warcio-example-iana.org-chunked.warc", "skipped:warcinfo 1 response 1 http 1 skipped:request 1"),
    (
        "quirks/warcio-example-wget-bad-target-uri.warc.gz",
        "skipped:warcinfo 1 skipped:request 1 response 1 http 1 skipped:metadata 1 resource 2",
    ),
    ("quirks/warcio-example-space-in-target-uri.warc.gz", "skipped:warcinfo 1 resource 1"),
    ("quirks/warcio-example-digest.warc", "skipped:request 4"),
    ("quirks/warcio-example-resource.warc.gz", "skipped:warcinfo 2 resource 1"),
    ("quirks/warcio-post-test.warc.gz", "response 3 http 3 skipped:request 3"),
    ("quirks/warcio-example.arc.gz", "skipped:filedesc 1 response 1 http 1"),
    // Lengths of -1 and `abc`.
    ("quirks/warcio-bad.arc", "skipped:filedesc 1 response 1 broken:bad_length 2"),
    // Ends inside a gzip member.
    ("quirks/resiliparse-clipped.warc.gz", "broken:truncated 1"),
    ("quirks/resiliparse-block-sized-records.warc.gz", "skipped:unknown 3"),
    ("quirks/jwarc-cc.warc.gz", "response 1 http 1"),
    ("quirks/jwarc-gzip_extra_sl.warc.gz", "skipped:warcinfo 1"),
    (
        "quirks/ia-web-commons-IAH-urls-wget.warc.gz",
        "skipped:warcinfo 1 skipped:request 16 response 16 http 16 resource 3",
    ),
    ("quirks/ia-web-commons-multiple-headers.warc", "response 1 http 1"),
    (
        "quirks/aut-issue-514.warc",
        "skipped:warcinfo 1 skipped:request 2 response 2 http 2 skipped:metadata 1 resource 2",
    ),
];

#[test]
fn every_file_is_read_to_its_end() {
    let Some(root) = gristmill_tests::shared("data/warc") else { return };
    for (name, expected) in EXPECTED {
        let mut words = expected.split(' ');
        let mut wanted = BTreeMap::new();
        while let (Some(what), Some(count)) = (words.next(), words.next()) {
            wanted.insert(what.to_owned(), count.parse().expect("a count"));
        }
        assert_eq!(counts(&items(&root.join(name))), wanted, "{name}");
    }
    let known: Vec<_> = EXPECTED.iter().map(|(name, _)| root.join(name)).collect();
    for folder in [root.clone(), root.join("quirks")] {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            assert!(path.is_dir() || known.contains(&path), "{}: not in the table", path.display());
        }
    }
}

#[test]
fn bodies_are_as_the_server_meant_them() {
    let body = |name: &str, url: &str| -> Option<Vec<u8>> {
        let found = records(name)?;
        let record = found.into_iter().find(|record| record.header("WARC-Target-URI") == Some(url));
        Some(record.unwrap_or_else(|| panic!("{name} has {url}")).body)
    };
    // A chunked body is put together.
    let Some(iana) = body("quirks/warcio-example-iana.org-chunked.warc", "http://www.iana.org/") else {
        return;
    };
    assert!(iana.starts_with(b"<!doctype html>") && iana.trim_ascii_end().ends_with(b"</html>"));
    // Gzip is undone, brackets and blanks in URIs are no trouble, wrong member cuts neither.
    let names = [
        "quirks/warcio-example.warc.gz",
        "quirks/warcio-example-trunc.warc",
        "quirks/warcio-example-wget-bad-target-uri.warc.gz",
        "quirks/warcio-example-wrong-chunks.warc.gz",
        "quirks/warcio-example.arc.gz",
    ];
    let pages: Vec<Vec<u8>> = names.iter().filter_map(|name| body(name, "http://example.com/")).collect();
    for (name, page) in names.iter().zip(&pages) {
        assert_eq!(page.len(), 1270, "{name}");
        assert!(page.starts_with(b"<!doctype html>") && page.ends_with(b"</html>\n"), "{name}");
    }
    let spaced = body("quirks/warcio-example-space-in-target-uri.warc.gz", "file:///example with spaces.png");
    assert!(spaced.is_some_and(|body| body.starts_with(b"\x89PNG")));
}

#[test]
fn chunks_are_undone_where_they_are_chunks() {
    let Some(first) = records("wget-dolma-0000.warc.gz") else { return };
    let second = records("wget-dolma-0001.warc.gz").unwrap_or_default();
    for (found, chunked) in [(first, 2), (second, 4)] {
        let was_chunked: Vec<_> = found
            .iter()
            .filter(|record| {
                let head = record.http.as_ref();
                head.is_some_and(|head| head.header("Transfer-Encoding") == Some("chunked"))
            })
            .collect();
        assert_eq!(was_chunked.len(), chunked);
        for record in was_chunked {
            let page = String::from_utf8_lossy(&record.body).to_lowercase();
            assert!(page.trim_start().starts_with('<') && page.trim_end().ends_with('>'), "{}", record.at);
            assert!(!record.truncated);
        }
    }
    // Common Crawl's bodies are decoded already; what the headers were called is no reason to touch them.
    for record in records("cc-2020-34-excerpt.warc.gz").unwrap_or_default() {
        let head = record.http.as_ref().expect("HTTP");
        let stated: usize = head.header("Content-Length").and_then(|len| len.parse().ok()).expect("a length");
        assert_eq!(record.body.len(), stated, "{:?}", record.header("WARC-Target-URI"));
        let info = record.warcinfo.as_deref().expect("warcinfo");
        assert!(info.starts_with("isPartOf: CC-MAIN-2020-34"), "{info}");
    }
}

#[test]
fn encoded_bodies_of_webrecorder_are_decoded() {
    let Some(found) = records("webrecorder-revisits.warc") else { return };
    let gzipped: Vec<_> = found
        .iter()
        .filter(|record| {
            let head = record.http.as_ref();
            head.is_some_and(|head| head.header("Content-Encoding") == Some("gzip"))
        })
        .collect();
    assert_eq!(gzipped.len(), 4);
    for record in gzipped {
        assert!(!record.body.starts_with(&[0x1f, 0x8b]) && !record.body.is_empty());
        assert!(!record.truncated, "{:?}", record.header("WARC-Target-URI"));
    }
}

#[test]
fn redirects_and_repeated_headers() {
    let Some(found) = records("quirks/ia-web-commons-IAH-urls-wget.warc.gz") else { return };
    let redirects = found
        .iter()
        .filter_map(|record| record.http.as_ref())
        .filter(|head| (300..400).contains(&head.status))
        .count();
    assert_eq!(redirects, 9);
    let found = records("quirks/ia-web-commons-multiple-headers.warc").unwrap_or_default();
    let record = &found[0];
    let protocols =
        record.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("WARC-Protocol")).count();
    assert!(protocols > 1, "repeated headers are all kept");
    let head = record.http.as_ref().expect("HTTP");
    assert_eq!((head.status, head.reason.as_str()), (200, ""));
    let moved = records("quirks/aut-issue-514.warc").unwrap_or_default();
    assert_eq!(moved[0].http.as_ref().map(|head| head.status), Some(307));
}

/// Any two cuts of a real file give each record once.
#[test]
fn slices_of_real_files_share_their_records_out() {
    for name in [
        "cc-2020-34-excerpt.warc.gz",
        "wget-dolma-0000.warc.gz",
        "quirks/warcio-example-wrong-chunks.warc.gz",
    ] {
        let Some(path) = gristmill_tests::shared(&format!("data/warc/{name}")) else { return };
        let whole = items(&path);
        let size = std::fs::metadata(&path).expect("test data").len();
        for parts in [2, 3, 7, 50] {
            let mut together = Vec::new();
            for part in 0..parts {
                let mut what = Open::whole(name, Format::Warc);
                what.slice = Some(size * part / parts..size * (part + 1) / parts);
                let source = Arc::new(PathSource::open(&path).expect("test data"));
                let mut records = open(source, &what).expect("opens");
                while let Some(item) = records.next().expect("readable") {
                    together.push(item);
                }
            }
            assert!(together == whole, "{name} in {parts}: {} of {} items", together.len(), whole.len());
        }
    }
}
