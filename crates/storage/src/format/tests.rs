//! Properties of all readers: any bytes are read to their end in bounded memory, any cuts give each record once, and reading goes
//! on after any record as if it had not been interrupted.

use std::io::Write as _;

use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::source::BytesSource;
use super::*;

fn read(data: &[u8], what: &Open) -> Vec<Item> {
    let source = Arc::new(BytesSource::new("test", data.to_vec()));
    let mut records = open(source, what).expect("bytes in memory can be had");
    let mut items = Vec::new();
    while let Some(item) = records.next().expect("bytes in memory can be had") {
        items.push(item);
    }
    items
}

fn whole(data: &[u8], format: Format) -> Vec<Item> {
    read(data, &Open::whole("test", format))
}

/// What an item is, for comparing: its kind or reason and what it holds.
fn shown(items: &[Item]) -> Vec<String> {
    let show = |item: &Item| match item {
        Item::Warc(record) => {
            let cut = if record.truncated { " cut" } else { "" };
            format!("{} {}{cut}", record.record_type, record.body.escape_ascii())
        }
        Item::Json { line, .. } => line.clone(),
        Item::Html { name, body, .. } => format!("{name}: {}", body.escape_ascii()),
        Item::Skipped { kind, .. } => format!("skipped {kind}"),
        Item::Broken { reason, .. } => format!("broken {reason}"),
    };
    items.iter().map(show).collect()
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn pack(compression: Compression, data: &[u8]) -> Vec<u8> {
    match compression {
        Compression::None => data.to_vec(),
        Compression::Gzip => gzip(data),
        Compression::Zstd => zstd::bulk::compress(data, 3).unwrap(),
    }
}

fn record(kind: &str, body: &str) -> Vec<u8> {
    claiming(kind, body, &body.len().to_string())
}

fn claiming(kind: &str, body: &str, len: &str) -> Vec<u8> {
    let id = "urn:uuid:00000000-0000-0000-0000-000000000000";
    format!("WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <{id}>\r\nContent-Length: {len}\r\n\r\n{body}\r\n\r\n").into()
}

fn check(parts: &[Vec<u8>], expected: &[&str]) {
    assert_eq!(shown(&whole(&parts.concat(), Format::Warc)), expected);
}

const EVERY: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Zstd];

#[test]
fn the_same_records_however_they_are_packed() {
    let records = [
        record("warcinfo", "about"),
        record("response", "HTTP/1.1 200 OK\r\n\r\npage"),
        record("request", "GET"),
        record("resource", "thing"),
    ];
    let expected = ["skipped warcinfo", "response page", "skipped request", "resource thing"];
    for compression in EVERY {
        // A member each, one for all, and cut in the middle of everything.
        let each: Vec<Vec<u8>> = records.iter().map(|record| pack(compression, record)).collect();
        check(&each, &expected);
        check(&[pack(compression, &records.concat())], &expected);
        let cut: Vec<Vec<u8>> = records.concat().chunks(37).map(|piece| pack(compression, piece)).collect();
        check(&cut, &expected);
    }
    let bare =
        String::from_utf8(records.concat()).unwrap().replace("\r\n", "\n").replace("WARC-Type", "warc-type");
    // Bodies lose their carriage returns too, and so the head of the page is shorter than it says.
    assert!(shown(&whole(bare.as_bytes(), Format::Warc)).contains(&"resource thing".to_owned()));
}

