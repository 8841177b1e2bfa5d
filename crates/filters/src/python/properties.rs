//! The table behind the predicates: 16 bits for each code point, as `data/properties.py` wrote them.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Bits 0-4: Word_Break of Unicode 16.0 (see [`crate::words`]).
pub(crate) const WORD_BREAK_MASK: u16 = 0x1f;
pub(crate) const ALNUM: u16 = 1 << 5;
pub(crate) const ALPHA: u16 = 1 << 6;
pub(crate) const UPPER: u16 = 1 << 7;
pub(crate) const DIGIT: u16 = 1 << 8;
pub(crate) const SPACE: u16 = 1 << 9;
pub(crate) const DECIMAL: u16 = 1 << 10;
pub(crate) const EXTENDED_PICTOGRAPHIC: u16 = 1 << 11;

const BLOCK: usize = 128;
const CODE_POINTS: usize = 0x11_0000;

/// Two stages: a block's number by the upper bits, then 128 values; equal blocks are stored once.
pub(crate) struct Properties {
    blocks: Vec<u16>,
    values: Vec<[u16; BLOCK]>,
}

pub(crate) fn properties() -> &'static Properties {
    static PROPERTIES: LazyLock<Properties> =
        LazyLock::new(|| Properties::read(include_str!("../../data/properties.txt")));
    &PROPERTIES
}

impl Properties {
    #[inline]
    pub(crate) fn of(&self, char: char) -> u16 {
        let code = char as usize;
        let block = self.blocks.get(code / BLOCK).copied().unwrap_or(0);
        self.values.get(usize::from(block)).map_or(0, |values| values[code % BLOCK])
    }

    /// The values of ASCII, for loops over bytes.
    #[inline]
    pub(crate) fn ascii(&self) -> &[u16; BLOCK] {
        &self.values[0]
    }

    fn read(table: &str) -> Self {
        let mut runs = table.lines().filter_map(|line| {
            let (start, flags) = line.split_once(' ')?;
            Some((usize::from_str_radix(start, 16).ok()?, u16::from_str_radix(flags, 16).ok()?))
        });
        let (mut flags, mut next) = (0, runs.next());
        let (mut blocks, mut values, mut numbers) = (Vec::new(), Vec::new(), HashMap::new());
        for first in (0..CODE_POINTS).step_by(BLOCK) {
            let mut block = [0; BLOCK];
            for (offset, value) in block.iter_mut().enumerate() {
                while let Some((_, now)) = next.filter(|(start, _)| *start <= first + offset) {
                    flags = now;
                    next = runs.next();
                }
                *value = flags;
            }
            let number = *numbers.entry(block).or_insert_with(|| {
                values.push(block);
                values.len() as u16 - 1
            });
            blocks.push(number);
        }
        Self { blocks, values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read_whole() {
        let table = properties();
        for line in include_str!("../../data/properties.txt").lines() {
            let (start, flags) = line.split_once(' ').expect(line);
            let code = u32::from_str_radix(start, 16).expect(line);
            // Surrogates are code points to Python and no characters to Rust.
            if let Some(char) = char::from_u32(code) {
                assert_eq!(format!("{:x}", table.of(char)), flags, "{start}");
            }
        }
        assert!(table.values.len() < 400, "{} blocks", table.values.len());
    }

    #[test]
    fn white_space_needs_no_table() {
        for char in (0..=0x10_ffff).filter_map(char::from_u32) {
            assert_eq!(crate::python::is_space(char), properties().of(char) & SPACE != 0, "{char:?}");
        }
    }
}
