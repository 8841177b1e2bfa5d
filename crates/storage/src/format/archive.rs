//! WARC, WET and ARC files.
//!
//! Reading is lenient where a record is still usable, and resynchronises where it is not. A wrong `Content-Length` shows when no
//! separator follows the body: if another record's header stands inside the body, the body ends there; else the
//! bytes up to the next header are `stray_bytes`. A record never runs over a member that begins a record of its own.
//! Rules for lenience follow what fastwarc and jwarc accept (chatnoir-eu/chatnoir-resiliparse, iipc/jwarc).

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::flow::{Flow, Next};
use super::head::{self, ArcLine};
use super::source::{BytesSource, Source};
use super::unpack::Damage;
use super::{At, Compression, Format, Item, Limits, Records, WarcRecord, find, payload};
use crate::error::ReadError;

/// Longer unexplained bytes between records are no mere slip of a length but something lost.
const MAX_STRAY: u64 = 64 << 10;
/// A `warcinfo` body is kept up to this many bytes.
const MAX_WARCINFO: usize = 64 << 10;
/// The record that a file begins with is looked for in so many of its bytes.
const MAX_LEADING: u64 = 256 << 10;
/// Buffers larger than this are not kept for the next record.
const MAX_SPARE: usize = 4 << 20;

/// See the module.
pub(super) struct Archive {
    flow: Flow,
    arc: bool,
    compressed: bool,
    /// End of the slice.
    end: u64,
    size: u64,
    limits: Limits,
    /// Where the next item is.
    at: At,
    /// The body and the id of the `warcinfo` record that the file begins with.
    warcinfo: Option<(Arc<str>, Option<String>)>,
    /// Whether the last thing read was a whole record: bytes that follow are its stray ones.
    after_record: bool,
    done: bool,
    block: Vec<u8>,
    spare: Vec<u8>,
    pending: VecDeque<Item>,
}

/// How reading a body ended.
enum Got {
    Whole,
    Wall,
    End,
    Damage(Damage),
}

impl Archive {
    pub(super) fn open(
        source: Arc<dyn Source>,
        format: Format,
        compression: Compression,
        slice: Range<u64>,
        limits: Limits,
    ) -> Result<Self, ReadError> {
        let leading = if slice.start > 0 && format != Format::Arc {
            // A small read instead of a stream, but where a dictionary of any size may stand before the first record.
            let first: Arc<dyn Source> = match compression {
                Compression::Zstd => source.clone(),
                _ => Arc::new(BytesSource::new(source.uri(), source.read_at(0..MAX_LEADING)?)),
            };
            let mut first = Self::open(first, format, compression, 0..1, limits)?;
            first.next()?;
            first.warcinfo
        } else {
            None
        };
        let arc = format == Format::Arc;
        let starts: (fn(&[u8]) -> bool, usize) = if arc {
            (head::starts_arc, head::ARC_LOOKAHEAD)
        } else {
            (head::starts_warc, head::WARC_LOOKAHEAD)
        };
        let size = source.size();
        Ok(Self {
            flow: Flow::open(source, compression, slice.clone(), Some(starts))?,
            arc,
            compressed: compression != Compression::None,
            end: slice.end,
            size,
            limits,
            at: At { offset: slice.start, index: 0 },
            warcinfo: leading,
            after_record: false,
            done: false,
            block: Vec::new(),
            spare: Vec::new(),
            pending: VecDeque::new(),
        })
    }

    /// The place of the next item, which is then taken.
    fn take_at(&mut self) -> At {
        if !self.compressed {
            let offset = self.flow.offset();
            if offset != self.at.offset {
                self.at = At { offset, index: 0 };
            }
        }
        let at = self.at;
        self.at.index += 1;
        at
    }

    fn broken(&mut self, at: At, reason: &'static str, detail: String) -> Item {
        self.after_record = false;
        Item::Broken { at, reason, detail }
    }

    fn damaged(&mut self, damage: Damage) -> Item {
        let at = self.take_at();
        self.broken_by(at, damage)
    }

    fn broken_by(&mut self, at: At, damage: Damage) -> Item {
        let detail = format!("{} (at byte {} of the file)", damage.detail, damage.offset);
        self.broken(at, damage.reason, detail)
    }

    fn starts(&self, bytes: &[u8]) -> bool {
        if self.arc { head::starts_arc(bytes) } else { head::starts_warc(bytes) }
    }

    fn lookahead(&self) -> usize {
        if self.arc { head::ARC_LOOKAHEAD } else { head::WARC_LOOKAHEAD }
    }

