//! From stored bytes to records.
//!
//! [`open`] gives the records of a file, or of a slice of it. Bad bytes never end a file early without saying so: each
//! stretch that is no record comes as one [`Item::Broken`], and reading goes on at the next place where a record can begin
//! (the next gzip member or zstd frame, the next `WARC/` at the start of a line, the next line). A [`ReadError`] means only
//! that bytes could not be had.
//!
//! **Slices.** A slice `[start, end)` of the stored file yields the records whose [`At::offset`] lies in it: for plain files
//! the record's own first byte; for compressed ones the first byte of the gzip member or zstd frame it begins in. So any cuts
//! give each record once. Files that cannot be entered in the middle belong whole to the slice with byte 0.
//!
//! **Memory.** One record and fixed buffers, whatever the bytes claim: [`Limits`].

mod archive;
mod flow;
mod head;
mod html;
mod lines;
#[cfg(feature = "parquet")]
mod parquet;
mod payload;
pub mod source;
mod unpack;

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::ReadError;
use source::Source;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Web archive, versions 0.17 to 1.1.
    Warc,
    /// The web archive format before WARC.
    Arc,
    /// Common Crawl's extracted text: WARC with `conversion` records.
    Wet,
    /// One JSON object a line.
    Jsonl,
    /// Apache Parquet; a row becomes a JSON object.
    Parquet,
    /// One HTML page a file.
    Html,
}

/// How a file's bytes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    None,
    /// One gzip member or many.
    Gzip,
    /// One zstd frame or many.
    Zstd,
}

impl Format {
    /// Every format with the extensions that name it.
    pub const EXTENSIONS: &[(&str, Format)] = &[
        (".warc", Format::Warc),
        (".warc.wet", Format::Wet),
        (".wet", Format::Wet),
        (".warc.wat", Format::Warc),
        (".wat", Format::Warc),
        (".arc", Format::Arc),
        (".jsonl", Format::Jsonl),
        (".ndjson", Format::Jsonl),
        (".json", Format::Jsonl),
        (".parquet", Format::Parquet),
        (".html", Format::Html),
        (".htm", Format::Html),
    ];

    /// What the name of a file says of it: `x.warc.gz` is gzipped WARC. `None` for the format where it says nothing.
    pub fn of_name(name: &str) -> (Option<Format>, Compression) {
        let lower = name.to_ascii_lowercase();
        let (stem, compression) = Compression::of_name(&lower);
        let found = Self::EXTENSIONS.iter().find(|(extension, _)| stem.ends_with(extension));
        (found.map(|&(_, format)| format), compression)
    }

    /// As recipes write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Warc => "warc",
            Self::Arc => "arc",
            Self::Wet => "wet",
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
            Self::Html => "html",
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        use Format::{Arc, Html, Jsonl, Parquet, Warc, Wet};
        [Warc, Arc, Wet, Jsonl, Parquet, Html].into_iter().find(|format| format.name() == text).ok_or_else(
            || format!("unknown format `{text}`; it is one of warc, arc, wet, jsonl, parquet, html"),
        )
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Compression {
    /// The name without the extension of the compression, and the compression.
    pub fn of_name(name: &str) -> (&str, Compression) {
        for (extension, compression) in
            [(".gz", Self::Gzip), (".gzip", Self::Gzip), (".zst", Self::Zstd), (".zstd", Self::Zstd)]
        {
            if let Some(stem) = name.strip_suffix(extension) {
                return (stem, compression);
            }
        }
        (name, Self::None)
    }

    /// What a file's first bytes say of it.
    pub fn of_magic(first: &[u8]) -> Compression {
        match first {
            [0x1f, 0x8b, 8, ..] => Self::Gzip,
            // A zstd frame, or the skippable one that carries a dictionary.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::None,
        }
    }
}

/// Whether slices of such a file can be read apart. Those that cannot give all their records to the slice with byte 0.
///
/// A gzip or zstd file of one member or frame has only one place to enter, so it too falls whole to its first slice.
pub fn splittable(format: Format, compression: Compression) -> bool {
    match (format, compression) {
        (Format::Warc | Format::Wet | Format::Arc, Compression::Gzip | Compression::Zstd) => true,
        // A page inside an archive may itself hold what looks like the start of a record.
        (Format::Warc | Format::Wet | Format::Arc, Compression::None) => false,
        (Format::Jsonl, _) => true,
        (Format::Parquet, _) => true,
        (Format::Html, _) => false,
    }
}

/// Where a record is, the same for every slicing of its file: what identity and resumption are built on.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default, serde::Serialize, serde::Deserialize,
)]
pub struct At {
    /// Byte in the stored file: of the record itself in plain files; of the member, frame or row group that it begins in
    /// otherwise.
    pub offset: u64,
    /// How many items came before it at the same offset.
    pub index: u64,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            0 => write!(f, "{}", self.offset),
            index => write!(f, "{}+{index}", self.offset),
        }
    }
}

