//! What is written is read back, byte for byte the same each time.

use std::sync::Arc;

use super::*;
use crate::format::source::BytesSource;
use crate::format::{Format, Item, Open, open};

fn written(encoding: Encoding, rows: &[String]) -> (Vec<u8>, Written) {
    let mut writer = Writer::new(Vec::new(), encoding, Carry::default()).unwrap();
    for row in rows {
        assert_eq!(writer.push(row).unwrap(), Push::Written);
    }
    let finished = writer.finish().unwrap();
    (finished.inner, finished.written)
}

fn read(data: &[u8], format: Format, slice: Option<std::ops::Range<u64>>) -> Vec<String> {
    let source = Arc::new(BytesSource::new("test", data.to_vec()));
    let what = Open { slice, ..Open::whole("test", format) };
    let mut records = open(source, &what).unwrap();
    let mut rows = Vec::new();
    while let Some(item) = records.next().unwrap() {
        match item {
            Item::Json { line, .. } => rows.push(line),
            other => panic!("{other:?}"),
        }
    }
    rows
}

const EVERY: [Encoding; 3] = [
    Encoding::Jsonl(Compression::None),
    Encoding::Jsonl(Compression::Gzip),
    Encoding::Jsonl(Compression::Zstd),
];

#[test]
fn json_lines_come_back() {
    let rows: Vec<String> =
        (0..1000).map(|n| format!(r#"{{"n":{n},"text":"ü {}"}}"#, "x".repeat(n % 50))).collect();
    for encoding in EVERY {
        let (data, counts) = written(encoding, &rows);
        assert_eq!(read(&data, Format::Jsonl, None), rows);
        assert_eq!(counts.rows, 1000);
        assert_eq!(counts.bytes, data.len() as u64);
        assert_eq!(counts.raw_bytes, rows.iter().map(|row| row.len() as u64 + 1).sum::<u64>());
        assert_eq!(counts.sha256, hex::encode(Sha256::digest(&data)));
        assert_eq!(written(encoding, &rows).0, data, "the same bytes each time");
        assert!(read(&written(encoding, &[]).0, Format::Jsonl, None).is_empty());
    }
}

#[test]
fn large_files_can_be_entered_at_their_frames() {
    let row = format!(r#"{{"text":"{}"}}"#, "many words ".repeat(1000));
    let rows = vec![row; 7000];
    for encoding in [Encoding::Jsonl(Compression::Gzip), Encoding::Jsonl(Compression::Zstd)] {
        let (data, _) = written(encoding, &rows);
        let middle = data.len() as u64 / 2;
        let (first, second) = (
            read(&data, Format::Jsonl, Some(0..middle)).len(),
            read(&data, Format::Jsonl, Some(middle..data.len() as u64)).len(),
        );
        assert!(first + second == rows.len() && first > 500 && second > 500, "{first} + {second}");
    }
}

#[test]
fn a_packed_warc_is_read_back() {
    let pages = [
        ("https://e.com/1", "<html>one"),
        ("https://e.com/2", "<html>\u{fc}"),
        ("https://e.com/3\r\nX: y", ""),
    ];
    let pack = || {
        let date = "2024-05-18T05:40:08Z";
        let fields = [("software", "gristmill"), ("format", "WARC File Format 1.0")];
        let mut writer = warc::WarcWriter::new(Vec::new(), "urn:uuid:0", date, &fields).unwrap();
        for (i, (url, body)) in pages.iter().enumerate() {
            let id = format!("urn:uuid:{}", i + 1);
            let page = warc::Page { url, id: &id, date, content_type: "text/html", body: body.as_bytes() };
            writer.page(&page).unwrap();
        }
        writer.finish().unwrap()
    };
    let (data, counts) = pack();
    assert_eq!(counts.rows, 3);
    assert_eq!(pack().0, data);
    let source = Arc::new(BytesSource::new("test", data));
    let mut records = open(source, &Open::whole("test", Format::Warc)).unwrap();
    assert!(matches!(records.next().unwrap(), Some(Item::Skipped { kind, .. }) if kind == "warcinfo"));
    for (i, (url, body)) in pages.iter().enumerate() {
        let Some(Item::Warc(record)) = records.next().unwrap() else { panic!("page {i}") };
        assert_eq!(record.header("WARC-Target-URI"), Some(one_line(url).as_str()));
        assert_eq!(record.header("WARC-Record-ID"), Some(format!("<urn:uuid:{}>", i + 1).as_str()));
        assert_eq!(record.body, body.as_bytes());
        assert_eq!(record.warcinfo.as_deref(), Some("software: gristmill\r\nformat: WARC File Format 1.0"));
        assert_eq!(record.http.as_ref().map(|head| head.status), Some(200));
    }
    assert_eq!(records.next().unwrap(), None);
}

fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}

#[cfg(feature = "parquet")]
mod parquet {
    use super::*;

    /// Rows in, rows out: in one file.
    fn check(rows: &[&str], expected: &[&str]) {
        let rows: Vec<String> = rows.iter().map(|&row| row.to_owned()).collect();
        let (data, counts) = written(Encoding::Parquet, &rows);
        assert_eq!(read(&data, Format::Parquet, None), expected);
        assert_eq!(counts.rows, rows.len() as u64);
        assert_eq!(written(Encoding::Parquet, &rows).0, data, "the same bytes each time");
    }

    #[test]
    fn rows_come_back() {
        let same = |rows: &[&str]| check(rows, rows);
        same(&[]);
        same(&[r#"{"text":"one","n":1,"f":1.5,"b":true,"l":["a","b"],"o":{"x":1,"y":null}}"#]);
        same(&[r#"{"a":[]}"#, r#"{"a":[[]]}"#, r#"{"a":null}"#, r#"{"a":[["x"],null]}"#]);
        same(&[r#"{"a":[{"b":[{"c":"deep"}]}]}"#]);
        same(&[r#"{"n":9223372036854775807}"#, r#"{"n":-9223372036854775808}"#]);
        // What a row lacks is null.
        check(&[r#"{"a":1}"#, r#"{"b":"x"}"#], &[r#"{"a":1,"b":null}"#, r#"{"a":null,"b":"x"}"#]);
        // Whole numbers beside others become others where no digit is lost.
        check(&[r#"{"a":1}"#, r#"{"a":1.5}"#], &[r#"{"a":1.0}"#, r#"{"a":1.5}"#]);
        // What does not go together is kept as JSON text.
        check(
            &[r#"{"a":1}"#, r#"{"a":"x"}"#, r#"{"a":{"b":[1]}}"#],
            &[r#"{"a":"1"}"#, r#"{"a":"\"x\""}"#, r#"{"a":"{\"b\":[1]}"}"#],
        );
        check(&[r#"{"a":18446744073709551615}"#], &[r#"{"a":"18446744073709551615"}"#]);
        check(&[r#"{"a":{}}"#], &[r#"{"a":"{}"}"#]);
    }

    #[test]
    fn rows_that_fit_no_more_begin_a_next_file() {
        let long = "x".repeat(1 << 20);
        let first = format!(r#"{{"a":1,"text":"{long}"}}"#);
        let mut writer = Writer::new(Vec::new(), Encoding::Parquet, Carry::default()).unwrap();
        for _ in 0..40 {
            assert_eq!(writer.push(&first).unwrap(), Push::Written);
        }
        assert!(writer.bytes() > 0, "a row group is written");
        assert_eq!(writer.push(r#"{"a":null}"#).unwrap(), Push::Written);
        let other = r#"{"a":"no number","new":true}"#;
        assert_eq!(writer.push(other).unwrap(), Push::NextFile);
        let finished = writer.finish().unwrap();
        assert_eq!(finished.written.rows, 41);
        assert_eq!(read(&finished.inner, Format::Parquet, None).len(), 41);
        let mut next = Writer::new(Vec::new(), Encoding::Parquet, finished.carry).unwrap();
        assert_eq!(next.push(other).unwrap(), Push::Written);
        let rows = read(&next.finish().unwrap().inner, Format::Parquet, None);
        assert_eq!(rows, [r#"{"a":"\"no number\"","text":null,"new":true}"#]);
    }

    #[test]
    fn slices_share_row_groups_out() {
        let row = |n: usize| format!(r#"{{"n":{n},"text":"{}"}}"#, "words ".repeat(20_000));
        let rows: Vec<String> = (0..800).map(row).collect();
        let (data, _) = written(Encoding::Parquet, &rows);
        let size = data.len() as u64;
        let parts: Vec<Vec<String>> = (0..4)
            .map(|part| read(&data, Format::Parquet, Some(size * part / 4..size * (part + 1) / 4)))
            .collect();
        assert_eq!(parts.concat(), rows);
        assert!(parts.iter().filter(|part| !part.is_empty()).count() >= 2);
    }

    #[test]
    fn what_is_no_row_is_refused() {
        let mut writer = Writer::new(Vec::new(), Encoding::Parquet, Carry::default()).unwrap();
        for row in ["[1]", "{}", "{\"a\":"] {
            assert!(matches!(writer.push(row), Err(WriteError::Row { row: 0, .. })), "{row}");
        }
    }

    #[test]
    fn every_type_is_written_as_json() {
        use arrow_array::builder::{MapBuilder, StringBuilder};
        use arrow_array::{
            ArrayRef, BinaryArray, Date32Array, Decimal128Array, Float32Array, Int32Array, RecordBatch,
            Time64MicrosecondArray, TimestampMillisecondArray, UInt64Array,
        };
        let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        map.keys().append_value("k");
        map.values().append_value("v");
        map.append(true).unwrap();
        let decimals = Decimal128Array::from(vec![-1250]).with_precision_and_scale(10, 2).unwrap();
        let columns: Vec<(&str, ArrayRef, &str)> = vec![
            ("u", Arc::new(UInt64Array::from(vec![u64::MAX])), "18446744073709551615"),
            ("f", Arc::new(Float32Array::from(vec![0.1])), "0.1"),
            ("nan", Arc::new(Float32Array::from(vec![f32::NAN])), "null"),
            ("none", Arc::new(Int32Array::from(vec![None])), "null"),
            ("bytes", Arc::new(BinaryArray::from(vec![&b"\xff\x00"[..]])), "\"/wA=\""),
            ("decimal", Arc::new(decimals), "\"-12.50\""),
            ("day", Arc::new(Date32Array::from(vec![19_861])), "\"2024-05-18\""),
            ("time", Arc::new(Time64MicrosecondArray::from(vec![20_408_000_001])), "\"05:40:08.000001\""),
            (
                "at",
                Arc::new(TimestampMillisecondArray::from(vec![1_716_010_808_000]).with_timezone("UTC")),
                "\"2024-05-18T05:40:08Z\"",
            ),
            ("map", Arc::new(map.finish()), r#"{"k":"v"}"#),
        ];
        let expected: Vec<String> =
            columns.iter().map(|(name, _, json)| format!("\"{name}\":{json}")).collect();
        let arrays = columns.into_iter().map(|(name, column, _)| (name, column, true));
        let batch = RecordBatch::try_from_iter_with_nullable(arrays).unwrap();
        let mut writer = ::parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        let rows = read(&writer.into_inner().unwrap(), Format::Parquet, None);
        assert_eq!(rows, [format!("{{{}}}", expected.join(","))]);
    }

    #[test]
    fn damaged_files_are_broken_not_errors() {
        let rows: Vec<String> = (0..2000).map(|n| format!(r#"{{"n":{n},"text":"row {n}"}}"#)).collect();
        let (data, _) = written(Encoding::Parquet, &rows);
        for at in (0..data.len()).step_by(97) {
            let mut hit = data.clone();
            hit[at] ^= 0x5a;
            let source = Arc::new(BytesSource::new("test", hit));
            let mut records = open(source, &Open::whole("test", Format::Parquet)).unwrap();
            while records.next().unwrap().is_some() {}
        }
        let source = Arc::new(BytesSource::new("test", data[..data.len() / 2].to_vec()));
        let mut records = open(source, &Open::whole("test", Format::Parquet)).unwrap();
        assert!(matches!(records.next().unwrap(), Some(Item::Broken { reason: "bad_compression", .. })));
    }
}
