//! From records to stored bytes, the same bytes every time: no clocks, no machine names, fixed compression levels.
//!
//! [`Writer`] turns rows (JSON text) into JSON lines or Parquet; [`warc::WarcWriter`] packs pages into a WARC. Both write into any
//! [`std::io::Write`], count, and hash what they write.

#[cfg(feature = "parquet")]
mod parquet;
pub mod warc;

use std::io::{self, Write};

use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

use crate::format::Compression;

/// zstd's level: 19 % smaller than gzip -6 on text and written 3.7 times as fast.
const ZSTD_LEVEL: i32 = 3;
/// gzip's level.
const GZIP_LEVEL: u32 = 6;
/// Raw bytes after which a new zstd frame or gzip member begins, at the end of a row: readers can enter the file there.
const FRAME: u64 = 32 << 20;

/// How output files are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Encoding {
    /// One JSON object a line.
    Jsonl(Compression),
    /// Apache Parquet, zstd inside.
    Parquet,
}

impl Encoding {
    /// What file names of it end with.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jsonl(Compression::None) => ".jsonl",
            Self::Jsonl(Compression::Gzip) => ".jsonl.gz",
            Self::Jsonl(Compression::Zstd) => ".jsonl.zst",
            Self::Parquet => ".parquet",
        }
    }
}

/// What was written to a finished file.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Written {
    /// Rows or records.
    pub rows: u64,
    /// Bytes of the rows before compression, newlines included.
    pub raw_bytes: u64,
    /// Stored bytes.
    pub bytes: u64,
    /// SHA-256 of the stored bytes, in lower-case hex.
    pub sha256: String,
}

/// Why rows could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The underlying writer failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A row that is no JSON object.
    #[error("row {row} of this file cannot be written: {why}")]
    Row {
        /// Rows written before it.
        row: u64,
        /// What is wrong with it.
        why: String,
    },
    /// This build cannot write the format.
    #[error("this build cannot write Parquet; build with the feature parquet")]
    Unsupported,
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Push {
    /// It is in the file.
    Written,
    /// It does not fit the columns of this file and was not taken. Finish the file and push the row into a new one that
    /// is made with [`Finished::carry`].
    NextFile,
}

/// What one file hands on to the next: the columns seen so far. Empty for JSON lines.
#[derive(Clone, Debug, Default)]
pub struct Carry {
    #[cfg(feature = "parquet")]
    columns: Option<parquet::Kind>,
}

/// A finished file.
pub struct Finished<W> {
    /// The underlying writer, with everything written to it.
    pub inner: W,
    /// What was written.
    pub written: Written,
    /// For the next file.
    pub carry: Carry,
}

/// Writes rows. See the module.
pub struct Writer<W: Write + Send> {
    rows: u64,
    raw_bytes: u64,
    /// Raw bytes of the current frame.
    frame: u64,
    sink: Sink<HashingWriter<W>>,
}

enum Sink<W: Write + Send> {
    Plain(W),
    Gzip(GzEncoder<W>),
    Zstd(zstd::Encoder<'static, W>),
    #[cfg(feature = "parquet")]
    Parquet(Box<parquet::Rows<W>>),
    /// Between two frames, or after an error.
    None,
}

impl<W: Write + Send> Writer<W> {
    /// Begins a file. `carry` comes from the file before it, or is the default.
    pub fn new(inner: W, encoding: Encoding, carry: Carry) -> Result<Self, WriteError> {
        let inner = HashingWriter::new(inner);
        let sink = match encoding {
            Encoding::Jsonl(compression) => Sink::open(inner, compression)?,
            #[cfg(feature = "parquet")]
            Encoding::Parquet => Sink::Parquet(Box::new(parquet::Rows::new(inner, carry.columns))),
            #[cfg(not(feature = "parquet"))]
            Encoding::Parquet => {
                let _ = carry;
                return Err(WriteError::Unsupported);
            }
        };
        Ok(Self { rows: 0, raw_bytes: 0, frame: 0, sink })
    }

