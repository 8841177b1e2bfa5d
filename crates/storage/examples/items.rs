//! Prints what a file holds, item by item, or how fast it is read (`--time`).
#![allow(clippy::print_stdout)]

use std::sync::Arc;
use std::time::Instant;

use gristmill_storage::{Format, Item, Open, PathSource, open};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut time = false;
    for path in std::env::args().skip(1) {
        if path == "--time" {
            time = true;
            continue;
        }
        let format = Format::of_name(&path).0.unwrap_or(Format::Warc);
        let mut records = open(Arc::new(PathSource::open(&path)?), &Open::whole(&path, format))?;
        let (began, mut pages, mut bytes) = (Instant::now(), 0_u64, 0_u64);
        while let Some(item) = records.next()? {
            match item {
                Item::Warc(record) => {
                    pages += 1;
                    bytes += record.body.len() as u64;
                    if !time {
                        let status = record.http.as_ref().map(|head| head.status);
                        let (kind, len) = (&record.record_type, record.body.len());
                        let url = record.header("WARC-Target-URI").unwrap_or("-");
                        let cut = if record.truncated { " truncated" } else { "" };
                        println!("{} {kind} {status:?} {len}{cut} {url}", record.at);
                    }
                    records.recycle(record.body);
                }
                Item::Json { at, line } => {
                    pages += 1;
                    bytes += line.len() as u64;
                    if !time {
                        println!("{at} {line}");
                    }
                }
                Item::Html { at, name, body } => println!("{at} {name} {}", body.len()),
                Item::Skipped { at, kind } => {
                    if !time {
                        println!("{at} skipped {kind}");
                    }
                }
                Item::Broken { at, reason, detail } => println!("{at} BROKEN {reason}: {detail}"),
            }
        }
        if time {
            let seconds = began.elapsed().as_secs_f64();
            println!(
                "{path}: {pages} records, {:.0}/s, {:.0} MB/s of bodies",
                pages as f64 / seconds,
                bytes as f64 / 1e6 / seconds
            );
        }
    }
    Ok(())
}
