//! From the patterns of a recipe to the files they mean.
//!
//! A pattern is a path or URI, a glob (`**`, `*`, `?`, `{a,b}`, `[ab]`; on S3 too), a folder or prefix (everything below it but
//! names that begin with `.` or `_`), or a file that lists paths. All is looked at before any work begins: a pattern that
//! matches nothing, a file that cannot be reached, a name that tells no format is an error.
//!
//! **Lists**: `*.paths`, `*.txt`, plain or `.gz`; a path or URI a line, blank lines and `#` lines ignored. Relative entries lie beside
//! the list. Common Crawl's entries (`crawl-data/…`) are relative to the root of its bucket: they resolve against the bucket or
//! host that the list itself came from, and for a list on disk against `https://data.commoncrawl.org/`, unless a local copy
//! lies beside it.
//!
//! **Names** are what identity is built on: the path below the fixed part of the pattern, so that a corpus keeps its names
//! when it is moved. Where two inputs would get one name, both take their whole location as name.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use futures::stream::{self, StreamExt, TryStreamExt};
use globset::{GlobBuilder, GlobMatcher};

use crate::error::{Kind, StoreError};
use crate::format::{Compression, Format};
use crate::store::{Meta, list};
use crate::stores::Stores;
use crate::uri::{Uri, UriError};

/// Where Common Crawl's lists resolve to when they do not come from its bucket.
pub const COMMON_CRAWL: &str = "https://data.commoncrawl.org/";
/// How entries of Common Crawl's lists begin.
const COMMON_CRAWL_ENTRY: &str = "crawl-data/";
/// A list may be this large, stored and unpacked: a crawl of 100,000 files is 20 MB.
const MAX_LIST: u64 = 1 << 30;
/// Objects asked about at once.
const ASKED_AT_ONCE: usize = 32;
/// From so many files of one folder on, the folder is listed instead of each being asked about.
const LIST_FROM: usize = 16;

/// A file to be read.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Input {
    /// Where it lies.
    pub uri: String,
    /// Its stable name: see the module.
    pub name: String,
    /// Stored size in bytes.
    pub size: u64,
    /// Changes when the file does.
    pub tag: String,
    /// What it holds.
    pub format: Format,
    /// What its name says of its packing; readers believe the bytes.
    pub compression: Compression,
}

/// Why inputs could not be told.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// A pattern, or an entry of a list, that is no location.
    #[error(transparent)]
    Uri(#[from] UriError),
    /// The store's answer.
    #[error("input {0}")]
    Store(#[from] StoreError),
    /// A glob with a syntax error.
    #[error("input {pattern}: {why}")]
    Glob {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nothing there.
    #[error("input {pattern}: nothing there matches; names that begin with `.` or `_` do not count")]
    Empty {
        /// The pattern.
        pattern: String,
    },
    /// Web servers do not list.
    #[error("input {pattern}: a web server cannot be listed; name the files, or a file that lists them")]
    NoListing {
        /// The pattern.
        pattern: String,
    },
    /// A name that tells no format.
    #[error(
        "input {uri}: the name tells no format ({}); set `format:`, or match only the files meant, as in `**/*.warc.gz`",
        extensions()
    )]
    UnknownFormat {
        /// The file.
        uri: String,
    },
    /// A list that cannot be used.
    #[error("input {uri}, line {line}: {why}")]
    List {
        /// The list.
        uri: String,
        /// From 1; 0 for the whole.
        line: usize,
        /// What is wrong.
        why: String,
    },
}

impl InputError {
    /// What to do about it: all but some of the store's answers need another request.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Empty { .. } => Kind::NotFound,
            _ => Kind::Invalid,
        }
    }
}

fn extensions() -> String {
    let known: BTreeSet<&str> = Format::EXTENSIONS.iter().map(|&(extension, _)| extension).collect();
    let known: Vec<&str> = known.into_iter().collect();
    format!("known: {}, each also with .gz or .zst", known.join(" "))
}

/// A location that a pattern led to, not yet looked at or just listed.
struct Found {
    uri: Uri,
    name: String,
    meta: Option<Meta>,
}

/// All files that the patterns mean, sorted by name, each once. `format` overrides what names say.
pub async fn expand(
    stores: &Stores,
    patterns: &[String],
    format: Option<Format>,
) -> Result<Vec<Input>, InputError> {
    let mut found = Vec::new();
    for pattern in patterns {
        found.extend(expand_one(stores, pattern, format).await?);
    }
    measure(stores, &mut found).await?;
    let mut inputs = BTreeMap::new();
    for Found { uri, name, meta } in found {
        let Some(meta) = meta else { continue };
        let (by_name, compression) = Format::of_name(uri.file_name());
        let uri_text = uri.to_string();
        let Some(format) = format.or(by_name) else {
            return Err(InputError::UnknownFormat { uri: uri_text });
        };
        let Meta { size, tag, .. } = meta;
        let input = Input { uri: uri_text.clone(), name, size, tag, format, compression };
        inputs.entry(uri_text).or_insert(input);
    }
    Ok(with_unique_names(inputs.into_values().collect()))
}

