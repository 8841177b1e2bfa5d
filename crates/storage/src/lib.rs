//! Object storage and record formats: bytes in, records out, and back. Knows records, never documents.
//!
//! - [`uri`], [`store`], [`stores`]: where objects lie and the one trait to reach them (files, memory, S3, https).
//! - [`blocking`]: the bridge between stores, which are async, and the CPU lanes, which are plain threads.
//! - [`input`]: from the patterns a user writes to the list of input files.
//! - [`format`]: reading WARC, ARC, WET, JSON lines, Parquet and HTML, whole or by byte range.
//! - [`write`]: writing JSON lines, Parquet and WARC, deterministically.
//!
//! Two rules hold everywhere: memory is bounded whatever the bytes say, and bad bytes are records
//! ([`Item::Broken`]), not errors.
#![forbid(unsafe_code)]

pub mod blocking;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod error;
pub mod fault;
pub mod format;
pub mod input;
pub mod meter;
mod metrics;
pub mod retry;
pub mod store;
pub mod stores;
pub mod uri;
pub mod write;

pub use blocking::{BlockingReader, BlockingWriter};
pub use error::{Kind, ReadError, StoreError};
pub use format::source::{BytesSource, PathSource, Source, StoreSource};
pub use format::{
    At, Compression, Format, HttpHead, Item, Limits, Open, Records, WarcRecord, open, splittable,
};
pub use input::{Guard, Input, InputError, Lister, Listing, Pattern};
pub use store::file::FileStore;
pub use store::memory::MemoryStore;
pub use store::{ByteStream, Created, Entry, Meta, Page, Store, Upload, list};
pub use stores::{Credentials, RetrySettings, S3Settings, Settings, Stores};
pub use uri::{Uri, UriError};
pub use write::{Carry, Encoding, Finished, HashingWriter, Push, WriteError, Writer, Written};
