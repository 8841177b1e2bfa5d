//! Our text of 284 real pages held against Resiliparse's, both versions, byte for byte.
//!
//! Resiliparse was given what its own `detect_encoding` and `bytes_to_str` make of the bytes; the vectors name the
//! encoding, and [`decoded`] does the rest of what `bytes_to_str` does.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use gristmill_extract::{Extractor, Options, Version};
use gristmill_storage::{Format, Item, Open, PathSource, open};

#[test]
fn text_is_that_of_resiliparse() {
    let Some(golden) = gristmill_tests::shared("golden/extraction.jsonl.zst") else { return };
    let (Some(files), Some(archives)) =
        (gristmill_tests::shared("data/html-extraction/html"), gristmill_tests::shared("data/warc"))
    else {
        return;
    };
    let expected = gristmill_tests::jsonl(&golden);
    let pages = archived_pages(&archives);
    let mut extractors =
        [(Version::V0_14_7, "text_0_14_7"), (Version::V2_0_1, "text_2_0_1")].map(|(version, field)| {
            let options = Options { version, ..Options::default() };
            (Extractor::new(options).expect("built-in options"), field)
        });
    let mut misses = Vec::new();
    let mut chunked = 0;
    for page in &expected {
        let id = page["id"].as_str().expect("an id");
        let encoding = page["encoding"].as_str().expect("an encoding");
        let file = files.join(format!("{id}.html.gz"));
        let Some(body) = pages.get(id).cloned().or_else(|| file.exists().then(|| unpacked(&file))) else {
            chunked += 1;
            continue;
        };
        let html = decoded(&body, encoding);
        for (extractor, field) in &mut extractors {
            let text = extractor.extract(&html).expect("no page is a bomb");
            if text != page[*field].as_str().expect("a text") {
                misses.push(format!("{id} {field}"));
            }
        }
    }
    assert_eq!(expected.len(), 284, "the vectors are all there");
    // FastWARC, which read the pages for the vectors, leaves the lengths of chunks in the text; we take them out.
    assert!(chunked <= 6, "{chunked} pages were not found in the archives");
    assert!(misses.is_empty(), "{} texts differ:\n{}", misses.len(), misses.join("\n"));
}

/// The HTTP bodies of all archives by record id.
fn archived_pages(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut pages = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("test data is readable") {
        let path = entry.expect("test data is readable").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        if !name.ends_with(".warc.gz") {
            continue;
        }
        let source = Arc::new(PathSource::open(&path).expect("test data is readable"));
        let mut records = open(source, &Open::whole(name, Format::Warc)).expect("opens");
        while let Some(item) = records.next().expect("test data is readable") {
            if let Item::Warc(record) = item
                && let Some(id) = record.header("WARC-Record-ID")
                && !is_chunked(&record)
            {
                pages.insert(id.to_owned(), record.body.clone());
            }
        }
    }
    pages
}

/// Whether the server sent the page in chunks (37 pages of wget's crawls, 6 of them).
fn is_chunked(record: &gristmill_storage::WarcRecord) -> bool {
    let coding = record.http.as_ref().and_then(|http| http.header("Transfer-Encoding"));
    coding.is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
}

fn unpacked(path: &Path) -> Vec<u8> {
    let file = std::fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut body = Vec::new();
    flate2::read::GzDecoder::new(file).read_to_end(&mut body).expect("gzip");
    body
}

/// What `bytes_to_str(body, encoding)` returns: the first of the encoding, UTF-8 and windows-1252 (as Python has it) that
/// decodes without error, else the encoding with what is malformed left out.
fn decoded(body: &[u8], encoding: &str) -> String {
    let label = encoding.replace("cp125", "windows-125").replace("iso8859", "iso-8859");
    let encoding = Encoding::for_label(label.as_bytes()).expect("a label");
    for candidate in [encoding, UTF_8, WINDOWS_1252] {
        // Python leaves these five bytes undefined, the Encoding Standard makes them controls.
        let undefined = candidate == WINDOWS_1252
            && body.iter().any(|byte| matches!(byte, 0x81 | 0x8D | 0x8F | 0x90 | 0x9D));
        if !undefined && let Some(text) = candidate.decode_without_bom_handling_and_without_replacement(body)
        {
            let text = text.into_owned();
            return match text.strip_prefix('\u{FEFF}') {
                Some(rest) if candidate == UTF_8 => rest.to_owned(),
                _ => text,
            };
        }
    }
    if encoding == UTF_8 {
        return body.utf8_chunks().map(|chunk| chunk.valid()).collect();
    }
    encoding.decode_without_bom_handling(body).0.replace('\u{FFFD}', "")
}