/// How large things may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Decoded bytes of a WARC body or an HTML page. Default 20 MiB.
    pub max_body: usize,
    /// Bytes of a line or of a Parquet row as JSON. Default 64 MiB.
    pub max_line: usize,
    /// Bytes of the headers of a record, and again of those of its HTTP response. Default 1 MiB.
    pub max_headers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_body: 20 << 20, max_line: 64 << 20, max_headers: 1 << 20 }
    }
}

/// One thing found in a file, in the order of the file. Everything in it is one of these.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A record of an archive that carries content: `response`, `resource` or `conversion`.
    Warc(Box<WarcRecord>),
    /// A line of UTF-8 (or a row of a table) that should be JSON; the caller parses it.
    Json {
        /// Where it is.
        at: At,
        /// The line without its end.
        line: String,
    },
    /// A file that is one page.
    Html {
        /// Where it is.
        at: At,
        /// The file's name below its input pattern.
        name: String,
        /// The page's bytes, decompressed.
        body: Vec<u8>,
    },
    /// A record of a kind that carries no content: `warcinfo`, `request`, `metadata`, `revisit`, `filedesc`, …; or
    /// `stray_bytes` between records, left over where a record was longer than it said.
    Skipped {
        /// Where it is.
        at: At,
        /// Its type in lower case.
        kind: String,
    },
    /// Bytes that are no record.
    Broken {
        /// Where they begin.
        at: At,
        /// One of [`BROKEN_REASONS`].
        reason: &'static str,
        /// What was met, for people.
        detail: String,
    },
}

impl Item {
    /// Where it is.
    pub fn at(&self) -> At {
        match self {
            Self::Warc(record) => record.at,
            Self::Json { at, .. }
            | Self::Html { at, .. }
            | Self::Skipped { at, .. }
            | Self::Broken { at, .. } => *at,
        }
    }
}

/// Every reason an [`Item::Broken`] gives.
pub const BROKEN_REASONS: &[&str] = &[
    "too_large",       // a body, line, row or header over its limit
    "bad_header",      // the bytes where a record should begin are no record header
    "bad_length",      // Content-Length is missing or impossible
    "bad_compression", // damaged gzip, zstd or Parquet data
    "bad_utf8",        // a line that is not UTF-8
    "truncated",       // the file ends inside a record
];

/// A record of a WARC, WET or ARC file.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct WarcRecord {
    /// Where it is.
    pub at: At,
    /// The record's headers in order and as spelt; those of ARC records under their WARC names.
    pub headers: Vec<(String, String)>,
    /// `WARC-Type` in lower case: `response`, `resource` or `conversion`.
    pub record_type: String,
    /// The head of the HTTP response, where there is one.
    pub http: Option<HttpHead>,
    /// The payload: without HTTP head, transfer and content encodings undone.
    pub body: Vec<u8>,
    /// The payload is cut: the crawler said so (`WARC-Truncated`), or its encoding ended early.
    pub truncated: bool,
    /// The body of the last `warcinfo` record before it.
    pub warcinfo: Option<Arc<str>>,
}

