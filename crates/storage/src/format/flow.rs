//! Plain bytes in one buffer, with the places marked where a compressed member begins or bytes are damaged.
//!
//! A member that begins like a record is a **wall**: a record never runs over it, however long it says it is, and a slice
//! ends at the first wall at or after its end. Other members just go on with what came before, as in archives that were cut
//! into members at the wrong places.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::Compression;
use super::source::Source;
use super::unpack::{Chunk, Damage, Starts, Unpacker};
use crate::error::ReadError;

/// Plain bytes held at once, and asked for at once.
const BUFFER: usize = 256 << 10;
/// Room that a fill must find.
const ROOM: usize = 32 << 10;

/// What lies at the reading place.
#[derive(Debug)]
pub(super) enum Next {
    /// Bytes: see [`Flow::segment`].
    Bytes,
    /// A member that begins a record, at this stored offset. Pass it with [`Flow::enter`].
    Wall(u64),
    /// Damaged bytes, now passed.
    Damage(Damage),
    /// The end of the file.
    End,
}

struct Mark {
    /// Index into the buffer.
    at: usize,
    what: What,
}

enum What {
    /// A member whose first bytes are not there yet.
    Unknown(u64),
    /// A member that goes on with what came before.
    Member(u64),
    Wall(u64),
    Damage(Damage),
}

/// See the module.
pub(super) struct Flow {
    unpacker: Unpacker,
    starts: Starts,
    lookahead: usize,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    marks: VecDeque<Mark>,
    /// Stored offset of the member that the byte at `start` is in; of the byte itself in plain files.
    member: u64,
    plain: bool,
    ended: bool,
}

impl Flow {
    /// `starts` says, from `lookahead` bytes or those before the member's end, whether a member begins a record.
    pub(super) fn open(
        source: Arc<dyn Source>,
        compression: Compression,
        slice: Range<u64>,
        starts: Option<(Starts, usize)>,
    ) -> Result<Self, ReadError> {
        let member = slice.start;
        let unpacker = Unpacker::open(source, compression, slice, starts.map(|(starts, _)| starts))?;
        let (starts, lookahead) = starts.unwrap_or((|_| false, 0));
        Ok(Self {
            unpacker,
            starts,
            lookahead,
            buffer: vec![0; BUFFER],
            start: 0,
            end: 0,
            marks: VecDeque::new(),
            member,
            plain: compression == Compression::None,
            ended: false,
        })
    }

    /// Stored offset of the member that the next byte is in; of the byte itself in plain files.
    pub(super) fn offset(&self) -> u64 {
        let mut offset = self.member;
        for mark in self.marks.iter().take_while(|mark| mark.at <= self.start) {
            if let What::Member(member) | What::Wall(member) | What::Unknown(member) = mark.what {
                offset = member;
            }
        }
        offset
    }

    /// What lies at the reading place.
    pub(super) fn next(&mut self) -> Result<Next, ReadError> {
        loop {
            self.pass_members();
            if let Some(mark) = self.marks.front()
                && mark.at == self.start
            {
                match mark.what {
                    What::Wall(offset) => return Ok(Next::Wall(offset)),
                    What::Damage(_) => {
                        let mark = self.marks.pop_front();
                        if let Some(Mark { what: What::Damage(damage), .. }) = mark {
                            return Ok(Next::Damage(damage));
                        }
                    }
                    What::Unknown(_) | What::Member(_) => {}
                }
            }
            if self.start < self.limit() {
                return Ok(Next::Bytes);
            }
            if self.ended {
                return Ok(Next::End);
            }
            self.fill()?;
        }
    }

    /// Whether what lies at the reading place is damage of the very member that was read last.
    pub(super) fn is_damaged(&mut self) -> Result<bool, ReadError> {
        self.peek(1)?;
        let member = self.offset();
        Ok(self.marks.front().is_some_and(|mark| {
            mark.at == self.start && matches!(&mark.what, What::Damage(damage) if damage.offset == member)
        }))
    }

    /// Passes the wall at the reading place.
    pub(super) fn enter(&mut self) {
        if let Some(Mark { what: What::Wall(offset), .. }) = self.marks.front()
            && self.marks.front().is_some_and(|mark| mark.at == self.start)
        {
            self.member = *offset;
            self.marks.pop_front();
        }
    }

