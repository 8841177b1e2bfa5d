//! Deduplication: the algorithms and the file formats, without storage, threads or clock.
//!
//! ```text
//! text ── shingle ── minhash ──┐                                           ┌─ components ─ survivor ─┐
//! text ── substring ───────────┼─ keyfile ═══ bucket ─── edges ─ (verify) ─┤                         ├─ droplist
//! text, url ── exact, pieces ──┘  (one per     (key range    (sorted       └─ (exact: survivor known)┘
//!                                  map task)    of all files)  pairs)
//! text ── shingle ── sets ── verify    exact similarity of candidates, without the texts
//! text ── bff ═══ bloom                 paragraphs and documents against a filter, in record order
//! ```
//!
//! [`stream`], [`block`], [`sort`] and [`rowfile`] are what the files have in common: sorted rows, their bytes, the
//! external sort and the merge.
//!
//! A document inside a job is a node: shard << 32 | ordinal ([`keyfile::node`]). Everything is deterministic:
//! seeds are parameters, ties are broken by stated rules, and nothing depends on who wrote a row or when.

pub mod bff;
pub mod block;
pub mod bloom;
pub mod bucket;
pub mod components;
pub mod droplist;
pub mod edges;
mod error;
pub mod exact;
pub mod finding;
pub mod keyfile;
pub mod minhash;
pub mod order;
pub mod pieces;
pub mod rowfile;
pub mod sections;
pub mod sets;
pub mod shingle;
pub mod sort;
pub mod stream;
pub mod substring;
pub mod survivor;
pub mod tokens;
pub mod verify;

pub use error::Error;
