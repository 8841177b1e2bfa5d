//! How fast the parts of deduplication are, each alone on one core.
//!
//! `cargo bench -p gristmill-dedup -- TEXTS.jsonl[.zst]…` (pin it: `taskset -c 0`). Without files it makes up texts, whose
//! figures are for comparing versions only.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::hint::black_box;
use std::io::{Cursor, Read};
use std::time::Instant;

use gristmill_dedup::bff::{self, Deduper, Grams};
use gristmill_dedup::bloom::{Filter, Size};
use gristmill_dedup::exact::{self, Normalizer};
use gristmill_dedup::keyfile::{FOOTER_BYTES, Footer, Writer};
use gristmill_dedup::minhash::{Params, Signer};
use gristmill_dedup::sets::{Measure, Set};
use gristmill_dedup::shingle::{Shingler, Unit};
use gristmill_dedup::sort::Plain;
use gristmill_dedup::stream::{Merge, Rows, Stream};
use gristmill_dedup::substring::{self, Finder};
use gristmill_dedup::{bucket, components};

fn main() {
    let paths: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let texts = if paths.is_empty() { made_up() } else { paths.iter().flat_map(|path| read(path)).collect() };
    let bytes: usize = texts.iter().map(String::len).sum();
    let ascii = texts.iter().filter(|text| text.is_ascii()).count();
    eprintln!("{} texts, {bytes} bytes, {ascii} of them ASCII", texts.len());

    for unit in [Unit::Words, Unit::Uax29, Unit::Chars] {
        let mut shingler = Shingler::new(unit, 5, 1);
        let mut out = Vec::new();
        text_speed(&format!("shingle, {unit:?}"), &texts, |text| {
            shingler.shingles(text, &mut out);
            black_box(&out);
        });
    }
    for preset in ["fineweb", "olmo", "dclm", "refinedweb"] {
        let params = Params::preset(preset).expect("known");
        let mut signer = Signer::new(&params).expect("possible");
        let mut out = Vec::new();
        text_speed(&format!("sign {preset} {}x{}", params.bands, params.rows), &texts, |text| {
            signer.band_keys(text, &mut out);
            black_box(&out);
        });
    }
    for normalizer in [Normalizer::None, Normalizer::WhitespaceAndLowercase, Normalizer::Ccnet] {
        text_speed(&format!("exact key, {normalizer:?}"), &texts, |text| {
            black_box(exact::key(text, normalizer, 1));
        });
    }
    let mut grams = Grams::new(bff::Params::default(), 1).expect("possible");
    let mut coded = Vec::new();
    text_speed("bff, hash n-grams", &texts, |text| {
        coded.clear();
        black_box(grams.encode(0, text, &mut coded));
    });
    // The first pass is the one that counts: later ones only find duplicates.
    let mut filter = Filter::new(Size::for_items(80_000_000, 0.01).expect("possible"), 1);
    let start = Instant::now();
    let mut deduper = Deduper::new(bff::Params::default(), true).expect("possible");
    for text in &texts {
        black_box(deduper.document(text, &mut grams, &mut filter));
    }
    print_texts("bff old-both, filter for 80 M n-grams", &texts, start.elapsed().as_secs_f64());
    shingle_sets(&texts);
    let mut finder = Finder::new(50, substring::Unit::Tokens, 1).expect("possible");
    text_speed("substring anchors, 50 tokens", &texts, |text| {
        black_box(finder.anchors(text, |place, key| _ = black_box((place, key))));
    });
    text_speed("substring windows, all of them", &texts, |text| {
        finder.windows(text, |_| true, |place, key| _ = black_box((place, key)));
    });
    key_files();
    graphs();
}

/// Storing shingle sets beside the keys, and comparing two.
fn shingle_sets(texts: &[String]) {
    let mut shingler = Shingler::new(Unit::Words, 5, 1);
    let mut shingles = Vec::new();
    let mut coded = Vec::new();
    let (mut count, mut size) = (0, 0);
    text_speed("sort and code shingle sets", texts, |text| {
        shingler.set(text, &mut shingles);
        coded.clear();
        let mut set = Set::default();
        set.assign(&shingles);
        set.encode(&mut coded);
        (count, size) = (count + shingles.len(), size + coded.len());
    });
    println!("{:<40} {:>9.2} bytes a shingle", "", size as f64 / count as f64);
    let sets: Vec<Vec<u8>> = texts
        .iter()
        .map(|text| {
            shingler.set(text, &mut shingles);
            let (mut set, mut coded) = (Set::default(), Vec::new());
            set.assign(&shingles);
            set.encode(&mut coded);
            coded
        })
        .collect();
    let (mut left, mut right) = (Set::default(), Set::default());
    let start = Instant::now();
    for pair in sets.windows(2) {
        left.decode(&pair[0]).expect("sound");
        right.decode(&pair[1]).expect("sound");
        black_box(left.similarity(&right, Measure::Jaccard));
    }
    row_speed("decode two sets and compare (pairs)", sets.len() as u64 - 1, start);
}

