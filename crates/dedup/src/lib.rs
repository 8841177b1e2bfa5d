//! Deduplication: the algorithms and the file formats, without storage, threads or clock.
//!
//! ```text
//! text ── shingle ── minhash ──┐                                        ┌─ components ── droplist
//!                              ├─ keyfile ══ bucket ── edges (sort) ────┤
//! text, url ───── exact ───────┘  (one per    (key range of             └─ (exact: survivor, duplicate)
//!                                  map task)   all key files)
//! text ── bff: paragraphs and documents against a Bloom filter, in record order
//! ```
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
pub mod keyfile;
pub mod minhash;
pub mod pieces;
pub mod rowfile;
pub mod sets;
pub mod shingle;
pub mod sort;
pub mod stream;
pub mod survivor;
pub mod tokens;
pub mod verify;

pub use error::Error;
