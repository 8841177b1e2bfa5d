//! Characters to tokens (HTML standard 13.2.5), made for whole pieces: text up to the next tag is one token and one
//! range, found by vector search; attributes nobody asks about are passed over without decoding.
//!
//! The input has no carriage returns left (the caller normalises line ends). The tokenizer never fails: what is
//! unterminated ends with the page as the standard says, and every scan continues where the last one stopped, so its
//! time is linear.

use std::hash::Hasher;

use memchr::{memchr, memchr2, memchr3, memmem};
use rustc_hash::FxHasher;

use super::dom::{Dom, Span};
use super::names::{self, Attr, NameKey, Tag, group};
use super::{Wanted, doctype, entities};

/// A token of the standard, text in whole runs.
pub(crate) enum Token {
    Text(Text),
    Start(StartTag),
    End(Tag),
    Comment,
    /// A doctype, by whether it asks for quirks mode.
    Doctype {
        quirks: bool,
    },
    EndOfFile,
}

/// Consecutive characters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text {
    pub(crate) span: Span,
    /// Whether U+0000 occurs: dropped or replaced depending on where the text lands.
    pub(crate) has_nul: bool,
}

/// A start tag. Its kept attributes are the arena's from `first_attribute` on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StartTag {
    pub(crate) tag: Tag,
    pub(crate) self_closing: bool,
    pub(crate) first_attribute: usize,
    /// Known attributes that are present, kept or not, as bits.
    pub(crate) present: u64,
    /// Of a formatting element: a fingerprint of all its attributes, whatever their order.
    pub(crate) fingerprint: u64,
}

/// What the next characters are, set by the tree builder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Data,
    /// Text with character references up to this element's end tag: title, textarea.
    Rcdata(Tag),
    /// Text without: style, xmp, iframe, noembed, noframes.
    Rawtext(Tag),
    Script,
    /// To the end of the page.
    Plaintext,
}

pub(crate) struct Tokenizer<'p> {
    page: &'p str,
    bytes: &'p [u8],
    at: usize,
    pub(crate) state: State,
    wanted: &'p Wanted,
    /// Names seen in the tag being read, where a fingerprint is made.
    seen_names: Vec<u64>,
}

/// Formatting elements with more attributes than this are told apart by the first so many.
const FINGERPRINTED_ATTRIBUTES: usize = 32;

const SPACE: u8 = 1;
const SLASH: u8 = 2;
const CLOSE: u8 = 4;
const EQUALS: u8 = 8;

static CLASS: [u8; 256] = {
    let mut class = [0; 256];
    class[b'\t' as usize] = SPACE;
    class[b'\n' as usize] = SPACE;
    class[0x0C] = SPACE;
    class[b' ' as usize] = SPACE;
    class[b'/' as usize] = SLASH;
    class[b'>' as usize] = CLOSE;
    class[b'=' as usize] = EQUALS;
    class
};

#[inline(always)]
fn is(byte: u8, class: u8) -> bool {
    CLASS[byte as usize] & class != 0
}

impl<'p> Tokenizer<'p> {
    pub(crate) fn new(page: &'p str, wanted: &'p Wanted) -> Self {
        Self { page, bytes: page.as_bytes(), at: 0, state: State::Data, wanted, seen_names: Vec::new() }
    }

