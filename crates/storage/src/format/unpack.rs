//! Stored bytes to plain bytes: gzip members and zstd frames one after another, each announced with its place.
//!
//! Damage is an event among the bytes, not an error. After it the scan for the next member begins one byte after the start of
//! the damaged one, because a damaged stream may run on over the start of its successors before the damage shows.
//!
//! A member found by scanning is believed only after a trial: its header is well formed and its first bytes inflate without
//! error, in archives moreover to the start of a record. That a page stores, uncompressed inside its own member, a copy of
//! such a member at the very place where a slice begins is the case this cannot tell apart.

use std::ops::Range;
use std::sync::Arc;

use flate2::{Crc, Decompress, FlushDecompress, Status};
use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

use super::Compression;
use super::source::Source;
use crate::error::ReadError;

/// Stored bytes read at once.
const BLOCK: usize = 128 << 10;
/// Plain bytes that a trial must yield, or the member's end, before a scanned member is believed.
const TRIAL: usize = 32 << 10;
/// The longest gzip header (name, comment, extra field) that is taken for one.
const MAX_GZIP_HEADER: usize = 96 << 10;
/// zstd windows up to 128 MiB, what `zstd --long` writes and the format's decoders take unasked.
const MAX_WINDOW_LOG: u32 = 27;
/// A dictionary may be this large: Common Crawl-like archives use 1 MiB at most.
const MAX_DICTIONARY: usize = 16 << 20;

/// Whether plain bytes begin a record; decides which members can be entered.
pub(super) type Starts = fn(&[u8]) -> bool;

/// What comes next.
#[derive(Debug)]
pub(super) enum Chunk {
    /// Plain bytes were written.
    Bytes(usize),
    /// A member begins at this stored offset; the bytes that follow are its.
    Member(u64),
    /// Stored bytes from this offset on make no sense.
    Damage(Damage),
    /// Nothing more.
    End,
}

/// Stored bytes that make no sense.
#[derive(Clone, Debug)]
pub(super) struct Damage {
    pub(super) offset: u64,
    /// One of [`super::BROKEN_REASONS`].
    pub(super) reason: &'static str,
    pub(super) detail: String,
}

/// Stored bytes with lookahead and a known place.
pub(super) struct Stored {
    source: Arc<dyn Source>,
    reader: Option<Box<dyn std::io::Read + Send>>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Stored offset of `buffer[start]`.
    offset: u64,
}

impl Stored {
    pub(super) fn new(source: Arc<dyn Source>, offset: u64) -> Self {
        Self { source, reader: None, buffer: Vec::new(), start: 0, end: 0, offset }
    }

    fn seek(&mut self, offset: u64) {
        let ahead = offset.checked_sub(self.offset).and_then(|n| usize::try_from(n).ok());
        match ahead {
            Some(n) if n <= self.end - self.start => {
                self.start += n;
            }
            _ => {
                (self.start, self.end) = (0, 0);
                self.reader = None;
            }
        }
        self.offset = offset;
    }

    fn error(&self, error: std::io::Error) -> ReadError {
        ReadError::from_io(self.source.uri(), error)
    }

    fn reader(&mut self) -> Result<&mut Box<dyn std::io::Read + Send>, ReadError> {
        let from = self.offset + (self.end - self.start) as u64;
        match &mut self.reader {
            Some(reader) => Ok(reader),
            none => Ok(none.insert(self.source.reader(from..self.source.size())?)),
        }
    }