    /// The bytes at hand, up to a wall or damage.
    pub(super) fn segment(&self) -> &[u8] {
        &self.buffer[self.start..self.limit()]
    }

    /// At least `wanted` bytes, fewer only before a wall, damage or the end.
    pub(super) fn peek(&mut self, wanted: usize) -> Result<&[u8], ReadError> {
        while self.limit() - self.start < wanted && self.limit() == self.end && !self.ended {
            self.fill()?;
        }
        Ok(self.segment())
    }

    /// Passes `n` bytes of the segment.
    pub(super) fn consume(&mut self, n: usize) {
        self.start += n;
        if self.plain {
            self.member += n as u64;
        }
        while let Some(Mark { at, what: What::Member(member) }) = self.marks.front()
            && *at < self.start
        {
            self.member = *member;
            self.marks.pop_front();
        }
    }

    /// Gives bytes back that were consumed last.
    pub(super) fn unread(&mut self, bytes: &[u8]) {
        if self.start < bytes.len() {
            let more = bytes.len() - self.start;
            self.buffer.splice(0..0, std::iter::repeat_n(0, more));
            self.start += more;
            self.end += more;
            for mark in &mut self.marks {
                mark.at += more;
            }
        }
        self.start -= bytes.len();
        self.buffer[self.start..self.start + bytes.len()].copy_from_slice(bytes);
        if self.plain {
            self.member -= bytes.len() as u64;
        }
    }

    fn pass_members(&mut self) {
        while let Some(Mark { at, what: What::Member(member) }) = self.marks.front()
            && *at <= self.start
            && self.start < self.limit()
        {
            self.member = *member;
            self.marks.pop_front();
        }
    }

    /// Where the bytes at hand end.
    fn limit(&self) -> usize {
        self.marks
            .iter()
            .find(|mark| !matches!(mark.what, What::Member(_)))
            .map_or(self.end, |mark| mark.at.min(self.end))
    }

    /// More bytes at the end of the buffer, or a mark. A member's kind is settled before this returns.
    fn fill(&mut self) -> Result<(), ReadError> {
        loop {
            self.make_room();
            match self.unpacker.next(&mut self.buffer[self.end..])? {
                Chunk::Bytes(n) => {
                    self.end += n;
                    if self.settle(false) {
                        return Ok(());
                    }
                }
                Chunk::Member(offset) => {
                    self.settle(true);
                    self.marks.push_back(Mark { at: self.end, what: What::Unknown(offset) });
                }
                Chunk::Damage(damage) => {
                    self.settle(true);
                    self.marks.push_back(Mark { at: self.end, what: What::Damage(damage) });
                    return Ok(());
                }
                Chunk::End => {
                    self.settle(true);
                    self.ended = true;
                    return Ok(());
                }
            }
        }
    }

    fn make_room(&mut self) {
        if self.start == self.end && self.marks.is_empty() {
            (self.start, self.end) = (0, 0);
            self.buffer.truncate(BUFFER);
        }
        if self.buffer.len() - self.end >= ROOM {
            return;
        }
        if self.start >= ROOM {
            self.buffer.copy_within(self.start..self.end, 0);
            for mark in &mut self.marks {
                mark.at -= self.start;
            }
            self.end -= self.start;
            self.start = 0;
        } else {
            let len = self.buffer.len();
            self.buffer.resize(len * 2, 0);
        }
    }

    /// Decides about a member whose first bytes are there, or all there will be; says whether none is open.
    fn settle(&mut self, all: bool) -> bool {
        let Some(Mark { at, what }) = self.marks.back_mut() else { return true };
        let What::Unknown(offset) = *what else { return true };
        let bytes = &self.buffer[*at..self.end];
        if bytes.len() < self.lookahead && !all {
            return false;
        }
        if bytes.is_empty() {
            // An empty member: however many there are, they take no room.
            self.marks.pop_back();
            return true;
        }
        *what = if (self.starts)(bytes) { What::Wall(offset) } else { What::Member(offset) };
        true
    }
}