    /// What is left of the page.
    pub(super) fn rest_of_page(&self) -> &'p [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Passes over the first bytes of the page.
    pub(super) fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// The next token. `foreign` says whether the adjusted current node is outside the HTML namespace, where
    /// `<![CDATA[` has a meaning.
    #[inline]
    pub(crate) fn next(&mut self, dom: &mut Dom, foreign: bool) -> Token {
        match self.state {
            State::Data => self.data(dom, foreign),
            State::Rcdata(tag) | State::Rawtext(tag) => self.raw(dom, tag),
            State::Script => self.script(dom),
            State::Plaintext => self.rest(dom, self.bytes.len(), false),
        }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn data(&mut self, dom: &mut Dom, foreign: bool) -> Token {
        loop {
            match self.peek(0) {
                None => return Token::EndOfFile,
                Some(b'<') => {}
                Some(_) => return self.text(dom, 0),
            }
            match self.peek(1) {
                Some(byte) if byte.is_ascii_alphabetic() => {
                    self.at += 1;
                    return self.start_tag(dom).unwrap_or(Token::EndOfFile);
                }
                Some(b'/') => match self.peek(2) {
                    Some(byte) if byte.is_ascii_alphabetic() => {
                        self.at += 2;
                        return self.end_tag(dom).unwrap_or(Token::EndOfFile);
                    }
                    Some(b'>') => self.at += 3,
                    Some(_) => return self.bogus_comment(2),
                    None => return self.text(dom, 2),
                },
                Some(b'!') => {
                    if let Some(token) = self.declaration(foreign) {
                        return token;
                    }
                }
                Some(b'?') => return self.bogus_comment(1),
                _ => return self.text(dom, 1),
            }
        }
    }

    /// Text from here to the next thing that is markup; the first `known` bytes are text already.
    fn text(&mut self, dom: &mut Dom, known: usize) -> Token {
        let start = self.at;
        let mut end = start + known;
        let (mut has_references, mut has_nul) = (false, false);
        loop {
            let Some(found) = memchr3(b'<', b'&', 0, &self.bytes[end..]) else {
                end = self.bytes.len();
                break;
            };
            end += found;
            match self.bytes[end] {
                b'<' => {
                    let markup = match self.bytes.get(end + 1) {
                        Some(b'/') => end + 2 < self.bytes.len(),
                        Some(&byte) => byte.is_ascii_alphabetic() || byte == b'!' || byte == b'?',
                        None => false,
                    };
                    if markup {
                        break;
                    }
                }
                b'&' => has_references = true,
                _ => has_nul = true,
            }
            end += 1;
        }
        self.at = end;
        let span =
            if has_references { self.decode(dom, start, end, false) } else { self.page_span(start, end) };
        Token::Text(Text { span, has_nul })
    }

    fn page_span(&self, start: usize, end: usize) -> Span {
        debug_assert!(end <= self.bytes.len());
        Span { side: false, start: start as u32, length: (end - start) as u32 }
    }

    /// The piece of the page with its character references decoded.
    fn decode(&self, dom: &mut Dom, start: usize, end: usize, in_attribute: bool) -> Span {
        let side_start = dom.side.len();
        let mut at = start;
        while let Some(found) = memchr(b'&', &self.bytes[at..end]) {
            dom.side.push_str(&self.page[at..at + found]);
            at += found;
            at += entities::decode(&self.bytes[at..end], in_attribute, &mut dom.side);
        }
        dom.side.push_str(&self.page[at..end]);
        Span { side: true, start: side_start as u32, length: (dom.side.len() - side_start) as u32 }
    }

    /// Replaces NULs by U+FFFD, which makes the piece one of the side buffer.
    pub(super) fn without_nul(&self, dom: &mut Dom, span: Span) -> Span {
        if memchr(0, dom.span(self.page, span).as_bytes()).is_none() {
            return span;
        }
        let clean = dom.span(self.page, span).replace('\0', "\u{FFFD}");
        let start = dom.side.len() as u32;
        dom.side.push_str(&clean);
        Span { side: true, start, length: clean.len() as u32 }
    }

    /// A start tag; the position is at its name. None if the page ends first.
    fn start_tag(&mut self, dom: &mut Dom) -> Option<Token> {
        let tag = self.tag_name(dom)?;
        let first_attribute = dom.attributes.len();
        let mut start = StartTag { tag, self_closing: false, first_attribute, present: 0, fingerprint: 0 };
        // The commonest tags have no attributes.
        if self.bytes[self.at] == b'>' {
            self.at += 1;
            return Some(Token::Start(start));
        }
        let fingerprint = tag.is(group::FORMATTING);
        self.seen_names.clear();
        loop {
            // "Before attribute name", "after attribute name" and "self-closing start tag" as one.
            let mut byte = self.peek(0)?;
            let mut after_slash = false;
            while is(byte, SPACE | SLASH | CLOSE) {
                self.at += 1;
                if byte == b'>' {
                    start.self_closing = after_slash;
                    return Some(Token::Start(start));
                }
                after_slash = byte == b'/';
                byte = self.peek(0)?;
            }
            let mut key = NameKey::default();
            let name_start = self.at;
            // An equals sign may start a name.
            loop {
                key.push(byte);
                self.at += 1;
                byte = self.peek(0)?;
                if is(byte, SPACE | SLASH | CLOSE | EQUALS) {
                    break;
                }
            }
            let name = &self.bytes[name_start..self.at];
            while is(byte, SPACE) {
                self.at += 1;
                byte = self.peek(0)?;
            }
            let value = if byte == b'=' { self.attribute_value()? } else { self.page_span(self.at, self.at) };
            if fingerprint {
                self.fingerprint(&mut start, name, value);
            }
            self.keep(dom, &mut start, key, name, value);
        }
    }

    #[inline]
    fn tag_name(&mut self, dom: &mut Dom) -> Option<Tag> {
        let start = self.at;
        let mut key = NameKey::default();
        loop {
            let byte = self.peek(0)?;
            if is(byte, SPACE | SLASH | CLOSE) {
                return Some(dom.names.tag(key, &self.bytes[start..self.at]));
            }
            key.push(byte);
            self.at += 1;
        }
    }

    /// The raw value after an equals sign, at which the position is. None if the page ends first.
    fn attribute_value(&mut self) -> Option<Span> {
        self.at += 1;
        while is(self.peek(0)?, SPACE) {
            self.at += 1;
        }
        let quote = self.peek(0)?;
        let start = self.at + 1;
        match quote {
            b'"' | b'\'' => {
                let end = start + memchr(quote, &self.bytes[start..])?;
                self.at = end + 1;
                Some(self.page_span(start, end))
            }
            b'>' => Some(self.page_span(self.at, self.at)),
            _ => {
                let start = self.at;
                while !is(self.peek(0)?, SPACE | CLOSE) {
                    self.at += 1;
                }
                Some(self.page_span(start, self.at))
            }
        }
    }

    /// Keeps the attribute if somebody asks about it and it is the first of its name.
    #[inline]
    fn keep(&self, dom: &mut Dom, tag: &mut StartTag, key: NameKey, name: &[u8], value: Span) {
        let name = match names::attribute(key, name) {
            Some(known) => {
                if tag.present & known.bit() != 0 {
                    return;
                }
                tag.present |= known.bit();
                if self.wanted.attributes & known.bit() == 0 {
                    return;
                }
                known
            }
            None => match self.wanted.position(name) {
                Some(at) => Attr((Attr::KNOWN + at) as u16),
                None => return,
            },
        };
        if name.bit() == 0 && dom.attributes[tag.first_attribute..].iter().any(|earlier| earlier.name == name)
        {
            return;
        }
        let (start, end) = (value.start as usize, (value.start + value.length) as usize);
        let value = match memchr2(b'&', 0, &self.bytes[start..end]) {
            None => value,
            Some(_) => {
                let decoded = self.decode(dom, start, end, true);
                self.without_nul(dom, decoded)
            }
        };
        dom.push_attribute(name, value);
    }

    fn fingerprint(&mut self, tag: &mut StartTag, name: &[u8], value: Span) {
        let mut hasher = FxHasher::default();
        hasher.write(&name.to_ascii_lowercase());
        let name = hasher.finish();
        if self.seen_names.len() >= FINGERPRINTED_ATTRIBUTES || self.seen_names.contains(&name) {
            return;
        }
        self.seen_names.push(name);
        let (start, end) = (value.start as usize, (value.start + value.length) as usize);
        hasher.write(&self.bytes[start..end]);
        tag.fingerprint = tag.fingerprint.wrapping_add(hasher.finish() | 1);
    }

    /// An end tag; the position is at its name. Its attributes mean nothing. None if the page ends first.
    fn end_tag(&mut self, dom: &mut Dom) -> Option<Token> {
        let tag = self.tag_name(dom)?;
        loop {
            let mut byte = self.peek(0)?;
            while is(byte, SPACE | SLASH | CLOSE) {
                self.at += 1;
                if byte == b'>' {
                    return Some(Token::End(tag));
                }
                byte = self.peek(0)?;
            }
            loop {
                self.at += 1;
                byte = self.peek(0)?;
                if is(byte, SPACE | SLASH | CLOSE | EQUALS) {
                    break;
                }
            }
            while is(byte, SPACE) {
                self.at += 1;
                byte = self.peek(0)?;
            }
            if byte == b'=' {
                self.attribute_value()?;
            }
        }
    }

    fn bogus_comment(&mut self, skip: usize) -> Token {
        let start = self.at + skip;
        self.at = memchr(b'>', &self.bytes[start..]).map_or(self.bytes.len(), |found| start + found + 1);
        Token::Comment
    }

    /// `<!…`: a comment, a doctype, or CDATA. None for an empty CDATA section, which is no token.
    fn declaration(&mut self, foreign: bool) -> Option<Token> {
        let rest = &self.bytes[self.at + 2..];
        if rest.starts_with(b"--") {
            self.at = self.comment_end(self.at + 4);
            return Some(Token::Comment);
        }
        if rest.get(..7).is_some_and(|word| word.eq_ignore_ascii_case(b"doctype")) {
            let start = self.at + 9;
            let end = memchr(b'>', &self.bytes[start..]).map(|found| start + found);
            self.at = end.map_or(self.bytes.len(), |end| end + 1);
            let quirks = end.is_none_or(|end| doctype::asks_for_quirks(&self.page[start..end]));
            return Some(Token::Doctype { quirks });
        }
        if foreign && rest.starts_with(b"[CDATA[") {
            let start = self.at + 9;
            let found = memmem::find(&self.bytes[start..], b"]]>").map(|found| start + found);
            let end = found.unwrap_or(self.bytes.len());
            self.at = found.map_or(end, |end| end + 3);
            let has_nul = memchr(0, &self.bytes[start..end]).is_some();
            return (end > start).then(|| Token::Text(Text { span: self.page_span(start, end), has_nul }));
        }
        Some(self.bogus_comment(2))
    }

    /// Where the comment ends whose content starts at `at`: behind `-->` or `--!>`, or at once for `<!-->`, `<!--->`.
    fn comment_end(&self, mut at: usize) -> usize {
        for abrupt in [&b">"[..], b"->"] {
            if self.bytes[at..].starts_with(abrupt) {
                return at + abrupt.len();
            }
        }
        while let Some(found) = memmem::find(&self.bytes[at..], b"--") {
            at += found + 2;
            while self.bytes.get(at) == Some(&b'-') {
                at += 1;
            }
            match self.bytes.get(at..) {
                Some([b'>', ..]) => return at + 1,
                Some([b'!', b'>', ..]) => return at + 2,
                _ => {}
            }
        }
        self.bytes.len()
    }

    /// All up to `end` as text, for the states that know no NUL.
    fn rest(&mut self, dom: &mut Dom, end: usize, references: bool) -> Token {
        if self.at == end {
            return Token::EndOfFile;
        }
        let has_references = references && memchr(b'&', &self.bytes[self.at..end]).is_some();
        let span =
            if has_references { self.decode(dom, self.at, end, false) } else { self.page_span(self.at, end) };
        self.at = end;
        Token::Text(Text { span: self.without_nul(dom, span), has_nul: false })
    }

    /// Whether `</name` stands here with an end behind it.
    fn ends_element(&self, at: usize, name: &[u8]) -> bool {
        let name_end = at + 2 + name.len();
        self.bytes.get(at + 1) == Some(&b'/')
            && self.bytes.get(at + 2..name_end).is_some_and(|found| found.eq_ignore_ascii_case(name))
            && self.bytes.get(name_end).is_some_and(|&byte| is(byte, SPACE | SLASH | CLOSE))
    }

    /// RCDATA and RAWTEXT: text, then the element's end tag.
    fn raw(&mut self, dom: &mut Dom, tag: Tag) -> Token {
        let name = tag.known_name().as_bytes();
        let mut end = self.at;
        loop {
            let Some(found) = memchr(b'<', &self.bytes[end..]) else {
                end = self.bytes.len();
                break;
            };
            end += found;
            if self.ends_element(end, name) {
                break;
            }
            end += 1;
        }
        self.raw_text_or_end(dom, end, matches!(self.state, State::Rcdata(_)))
    }

    fn raw_text_or_end(&mut self, dom: &mut Dom, end: usize, references: bool) -> Token {
        if end > self.at {
            return self.rest(dom, end, references);
        }
        if end == self.bytes.len() {
            return Token::EndOfFile;
        }
        self.state = State::Data;
        self.at += 2;
        self.end_tag(dom).unwrap_or(Token::EndOfFile)
    }

    /// Script data: `<!--` hides a `<script>` inside it, and that one's end tag (the "escaped" states).
    fn script(&mut self, dom: &mut Dom) -> Token {
        #[derive(Clone, Copy, PartialEq)]
        enum Escape {
            None,
            Once,
            Twice,
        }
        let mut escape = Escape::None;
        let mut at = self.at;
        let end = loop {
            let found = match escape {
                Escape::None => memchr(b'<', &self.bytes[at..]),
                _ => memchr2(b'<', b'-', &self.bytes[at..]),
            };
            let Some(found) = found else { break self.bytes.len() };
            at += found;
            let rest = &self.bytes[at..];
            if escape == Escape::None && rest.starts_with(b"<!--") {
                escape = Escape::Once;
                // The two dashes may be those of the closing `-->` too.
                at += 2;
            } else if rest.starts_with(b"--") {
                at += 2;
                while self.bytes.get(at) == Some(&b'-') {
                    at += 1;
                }
                if self.bytes.get(at) == Some(&b'>') {
                    escape = Escape::None;
                }
            } else if self.ends_element(at, b"script") {
                if escape != Escape::Twice {
                    break at;
                }
                escape = Escape::Once;
                at += 2;
            } else {
                let opens = rest.get(1..7).is_some_and(|name| name.eq_ignore_ascii_case(b"script"))
                    && rest.get(7).is_some_and(|&byte| is(byte, SPACE | SLASH | CLOSE));
                if escape == Escape::Once && opens {
                    escape = Escape::Twice;
                }
                at += 1;
            }
        };
        self.raw_text_or_end(dom, end, false)
    }
}
