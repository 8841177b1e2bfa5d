//! Deduplication's memory under adversarial skew, with everything on disk.
//!
//! `cargo bench -p gristmill-dedup --bench dedup_soak -- [ROWS] [MEMORY_MIB]`, by default 50 million band keys and 64 MiB for
//! each sort. One key has a fifth of all rows; a chain has a fiftieth of all rows as its links; the rest are pairs
//! and singles. Each phase prints its time and the peak of the process's memory so far, and the run fails if a
//! component is wrong or the peak exceeds what was allowed: the sorts' budget, and a block and a read buffer for every
//! key file that is open.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Instant;

use gristmill_dedup::edges::{self, Edges};
use gristmill_dedup::keyfile::{FOOTER_BYTES, Footer, Writer, node};
use gristmill_dedup::sort::Plain;
use gristmill_dedup::stream::{Merge, Stream};
use gristmill_dedup::survivor::{self, Limits, Policy};
use gristmill_dedup::{bucket, components, droplist};

const FILES: u32 = 50;
const BUCKETS: usize = 16;

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    let rows = numbers.first().copied().unwrap_or(50_000_000) / u64::from(FILES) * u64::from(FILES);
    let memory = (numbers.get(1).copied().unwrap_or(64) as usize) << 20;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name);
    let scratch = tempfile::tempfile;
    let phase = |name: &str, rows: u64, start: Instant| {
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "{name:<34} {seconds:>7.1} s {:>8.2} M rows/s {:>6} MiB peak",
            rows as f64 / seconds / 1e6,
            peak()
        );
    };
    println!("{rows} rows in {FILES} files, {} MiB for each sort", memory >> 20);

    let start = Instant::now();
    for file in 0..FILES {
        let mut writer = Writer::<u64, Plain, _, _>::new(memory, scratch);
        let each = rows / u64::from(FILES);
        for ordinal in 0..each {
            let document = u64::from(file) * each + ordinal;
            for key in keys(document, rows).into_iter().flatten() {
                writer.push(key, ordinal as u32, &[]).expect("disk");
            }
        }
        let out = BufWriter::new(File::create(path(&format!("keys-{file}"))).expect("disk"));
        writer.finish(out).expect("disk");
    }
    phase("write key files", rows, start);

    let start = Instant::now();
    let mut bytes = Vec::new();
    let mut edge_count = 0;
    for index in 0..BUCKETS {
        let streams =
            (0..FILES).map(|file| open_bucket(&path(&format!("keys-{file}")), index, file)).collect();
        let mut writer = edges::Writer::new(memory, scratch);
        let counts = bucket::edges(&mut Merge::new(streams), |a, b| writer.push(a, b)).expect("sound");
        let out = BufWriter::new(File::create(path(&format!("edges-{index}"))).expect("disk"));
        let summary = writer.finish(out).expect("disk");
        assert_eq!(summary.entries, counts.edges, "no two keys give one edge here");
        edge_count += summary.entries;
        bytes.push(summary.bytes);
    }
    phase("merge buckets, write edges", rows, start);

    let open = || {
        let files = bytes.iter().enumerate().map(|(index, &bytes)| {
            let file = BufReader::new(File::open(path(&format!("edges-{index}"))).expect("disk"));
            Edges::open("edges", file, bytes)
        });
        Ok(Merge::new(files.collect::<Result<Vec<_>, _>>()?))
    };
    let start = Instant::now();
    let (labels, rounds) =
        components::by_rounds(&mut open().expect("sound"), 2 * memory, scratch).expect("disk");
    phase(&format!("components in {rounds} rounds"), edge_count, start);

    let start = Instant::now();
    let mut drops = edges::Writer::new(memory, scratch);
    let mut labels = labels;
    let chosen = survivor::choose(
        &mut labels,
        |node, out| {
            Policy::FirstId.rank(0, None, &node.to_be_bytes(), out);
            Ok(())
        },
        Limits { memory_bytes: memory, max_component: None },
        scratch,
        |survivor, duplicate| drops.push(duplicate, survivor),
    )
    .expect("disk");
    drop(labels);
    let mut sorted = drops.into_sorted().expect("disk");
    let out = BufWriter::new(File::create(path("drops")).expect("disk"));
    let mut list = droplist::Writer::new(out, 0, FILES);
    while let Some((duplicate, survivor)) = sorted.row() {
        list.push(duplicate, survivor).expect("in order");
        sorted.advance().expect("sound");
    }
    let summary = list.finish().expect("disk");
    phase("choose survivors, write drop list", summary.entries, start);
    println!("{chosen:?}");
    let (star, chain) = (rows / 5, rows / 50);
    assert_eq!(summary.entries, chosen.duplicates);
    assert_eq!(chosen.largest, star);
    assert_eq!(chosen.duplicates, edge_count, "the edges are a forest");
    assert!(edge_count >= star - 1 + chain - 1);
    let allowed = 2 * memory + FILES as usize * (96 << 10) + (48 << 20);
    assert!(peak() as usize <= allowed >> 20, "{} MiB used and {} allowed", peak(), allowed >> 20);

    let start = Instant::now();
    let mut labels = components::in_memory(edge_count, open).expect("fits");
    let (mut nodes, mut roots) = (0, 0);
    while let Some((node, label)) = labels.row() {
        nodes += 1;
        roots += u64::from(node == label);
        labels.advance().expect("memory");
    }
    phase("components in memory", edge_count, start);
    assert_eq!(nodes - roots, edge_count);
    println!("promised for it: {} MiB", components::memory_needed(edge_count) >> 20);
}

/// The keys of a document: a fifth share one, a fiftieth are linked in a shuffled chain, the rest are pairs.
fn keys(document: u64, rows: u64) -> [Option<u64>; 2] {
    let hash = |kind: u64, x: u64| xxhash_rust::xxh3::xxh3_64_with_seed(&x.to_le_bytes(), kind);
    let (star, chain) = (rows / 5, rows / 50);
    // A multiplier that has no factor in common with the number of rows scatters each kind over all files.
    let place = (u128::from(document) * 999_999_937 % u128::from(rows)) as u64;
    if place < star {
        [Some(hash(0, 0)), None]
    } else if place < star + chain {
        let link = place - star;
        [Some(hash(1, link)), (link + 1 < chain).then(|| hash(1, link + 1))]
    } else {
        [Some(hash(2, place / 2)), None]
    }
}

fn open_bucket(path: &Path, index: usize, shard: u32) -> impl Stream<Key = u64> + use<> {
    let mut file = File::open(path).expect("disk");
    let mut footer = vec![0; FOOTER_BYTES];
    file.seek(SeekFrom::End(-(FOOTER_BYTES as i64))).expect("disk");
    file.read_exact(&mut footer).expect("disk");
    let footer = Footer::<u64>::parse(&path.to_string_lossy(), &footer).expect("sound");
    let (offset, length) = footer.byte_range(index, BUCKETS);
    file.seek(SeekFrom::Start(offset)).expect("disk");
    assert_eq!(node(shard, 0) >> 32, u64::from(shard));
    let input: BufReader<io::Take<File>> = BufReader::with_capacity(64 << 10, file.take(length));
    footer.bucket(index, BUCKETS, shard, input).expect("sound")
}

/// The process's peak memory in MiB, from Linux; 0 elsewhere.
fn peak() -> u64 {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            status
                .lines()
                .find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok())
        })
        .map_or(0, |kib: u64| kib >> 10)
}
