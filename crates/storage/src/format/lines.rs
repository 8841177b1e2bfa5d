//! JSON lines: one record a line, whatever members or frames the lines run across.
//!
//! A line belongs to the slice with the newline before it; the first line of the file to the slice with byte 0. In plain files
//! that is where the line begins. In compressed ones a slice finds its first member, passes over the line that may have begun
//! before it, and reads on past its end to the end of the line it owns.

use std::ops::Range;
use std::sync::Arc;

use super::flow::{Flow, Next};
use super::source::Source;
use super::{At, Compression, Item, Limits, Records};
use crate::error::ReadError;

/// See the module.
pub(super) struct Lines {
    flow: Flow,
    compressed: bool,
    end: u64,
    limits: Limits,
    /// Where the line that comes next begins: its own byte in plain files, the member with the newline before it otherwise.
    at: At,
    /// The start of the slice may lie inside a line.
    inside: bool,
    first: bool,
    line: Vec<u8>,
    done: bool,
}

enum Line {
    Whole,
    /// More bytes than allowed; all are passed.
    TooLarge(u64),
    /// The end of the file, nothing read.
    End,
    Damage(super::unpack::Damage),
}

impl Lines {
    pub(super) fn open(
        source: Arc<dyn Source>,
        compression: Compression,
        slice: Range<u64>,
        limits: Limits,
    ) -> Result<Self, ReadError> {
        let compressed = compression != Compression::None;
        // In a plain file the byte before the slice tells whether a line begins with it.
        let start = if compressed { slice.start } else { slice.start.saturating_sub(1) };
        Ok(Self {
            flow: Flow::open(source, compression, start..slice.end, None)?,
            compressed,
            end: slice.end,
            limits,
            at: At { offset: slice.start, index: 0 },
            inside: slice.start > 0,
            first: slice.start == 0,
            line: Vec::new(),
            done: false,
        })
    }

    /// Reads to the next newline, which is passed. Afterwards `self.at` is the place of the line behind it.
    fn read_line(&mut self) -> Result<Line, ReadError> {
        self.line.clear();
        let mut len = 0_u64;
        loop {
            match self.flow.next()? {
                Next::Bytes => {}
                // Walls do not come up: no member begins a record.
                Next::Wall(_) => self.flow.enter(),
                Next::End if len == 0 => return Ok(Line::End),
                Next::End => return Ok(self.measured(len)),
                Next::Damage(damage) => return Ok(Line::Damage(damage)),
            }
            let bytes = self.flow.segment();
            let newline = memchr::memchr(b'\n', bytes);
            let n = newline.unwrap_or(bytes.len());
            let room = self.limits.max_line.saturating_sub(self.line.len());
            self.line.extend_from_slice(&bytes[..n.min(room)]);
            len += n as u64;
            self.flow.consume(n);
            if newline.is_some() {
                let member = self.flow.offset();
                self.flow.consume(1);
                let offset = if self.compressed { member } else { self.flow.offset() };
                if offset != self.at.offset {
                    self.at = At { offset, index: 0 };
                }
                return Ok(self.measured(len));
            }
        }
    }

    fn measured(&self, len: u64) -> Line {
        if len > self.limits.max_line as u64 { Line::TooLarge(len) } else { Line::Whole }
    }
}

impl Records for Lines {
    fn next(&mut self) -> Result<Option<Item>, ReadError> {
        if self.inside {
            self.inside = false;
            match self.read_line()? {
                Line::End => self.done = true,
                Line::Whole | Line::TooLarge(_) | Line::Damage(_) => {}
            }
        }
        while !self.done {
            if self.at.offset >= self.end && !self.first {
                break;
            }
            let at = self.at;
            let read = self.read_line()?;
            if self.first {
                self.first = false;
                if self.line.starts_with(b"\xef\xbb\xbf") {
                    self.line.drain(..3);
                }
            }
            // The line itself took a place at its offset; if the next lies elsewhere its count began anew.
            let took = |this: &mut Self| {
                if this.at.offset == at.offset {
                    this.at.index = at.index + 1;
                }
            };
            let broken = |reason, detail| Ok(Some(Item::Broken { at, reason, detail }));
            match read {
                Line::End => break,
                Line::Damage(damage) => {
                    took(self);
                    let detail = format!("{} (at byte {} of the file)", damage.detail, damage.offset);
                    return broken(damage.reason, detail);
                }
                Line::TooLarge(len) => {
                    took(self);
                    return broken("too_large", format!("a line of {len} bytes"));
                }
                Line::Whole => {
                    if self.line.trim_ascii().is_empty() {
                        continue;
                    }
                    took(self);
                    let bytes = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
                    return match std::str::from_utf8(bytes) {
                        Ok(line) => Ok(Some(Item::Json { at, line: line.to_owned() })),
                        Err(error) => broken("bad_utf8", format!("byte {} of the line", error.valid_up_to())),
                    };
                }
            }
        }
        self.done = true;
        Ok(None)
    }
}
