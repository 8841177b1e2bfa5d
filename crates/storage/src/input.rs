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
//! when it is moved. Where two inputs would get one name, both take their whole location as name. A file that several patterns
//! mean is one input, as the first of them has it.
//!
//! **Memory** is bounded, whatever the number of files: patterns are walked page by page (`walk`), what is found is asked for
//! its size in chunks (`measure`), sorted through scratch files (`sort`), and read back from one ([`Listing`]).

mod list_file;
mod listing;
mod measure;
mod sort;
mod walk;

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::error::{Kind, StoreError};
use crate::format::{Compression, Format};
use crate::store::Meta;
use crate::stores::Stores;
use crate::uri::{Uri, UriError};

pub use list_file::COMMON_CRAWL;
pub use listing::{Inputs, Kind as InputKind, Listing};

use listing::Builder;

/// Files that are measured together.
const CHUNK: usize = 50_000;

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

/// What a user writes to name files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// See the module.
    pub text: String,
    /// What the files hold, whatever their names say. With it, a list is no list but a file to be read.
    pub format: Option<Format>,
}

impl From<&str> for Pattern {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), format: None }
    }
}

/// Says whether a location may be read. It is asked of every file before the file is looked at, on a thread that may block.
pub type Guard = Arc<dyn Fn(&Uri) -> Result<(), Refusal> + Send + Sync>;

/// Why a [`Guard`] said no.
pub type Refusal = Box<dyn std::error::Error + Send + Sync>;

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
    /// A file that may not be read.
    #[error("{0}")]
    Refused(Refusal),
    /// The scratch files of a large listing.
    #[error(
        "the listing cannot be sorted in the scratch folder: {0}; free some space there, or name another folder"
    )]
    Scratch(#[from] io::Error),
    /// Nobody waits for the answer any more.
    #[error("the listing was given up")]
    GivenUp,
}

impl InputError {
    /// What to do about it: all but some of the store's answers need another request.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Empty { .. } => Kind::NotFound,
            Self::Refused(_) => Kind::Denied,
            Self::Scratch(_) | Self::GivenUp => Kind::Retry,
            _ => Kind::Invalid,
        }
    }
}

fn extensions() -> String {
    let known: BTreeSet<&str> = Format::EXTENSIONS.iter().map(|&(extension, _)| extension).collect();
    let known: Vec<&str> = known.into_iter().collect();
    format!("known: {}, each also with .gz or .zst", known.join(" "))
}

/// A location without its scheme and leading slashes.
fn bare(uri: &str) -> &str {
    uri.split_once("://").map_or(uri, |(_, rest)| rest).trim_start_matches('/')
}

/// Lists inputs.
#[derive(Clone)]
pub struct Lister {
    stores: Stores,
    scratch: PathBuf,
    guard: Option<Guard>,
    buffer: usize,
}

impl Lister {
    /// Sorts in the folder for temporary files, and reads what it is asked to.
    pub fn new(stores: &Stores) -> Self {
        Self { stores: stores.clone(), scratch: std::env::temp_dir(), guard: None, buffer: sort::BUFFER }
    }

    /// Sorts in another folder.
    #[must_use]
    pub fn scratch(mut self, folder: impl Into<PathBuf>) -> Self {
        self.scratch = folder.into();
        self
    }

    /// Looks at nothing that `guard` refuses.
    #[must_use]
    pub fn guard(mut self, guard: Guard) -> Self {
        self.guard = Some(guard);
        self
    }

    /// All files that the patterns mean. Dropping the future gives the work up and leaves nothing behind.
    pub async fn list(&self, patterns: &[Pattern]) -> Result<Listing, InputError> {
        let (chunks, received) = mpsc::channel(1);
        let (answer, listing) = oneshot::channel();
        let builder = Builder::new(&self.scratch, self.buffer);
        // Sorting blocks, and has its own thread.
        let sorting = tokio::task::spawn_blocking(move || sort_chunks(builder, received, answer));
        let walked = self.walk_all(patterns, chunks).await;
        // Where the sorting failed, the walk only says that nobody listens.
        match (walked, listing.await) {
            (Err(error), _) if !matches!(error, InputError::GivenUp) => Err(error),
            (_, Ok(listing)) => listing,
            (_, Err(_)) => match sorting.await {
                Err(panic) => Err(InputError::Scratch(io::Error::other(panic))),
                Ok(()) => Err(InputError::GivenUp),
            },
        }
    }

    async fn walk_all(&self, patterns: &[Pattern], chunks: mpsc::Sender<Chunk>) -> Result<(), InputError> {
        let mut finds = Finds { lister: self, chunks, pattern: 0, format: None, found: Vec::new() };
        for (number, pattern) in patterns.iter().enumerate() {
            (finds.pattern, finds.format) = (number, pattern.format);
            walk::walk(&self.stores, pattern, &mut finds).await?;
            finds.flush().await?;
        }
        finds.chunks.send(Chunk::End).await.map_err(|_| InputError::GivenUp)
    }
}

/// What the walk tells the sorting.
enum Chunk {
    Inputs(usize, Vec<Input>),
    /// The walk came to its end; a channel that closes without it was given up.
    End,
}

fn sort_chunks(
    mut builder: Builder,
    mut chunks: mpsc::Receiver<Chunk>,
    answer: oneshot::Sender<Result<Listing, InputError>>,
) {
    let listing = loop {
        match chunks.blocking_recv() {
            None => return,
            Some(Chunk::End) => break builder.finish(&|| answer.is_closed()),
            Some(Chunk::Inputs(pattern, inputs)) => {
                let pushed: Result<(), InputError> =
                    inputs.into_iter().try_for_each(|input| builder.push(pattern, input));
                if let Err(error) = pushed {
                    drop(chunks);
                    break Err(error);
                }
            }
        }
    };
    let _ = answer.send(listing);
}

/// A location that a pattern led to, not yet looked at or just listed.
struct Found {
    uri: Uri,
    name: String,
    meta: Option<Meta>,
}

/// Takes what one pattern after the other leads to, and hands it on in chunks, measured.
struct Finds<'a> {
    lister: &'a Lister,
    chunks: mpsc::Sender<Chunk>,
    pattern: usize,
    format: Option<Format>,
    found: Vec<Found>,
}

impl Finds<'_> {
    async fn push(&mut self, found: Found) -> Result<(), InputError> {
        self.found.push(found);
        if self.found.len() >= CHUNK { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), InputError> {
        let mut found = std::mem::take(&mut self.found);
        if let Some(guard) = self.lister.guard.clone() {
            let checked = tokio::task::spawn_blocking(move || {
                let refused = found.iter().find_map(|one| guard(&one.uri).err());
                refused.map_or(Ok(found), Err)
            });
            let checked = checked.await.map_err(|panic| InputError::Scratch(io::Error::other(panic)))?;
            found = checked.map_err(InputError::Refused)?;
        }
        measure::measure(&self.lister.stores, &mut found).await?;
        let mut inputs = Vec::with_capacity(found.len());
        for Found { uri, name, meta } in found {
            let Some(Meta { size, tag, .. }) = meta else { continue };
            let (by_name, compression) = Format::of_name(uri.file_name());
            let uri = uri.to_string();
            let Some(format) = self.format.or(by_name) else { return Err(InputError::UnknownFormat { uri }) };
            inputs.push(Input { uri, name, size, tag, format, compression });
        }
        self.chunks.send(Chunk::Inputs(self.pattern, inputs)).await.map_err(|_| InputError::GivenUp)
    }
}

#[cfg(test)]
mod tests;
