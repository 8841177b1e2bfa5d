//! Our text of 284 real pages held against Resiliparse's, both versions, byte for byte.
//!
//! Resiliparse was given what its own `detect_encoding` and `bytes_to_str` make of the bytes; the vectors name the
//! encoding, and [`decoded`] does the rest of what `bytes_to_str` does.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use gristmill_extract::{Extractor, Options, Version};

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

/// The HTTP payloads of all archives by record id, as they were sent: what made the vectors did not undo chunking, and five
/// of the texts begin with a chunk's length. Our own reader would undo it.
fn archived_pages(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut pages = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("test data is readable") {
        let path = entry.expect("test data is readable").path();
        if !path.to_string_lossy().ends_with(".warc.gz") {
            continue;
        }
        let archive = unpacked(&path);
        let mut rest = &archive[..];
        while let Some((head, after)) = split_head(rest) {
            let header = |name: &str| {
                let line = head.lines().find(|line| {
                    line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
                })?;
                Some(line[name.len()..].trim())
            };
            let length = header("Content-Length:").and_then(|n| n.parse().ok()).expect("a length");
            let (block, following) = after.split_at(length);
            if let (Some(id), Some((_, payload))) = (header("WARC-Record-ID:"), split_head(block)) {
                pages.insert(id.to_owned(), payload.to_vec());
            }
            rest = following.trim_ascii_start();
        }
    }
    pages
}

/// Headers, and what comes behind their empty line.
fn split_head(bytes: &[u8]) -> Option<(String, &[u8])> {
    let at = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some((String::from_utf8_lossy(&bytes[..at]).into_owned(), &bytes[at + 4..]))
}

fn unpacked(path: &Path) -> Vec<u8> {
    let file = std::fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut body = Vec::new();
    flate2::read::MultiGzDecoder::new(file).read_to_end(&mut body).expect("gzip");
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