impl WarcRecord {
    /// The first header of that name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

/// The head of an HTTP response.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct HttpHead {
    /// 200, 404, …; 0 where the status line has none.
    pub status: u16,
    /// `OK`, `Not Found`, …; may be empty.
    pub reason: String,
    /// In order and as spelt.
    pub headers: Vec<(String, String)>,
}

impl HttpHead {
    /// The first header of that name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// The records of a file, one after another.
pub trait Records: Send {
    /// The next item; `None` at the end. After an error the reader is done.
    fn next(&mut self) -> Result<Option<Item>, ReadError>;

    /// Takes back a body that is no longer needed, so that the next record need not allocate one.
    fn recycle(&mut self, body: Vec<u8>) {
        drop(body);
    }
}

/// What to open, and how.
#[derive(Clone, Debug)]
pub struct Open {
    /// The name that [`Item::Html`] carries.
    pub name: String,
    /// What the file holds.
    pub format: Format,
    /// Only records in this byte range of the stored file; `None` for all.
    pub slice: Option<Range<u64>>,
    /// Only what comes after this item: how an interrupted reading goes on.
    pub after: Option<At>,
    /// How large things may get.
    pub limits: Limits,
}

impl Open {
    /// All of a file.
    pub fn whole(name: &str, format: Format) -> Self {
        Self { name: name.to_owned(), format, slice: None, after: None, limits: Limits::default() }
    }
}

/// Opens a file for reading. The compression is told by the first bytes, not by the name.
pub fn open(source: Arc<dyn Source>, what: &Open) -> Result<Box<dyn Records>, ReadError> {
    let size = source.size();
    let compression = if what.format == Format::Parquet {
        Compression::None
    } else {
        Compression::of_magic(&source.read_at(0..size.min(8))?)
    };
    let mut slice = what.slice.clone().unwrap_or(0..size);
    slice.end = slice.end.min(size);
    if !splittable(what.format, compression) {
        if slice.start > 0 || slice.end == 0 && size > 0 {
            return Ok(Box::new(Nothing));
        }
        slice.end = size;
    }
    if let Some(after) = what.after {
        slice.start = slice.start.max(after.offset);
    }
    if slice.start >= slice.end && size > 0 {
        return Ok(Box::new(Nothing));
    }
    let records: Box<dyn Records> = match what.format {
        Format::Warc | Format::Wet | Format::Arc => {
            Box::new(archive::Archive::open(source, what.format, compression, slice, what.limits)?)
        }
        Format::Jsonl => Box::new(lines::Lines::open(source, compression, slice, what.limits)?),
        Format::Html => Box::new(html::Page::open(source, compression, &what.name, what.limits)),
        #[cfg(feature = "parquet")]
        Format::Parquet => Box::new(parquet::Rows::open(source, slice, what.limits)?),
        #[cfg(not(feature = "parquet"))]
        Format::Parquet => {
            return Err(crate::error::StoreError::Invalid {
                uri: source.uri().to_owned(),
                why: "this build cannot read Parquet; build with the feature parquet".into(),
            }
            .into());
        }
    };
    Ok(match what.after {
        Some(after) => Box::new(After { records, after }),
        None => records,
    })
}

/// No records: a slice that owns none.
struct Nothing;

impl Records for Nothing {
    fn next(&mut self) -> Result<Option<Item>, ReadError> {
        Ok(None)
    }
}

/// Passes over what was read before.
struct After {
    records: Box<dyn Records>,
    after: At,
}

impl Records for After {
    fn next(&mut self) -> Result<Option<Item>, ReadError> {
        loop {
            match self.records.next()? {
                Some(item) if item.at() <= self.after => {
                    if let Item::Warc(record) = item {
                        self.records.recycle(record.body);
                    }
                }
                other => return Ok(other),
            }
        }
    }

    fn recycle(&mut self, body: Vec<u8>) {
        self.records.recycle(body);
    }
}

#[cfg(test)]
mod tests;