fn with_unique_names(mut inputs: Vec<Input>) -> Vec<Input> {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for input in &inputs {
        *count.entry(input.name.clone()).or_default() += 1;
    }
    for input in &mut inputs {
        if count.get(&input.name).is_some_and(|&n| n > 1) {
            input.name = bare(&input.uri).to_owned();
        }
    }
    inputs.sort_unstable_by(|a, b| (&a.name, &a.uri).cmp(&(&b.name, &b.uri)));
    inputs
}

/// A location without its scheme and leading slashes.
fn bare(uri: &str) -> &str {
    uri.split_once("://").map_or(uri, |(_, rest)| rest).trim_start_matches('/')
}

async fn expand_one(
    stores: &Stores,
    pattern: &str,
    format: Option<Format>,
) -> Result<Vec<Found>, InputError> {
    let uri: Uri = pattern.parse()?;
    if pattern.contains(['*', '?', '{', '[']) && !matches!(uri, Uri::Http { .. }) {
        // A file that really has such a name is meant as it stands.
        let (store, key) = stores.open(&uri)?;
        return match store.stat(&key).await {
            Ok(meta) => Ok(vec![one(uri, Some(meta))]),
            Err(_) => glob(stores, pattern).await,
        };
    }
    let is_folder = pattern.ends_with('/');
    if let Uri::Http { .. } = uri {
        if is_folder || pattern.contains('*') {
            return Err(InputError::NoListing { pattern: pattern.to_owned() });
        }
        return if format.is_none() && is_list(uri.file_name()) {
            read_list(stores, &uri).await
        } else {
            Ok(vec![one(uri, None)])
        };
    }
    let (store, key) = stores.open(&uri)?;
    if !is_folder && !key.is_empty() {
        match store.stat(&key).await {
            Ok(_) if format.is_none() && is_list(uri.file_name()) => return read_list(stores, &uri).await,
            Ok(meta) => return Ok(vec![one(uri, Some(meta))]),
            // It may be a folder, which some stores know and others do not.
            Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Invalid) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let prefix = format!("{}/", key.trim_end_matches('/'));
    let prefix = if key.is_empty() { String::new() } else { prefix };
    let mut entries = list(store, &prefix, None);
    let mut found = Vec::new();
    while let Some(entry) = entries.try_next().await? {
        let name = &entry.key[prefix.len()..];
        if is_hidden(name) || name.is_empty() || name.ends_with('/') {
            continue;
        }
        let uri = uri.join(name)?;
        found.push(Found { uri, name: name.to_owned(), meta: Some(entry.meta) });
    }
    if found.is_empty() {
        return Err(InputError::Empty { pattern: pattern.to_owned() });
    }
    Ok(found)
}

fn one(uri: Uri, meta: Option<Meta>) -> Found {
    let name = uri.file_name().to_owned();
    Found { uri, name, meta }
}

/// Whether a name below a pattern's fixed part has a part that does not count.
fn is_hidden(name: &str) -> bool {
    name.split('/').any(|part| part.starts_with(['.', '_']))
}

/// The folder that all matches lie in, and the pattern below it.
fn split_glob(pattern: &str) -> (&str, &str) {
    let special = pattern.find(['*', '?', '{', '[']).unwrap_or(pattern.len());
    let cut = pattern[..special].rfind('/').map_or(0, |slash| slash + 1);
    pattern.split_at(cut)
}

fn matcher(pattern: &str, below: &str) -> Result<GlobMatcher, InputError> {
    let glob = GlobBuilder::new(below).literal_separator(true).build();
    let glob =
        glob.map_err(|error| InputError::Glob { pattern: pattern.to_owned(), why: error.to_string() })?;
    Ok(glob.compile_matcher())
}

async fn glob(stores: &Stores, pattern: &str) -> Result<Vec<Found>, InputError> {
    let (base, below) = split_glob(pattern);
    let matcher = matcher(pattern, below)?;
    let base: Uri = if base.is_empty() { Uri::File(".".into()) } else { base.parse()? };
    let (store, key) = stores.open(&base)?;
    let folder = key.trim_end_matches('/');
    let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    // A prefix of the name before the first special character narrows what a store has to list.
    let fixed = &below[..below.find(['*', '?', '{', '[']).unwrap_or(below.len())];
    let mut entries = list(store, &format!("{prefix}{fixed}"), None);
    let mut found = Vec::new();
    let base_is_here = matches!(&base, Uri::File(path) if path.as_os_str() == ".");
    while let Some(entry) = entries.try_next().await? {
        let name = &entry.key[prefix.len()..];
        let hidden = is_hidden(name) && !is_hidden(below);
        if hidden || !matcher.is_match(name) {
            continue;
        }
        let uri = if base_is_here { Uri::File(name.into()) } else { base.join(name)? };
        found.push(Found { uri, name: name.to_owned(), meta: Some(entry.meta) });
    }
    if found.is_empty() {
        return Err(InputError::Empty { pattern: pattern.to_owned() });
    }
    Ok(found)
}

#[allow(clippy::case_sensitive_file_extension_comparisons, reason = "the name is in lower case by then")]
fn is_list(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let (stem, compression) = Compression::of_name(&lower);
    compression != Compression::Zstd && (stem.ends_with(".paths") || stem.ends_with(".txt"))
}

async fn read_list(stores: &Stores, list: &Uri) -> Result<Vec<Found>, InputError> {
    let (store, key) = stores.open(list)?;
    let fail = |line, why: String| InputError::List { uri: list.to_string(), line, why };
    let size = store.stat(&key).await?.size;
    if size > MAX_LIST {
        return Err(fail(0, format!("a list of {size} bytes is too large; split it")));
    }
    let stored = store.get(&key, None).await?;
    let text = match Compression::of_magic(&stored) {
        Compression::Gzip => {
            let mut text = String::new();
            flate2::read::MultiGzDecoder::new(&stored[..])
                .take(MAX_LIST)
                .read_to_string(&mut text)
                .map_err(|error| fail(0, format!("the list does not unpack: {error}")))?;
            text
        }
        _ => String::from_utf8(stored.to_vec())
            .map_err(|_| fail(0, "not a list of paths: the file is not UTF-8 text".into()))?,
    };
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let entry = line.trim();
        if entry.is_empty() || entry.starts_with('#') {
            continue;
        }
        let uri = resolve(list, entry).map_err(|error| fail(number + 1, error.to_string()))?;
        if Format::of_name(uri.file_name()).0.is_none() && entry.contains(char::is_whitespace) {
            return Err(fail(number + 1, format!("`{entry}` is no path; a list has one path or URI a line")));
        }
        found.push(Found { uri, name: bare(entry).to_owned(), meta: None });
    }
    if found.is_empty() {
        return Err(fail(0, "the list names no files".into()));
    }
    Ok(found)
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

/// Finds out size and version of everything that no listing told.
async fn measure(stores: &Stores, found: &mut [Found]) -> Result<(), InputError> {
    // Many files of one folder, as Common Crawl's lists have them, are cheaper listed than asked about one by one.
    let mut folders: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (i, one) in found.iter().enumerate() {
        if one.meta.is_none() && !matches!(one.uri, Uri::Http { .. }) {
            let text = one.uri.to_string();
            let folder = text.rfind('/').map_or("", |slash| &text[..slash]);
            folders.entry(folder.to_owned()).or_default().push(i);
        }
    }
    for (folder, members) in folders {
        if members.len() < LIST_FROM || folder.is_empty() {
            continue;
        }
        let (store, key) = stores.open(&folder.parse()?)?;
        let prefix = format!("{}/", key.trim_end_matches('/'));
        let mut wanted: BTreeMap<String, usize> =
            members.into_iter().map(|i| (found[i].uri.file_name().to_owned(), i)).collect();
        let mut entries = list(store, &prefix, None);
        while let Some(entry) = entries.try_next().await? {
            if let Some(i) = wanted.remove(&entry.key[prefix.len()..]) {
                found[i].meta = Some(entry.meta);
                if wanted.is_empty() {
                    break;
                }
            }
        }
    }
    let unknown: Vec<(usize, Uri)> = found
        .iter()
        .enumerate()
        .filter(|(_, one)| one.meta.is_none())
        .map(|(i, one)| (i, one.uri.clone()))
        .collect();
    let mut answers = stream::iter(unknown)
        .map(|(i, uri)| async move {
            let (store, key) = stores.open(&uri)?;
            let meta = store.stat(&key).await?;
            Ok::<_, InputError>((i, meta))
        })
        .buffered(ASKED_AT_ONCE);
    while let Some((i, meta)) = answers.try_next().await? {
        found[i].meta = Some(meta);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::stores::Settings;

    async fn stores(keys: &[(&str, &str)]) -> Stores {
        let stores = Stores::new(Settings::default());
        for (key, data) in keys {
            let (store, key) = stores.open(&format!("memory://t/{key}").parse().unwrap()).unwrap();
            store.put(&key, Bytes::from((*data).to_owned())).await.unwrap();
        }
        stores
    }

    async fn names(stores: &Stores, patterns: &[&str]) -> Result<Vec<String>, String> {
        let patterns: Vec<String> = patterns.iter().map(|&p| p.to_owned()).collect();
        let inputs = expand(stores, &patterns, None).await.map_err(|error| error.to_string())?;
        Ok(inputs.into_iter().map(|input| input.name).collect())
    }

    #[tokio::test]
    async fn patterns() {
        let stores = stores(&[
            ("a/1.warc.gz", "x"),
            ("a/2.warc.gz", "x"),
            ("a/sub/3.jsonl.zst", "x"),
            ("a/_tmp/4.jsonl", "x"),
            ("a/.hidden.jsonl", "x"),
            ("b/1.warc.gz", "x"),
            ("c/readme.md", "x"),
            ("lists/warc.paths", "crawl-data/x/1.warc.gz\n\n# note\ncrawl-data/x/2.warc.gz\n"),
            ("lists/own.txt", "../nothing.warc.gz\n"),
            ("lists/beside.txt", "one.html\nmemory://t/a/1.warc.gz\n"),
            ("lists/one.html", "x"),
            ("lists/empty.txt", "\n"),
            ("crawl-data/x/1.warc.gz", "x"),
            ("crawl-data/x/2.warc.gz", "x"),
        ])
        .await;
        for (patterns, expected) in [
            (&["memory://t/a/1.warc.gz"][..], Ok(&["1.warc.gz"][..])),
            (&["memory://t/a"], Ok(&["1.warc.gz", "2.warc.gz", "sub/3.jsonl.zst"])),
            (&["memory://t/a/"], Ok(&["1.warc.gz", "2.warc.gz", "sub/3.jsonl.zst"])),
            (&["memory://t/a/*.gz"], Ok(&["1.warc.gz", "2.warc.gz"])),
            (&["memory://t/a/**/*.{zst,gz}"], Ok(&["1.warc.gz", "2.warc.gz", "sub/3.jsonl.zst"])),
            (&["memory://t/*/1.warc.gz"], Ok(&["a/1.warc.gz", "b/1.warc.gz"])),
            (&["memory://t/a/1.warc.gz", "memory://t/b/1.warc.gz"], Ok(&["t/a/1.warc.gz", "t/b/1.warc.gz"])),
            (&["memory://t/a/?.warc.gz", "memory://t/a/1.warc.gz"], Ok(&["1.warc.gz", "2.warc.gz"])),
            (&["memory://t/lists/warc.paths"], Ok(&["crawl-data/x/1.warc.gz", "crawl-data/x/2.warc.gz"])),
            (&["memory://t/lists/beside.txt"], Ok(&["one.html", "t/a/1.warc.gz"])),
            (&["memory://t/none"], Err("nothing there matches")),
            (&["memory://t/a/*.parquet"], Err("nothing there matches")),
            (&["memory://t/c"], Err("tells no format")),
            (&["memory://t/lists/own.txt"], Err("line 1: ../nothing.warc.gz: a name may not")),
            (&["memory://t/lists/empty.txt"], Err("names no files")),
            (&["memory://t/a/{1"], Err("unclosed alternate")),
            (&["https://example.com/x/"], Err("cannot be listed")),
            (&["gs://x/y"], Err("unknown scheme")),
        ] {
            let got = names(&stores, patterns).await;
            match expected {
                Ok(expected) => {
                    assert_eq!(got, Ok(expected.iter().map(|&s| s.to_owned()).collect()), "{patterns:?}");
                }
                Err(part) => assert!(got.as_ref().is_err_and(|e| e.contains(part)), "{patterns:?}: {got:?}"),
            }
        }
    }

    #[tokio::test]
    async fn local_files_and_overrides() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("in/_x")).unwrap();
        for name in ["in/a.jsonl", "in/b.data", "in/_x/c.jsonl"] {
            std::fs::write(folder.path().join(name), "{}").unwrap();
        }
        let stores = Stores::new(Settings::default());
        let pattern = vec![folder.path().join("in").display().to_string()];
        assert!(expand(&stores, &pattern, None).await.unwrap_err().to_string().contains("b.data"));
        let inputs = expand(&stores, &pattern, Some(Format::Jsonl)).await.unwrap();
        assert_eq!(inputs.iter().map(|i| i.name.as_str()).collect::<Vec<_>>(), ["a.jsonl", "b.data"]);
        assert_eq!(inputs[0].size, 2);
        let missing = vec![folder.path().join("in/none.jsonl").display().to_string()];
        assert!(expand(&stores, &missing, None).await.unwrap_err().to_string().contains("none.jsonl"));
    }

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
