//! The n-grams of texts, hashed, and how they are stored until the filter is asked.
//!
//! A document is its ordinal, the number of its pieces, and each piece as twice the number of its n-grams (LEB128; one more if
//! the piece is white space) and their hashes, 64 bits each.

use std::io::Read;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{Params, each_range};
use crate::Error;
use crate::block::put_varint;
use crate::sections::Reader;
use crate::shingle::Window;
use crate::tokens::each_token;

/// Cuts texts into pieces and hashes their n-grams, with buffers that are used again.
pub struct Grams {
    params: Params,
    seed: u64,
    window: Window,
    hashes: Vec<u64>,
    pieces: Vec<u8>,
}

impl Grams {
    /// For a filter of this seed.
    pub fn new(params: Params, seed: u64) -> Result<Self, Error> {
        params.check()?;
        let window = Window::new(params.max_ngram_size);
        Ok(Self { params, seed, window, hashes: Vec::new(), pieces: Vec::new() })
    }

    /// Calls `take` with every piece and the hashes of its n-grams.
    pub(super) fn each(&mut self, text: &str, mut take: impl FnMut(&str, &[u64])) {
        each_range(text, self.params.mode, |start, end| {
            let piece = text.get(start..end).unwrap_or_default();
            self.hash(piece);
            take(piece, &self.hashes);
        });
    }

    /// Adds the document at `ordinal` to `out`, and says how many n-grams it has: their sum over a group is what
    /// [`Size::for_items`](crate::bloom::Size::for_items) wants.
    pub fn encode(&mut self, ordinal: u32, text: &str, out: &mut Vec<u8>) -> u64 {
        let mut coded = std::mem::take(&mut self.pieces);
        coded.clear();
        let (mut pieces, mut ngrams) = (0, 0);
        self.each(text, |piece, hashes| {
            put_varint(&mut coded, 2 * hashes.len() as u64 + u64::from(piece.trim().is_empty()));
            for hash in hashes {
                coded.extend_from_slice(&hash.to_le_bytes());
            }
            pieces += 1;
            ngrams += hashes.len() as u64;
        });
        put_varint(out, u64::from(ordinal));
        put_varint(out, pieces);
        out.extend_from_slice(&coded);
        self.pieces = coded;
        ngrams
    }

    fn hash(&mut self, piece: &str) {
        self.hashes.clear();
        self.window.reset();
        let (seed, window, hashes) = (self.seed, &mut self.window, &mut self.hashes);
        each_token(piece, |token| window.push(xxh3_64_with_seed(token.as_bytes(), seed), hashes));
        if self.window.seen() >= self.params.min_ngram_size {
            self.window.finish(&mut self.hashes);
        }
    }
}

/// Reads a document: calls `take` with the hashes of every piece, and whether it is white space. Gives its ordinal.
pub(super) fn each_piece(
    rows: &mut Reader<impl Read>,
    hashes: &mut Vec<u64>,
    mut take: impl FnMut(&[u64], bool),
) -> Result<u32, Error> {
    let ordinal = rows.varint()?;
    let ordinal = u32::try_from(ordinal).map_err(|_| rows.corrupt("an ordinal of more than 32 bits"))?;
    for _ in 0..rows.varint()? {
        let head = rows.varint()?;
        hashes.clear();
        rows.numbers(head / 2, hashes)?;
        take(hashes, head % 2 == 1);
    }
    Ok(ordinal)
}
