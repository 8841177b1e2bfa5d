//! The files that patterns mean, in order, however many there are.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::sort::{Row, Sorted, Sorter, Stored, StoredRows, StoredWriter};
use super::{Input, InputError, bare};
use crate::format::{Compression, Format};

/// A list of files, each once, by name and location; small ones in memory, large ones in a scratch file. Clones are cheap
/// and share it.
///
/// Where several files would have one name, each has its whole location as name instead, but keeps its place.
#[derive(Clone)]
pub struct Listing(Arc<Inner>);

struct Inner {
    files: Files,
    count: u64,
    bytes: u64,
    kinds: BTreeMap<(Format, Compression), Kind>,
    sha256: String,
}

enum Files {
    Memory(Vec<Input>),
    Stored(Stored<Input>),
}

/// The files of one format and compression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The location of the first.
    pub first: String,
    /// How many there are.
    pub files: u64,
    /// Their stored bytes.
    pub bytes: u64,
}

impl Listing {
    /// The listing of known files.
    pub fn new(inputs: Vec<Input>) -> Result<Self, InputError> {
        // Of a size that fits its buffer, it is not stored.
        let mut builder = Builder::new(Path::new("."), usize::MAX);
        for input in inputs {
            builder.push(0, input)?;
        }
        builder.finish(&|| false)
    }

    /// How many files there are.
    pub fn files(&self) -> u64 {
        self.0.count
    }

    /// Their stored bytes.
    pub fn bytes(&self) -> u64 {
        self.0.bytes
    }

    /// What there is of each kind.
    pub fn kinds(&self) -> &BTreeMap<(Format, Compression), Kind> {
        &self.0.kinds
    }

    /// A digest of all entries in order: another file, size, version, name or format gives another.
    pub fn sha256(&self) -> &str {
        &self.0.sha256
    }

    /// The files in order, from the first, as often as one likes.
    pub fn inputs(&self) -> Result<Inputs<'_>, InputError> {
        Ok(Inputs(match &self.0.files {
            Files::Memory(inputs) => Entries::Memory(inputs.iter()),
            Files::Stored(stored) => Entries::Stored(Box::new(stored.rows()?)),
        }))
    }

    #[cfg(test)]
    pub(super) fn is_in_memory(&self) -> bool {
        matches!(self.0.files, Files::Memory(_))
    }
}

impl std::fmt::Debug for Listing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Inner { count, bytes, sha256, .. } = &*self.0;
        f.debug_struct("Listing").field("files", count).field("bytes", bytes).field("sha256", sha256).finish()
    }
}

/// The files of a [`Listing`].
pub struct Inputs<'a>(Entries<'a>);

enum Entries<'a> {
    Memory(std::slice::Iter<'a, Input>),
    Stored(Box<StoredRows<Input>>),
}

impl Iterator for Inputs<'_> {
    type Item = Result<Input, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Entries::Memory(inputs) => inputs.next().cloned().map(Ok),
            Entries::Stored(rows) => rows.next().map(|row| row.map_err(InputError::from)),
        }
    }
}

/// A file as one pattern found it. Of several finds of one file the first pattern's counts.
#[derive(Serialize, Deserialize)]
struct Find {
    pattern: usize,
    input: Input,
}

impl Row for Find {
    type Key<'a> = (&'a str, usize, &'a str);

    fn key(&self) -> Self::Key<'_> {
        (&self.input.uri, self.pattern, &self.input.name)
    }

    fn weight(&self) -> usize {
        self.input.weight()
    }
}

impl Row for Input {
    type Key<'a> = (&'a str, &'a str);

    fn key(&self) -> Self::Key<'_> {
        (&self.name, &self.uri)
    }

    fn weight(&self) -> usize {
        // The allocator adds some bytes to each string.
        size_of::<Find>() + self.uri.len() + self.name.len() + self.tag.len() + 3 * 16
    }
}