fn print_texts(name: &str, texts: &[String], seconds: f64) {
    let bytes: usize = texts.iter().map(String::len).sum();
    println!(
        "{name:<40} {:>9.1} MB/s {:>10.0} docs/s",
        bytes as f64 / seconds / 1e6,
        texts.len() as f64 / seconds
    );
}

fn text_speed(name: &str, texts: &[String], mut work: impl FnMut(&str)) {
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let start = Instant::now();
        for text in texts {
            work(text);
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    print_texts(name, texts, best);
}

fn row_speed(name: &str, rows: u64, start: Instant) {
    let seconds = start.elapsed().as_secs_f64();
    println!("{name:<40} {:>9.2} M rows/s", rows as f64 / seconds / 1e6);
}

/// 14 keys for each of 50,000 documents in each of 20 files.
fn key_files() {
    let (files, documents, bands) = (20_u64, 50_000_u32, 14_u64);
    let rows = files * u64::from(documents) * bands;
    let key = |file: u64, document: u32, band: u64| {
        // One document in four has a twin in the next file.
        let source = if document.is_multiple_of(4) { file / 2 } else { file };
        let at = source << 40 | u64::from(document) << 8 | band;
        xxhash_rust::xxh3::xxh3_64(&at.to_le_bytes())
    };
    for (name, memory) in [("keyfile write, in memory", 64 << 20), ("keyfile write, through runs", 2 << 20)] {
        let start = Instant::now();
        let mut written = Vec::new();
        for file in 0..files {
            let mut writer = Writer::<u64, Plain, _, _>::new(memory, || Ok(Cursor::new(Vec::new())));
            for document in 0..documents {
                for band in 0..bands {
                    writer.push(key(file, document, band), document, &[]).expect("memory");
                }
            }
            let mut out = Vec::new();
            writer.finish(&mut out).expect("memory");
            written.push(out);
        }
        row_speed(name, rows, start);
        let size: usize = written.iter().map(Vec::len).sum();
        println!("{:<40} {:>9.2} bytes a row", "", size as f64 / rows as f64);
        let start = Instant::now();
        let streams = written
            .iter()
            .zip(0..)
            .map(|(bytes, shard)| {
                let footer =
                    Footer::<u64>::parse("keys", &bytes[bytes.len() - FOOTER_BYTES..]).expect("sound");
                footer.all(shard, &bytes[..]).expect("sound")
            })
            .collect();
        let counts = bucket::edges(&mut Merge::new(streams), |a, b| {
            black_box((a, b));
            Ok(())
        })
        .expect("sound");
        row_speed("merge 20 files, emit edges", counts.rows, start);
    }
}

fn graphs() {
    let mix = |x: u64| xxhash_rust::xxh3::xxh3_64(&x.to_le_bytes()) >> 38;
    let edges: Vec<(u64, u64)> = (0..2_000_000).map(|i| (mix(i), mix(!i))).collect();
    let start = Instant::now();
    let mut labels =
        components::in_memory(edges.len() as u64, || Ok(Rows::new(edges.clone()))).expect("memory");
    while labels.row().is_some() {
        labels.advance().expect("memory");
    }
    row_speed("components in memory (edges)", edges.len() as u64, start);
    let start = Instant::now();
    let (mut labels, rounds) =
        components::by_rounds(&mut Rows::new(edges.clone()), 16 << 20, || Ok(Cursor::new(Vec::new())))
            .expect("memory");
    while labels.row().is_some() {
        labels.advance().expect("memory");
    }
    row_speed(&format!("components, {rounds} rounds, 16 MiB (edges)"), edges.len() as u64, start);
}

fn read(path: &str) -> Vec<String> {
    let raw = std::fs::read(path).expect("a readable file");
    let mut json = String::new();
    if raw.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]) {
        zstd::Decoder::new(&raw[..]).expect("zstd").read_to_string(&mut json).expect("UTF-8");
    } else {
        json = String::from_utf8(raw).expect("UTF-8");
    }
    json.lines()
        .map(|line| {
            let document: serde_json::Value = serde_json::from_str(line).expect("JSON");
            document["text"].as_str().expect("a text").to_owned()
        })
        .collect()
}

fn made_up() -> Vec<String> {
    let word = |i: u64| {
        let hash = xxhash_rust::xxh3::xxh3_64(&i.to_le_bytes());
        let rank = (hash % 90 * (hash >> 8) % 90 * (hash >> 16) % 90) % 20_000;
        format!("w{rank:x}{}", if hash.is_multiple_of(12) { ".\n" } else { " " })
    };
    (0..4000).map(|document| (0..600).map(|at| word(document * 600 + at)).collect()).collect()
}