#[test]
fn wrong_lengths() {
    let next = record("resource", "next");
    let (short, long) = (claiming("resource", "0123456789", "6"), claiming("resource", "0123456789", "60"));
    // Too short: the rest is stray. Too long: the body ends where the next record begins.
    check(&[short.clone(), next.clone()], &["resource 012345", "skipped stray_bytes", "resource next"]);
    check(&[long.clone(), next.clone()], &["resource 0123456789 cut", "resource next"]);
    check(&[gzip(&short), gzip(&next)], &["resource 012345", "skipped stray_bytes", "resource next"]);
    check(&[gzip(&long), gzip(&next)], &["resource 0123456789\\r\\n\\r\\n cut", "resource next"]);
    let huge = claiming("resource", "0123456789", "1000000000000000000");
    check(&[huge.clone(), next.clone()], &["resource 0123456789 cut", "resource next"]);
    check(&[gzip(&huge), gzip(&next)], &["resource 0123456789\\r\\n\\r\\n cut", "resource next"]);
    check(&[huge], &["broken truncated"]);
    for len in ["-1", "", "ten", "99999999999999999999999"] {
        let bad = claiming("resource", "0123456789", len);
        check(&[bad.clone(), next.clone()], &["broken bad_length", "resource next"]);
        check(&[gzip(&bad), gzip(&next)], &["broken bad_length", "resource next"]);
    }
}

#[test]
fn damage_costs_what_it_hits() {
    let records: Vec<Vec<u8>> =
        (0..5).map(|n| record("resource", &format!("{n} {}", "text ".repeat(300)))).collect();
    for compression in [Compression::Gzip, Compression::Zstd] {
        let mut members: Vec<Vec<u8>> = records.iter().map(|record| pack(compression, record)).collect();
        let middle = members[2].len() / 2;
        members[2][middle] ^= 0x55;
        members[2][middle + 1] ^= 0x55;
        let items = whole(&members.concat(), Format::Warc);
        let good = items.iter().filter(|item| matches!(item, Item::Warc(_))).count();
        let broken = items.iter().filter(|item| matches!(item, Item::Broken { .. })).count();
        assert!(
            good == 4 && broken == 1,
            "{compression:?}: {:?}",
            shown(&items).iter().map(|s| &s[..20.min(s.len())]).collect::<Vec<_>>()
        );
        // Bytes between members, and the last one cut off.
        let mut torn = members[0].clone();
        torn.extend_from_slice(b"garbage between");
        torn.extend_from_slice(&members[1]);
        torn.extend_from_slice(&members[3][..members[3].len() - 12]);
        let items = whole(&torn, Format::Warc);
        let broken: Vec<_> = shown(&items).into_iter().filter(|item| item.starts_with("broken")).collect();
        assert_eq!(broken, ["broken bad_compression", "broken truncated"], "{compression:?}");
        assert_eq!(items.len(), 4);
    }
    // A checksum that does not fit.
    let mut member = gzip(&record("resource", "text"));
    let at = member.len() - 6;
    member[at] ^= 1;
    check(&[member, gzip(&record("resource", "next"))], &["broken bad_compression", "resource next"]);
    check(
        &[b"<html>no archive</html>\n".to_vec(), record("resource", "x")],
        &["broken bad_header", "resource x"],
    );
}

