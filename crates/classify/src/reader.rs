//! Reads a model file: every length is held against what is left before anything is allocated for it.

use std::ops::Range;

use crate::ModelError;

/// A place in a model file. Numbers are little-endian, as fastText writes them on every machine it runs on in practice.
pub(crate) struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Reader<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn left(&self) -> &'b [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Steps over `wanted` bytes and says where they are.
    pub(crate) fn skip(&mut self, section: &'static str, wanted: u64) -> Result<Range<usize>, ModelError> {
        let left = self.left().len();
        match usize::try_from(wanted) {
            Ok(wanted) if wanted <= left => {
                let range = self.at..self.at + wanted;
                self.at = range.end;
                Ok(range)
            }
            _ => Err(ModelError::Truncated { section, at: self.at, wanted, left }),
        }
    }

    pub(crate) fn take(&mut self, section: &'static str, wanted: u64) -> Result<&'b [u8], ModelError> {
        let range = self.skip(section, wanted)?;
        Ok(self.bytes.get(range).unwrap_or_default())
    }

    fn array<const N: usize>(&mut self, section: &'static str) -> Result<[u8; N], ModelError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(section, N as u64)?);
        Ok(array)
    }

    pub(crate) fn i32(&mut self, section: &'static str) -> Result<i32, ModelError> {
        self.array(section).map(i32::from_le_bytes)
    }

    pub(crate) fn i64(&mut self, section: &'static str) -> Result<i64, ModelError> {
        self.array(section).map(i64::from_le_bytes)
    }

    /// A count: an `i64` that must not be negative.
    pub(crate) fn count(&mut self, section: &'static str, what: &str) -> Result<u64, ModelError> {
        let value = self.i64(section)?;
        u64::try_from(value).map_err(|_| self.corrupt(section, format!("{what} is {value}")))
    }

    /// A count: an `i32` that must not be negative.
    pub(crate) fn count32(&mut self, section: &'static str, what: &str) -> Result<u32, ModelError> {
        let value = self.i32(section)?;
        u32::try_from(value).map_err(|_| self.corrupt(section, format!("{what} is {value}")))
    }

    pub(crate) fn bool(&mut self, section: &'static str) -> Result<bool, ModelError> {
        match self.array(section)? {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(self.corrupt(section, format!("{other} where only 0 and 1 may be"))),
        }
    }

    /// `wanted` floats, copied.
    pub(crate) fn floats(&mut self, section: &'static str, wanted: u64) -> Result<Vec<f32>, ModelError> {
        let bytes = self.take(section, wanted.saturating_mul(4))?;
        Ok(bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    pub(crate) fn corrupt(&self, section: &'static str, problem: String) -> ModelError {
        ModelError::Corrupt { section, at: self.at, problem }
    }
}
