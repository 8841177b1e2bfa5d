//! Files that list paths, read line by line.

use std::io::{BufRead, BufReader, Read};

use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::{Finds, Found, InputError, bare};
use crate::blocking::BlockingReader;
use crate::error::ReadError;
use crate::format::{Compression, Format};
use crate::stores::Stores;
use crate::uri::{Uri, UriError};

/// Where Common Crawl's lists resolve to when they do not come from its bucket.
pub const COMMON_CRAWL: &str = "https://data.commoncrawl.org/";
/// How entries of Common Crawl's lists begin.
const COMMON_CRAWL_ENTRY: &str = "crawl-data/";
/// Bytes that a list may unpack to: a hundred million paths.
const MAX_LIST: u64 = 16 << 30;
/// Bytes of one line: no path is as long.
const MAX_LINE: u64 = 64 << 10;
/// Entries that are handed over at once, and how many such batches wait.
const BATCH: usize = 1000;
const BATCHES: usize = 4;

#[allow(clippy::case_sensitive_file_extension_comparisons, reason = "the name is in lower case by then")]
pub(super) fn is_list(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let (stem, compression) = Compression::of_name(&lower);
    compression != Compression::Zstd && (stem.ends_with(".paths") || stem.ends_with(".txt"))
}

/// A line of a list, with its number.
type Line = (usize, String);

/// Hands every entry of a list to `finds`.
pub(super) async fn read_list(stores: &Stores, list: &Uri, finds: &mut Finds<'_>) -> Result<(), InputError> {
    let (store, key) = stores.open(list)?;
    let size = store.stat(&key).await?.size;
    let stored = BlockingReader::exact(&Handle::current(), store, &key, 0..size);
    let (sender, mut batches) = mpsc::channel(BATCHES);
    let name = list.to_string();
    tokio::task::spawn_blocking(move || {
        if let Err(error) = read_lines(&name, stored, &sender) {
            // Whoever gave the list up does not hear it.
            let _ = sender.blocking_send(Err(error));
        }
    });
    let fail = |line, why: String| InputError::List { uri: list.to_string(), line, why };
    let mut is_empty = true;
    while let Some(batch) = batches.recv().await {
        for (number, entry) in batch? {
            let uri = resolve(list, &entry).map_err(|error| fail(number, error.to_string()))?;
            if Format::of_name(uri.file_name()).0.is_none() && entry.contains(char::is_whitespace) {
                return Err(fail(number, format!("`{entry}` is no path; a list has one path or URI a line")));
            }
            is_empty = false;
            finds.push(Found { uri, name: bare(&entry).to_owned(), meta: None }).await?;
        }
    }
    if is_empty { Err(fail(0, "the list names no files".into())) } else { Ok(()) }
}

/// Sends the entries of a list, plain or gzipped, until its end or until nobody listens.
fn read_lines(
    name: &str,
    stored: impl Read + Send + 'static,
    batches: &mpsc::Sender<Result<Vec<Line>, InputError>>,
) -> Result<(), InputError> {
    let fail = |line, why: &str| InputError::List { uri: name.to_owned(), line, why: why.to_owned() };
    let mut stored = BufReader::with_capacity(256 << 10, stored);
    let first = stored.fill_buf().map_err(|error| ReadError::from_io(name, error).0)?;
    let is_packed = Compression::of_magic(first) == Compression::Gzip;
    let mut text: Box<dyn BufRead> = if is_packed {
        Box::new(BufReader::with_capacity(256 << 10, flate2::bufread::MultiGzDecoder::new(stored)))
    } else {
        Box::new(stored)
    };
    let (mut batch, mut line, mut read) = (Vec::new(), Vec::new(), 0);
    for number in 1.. {
        line.clear();
        let n = text.by_ref().take(MAX_LINE).read_until(b'\n', &mut line).map_err(|error| {
            // What a store answers comes as it is; all else is the unpacking.
            match error.downcast() {
                Ok(store) => InputError::Store(store),
                Err(other) => fail(number, &format!("the list does not unpack: {other}")),
            }
        })?;
        read += n as u64;
        if n == 0 {
            break;
        }
        if n as u64 == MAX_LINE || read > MAX_LIST {
            return Err(fail(number, "not a list of paths: it is too large, or a line of it is"));
        }
        let entry = std::str::from_utf8(&line)
            .map_err(|_| fail(number, "not a list of paths: the file is not UTF-8 text"))?
            .trim();
        if entry.is_empty() || entry.starts_with('#') {
            continue;
        }
        batch.push((number, entry.to_owned()));
        if batch.len() == BATCH && batches.blocking_send(Ok(std::mem::take(&mut batch))).is_err() {
            return Ok(());
        }
    }
    let _ = batches.blocking_send(Ok(batch));
    Ok(())
}

/// What an entry of a list means.
fn resolve(list: &Uri, entry: &str) -> Result<Uri, UriError> {
    if entry.contains("://") || entry.starts_with('/') {
        return entry.parse();
    }
    if entry.starts_with(COMMON_CRAWL_ENTRY) {
        let root = match list {
            Uri::S3 { bucket, .. } => Uri::S3 { bucket: bucket.clone(), key: String::new() },
            Uri::Http { origin, .. } => Uri::Http { origin: origin.clone(), path: String::new() },
            Uri::Memory { name, .. } => Uri::Memory { name: name.clone(), key: String::new() },
            Uri::File(path) => {
                let local = path
                    .ancestors()
                    .skip(1)
                    .find(|folder| folder.join(COMMON_CRAWL_ENTRY).is_dir())
                    .map(|folder| Uri::File(folder.to_owned()));
                match local {
                    Some(root) => root,
                    None => COMMON_CRAWL.parse()?,
                }
            }
        };
        return root.join(entry);
    }
    match list {
        Uri::File(path) => Ok(Uri::File(path.parent().unwrap_or(path).join(entry))),
        Uri::S3 { bucket, key } => {
            let folder = key.rfind('/').map_or("", |slash| &key[..slash]);
            Uri::S3 { bucket: bucket.clone(), key: folder.to_owned() }.join(entry)
        }
        Uri::Http { origin, path } => {
            let folder = path.rfind('/').map_or("", |slash| &path[..slash]);
            Uri::Http { origin: origin.clone(), path: folder.to_owned() }.join(entry)
        }
        Uri::Memory { name, key } => {
            let folder = key.rfind('/').map_or("", |slash| &key[..slash]);
            Uri::Memory { name: name.clone(), key: folder.to_owned() }.join(entry)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_crawl_entries() {
        let entry = "crawl-data/CC-MAIN-2024-22/x.warc.gz";
        for (list, expected) in [
            (
                "s3://commoncrawl/crawl-data/CC/warc.paths.gz",
                "s3://commoncrawl/crawl-data/CC-MAIN-2024-22/x.warc.gz",
            ),
            (
                "https://data.commoncrawl.org/crawl-data/warc.paths.gz",
                "https://data.commoncrawl.org/crawl-data/CC-MAIN-2024-22/x.warc.gz",
            ),
            ("/nowhere/warc.paths.gz", "https://data.commoncrawl.org/crawl-data/CC-MAIN-2024-22/x.warc.gz"),
        ] {
            assert_eq!(resolve(&list.parse().unwrap(), entry).unwrap().to_string(), expected);
        }
        let beside = resolve(&"s3://bkt/l/x.txt".parse().unwrap(), "a/b.html").unwrap();
        assert_eq!(beside.to_string(), "s3://bkt/l/a/b.html");
    }
}
