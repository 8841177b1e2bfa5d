//! What happens to a text before it is cut (src/normalizer.cc): characters are replaced by a table that the model brings, blanks are squeezed
//! and written as `▁`.
//!
//! The table is a double array of Darts (third_party/darts_clone/darts.h): from the longest match to a place in a list of replacements, each of
//! which a zero ends.

use super::LoadError;
use super::proto::ModelProto;
use super::trie::Trie;

pub(super) struct Normalizer {
    units: Vec<Unit>,
    replacements: Vec<u8>,
    add_dummy_prefix: bool,
    remove_extra_whitespaces: bool,
    escape_whitespaces: bool,
    treat_whitespace_as_suffix: bool,
}

/// An element of the double array.
#[derive(Clone, Copy)]
struct Unit(u32);

const SPACE_SYMBOL: &[u8] = "▁".as_bytes();

impl Normalizer {
    pub(super) fn new(model: &ModelProto) -> Result<Self, LoadError> {
        let spec = &model.normalizer;
        let (mut units, mut replacements) = (Vec::new(), Vec::new());
        if !spec.precompiled_charsmap.is_empty() {
            let damaged = || LoadError::new("its table of characters is damaged");
            let (size, rest) = spec.precompiled_charsmap.split_first_chunk().ok_or_else(damaged)?;
            let size = u32::from_le_bytes(*size) as usize;
            if size < 1024 || !size.is_multiple_of(1024) {
                return Err(damaged());
            }
            let (array, list) = rest.split_at_checked(size).ok_or_else(damaged)?;
            if list.last() != Some(&0) {
                return Err(damaged());
            }
            units = array.as_chunks().0.iter().map(|unit| Unit(u32::from_le_bytes(*unit))).collect();
            replacements = list.to_vec();
        }
        Ok(Self {
            units,
            replacements,
            add_dummy_prefix: spec.add_dummy_prefix,
            remove_extra_whitespaces: spec.remove_extra_whitespaces,
            escape_whitespaces: spec.escape_whitespaces,
            treat_whitespace_as_suffix: model.trainer.treat_whitespace_as_suffix,
        })
    }

    /// Writes the normalised text to `out`. User-defined pieces stay as they are.
    pub(super) fn normalize(&self, text: &str, user_defined: Option<&Trie>, out: &mut Vec<u8>) {
        out.clear();
        let space = if self.escape_whitespaces { SPACE_SYMBOL } else { b" " };
        let mut rest = text;
        if self.remove_extra_whitespaces {
            while let (b" ", after) = self.step(rest, user_defined)
                && !rest.is_empty()
            {
                rest = after;
            }
        }
        if rest.is_empty() {
            return;
        }
        if self.add_dummy_prefix && !self.treat_whitespace_as_suffix {
            out.extend(space);
        }
        let mut is_after_space = self.remove_extra_whitespaces;
        while !rest.is_empty() {
            let (mut part, after) = self.step(rest, user_defined);
            while is_after_space && let Some(shorter) = part.strip_prefix(b" ") {
                part = shorter;
            }
            if !part.is_empty() {
                for byte in part {
                    match byte {
                        b' ' => out.extend(space),
                        byte => out.push(*byte),
                    }
                }
                is_after_space = part.ends_with(b" ");
            }
            is_after_space &= self.remove_extra_whitespaces;
            rest = after;
        }
        if self.remove_extra_whitespaces {
            while out.ends_with(space) {
                out.truncate(out.len() - space.len());
            }
        }
        if self.add_dummy_prefix && self.treat_whitespace_as_suffix {
            out.extend(space);
        }
    }

    /// What the text's first characters become, and the text behind them.
    fn step<'s>(&'s self, text: &'s str, user_defined: Option<&Trie>) -> (&'s [u8], &'s str) {
        let unchanged = |length: usize| {
            let (part, after) = text.split_at_checked(length).unwrap_or((text, ""));
            (part.as_bytes(), after)
        };
        if let Some(length) = user_defined.and_then(|trie| trie.longest(text.as_bytes())) {
            return unchanged(length);
        }
        let replacement = self.longest_match(text.as_bytes()).and_then(|(length, place)| {
            let list = self.replacements.get(place..)?;
            let end = memchr::memchr(0, list)?;
            Some((list.get(..end)?, text.get(length..)?))
        });
        replacement.unwrap_or_else(|| unchanged(text.chars().next().map_or(0, char::len_utf8)))
    }

    /// The longest entry of the table that the text starts with, and its value.
    fn longest_match(&self, text: &[u8]) -> Option<(usize, usize)> {
        let mut longest = None;
        let mut at = self.units.first()?.offset();
        for (length, byte) in (1..).zip(text) {
            at ^= u32::from(*byte);
            let Some(unit) = self.units.get(at as usize) else { break };
            if unit.label() != u32::from(*byte) {
                break;
            }
            at ^= unit.offset();
            if unit.has_leaf() {
                longest = self.units.get(at as usize).map(|leaf| (length, leaf.value()));
            }
        }
        longest
    }
}

impl Unit {
    /// Whether an entry ends here.
    fn has_leaf(self) -> bool {
        self.0 >> 8 & 1 == 1
    }

    /// Of a leaf.
    fn value(self) -> usize {
        (self.0 & 0x7fff_ffff) as usize
    }

    /// The byte that leads here; of a leaf, no byte.
    fn label(self) -> u32 {
        self.0 & 0x8000_00ff
    }

    fn offset(self) -> u32 {
        (self.0 >> 10) << ((self.0 & 0x200) >> 6)
    }
}