    /// Adds a row: one JSON object, without line breaks.
    pub fn push(&mut self, row: &str) -> Result<Push, WriteError> {
        debug_assert!(!row.contains('\n'), "a row is one line");
        #[cfg(feature = "parquet")]
        if let Sink::Parquet(rows) = &mut self.sink {
            let push = rows.push(row, self.rows)?;
            if push == Push::Written {
                self.count(row);
            }
            return Ok(push);
        }
        if self.frame >= FRAME {
            self.frame = 0;
            self.sink = match std::mem::replace(&mut self.sink, Sink::None) {
                Sink::Gzip(encoder) => Sink::open(encoder.finish()?, Compression::Gzip)?,
                Sink::Zstd(encoder) => Sink::open(encoder.finish()?, Compression::Zstd)?,
                other => other,
            };
        }
        self.sink.write_all(row.as_bytes())?;
        self.sink.write_all(b"\n")?;
        self.count(row);
        Ok(Push::Written)
    }

    fn count(&mut self, row: &str) {
        self.rows += 1;
        self.raw_bytes += row.len() as u64 + 1;
        self.frame += row.len() as u64 + 1;
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes of the rows so far, before compression.
    pub fn raw_bytes(&self) -> u64 {
        self.raw_bytes
    }

    /// Stored bytes so far; what compressors and row groups still hold is not in it.
    pub fn bytes(&self) -> u64 {
        match &self.sink {
            Sink::Plain(inner) => inner.bytes(),
            Sink::Gzip(encoder) => encoder.get_ref().bytes(),
            Sink::Zstd(encoder) => encoder.get_ref().bytes(),
            #[cfg(feature = "parquet")]
            Sink::Parquet(rows) => rows.bytes(),
            Sink::None => 0,
        }
    }

    /// Writes what is held and ends the file. The underlying writer is flushed, not closed.
    pub fn finish(self) -> Result<Finished<W>, WriteError> {
        let mut carry = Carry::default();
        let mut inner = match self.sink {
            Sink::Plain(inner) => inner,
            Sink::Gzip(encoder) => encoder.finish()?,
            Sink::Zstd(encoder) => encoder.finish()?,
            #[cfg(feature = "parquet")]
            Sink::Parquet(rows) => {
                let (inner, columns) = rows.finish()?;
                carry.columns = columns;
                inner
            }
            Sink::None => return Err(io::Error::from(io::ErrorKind::BrokenPipe).into()),
        };
        inner.flush()?;
        let _ = &mut carry;
        let (inner, mut written) = inner.into_parts();
        written.rows = self.rows;
        written.raw_bytes = self.raw_bytes;
        Ok(Finished { inner, written, carry })
    }
}

impl<W: Write + Send> Sink<W> {
    fn open(inner: W, compression: Compression) -> io::Result<Self> {
        Ok(match compression {
            Compression::None => Self::Plain(inner),
            // Without a name and a time in its header.
            Compression::Gzip => Self::Gzip(GzEncoder::new(inner, flate2::Compression::new(GZIP_LEVEL))),
            Compression::Zstd => {
                let mut encoder = zstd::Encoder::new(inner, ZSTD_LEVEL)?;
                encoder.include_checksum(true)?;
                Self::Zstd(encoder)
            }
        })
    }

    fn write_all(&mut self, data: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(inner) => inner.write_all(data),
            Self::Gzip(encoder) => encoder.write_all(data),
            Self::Zstd(encoder) => encoder.write_all(data),
            #[cfg(feature = "parquet")]
            Self::Parquet(_) => Err(io::ErrorKind::Unsupported.into()),
            Self::None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

/// Counts and hashes what passes through.
pub struct HashingWriter<W> {
    inner: W,
    bytes: u64,
    hash: Sha256,
}

impl<W: Write> HashingWriter<W> {
    /// Passes everything on to `inner`.
    pub fn new(inner: W) -> Self {
        Self { inner, bytes: 0, hash: Sha256::new() }
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The inner writer and what it got; rows are not known here and are 0.
    pub fn into_parts(self) -> (W, Written) {
        let sha256 = hex::encode(self.hash.finalize());
        (self.inner, Written { rows: 0, raw_bytes: self.bytes, bytes: self.bytes, sha256 })
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(data)?;
        self.bytes += n as u64;
        self.hash.update(&data[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests;