    /// Passes blank lines; says how many bytes.
    fn skip_blank(&mut self) -> Result<usize, ReadError> {
        let mut passed = 0;
        loop {
            let bytes = self.flow.peek(1)?;
            let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            if blank == 0 {
                return Ok(passed);
            }
            passed += blank;
            self.flow.consume(blank);
        }
    }

    /// Passes at least a line, and all lines before the next that begins a record. Says how many bytes.
    fn resync(&mut self) -> Result<u64, ReadError> {
        let lookahead = self.lookahead();
        let mut passed = 0;
        loop {
            let bytes = self.flow.peek(1)?;
            if bytes.is_empty() {
                return Ok(passed);
            }
            let Some(newline) = memchr::memchr(b'\n', bytes) else {
                let n = bytes.len();
                passed += n as u64;
                self.flow.consume(n);
                continue;
            };
            passed += newline as u64 + 1;
            self.flow.consume(newline + 1);
            let bytes = self.flow.peek(lookahead)?;
            let starts = if self.arc { head::starts_arc(bytes) } else { bytes.starts_with(b"WARC/") };
            if starts {
                return Ok(passed);
            }
        }
    }

    /// Bytes where a record should begin and none does.
    fn stray(&mut self) -> Result<Item, ReadError> {
        let at = self.take_at();
        let shown = self.flow.segment();
        let shown = shown[..shown.len().min(40)].escape_ascii().to_string();
        let after_record = self.after_record;
        let passed = self.resync()?;
        if after_record && passed <= MAX_STRAY {
            self.after_record = false;
            return Ok(Item::Skipped { at, kind: "stray_bytes".into() });
        }
        Ok(self.broken(at, "bad_header", format!("{passed} bytes that begin no record: {shown}")))
    }

    /// Reads `len` bytes into the block, those over `cap` only passed over. Says how many came.
    fn read_block(&mut self, len: u64, cap: usize) -> Result<(u64, Got), ReadError> {
        self.block.clear();
        let mut got = 0;
        while got < len {
            match self.flow.next()? {
                Next::Bytes => {
                    let bytes = self.flow.segment();
                    let n = usize::try_from(len - got).unwrap_or(usize::MAX).min(bytes.len());
                    let room = cap.saturating_sub(self.block.len());
                    self.block.extend_from_slice(&bytes[..n.min(room)]);
                    self.flow.consume(n);
                    got += n as u64;
                }
                Next::Wall(_) => return Ok((got, Got::Wall)),
                Next::End => return Ok((got, Got::End)),
                Next::Damage(damage) => return Ok((got, Got::Damage(damage))),
            }
        }
        Ok((got, Got::Whole))
    }