/// Makes a [`Listing`] of files in any order: sorted by location, each is kept once; sorted by name, they are counted.
pub(super) struct Builder {
    scratch: std::path::PathBuf,
    buffer: usize,
    finds: Sorter<Find>,
}

/// How many rows are worked on between two looks at whether anybody still waits.
const LOOK_EVERY: u64 = 10_000;

impl Builder {
    pub(super) fn new(scratch: &Path, buffer: usize) -> Self {
        Self { scratch: scratch.to_owned(), buffer, finds: Sorter::new(scratch, buffer) }
    }

    /// Adds what pattern number `pattern` found.
    pub(super) fn push(&mut self, pattern: usize, input: Input) -> Result<(), InputError> {
        Ok(self.finds.push(Find { pattern, input })?)
    }

    /// The listing; an error once `given_up` says that nobody waits for it.
    pub(super) fn finish(self, given_up: &dyn Fn() -> bool) -> Result<Listing, InputError> {
        let mut looked_at = 0;
        let mut look = || {
            looked_at += 1;
            if looked_at % LOOK_EVERY == 0 && given_up() { Err(InputError::GivenUp) } else { Ok(()) }
        };
        let mut by_name = Sorter::new(&self.scratch, self.buffer);
        let mut last = None;
        for find in self.finds.finish()? {
            let Find { input, .. } = find?;
            look()?;
            if last.as_ref() != Some(&input.uri) {
                last = Some(input.uri.clone());
                by_name.push(input)?;
            }
        }
        let sorted = by_name.finish()?;
        let in_memory = sorted.is_in_memory();
        let mut summary = Summary::default();
        let inputs = UniqueNames { sorted, held: None, is_shared: false }.map(|input| {
            let input = input?;
            look()?;
            summary.add(&input);
            Ok::<_, InputError>(input)
        });
        let files = if in_memory {
            Files::Memory(inputs.collect::<Result<_, _>>()?)
        } else {
            let mut stored = StoredWriter::new(&self.scratch)?;
            for input in inputs {
                stored.push(&input?)?;
            }
            Files::Stored(stored.finish()?)
        };
        let Summary { count, bytes, kinds, hash } = summary;
        Ok(Listing(Arc::new(Inner { files, count, bytes, kinds, sha256: hex::encode(hash.finalize()) })))
    }
}

#[derive(Default)]
struct Summary {
    count: u64,
    bytes: u64,
    kinds: BTreeMap<(Format, Compression), Kind>,
    hash: Sha256,
}

impl Summary {
    fn add(&mut self, input: &Input) {
        let Input { uri, name, size, tag, format, compression } = input;
        self.count += 1;
        self.bytes = self.bytes.saturating_add(*size);
        let kind = self.kinds.entry((*format, *compression)).or_insert_with(|| Kind {
            first: uri.clone(),
            files: 0,
            bytes: 0,
        });
        kind.files += 1;
        kind.bytes = kind.bytes.saturating_add(*size);
        for part in [uri.as_str(), name, tag, format.name()] {
            self.hash.update((part.len() as u64).to_le_bytes());
            self.hash.update(part.as_bytes());
        }
        self.hash.update(size.to_le_bytes());
    }
}

/// Gives files that share a name their location as name.
struct UniqueNames {
    sorted: Sorted<Input>,
    held: Option<Input>,
    /// Whether the one that is held has the name of the one before.
    is_shared: bool,
}

impl Iterator for UniqueNames {
    type Item = std::io::Result<Input>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.held.is_none() {
            match self.sorted.next()? {
                Ok(first) => self.held = Some(first),
                Err(error) => return Some(Err(error)),
            }
        }
        let mut this = self.held.take()?;
        let next = match self.sorted.next().transpose() {
            Ok(next) => next,
            Err(error) => return Some(Err(error)),
        };
        let next_shares = next.as_ref().is_some_and(|next| next.name == this.name);
        if self.is_shared || next_shares {
            bare(&this.uri).clone_into(&mut this.name);
        }
        self.is_shared = next_shares;
        self.held = next;
        Some(Ok(this))
    }
}