#[test]
fn bombs_are_bounded() {
    let mut what = Open::whole("test", Format::Warc);
    what.limits = Limits { max_body: 1 << 20, max_line: 1 << 20, max_headers: 64 << 10 };
    let zeros = "0".repeat(10 << 20);
    let next = gzip(&record("resource", "next"));
    for bomb in [
        record("resource", &zeros),
        record("response", &format!("HTTP/1.1 200 OK\r\n\r\n{zeros}")),
        format!("WARC/1.0\r\nWARC-Type: response\r\nX: {zeros}\r\nContent-Length: 0\r\n\r\n\r\n\r\n")
            .into_bytes(),
        record("response", &format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\npage", "y".repeat(100 << 10))),
    ] {
        let items = read(&[gzip(&bomb), next.clone()].concat(), &what);
        assert_eq!(shown(&items), ["broken too_large", "resource next"]);
    }
    // A small body that says it is ten million zeros.
    let mut packed = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n".to_vec();
    packed.extend(gzip(zeros.as_bytes()));
    let mut bomb =
        format!("WARC/1.0\r\nWARC-Type: response\r\nContent-Length: {}\r\n\r\n", packed.len()).into_bytes();
    bomb.extend(packed);
    bomb.extend(b"\r\n\r\n");
    assert_eq!(shown(&read(&[gzip(&bomb), next].concat(), &what)), ["broken too_large", "resource next"]);
    let lines = format!("{{\"a\":1}}\n{zeros}\n{{\"a\":2}}\n");
    what.format = Format::Jsonl;
    for compression in EVERY {
        let items = read(&pack(compression, lines.as_bytes()), &what);
        assert_eq!(shown(&items), [r#"{"a":1}"#, "broken too_large", r#"{"a":2}"#]);
    }
    what.format = Format::Html;
    assert_eq!(shown(&read(&gzip(zeros.as_bytes()), &what)), ["broken too_large"]);
    // A hundred thousand empty members take no room.
    let empty = gzip(b"").repeat(100_000);
    let items = whole(&[empty, gzip(&record("resource", "x"))].concat(), Format::Warc);
    assert_eq!(shown(&items), ["resource x"]);
}

#[test]
fn lines() {
    for (data, expected) in [
        (&b""[..], &[][..]),
        (b"\n \n\r\n", &[]),
        (b"{}", &["{}"]),
        (b"{}\r\n\n[1]\n", &["{}", "[1]"]),
        (b"\xef\xbb\xbf{}\n", &["{}"]),
        (b"a\n\xff\xfe\nb\n", &["a", "broken bad_utf8", "b"]),
    ] {
        for compression in EVERY {
            let packed = pack(compression, data);
            assert_eq!(shown(&whole(&packed, Format::Jsonl)), expected, "{}", data.escape_ascii());
        }
    }
    let cut = gzip("some lines\n".repeat(1000).as_bytes());
    let items = shown(&whole(&cut[..cut.len() - 9], Format::Jsonl));
    assert_eq!(items.last().map(String::as_str), Some("broken truncated"));
}

#[test]
fn pages() {
    for compression in EVERY {
        let packed = pack(compression, b"<html>");
        assert_eq!(shown(&whole(&packed, Format::Html)), ["test: <html>"]);
    }
    let packed = gzip(b"<html>");
    assert_eq!(shown(&whole(&packed[..packed.len() - 3], Format::Html)), ["broken truncated"]);
}

#[test]
fn a_dictionary_at_the_start_is_used() {
    let dictionary = record("resource", "words that all records of the archive have in common").repeat(30);
    let frame = |body: &str| {
        let mut compressor = zstd::bulk::Compressor::with_dictionary(3, &dictionary).unwrap();
        compressor.compress(&record("resource", body)).unwrap()
    };
    for stored in [dictionary.clone(), zstd::bulk::compress(&dictionary, 3).unwrap()] {
        let mut file = vec![0x5d, 0x2a, 0x4d, 0x18];
        file.extend((stored.len() as u32).to_le_bytes());
        file.extend(&stored);
        let first = frame("one");
        let start = file.len() as u64 + first.len() as u64;
        file.extend(first);
        file.extend(frame("two"));
        assert_eq!(shown(&whole(&file, Format::Warc)), ["resource one", "resource two"]);
        let mut what = Open::whole("test", Format::Warc);
        what.slice = Some(start - 1..file.len() as u64);
        assert_eq!(shown(&read(&file, &what)), ["resource two"]);
    }
}

/// A file: its format and its bytes.
fn files() -> impl Strategy<Value = (Format, Vec<u8>)> {
    let body = "[ -~]{0,40}|(HTTP/1.1 200 OK\r\nA: b\r\n\r\n)?[a-z\r\n]{0,60}|x{0,3000}";
    let kind = prop_oneof![Just("response"), Just("request"), Just("warcinfo"), Just("resource")];
    let records = prop::collection::vec((kind, body), 0..12)
        .prop_map(|found| found.iter().map(|(kind, body)| record(kind, body)).collect::<Vec<_>>());
    let archive = (records, 0..4_usize, prop_oneof![Just(Compression::Gzip), Just(Compression::Zstd)])
        .prop_map(|(records, grouping, compression)| {
            // A member for each, for every two, for pieces of any kind, for all.
            let pieces: Vec<Vec<u8>> = match grouping {
                0 => records,
                1 => records.chunks(2).map(<[Vec<u8>]>::concat).collect(),
                2 => records.concat().chunks(150).map(<[u8]>::to_vec).collect(),
                _ => vec![records.concat()],
            };
            (Format::Warc, pieces.iter().flat_map(|piece| pack(compression, piece)).collect())
        });
    let lines = prop::collection::vec("[ -~]{0,30}|[a-z]{500}|\r?", 0..30).prop_map(|lines| lines.join("\n"));
    let jsonl =
        (lines, prop::sample::select(&EVERY[..]), 1..400_usize).prop_map(|(text, compression, piece)| {
            let pieces = text.as_bytes().chunks(piece);
            (Format::Jsonl, pieces.flat_map(|piece| pack(compression, piece)).collect())
        });
    prop_oneof![archive, jsonl]
}

/// Slices and interrupted readings know the file's `warcinfo` as a reading from the start does.
#[test]
fn every_slice_knows_the_warcinfo() {
    let records = [record("warcinfo", "software: x"), record("resource", "one"), record("resource", "two")];
    for compression in EVERY {
        let data: Vec<u8> = records.iter().flat_map(|record| pack(compression, record)).collect();
        let items = whole(&data, Format::Warc);
        let mut what = Open::whole("test", Format::Warc);
        what.after = Some(items[1].at());
        let rest = read(&data, &what);
        let Some(Item::Warc(last)) = rest.first() else { panic!("{rest:?}") };
        assert_eq!(last.warcinfo.as_deref(), Some("software: x"));
        assert_eq!(rest, items[2..]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_cuts_give_each_record_once((format, data) in files(), cuts in prop::collection::vec(0.0..1.0_f64, 0..5)) {
        let size = data.len() as u64;
        let mut cuts: Vec<u64> = cuts.iter().map(|cut| (cut * size as f64) as u64).collect();
        cuts.extend([0, size]);
        cuts.sort_unstable();
        let mut together = Vec::new();
        for pair in cuts.windows(2) {
            let mut what = Open::whole("test", format);
            what.slice = Some(pair[0]..pair[1]);
            let items = read(&data, &what);
            for item in &items {
                prop_assert!((pair[0]..pair[1]).contains(&item.at().offset), "{:?} of {pair:?}", item.at());
            }
            together.extend(items);
        }
        prop_assert_eq!(&together, &whole(&data, format), "cuts {:?}", cuts);
        prop_assert!(together.is_sorted_by_key(Item::at));
    }

    #[test]
    fn an_interrupted_reading_goes_on((format, data) in files(), place in 0.0..1.0_f64) {
        let items = whole(&data, format);
        if !items.is_empty() {
            let done = (place * items.len() as f64) as usize;
            let mut what = Open::whole("test", format);
            what.after = Some(items[done].at());
            prop_assert_eq!(&read(&data, &what), &items[done + 1..]);
        }
    }

    #[test]
    fn any_bytes_are_read_to_their_end((format, mut data) in files(), hits in prop::collection::vec((0.0..1.0_f64, any::<u8>()), 1..6), cut in 0.5..1.0_f64) {
        for (place, byte) in hits {
            let at = (place * data.len() as f64) as usize;
            if let Some(hit) = data.get_mut(at) {
                *hit = byte;
            }
        }
        data.truncate((cut * data.len() as f64) as usize + 1);
        for format in [format, Format::Arc, Format::Html] {
            for item in whole(&data, format) {
                if let Item::Broken { reason, .. } = item {
                    prop_assert!(BROKEN_REASONS.contains(&reason));
                }
            }
        }
    }

    #[test]
    fn noise_is_no_trouble(data in prop::collection::vec(any::<u8>(), 0..2000), magic in 0..5_usize) {
        let magic: &[u8] = [&b""[..], &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0], &[0x28, 0xb5, 0x2f, 0xfd], b"WARC/1.0\r\n", b"PAR1"][magic];
        let data = [magic, &data].concat();
        for format in [Format::Warc, Format::Arc, Format::Jsonl, Format::Html, Format::Parquet] {
            if format == Format::Parquet && cfg!(not(feature = "parquet")) {
                continue;
            }
            whole(&data, format);
        }
    }
}