    /// After a body: whether a separator, a wall or the end follows, as it should.
    fn separated(&mut self) -> Result<bool, ReadError> {
        let arc = self.arc;
        let bytes = self.flow.peek(4)?;
        Ok(bytes.is_empty()
            || bytes.starts_with(b"\r\n\r\n")
            || bytes.starts_with(b"\n\n")
            || (arc && bytes.starts_with(b"\n"))
            || bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n')))
    }

    /// Where in the block another record's header begins, at the start of a line.
    fn header_inside(&self) -> Option<usize> {
        let block = &self.block[..];
        if self.arc {
            let dated = |line: &[u8]| ArcLine::parse(line).is_some_and(|line| line.len.is_some());
            return memchr::memchr_iter(b'\n', block).map(|newline| newline + 1).find(|&at| {
                let rest = &block[at..];
                memchr::memchr(b'\n', &rest[..rest.len().min(head::ARC_LOOKAHEAD)])
                    .is_some_and(|newline| dated(&rest[..newline]))
            });
        }
        memchr::memmem::find_iter(block, b"\nWARC/").map(|newline| newline + 1).find(|&at| {
            let line = &block[at + 5..block.len().min(at + 16)];
            let line = &line[..memchr::memchr(b'\n', line).unwrap_or(0)];
            matches!(
                line.trim_ascii_end(),
                [b'0' | b'1', b'.', b'0'..=b'9'] | [b'0' | b'1', b'.', b'0'..=b'9', b'0'..=b'9']
            )
        })
    }

    /// Cuts the block where another record's header begins in it, and gives the rest back; says whether there was one.
    fn give_back(&mut self) -> bool {
        let Some(inside) = self.header_inside() else { return false };
        self.flow.unread(&self.block[inside..]);
        self.block.truncate(inside);
        let end: &[u8] = match () {
            () if self.block.ends_with(b"\r\n\r\n") => b"\r\n\r\n",
            () if self.block.ends_with(b"\n\n") => b"\n\n",
            () if self.arc => b"\n",
            () => b"",
        };
        self.block.truncate(self.block.len() - end.len());
        true
    }

    /// A record, whose first byte is at the reading place.
    fn record(&mut self) -> Result<Option<Item>, ReadError> {
        let at = self.take_at();
        let parsed = if self.arc { self.arc_header()? } else { self.warc_header()? };
        let mut header = match parsed {
            Ok(header) => header,
            Err((reason, detail)) => {
                let next = self.flow.next()?;
                if let Next::Damage(damage) = next {
                    return Ok(Some(self.broken_by(at, damage)));
                }
                self.resync()?;
                return Ok(Some(self.broken(at, reason, detail)));
            }
        };
        let Some(len) = header.len else {
            self.resync()?;
            if header.kind == "filedesc" {
                return Ok(Some(Item::Skipped { at, kind: header.kind }));
            }
            let shown = find(&header.fields, "content-length").unwrap_or("none").to_owned();
            let detail = format!("the record's length is no number: {shown}");
            return Ok(Some(self.broken(at, "bad_length", detail)));
        };
        // A length that the file cannot hold is either the mark of a cut file or wrong: what is there is looked through.
        let left = self.size.saturating_sub(self.flow.offset());
        let impossible = !self.compressed && len > left;
        let cap = self.limits.max_body.saturating_add(self.limits.max_headers);
        let wanted = if impossible { len.min(cap as u64) } else { len };
        let (mut got, end) = self.read_block(wanted, cap)?;
        let mut short = got < len;
        match end {
            Got::Whole if !impossible => {
                if !self.separated()? {
                    short |= self.give_back();
                }
            }
            // Shorter than it says, but whole in its member.
            Got::Wall => {}
            Got::Damage(mut damage) => {
                if damage.reason == "truncated" {
                    damage.detail =
                        format!("{}: {got} of {len} bytes of the record are there", damage.detail);
                }
                return Ok(Some(self.broken_by(at, damage)));
            }
            Got::Whole | Got::End => {
                if !self.give_back() {
                    if impossible {
                        got = left;
                        self.resync()?;
                    }
                    let detail = format!("the file ends inside the record: {got} of {len} bytes are there");
                    return Ok(Some(self.broken(at, "truncated", detail)));
                }
            }
        }
        if got > cap as u64 {
            let detail = format!("a body of {got} bytes");
            return Ok(Some(self.broken(at, "too_large", detail)));
        }
        self.skip_blank()?;
        if self.flow.is_damaged()?
            && let Next::Damage(damage) = self.flow.next()?
        {
            // The checksum behind the record says that its bytes are not what was written.
            return Ok(Some(self.broken_by(at, damage)));
        }
        self.after_record = true;
        if header.kind == "warcinfo" && at.offset == 0 && at.index == 0 {
            let text = String::from_utf8_lossy(&self.block[..self.block.len().min(MAX_WARCINFO)]);
            let id = find(&header.fields, "warc-record-id").map(str::to_owned);
            self.warcinfo = Some((Arc::from(text.trim_end()), id));
        }
        if !matches!(header.kind.as_str(), "response" | "resource" | "conversion") {
            return Ok(Some(Item::Skipped { at, kind: header.kind }));
        }
        let mut body = std::mem::take(&mut self.block);
        let looks_http = header.kind == "response";
        let mut http = None;
        let mut truncated = short || find(&header.fields, "warc-truncated").is_some();
        if looks_http && let Some((parsed, head_len)) = head::http(&body) {
            if head_len > self.limits.max_headers {
                self.block = body;
                let detail = format!("an HTTP head of {head_len} bytes");
                return Ok(Some(self.broken(at, "too_large", detail)));
            }
            body.drain(..head_len);
            match payload::decode(&parsed, &mut body, &mut self.spare, self.limits.max_body) {
                Ok(early) => truncated |= early,
                Err(payload::TooLarge) => {
                    let detail = format!("a body that decodes to more than {} bytes", self.limits.max_body);
                    self.block = body;
                    return Ok(Some(self.broken(at, "too_large", detail)));
                }
            }
            http = Some(parsed);
        } else if body.len() > self.limits.max_body {
            let detail = format!("a body of {} bytes", body.len());
            self.block = body;
            return Ok(Some(self.broken(at, "too_large", detail)));
        }
        self.block = std::mem::take(&mut self.spare);
        let warcinfo = self.warcinfo_of(&header.fields);
        Ok(Some(Item::Warc(Box::new(WarcRecord {
            at,
            headers: std::mem::take(&mut header.fields),
            record_type: header.kind,
            http: http.take(),
            body,
            truncated,
            warcinfo,
        }))))
    }

    /// The leading warcinfo, unless the record says that it belongs to another.
    fn warcinfo_of(&self, fields: &[(String, String)]) -> Option<Arc<str>> {
        let (text, id) = self.warcinfo.as_ref()?;
        match (find(fields, "warc-warcinfo-id"), id) {
            (Some(theirs), Some(ours)) if theirs != ours => None,
            _ => Some(text.clone()),
        }
    }

    fn warc_header(&mut self) -> Result<Result<Header, (&'static str, String)>, ReadError> {
        let max = self.limits.max_headers;
        let mut wanted = 2048;
        let len = loop {
            let bytes = self.flow.peek(wanted)?;
            if let Some(len) = head::block_len(&bytes[..bytes.len().min(max)]) {
                break len;
            }
            if bytes.len() >= max {
                return Ok(Err(("too_large", format!("a record header of more than {max} bytes"))));
            }
            if bytes.len() < wanted {
                let detail = "the record ends inside its header".to_owned();
                // The bytes are passed, so that what follows them is met next.
                let n = bytes.len();
                self.flow.consume(n);
                return Ok(Err(("truncated", detail)));
            }
            wanted *= 2;
        };
        let bytes = self.flow.peek(len)?;
        let first = memchr::memchr(b'\n', bytes).map_or(len, |newline| newline + 1);
        let mut fields = head::fields(&bytes[first..len]);
        self.flow.consume(len);
        for (name, value) in &mut fields {
            // Wget writes the URI in angle brackets, as an early draft of the standard had it.
            if name.eq_ignore_ascii_case("WARC-Target-URI")
                && let Some(inner) = value.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'))
            {
                *value = inner.to_owned();
            }
        }
        let kind = find(&fields, "warc-type").unwrap_or("unknown").to_ascii_lowercase();
        let len = find(&fields, "content-length").and_then(|value| value.trim().parse().ok());
        Ok(Ok(Header { kind, fields, len }))
    }

    fn arc_header(&mut self) -> Result<Result<Header, (&'static str, String)>, ReadError> {
        let bytes = self.flow.peek(head::ARC_LOOKAHEAD)?;
        let newline = memchr::memchr(b'\n', bytes);
        let line = newline.and_then(|newline| ArcLine::parse(&bytes[..newline]));
        let (Some(newline), Some(line)) = (newline, line) else {
            return Ok(Err(("bad_header", "the line begins no ARC record".to_owned())));
        };
        let kind = if line.url.starts_with("filedesc:") { "filedesc" } else { "response" };
        let header = Header { kind: kind.to_owned(), fields: line.as_warc(), len: line.len };
        self.flow.consume(newline + 1);
        Ok(Ok(header))
    }
}

/// A record's header.
struct Header {
    /// Its type in lower case.
    kind: String,
    fields: Vec<(String, String)>,
    /// `None` where no length is stated.
    len: Option<u64>,
}

impl Records for Archive {
    fn next(&mut self) -> Result<Option<Item>, ReadError> {
        loop {
            if let Some(item) = self.pending.pop_front() {
                return Ok(Some(item));
            }
            if self.done {
                return Ok(None);
            }
            match self.flow.next()? {
                Next::End => self.done = true,
                Next::Damage(damage) => return Ok(Some(self.damaged(damage))),
                Next::Wall(offset) => {
                    if offset >= self.end {
                        self.done = true;
                    } else {
                        self.flow.enter();
                        self.at = At { offset, index: 0 };
                    }
                }
                Next::Bytes => {
                    if self.skip_blank()? > 0 {
                        continue;
                    }
                    let lookahead = self.lookahead();
                    self.flow.peek(lookahead)?;
                    if !self.starts(self.flow.segment()) {
                        return Ok(Some(self.stray()?));
                    }
                    if let Some(item) = self.record()? {
                        return Ok(Some(item));
                    }
                }
            }
        }
    }

    fn recycle(&mut self, body: Vec<u8>) {
        if body.capacity() > self.block.capacity() && body.capacity() <= MAX_SPARE {
            self.block = body;
        }
    }
}
