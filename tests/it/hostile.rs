//! Bad input: counted by reason, never a crash, never silent.

use flate2::write::GzEncoder;
use gristmill_tests::{gristmill, shared};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::Path;

const RECIPE: &str = "\
name: hostile
input: [in/]
steps:
- extract_text: {extractor: resiliparse}
- move_url_modifier
output: {path: out, format: jsonl}
";

/// A plain WARC `response` record.
fn record(url: Option<&str>, head: &str, body: &[u8]) -> Vec<u8> {
    let http = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n");
    let length = http.len() + body.len();
    let uri = url.map(|u| format!("WARC-Target-URI: {u}\r\n")).unwrap_or_default();
    let id = url.unwrap_or("none");
    let mut record = format!(
        "WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <{id}>\r\n{uri}Content-Type: application/http; \
         msgtype=response\r\nContent-Length: {length}\r\n\r\n{http}"
    )
    .into_bytes();
    record.extend_from_slice(body);
    record.extend_from_slice(b"\r\n\r\n");
    record
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn run(folder: &Path, args: &[&str]) -> Value {
    fs::write(folder.join("recipe.yaml"), RECIPE).expect("write");
    let output = gristmill()
        .current_dir(folder)
        .args(["run", "recipe.yaml", "-q"])
        .args(args)
        .output()
        .expect("starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json = fs::read(folder.join("out/manifest.json")).expect("manifest");
    let manifest: Value = serde_json::from_slice(&json).expect("JSON");
    let documents = &manifest["documents"];
    let sum =
        |counts: &Value| -> u64 { counts.as_object().expect("map").values().filter_map(Value::as_u64).sum() };
    let kept = documents["kept"].as_u64().expect("kept");
    assert_eq!(documents["in"], kept + sum(&documents["dropped"]) + sum(&documents["broken"]), "{documents}");
    documents.clone()
}

#[test]
fn bombs_cost_themselves_and_nothing_else() {
    let folder = tempfile::tempdir().expect("folder");
    fs::create_dir(folder.path().join("in")).expect("folder");
    let html = "Content-Type: text/html";
    let good = b"<p>A sound page between the bombs.";
    let zeros = gzip(&vec![0; 64 << 20]);
    let mut warc = record(Some("https://a.example/1"), html, good);
    warc.extend(record(
        Some("https://a.example/zeros"),
        &format!("{html}\r\nContent-Encoding: gzip"),
        &zeros,
    ));
    warc.extend(record(Some("https://a.example/deep"), html, "<div>".repeat(100_000).as_bytes()));
    warc.extend(record(Some("https://a.example/bold"), html, "<b><p>".repeat(20_000).as_bytes()));
    warc.extend(record(
        Some("https://a.example/latin"),
        html,
        b"<p>caf\xe9 and a little more text of that kind",
    ));
    warc.extend(record(Some("https://a.example/nul"), html, b"<p>a\0b"));
    warc.extend(record(None, html, good));
    warc.extend(record(Some("https://a.example/png"), "Content-Type: image/png", b"\x89PNG\r\n"));
    warc.extend(record(Some("https://a.example/2"), html, good));
    fs::write(folder.path().join("in/bombs.warc"), &warc).expect("write");
    // Cut off in the middle of a record, in the middle of a gzip member.
    let packed = gzip(&record(Some("https://a.example/cut"), html, &good.repeat(1000)));
    fs::write(folder.path().join("in/cut.warc.gz"), &packed[..packed.len() / 2]).expect("write");
    fs::write(folder.path().join("in/no.warc.gz"), b"this is no WARC at all").expect("write");

    let documents = run(folder.path(), &[]);
    assert_eq!(documents["broken"]["too_large"], 1, "{documents}");
    assert_eq!(documents["broken"]["no WARC-Target-URI"], 1, "{documents}");
    assert_eq!(documents["dropped"]["extract_text: content type"], 1, "{documents}");
    assert!(documents["kept"].as_u64() >= Some(4), "{documents}");
    let data =
        fs::read_dir(folder.path().join("out/data")).expect("data").next().expect("a file").expect("entry");
    let text = fs::read_to_string(data.path()).expect("JSONL");
    for url in
        ["https://a.example/1", "https://a.example/2", "https://a.example/latin", "https://a.example/nul"]
    {
        assert!(text.contains(&format!("\"{url}\"")), "{url} is not kept");
    }
    let problems = fs::read_to_string(folder.path().join("out/_problems.jsonl")).expect("problems");
    assert!(problems.contains("cut.warc.gz") && problems.contains("no.warc.gz"), "{problems}");
}

#[test]
fn a_line_of_fifty_megabytes_is_broken_and_the_next_is_not() {
    let folder = tempfile::tempdir().expect("folder");
    let mut lines = format!("{{\"text\":\"{}\"}}\n", "x".repeat(50 << 20)).into_bytes();
    lines.extend_from_slice(b"{\"text\":\"\xff\"}\n{\"text\":\"sound\"}\n");
    fs::write(folder.path().join("a.jsonl"), lines).expect("write");
    let steps = r#"steps=[{"exact_dedup": {}}]"#;
    let documents = run(folder.path(), &["--input", "a.jsonl", "--set", steps]);
    assert_eq!(documents["broken"], serde_json::json!({"bad_utf8": 1, "too_large": 1}));
    assert_eq!(documents["kept"], 1);
}

#[test]
fn every_real_and_odd_archive_is_read_to_its_end() {
    let Some(archives) = shared("data/warc") else { return };
    let folder = tempfile::tempdir().expect("folder");
    let copy = |from: &Path, name: &str| {
        fs::create_dir_all(folder.path().join("in")).expect("folder");
        fs::copy(from, folder.path().join("in").join(name)).expect("copy");
    };
    for below in ["", "quirks"] {
        for entry in fs::read_dir(archives.join(below)).expect("archives") {
            let path = entry.expect("entry").path();
            let name = path.file_name().expect("name").to_string_lossy().replace(".gz.bad", ".bad.warc.gz");
            if path.is_file() && !name.ends_with(".md") {
                copy(&path, &name);
            }
        }
    }
    let documents = run(folder.path(), &[]);
    // Most of the 299 + 37 + 13 + … responses of those crawls.
    assert!(documents["in"].as_u64() > Some(350), "{documents}");
    assert!(documents["kept"].as_u64() > Some(150), "{documents}");
    assert!(documents["skipped_records"]["request"].as_u64() > Some(250), "{documents}");
}