    /// At least `wanted` bytes, fewer only at the end of the file.
    fn peek(&mut self, wanted: usize) -> Result<&[u8], ReadError> {
        while self.end - self.start < wanted {
            if self.start > 0 && self.buffer.len() - self.start < wanted.max(BLOCK / 2) {
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            let room = wanted.max(BLOCK);
            if self.buffer.len() < room {
                self.buffer.resize(room, 0);
            }
            if self.read_some()? == 0 {
                break;
            }
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn read_some(&mut self) -> Result<usize, ReadError> {
        self.reader()?;
        let Some(reader) = &mut self.reader else { return Ok(0) };
        loop {
            match reader.read(&mut self.buffer[self.end..]) {
                Ok(n) => {
                    self.end += n;
                    return Ok(n);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error(error)),
            }
        }
    }

    fn consume(&mut self, n: usize) {
        self.start += n;
        self.offset += n as u64;
    }

    /// Plain bytes straight from the source, past the buffer where it is empty.
    fn copy(&mut self, out: &mut [u8]) -> Result<usize, ReadError> {
        if self.start < self.end {
            let n = out.len().min(self.end - self.start);
            out[..n].copy_from_slice(&self.buffer[self.start..self.start + n]);
            self.consume(n);
            return Ok(n);
        }
        self.reader()?;
        let Some(reader) = &mut self.reader else { return Ok(0) };
        loop {
            match reader.read(out) {
                Ok(n) => {
                    self.offset += n as u64;
                    return Ok(n);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error(error)),
            }
        }
    }
}

enum State {
    /// A member may begin here.
    Between,
    /// Inside the member that began at this offset.
    Inside(u64),
    /// Looking for a member from here on.
    Lost,
    Done,
}

enum Codec {
    Plain,
    Gzip { inflate: Decompress, crc: Crc },
    Zstd { decoder: Box<Decoder<'static>>, dictionary: Vec<u8> },
}

/// See the module.
pub(super) struct Unpacker {
    stored: Stored,
    codec: Codec,
    state: State,
    starts: Option<Starts>,
}

impl Unpacker {
    /// Begins at `slice.start`, which is the file's start, the start of a member, or any byte: then the next member that
    /// begins before `slice.end` is looked for. `starts` says what a member that is entered must begin with.
    pub(super) fn open(
        source: Arc<dyn Source>,
        compression: Compression,
        slice: Range<u64>,
        starts: Option<Starts>,
    ) -> Result<Self, ReadError> {
        let mut unpacker = Self {
            stored: Stored::new(source.clone(), slice.start),
            codec: Codec::Plain,
            state: State::Between,
            starts,
        };
        match compression {
            Compression::None => {}
            Compression::Gzip => {
                unpacker.codec = Codec::Gzip { inflate: Decompress::new(false), crc: Crc::new() };
            }
            Compression::Zstd => {
                let dictionary = dictionary(&source)?;
                let decoder = Box::new(decoder(&dictionary, source.uri())?);
                unpacker.codec = Codec::Zstd { decoder, dictionary };
            }
        }
        if slice.start > 0 && compression != Compression::None && !unpacker.find(slice.end)? {
            unpacker.state = State::Done;
        }
        Ok(unpacker)
    }

    /// The next bytes or event. `out` must not be empty.
    pub(super) fn next(&mut self, out: &mut [u8]) -> Result<Chunk, ReadError> {
        if matches!(self.codec, Codec::Plain) {
            let n = self.stored.copy(out)?;
            return Ok(if n == 0 { Chunk::End } else { Chunk::Bytes(n) });
        }
        loop {
            match self.state {
                State::Between => {
                    if let Some(event) = self.begin()? {
                        return Ok(event);
                    }
                }
                State::Inside(offset) => {
                    if let Some(event) = self.inside(offset, out)? {
                        return Ok(event);
                    }
                }
                State::Lost => {
                    if !self.find(u64::MAX)? {
                        self.state = State::Done;
                    }
                }
                State::Done => return Ok(Chunk::End),
            }
        }
    }

    fn damage(&mut self, offset: u64, reason: &'static str, detail: String) -> Chunk {
        self.stored.seek(offset + 1);
        self.state = State::Lost;
        Chunk::Damage(Damage { offset, reason, detail })
    }

    /// At a place where a member may begin.
    fn begin(&mut self) -> Result<Option<Chunk>, ReadError> {
        let offset = self.stored.offset;
        let first = self.stored.peek(8)?;
        if first.is_empty() {
            self.state = State::Done;
            return Ok(None);
        }
        if first[0] == 0 {
            // Padding, as tape blocks and some file systems leave it.
            let zeros = first.iter().take_while(|&&byte| byte == 0).count();
            self.stored.consume(zeros);
            return Ok(None);
        }
        match &mut self.codec {
            Codec::Plain => Ok(None),
            Codec::Gzip { inflate, crc } => match gzip_header(self.stored.peek(MAX_GZIP_HEADER.min(64))?) {
                Header::Is(len) => {
                    self.stored.consume(len);
                    inflate.reset(false);
                    crc.reset();
                    self.state = State::Inside(offset);
                    Ok(Some(Chunk::Member(offset)))
                }
                Header::NeedsMore => match gzip_header(self.stored.peek(MAX_GZIP_HEADER)?) {
                    Header::Is(len) => {
                        self.stored.consume(len);
                        inflate.reset(false);
                        crc.reset();
                        self.state = State::Inside(offset);
                        Ok(Some(Chunk::Member(offset)))
                    }
                    Header::NeedsMore => Ok(Some(self.damage(
                        offset,
                        "truncated",
                        "the file ends inside a gzip header".into(),
                    ))),
                    Header::No => {
                        Ok(Some(self.damage(offset, "bad_compression", "not a gzip member".into())))
                    }
                },
                Header::No => Ok(Some(self.damage(offset, "bad_compression", "not a gzip member".into()))),
            },
            Codec::Zstd { decoder, .. } => match first {
                [0x28, 0xb5, 0x2f, 0xfd, ..] => {
                    let reset = decoder.reinit();
                    reset.map_err(|error| self.stored.error(error))?;
                    self.state = State::Inside(offset);
                    Ok(Some(Chunk::Member(offset)))
                }
                &[0x50..=0x5f, 0x2a, 0x4d, 0x18, a, b, c, d, ..] => {
                    let len = u64::from(u32::from_le_bytes([a, b, c, d]));
                    self.stored.seek(offset + 8 + len);
                    Ok(None)
                }
                _ => Ok(Some(self.damage(offset, "bad_compression", "not a zstd frame".into()))),
            },
        }
    }

    /// Inside a member: some bytes, or its end.
    fn inside(&mut self, began: u64, out: &mut [u8]) -> Result<Option<Chunk>, ReadError> {
        // At the end of the file a decoder may still hold bytes back: it is asked before the member is called cut.
        let input = self.stored.peek(1)?;
        let at_end = input.is_empty();
        let stuck = || {
            if at_end {
                let detail = format!("the file ends inside the compressed data that begins at byte {began}");
                ("truncated", detail)
            } else {
                ("bad_compression", "damaged compressed data".to_owned())
            }
        };
        match &mut self.codec {
            Codec::Plain => Ok(None),
            Codec::Gzip { inflate, crc } => {
                let (read, wrote) = (inflate.total_in(), inflate.total_out());
                let status = inflate.decompress(input, out, FlushDecompress::None);
                let wrote = (inflate.total_out() - wrote) as usize;
                let total = inflate.total_out();
                crc.update(&out[..wrote]);
                let sum = crc.sum();
                let read = (inflate.total_in() - read) as usize;
                self.stored.consume(read);
                match status {
                    Ok(Status::StreamEnd) => {
                        self.state = State::Between;
                        let trailer = self.stored.peek(8)?;
                        let Some(&trailer) = trailer.first_chunk::<8>() else {
                            let detail =
                                format!("the file ends inside the gzip member that begins at byte {began}");
                            return Ok(Some(self.damage(began, "truncated", detail)));
                        };
                        self.stored.consume(8);
                        let sound = u64::from_le_bytes(trailer) == u64::from(sum) | (total << 32);
                        if !sound {
                            // The member's end is known: go on right behind it.
                            self.state = State::Between;
                            return Ok(Some(Chunk::Damage(Damage {
                                offset: began,
                                reason: "bad_compression",
                                detail: "a gzip member's checksum does not fit its bytes".into(),
                            })));
                        }
                        Ok((wrote > 0).then_some(Chunk::Bytes(wrote)))
                    }
                    Ok(_) if wrote > 0 => Ok(Some(Chunk::Bytes(wrote))),
                    Ok(_) if read > 0 => Ok(None),
                    Ok(_) => {
                        let (reason, detail) = stuck();
                        Ok(Some(self.damage(began, reason, detail)))
                    }
                    Err(error) => {
                        let detail = format!("damaged gzip data ({error})");
                        Ok(Some(self.damage(began, "bad_compression", detail)))
                    }
                }
            }
            Codec::Zstd { decoder, .. } => {
                let mut source = InBuffer::around(input);
                let mut target = OutBuffer::around(out);
                let hint = decoder.run(&mut source, &mut target);
                let (read, wrote) = (source.pos(), target.pos());
                self.stored.consume(read);
                match hint {
                    Ok(0) => {
                        self.state = State::Between;
                        Ok((wrote > 0).then_some(Chunk::Bytes(wrote)))
                    }
                    Ok(_) if wrote > 0 => Ok(Some(Chunk::Bytes(wrote))),
                    Ok(_) if read > 0 => Ok(None),
                    Ok(_) => {
                        let (reason, detail) = stuck();
                        Ok(Some(self.damage(began, reason, detail)))
                    }
                    Err(error) => {
                        let detail = format!("damaged zstd data ({error})");
                        Ok(Some(self.damage(began, "bad_compression", detail)))
                    }
                }
            }
        }
    }

    /// Moves to the next believable member that begins before `limit`; says whether there is one.
    fn find(&mut self, limit: u64) -> Result<bool, ReadError> {
        let magic: &[u8] = match self.codec {
            Codec::Plain => return Ok(true),
            Codec::Gzip { .. } => &[0x1f, 0x8b, 8],
            Codec::Zstd { .. } => &[0x28, 0xb5, 0x2f, 0xfd],
        };
        loop {
            if self.stored.offset >= limit {
                return Ok(false);
            }
            let bytes = self.stored.peek(BLOCK)?;
            let Some(at) = memchr::memmem::find(bytes, magic) else {
                // The magic may begin in the last bytes seen.
                let keep = bytes.len().min(magic.len() - 1);
                let gone = bytes.len() - keep;
                self.stored.consume(gone);
                if gone == 0 {
                    return Ok(false);
                }
                continue;
            };
            self.stored.consume(at);
            if self.stored.offset >= limit {
                return Ok(false);
            }
            if self.believable()? {
                self.state = State::Between;
                return Ok(true);
            }
            self.stored.consume(1);
        }
    }

    /// Whether what lies here is a member, by trial.
    fn believable(&mut self) -> Result<bool, ReadError> {
        let source = self.stored.source.clone();
        let input = self.stored.peek(BLOCK)?;
        let mut out = vec![0; TRIAL];
        let mut filled = 0;
        match &self.codec {
            Codec::Plain => return Ok(true),
            Codec::Gzip { .. } => {
                let Header::Is(len) = gzip_header(&input[..input.len().min(MAX_GZIP_HEADER)]) else {
                    return Ok(false);
                };
                let mut inflate = Decompress::new(false);
                if inflate.decompress(&input[len..], &mut out, FlushDecompress::None).is_err() {
                    return Ok(false);
                }
                filled += inflate.total_out() as usize;
            }
            Codec::Zstd { dictionary, .. } => {
                let mut trial = decoder(dictionary, source.uri())?;
                let mut packed = InBuffer::around(input);
                while filled < TRIAL && packed.pos() < input.len() {
                    let mut target = OutBuffer::around(&mut out[filled..]);
                    let read = packed.pos();
                    match trial.run(&mut packed, &mut target) {
                        Ok(0) => {
                            filled += target.pos();
                            break;
                        }
                        Ok(_) if target.pos() == 0 && packed.pos() == read => break,
                        Ok(_) => filled += target.pos(),
                        Err(_) => return Ok(false),
                    }
                }
            }
        }
        Ok(match self.starts {
            Some(starts) => starts(&out[..filled]),
            None => true,
        })
    }
}

enum Header {
    Is(usize),
    No,
    NeedsMore,
}

/// The length of the gzip header that `bytes` begin with (RFC 1952, section 2.3).
fn gzip_header(bytes: &[u8]) -> Header {
    const FHCRC: u8 = 2;
    const FEXTRA: u8 = 4;
    const FNAME: u8 = 8;
    const FCOMMENT: u8 = 16;
    const RESERVED: u8 = 0xe0;
    let fixed = [0x1f, 0x8b, 8];
    if bytes.iter().zip(fixed).any(|(&byte, wanted)| byte != wanted) {
        return Header::No;
    }
    let Some(&flags) = bytes.get(3) else { return Header::NeedsMore };
    if flags & RESERVED != 0 {
        return Header::No;
    }
    let mut at = 10;
    if flags & FEXTRA != 0 {
        let Some(&[low, high]) = bytes.get(at..at + 2).and_then(|two| <&[u8; 2]>::try_from(two).ok()) else {
            return Header::NeedsMore;
        };
        at += 2 + usize::from(u16::from_le_bytes([low, high]));
    }
    for flag in [FNAME, FCOMMENT] {
        if flags & flag != 0 {
            match bytes.get(at..).and_then(|rest| memchr::memchr(0, rest)) {
                Some(nul) => at += nul + 1,
                None if bytes.len() >= MAX_GZIP_HEADER => return Header::No,
                None => return Header::NeedsMore,
            }
        }
    }
    if flags & FHCRC != 0 {
        at += 2;
    }
    if at > bytes.len() {
        return if bytes.len() >= MAX_GZIP_HEADER { Header::No } else { Header::NeedsMore };
    }
    Header::Is(at)
}

fn decoder(dictionary: &[u8], uri: &str) -> Result<Decoder<'static>, ReadError> {
    let made = Decoder::with_dictionary(dictionary).and_then(|mut decoder| {
        decoder.set_parameter(zstd::stream::raw::DParameter::WindowLogMax(MAX_WINDOW_LOG))?;
        Ok(decoder)
    });
    made.map_err(|error| ReadError::from_io(uri, error))
}

/// The dictionary that an archive may carry in a skippable frame at its start (IIPC, "Use of Zstandard in WARC"): plain,
/// or itself a zstd frame. Empty where there is none.
fn dictionary(source: &Arc<dyn Source>) -> Result<Vec<u8>, ReadError> {
    let first = source.read_at(0..8)?;
    let &[0x5d, 0x2a, 0x4d, 0x18, a, b, c, d] = &first[..] else { return Ok(Vec::new()) };
    let len = u32::from_le_bytes([a, b, c, d]) as usize;
    if len > MAX_DICTIONARY {
        return Ok(Vec::new());
    }
    let frame = source.read_at(8..8 + len as u64)?;
    if Compression::of_magic(&frame) == Compression::Zstd {
        // What does not unpack is met again as damage of the first record.
        return Ok(zstd::bulk::decompress(&frame, MAX_DICTIONARY).unwrap_or_default());
    }
    Ok(frame.to_vec())
}
