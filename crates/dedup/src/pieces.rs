//! Parts of documents as units of exact deduplication: `paragraph_dedup` and `line_dedup`.
//!
//! Global deduplication of lines needs nothing of its own: a shard's pieces are numbered through all its documents in
//! stored order, and that number takes the ordinal's place in key files, buckets and drop lists. The pass that filters
//! counts the pieces again in the same way ([`Pieces::each`]) and leaves out those that the drop list names
//! ([`Pieces::without`]). With the record id and the piece's place in the document as note ([`rank`]) the survivor is the
//! first occurrence in the document with the smallest record id.
//!
//! The practice is CCNet's (arXiv 1911.00359: paragraphs, hashed after [`ccnet`](crate::exact::ccnet) normalisation)
//! and RefinedWeb's and C4's (lines, or spans of them).

use crate::exact::{self, Normalizer};

/// What a text is cut into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Piece {
    /// Lines, at each "\n".
    #[default]
    Line,
    /// Paragraphs, at each "\n\n".
    Paragraph,
}

/// How pieces are cut and told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pieces {
    /// What a piece is.
    pub piece: Piece,
    /// What is done to a piece before it is hashed.
    pub normalizer: Normalizer,
    /// Pieces with fewer characters, white space at both ends not counted, have no key and stay. Blank pieces never have one.
    pub min_chars: usize,
    /// Seed of the keys.
    pub seed: u64,
}

impl Pieces {
    fn separator(&self) -> &'static str {
        match self.piece {
            Piece::Line => "\n",
            Piece::Paragraph => "\n\n",
        }
    }

    /// Calls `take` with every piece of `text` in order and its key, if it has one. Returns the number of pieces (at
    /// least one), by which the shard's count goes on.
    pub fn each(&self, text: &str, mut take: impl FnMut(&str, Option<u128>)) -> u32 {
        let mut count = 0;
        for piece in text.split(self.separator()) {
            let chars = piece.trim().chars().take(self.min_chars.max(1)).count();
            let key = (chars >= self.min_chars.max(1)).then(|| exact::key(piece, self.normalizer, self.seed));
            take(piece, key);
            count += 1;
        }
        count
    }

    /// `text` without the pieces for whose place `gone` says yes. The pieces that stay are joined by one separator.
    pub fn without(&self, text: &str, gone: impl Fn(u32) -> bool) -> String {
        let kept = (0..).zip(text.split(self.separator())).filter(|(place, _)| !gone(*place));
        let kept: Vec<&str> = kept.map(|(_, piece)| piece).collect();
        kept.join(self.separator())
    }
}

/// Writes a piece's note: the record id of its document and its place there.
pub fn rank(id: &[u8], place: u32, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(id);
    // No record id continues another one by a zero byte, so that places are only compared within a document.
    out.push(0);
    out.extend_from_slice(&place.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_with_enough_characters_have_keys() {
        let lines =
            Pieces { min_chars: 3, normalizer: Normalizer::WhitespaceAndLowercase, ..Pieces::default() };
        for (text, expected) in [
            ("", &[false][..]),
            ("abc", &[true]),
            ("ab \n ABC\n\n  \nééé", &[false, true, false, false, true]),
        ] {
            let mut got = Vec::new();
            let count = lines.each(text, |_, key| got.push(key.is_some()));
            assert_eq!(got, expected, "{text:?}");
            assert_eq!(count as usize, got.len());
        }
        let mut keys = Vec::new();
        lines.each("Abc\n abc \nabd", |_, key| keys.push(key));
        assert_eq!(keys[0], keys[1]);
        assert_ne!(keys[0], keys[2]);
        let any = Pieces { min_chars: 0, ..lines };
        any.each("\n \nx", |piece, key| assert_eq!(key.is_some(), piece == "x"));
    }

    #[test]
    fn dropped_pieces_go_with_one_separator() {
        for (piece, text, gone, expected) in [
            (Piece::Line, "a\nb\nc", vec![1], "a\nc"),
            (Piece::Line, "a\nb\nc", vec![0, 2], "b"),
            (Piece::Line, "a\n\nc", vec![0], "\nc"),
            (Piece::Line, "a", vec![0], ""),
            (Piece::Line, "a\nb", vec![], "a\nb"),
            (Piece::Paragraph, "a\nb\n\nc\n\nd", vec![1], "a\nb\n\nd"),
        ] {
            let pieces = Pieces { piece, ..Pieces::default() };
            assert_eq!(pieces.without(text, |place| gone.contains(&place)), expected, "{text:?}");
        }
    }

    #[test]
    fn ranks_compare_ids_first() {
        let rank = |id: &str, place| {
            let mut out = Vec::new();
            super::rank(id.as_bytes(), place, &mut out);
            out
        };
        assert!([rank("a", 0), rank("a", 1), rank("a", 256), rank("a1", 0), rank("b", 0)].is_sorted());
    }
}
