//! Looking up all pieces that a text starts with.

use std::collections::VecDeque;

use super::LoadError;

/// A trie over bytes. Nodes are numbered level by level, so that the children of one stand together, in the order of their bytes, and end
/// where those of the next begin.
pub(super) struct Trie {
    /// By node: the byte that leads to it.
    labels: Vec<u8>,
    /// By node: its first child; one more for the end of the last.
    first_child: Vec<u32>,
    /// By node: the number of the piece that ends in it, or [`NO_PIECE`].
    pieces: Vec<u32>,
}

const NO_PIECE: u32 = u32::MAX;

impl Trie {
    /// A trie over distinct pieces, none of them empty.
    pub(super) fn new(mut pieces: Vec<(&[u8], u32)>) -> Result<Self, LoadError> {
        pieces.sort_unstable();
        if let Some((twice, _)) = pieces.array_windows().find_map(|[(a, _), b]| (*a == b.0).then_some(*b)) {
            let problem = format!("it has the piece {:?} twice", String::from_utf8_lossy(twice));
            return Err(LoadError(problem));
        }
        let mut trie = Self { labels: vec![0], first_child: Vec::new(), pieces: Vec::new() };
        // For each node to come, those of the sorted pieces that go through it, and how many of their bytes lead to it.
        let mut nodes = VecDeque::from([(&pieces[..], 0)]);
        while let Some((mut below, depth)) = nodes.pop_front() {
            trie.first_child.push(trie.labels.len() as u32);
            let mut ends_here = NO_PIECE;
            if let Some(((piece, number), longer)) = below.split_first()
                && piece.len() == depth
            {
                (ends_here, below) = (*number, longer);
            }
            trie.pieces.push(ends_here);
            let next = |piece: &(&[u8], u32)| piece.0.get(depth).copied().unwrap_or_default();
            for child in below.chunk_by(|a, b| next(a) == next(b)) {
                trie.labels.push(child.first().map(next).unwrap_or_default());
                nodes.push_back((child, depth + 1));
            }
        }
        trie.first_child.push(trie.labels.len() as u32);
        Ok(trie)
    }

    /// Calls `found` with the length and the number of every piece that the text starts with, the shortest first.
    #[inline]
    pub(super) fn prefixes(&self, text: &[u8], mut found: impl FnMut(usize, u32)) {
        let mut node = 0_usize;
        for (at, byte) in text.iter().enumerate() {
            let Some(&[first, end]) = self.first_child.get(node..node + 2) else { return };
            let (first, end) = (first as usize, end as usize);
            let children = self.labels.get(first..end).unwrap_or_default();
            let Ok(child) = children.binary_search(byte) else { return };
            node = first + child;
            match self.pieces.get(node) {
                Some(&piece) if piece != NO_PIECE => found(at + 1, piece),
                _ => {}
            }
        }
    }

    /// The longest piece that the text starts with.
    pub(super) fn longest(&self, text: &[u8]) -> Option<usize> {
        let mut longest = None;
        self.prefixes(text, |length, _| longest = Some(length));
        longest
    }

    /// The number of a piece.
    pub(super) fn get(&self, piece: &[u8]) -> Option<u32> {
        let mut number = None;
        self.prefixes(piece, |length, found| number = (length == piece.len()).then_some(found));
        number
    }
}
