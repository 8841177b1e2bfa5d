//! Trees as libxml2 builds them, for the answers of programs that parse with lxml.
//!
//! libxml2 reads characters as the HTML standard has it since version 2.14, so the tokenizer is the same. Its trees are simpler, and
//! older than the standard: some start tags close the element that is open, an end tag closes everything up to its element
//! unless something weightier is in between, `html`, `head` and `body` are implied, `/>` closes any element, and nothing is ever moved.
//! Facts are from `HTMLparser.c` of libxml2 2.14 (MIT); its parts `htmlStartClose`, `htmlEndPriority` and `htmlCheckImplied` are the tables
//! and functions below.

use super::builder::{WORK_FLOOR, WORK_PER_BYTE, leading_space};
use super::dom::{DOCUMENT, Dom, Kind, NodeId};
use super::names::Tag;
use super::tokenizer::{StartTag, State, Text, Token, Tokenizer};
use super::{Config, GaveUp};

/// An element that is nested deeper ends the document, unless `XML_PARSE_HUGE` is asked for.
const MAX_DEPTH: usize = 256;

/// How far the implied elements have come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Section {
    Initial,
    Head,
    Body,
}

struct Builder<'p> {
    page: &'p str,
    dom: &'p mut Dom,
    tokenizer: Tokenizer<'p>,
    open: Vec<(NodeId, Tag)>,
    section: Section,
    /// Whether only comments and a doctype have come, between which white space is nothing.
    is_prolog: bool,
    /// Start tags of `html`, `head` and `body` that were passed over; as many of their end tags are, too.
    misplaced: u32,
    /// Whether all that the parser says is wanted, or only what is in its tree.
    events: bool,
    is_over: bool,
    work: u64,
}

/// Parses a page into an arena that is empty. The page has no carriage returns.
pub(super) fn parse(page: &str, config: &Config, events: bool, dom: &mut Dom) -> Result<(), GaveUp> {
    let mut tokenizer = Tokenizer::new(page, &config.wanted);
    if page.starts_with('\u{feff}') {
        tokenizer.skip('\u{feff}'.len_utf8());
    }
    let mut builder = Builder {
        page,
        dom,
        tokenizer,
        open: Vec::new(),
        section: Section::Initial,
        is_prolog: true,
        misplaced: 0,
        events,
        is_over: false,
        work: 0,
    };
    builder.run(config.max_nodes)
}

impl Builder<'_> {
    fn run(&mut self, max_nodes: usize) -> Result<(), GaveUp> {
        let work_limit = WORK_FLOOR + WORK_PER_BYTE * self.page.len() as u64;
        while !self.is_over {
            self.is_prolog &= may_stand_in_prolog(self.tokenizer.rest_of_page());
            match self.tokenizer.next(self.dom, false) {
                Token::Text(text) => self.text(text),
                Token::Start(tag) => self.start(&tag),
                Token::End(tag) => self.end(tag),
                Token::Comment => self.comment(),
                // In the midst of a document it cuts text in two.
                Token::Doctype { .. } if self.events => self.comment(),
                Token::Doctype { .. } => {}
                Token::EndOfFile => break,
            }
            if self.dom.nodes.len() > max_nodes {
                return Err(GaveUp::TooManyNodes);
            }
            if self.work > work_limit {
                return Err(GaveUp::TooTangled);
            }
        }
        Ok(())
    }

    fn current(&self) -> NodeId {
        self.open.last().map_or(DOCUMENT, |(node, _)| *node)
    }

    fn current_tag(&self) -> Option<Tag> {
        self.open.last().map(|(_, tag)| *tag)
    }

    fn comment(&mut self) {
        let comment = self.dom.new_comment();
        self.dom.append(self.current(), comment);
    }

    fn text(&mut self, text: Text) {
        let mut span = if text.has_nul { self.tokenizer.without_nul(self.dom, text.span) } else { text.span };
        if matches!(self.current_tag(), None | Some(Tag::HTML | Tag::HEAD)) {
            let space = leading_space(self.dom.span(self.page, span), true);
            if space > 0 && !self.is_prolog {
                self.dom.insert_text(self.page, self.current(), super::dom::NONE, span.until(space));
            }
            span = span.from(space);
            if span.length == 0 {
                return;
            }
            self.is_prolog = false;
            if self.current_tag() == Some(Tag::HEAD) {
                self.close_for(Tag::P);
            }
            self.imply_for(Tag::P);
        }
        self.dom.insert_text(self.page, self.current(), super::dom::NONE, span);
    }

    fn start(&mut self, start: &StartTag) {
        let tag = start.tag;
        self.close_for(tag);
        self.imply_for(tag);
        let misplaced = match tag {
            Tag::HTML => u32::from(!self.open.is_empty()),
            Tag::HEAD => u32::from(self.open.len() != 1),
            Tag::BODY => self.open.iter().filter(|(_, open)| *open == Tag::BODY).count() as u32,
            _ => 0,
        };
        if misplaced > 0 {
            self.misplaced += misplaced;
            self.work += self.open.len() as u64;
            self.dom.attributes.truncate(start.first_attribute);
            if start.self_closing {
                // It closes what is open in the place of the element that is not.
                self.open.pop();
            }
            return;
        }
        self.insert(tag, start.first_attribute);
        if start.self_closing || is_void(tag) {
            self.open.pop();
        } else {
            self.tokenizer.state = content_of(tag);
        }
    }

    fn end(&mut self, tag: Tag) {
        if self.misplaced > 0 && matches!(tag, Tag::HTML | Tag::HEAD | Tag::BODY) {
            self.misplaced -= 1;
            return;
        }
        let weight = weight(tag);
        let above = self
            .open
            .iter()
            .rev()
            .take_while(|(_, open)| *open != tag && self::weight(*open) <= weight)
            .count();
        self.work += above as u64;
        let at = self.open.len() - above;
        if self.open.get(at.wrapping_sub(1)).is_some_and(|(_, open)| *open == tag) {
            self.open.truncate(at - 1);
        }
    }

    fn insert(&mut self, tag: Tag, first_attribute: usize) {
        if self.open.len() >= MAX_DEPTH && !self.events {
            self.is_over = true;
            return;
        }
        let node = self.dom.new_element(Kind::Html, tag, first_attribute);
        self.dom.append(self.current(), node);
        self.open.push((node, tag));
        match tag {
            Tag::HEAD => self.section = self.section.max(Section::Head),
            Tag::BODY => {
                self.section = Section::Body;
                if self.dom.body == super::dom::NONE {
                    self.dom.body = node;
                }
            }
            _ => {}
        }
    }

    /// Closes the elements that a start tag closes.
    fn close_for(&mut self, tag: Tag) {
        while self.current_tag().is_some_and(|open| closes(tag, open)) {
            self.open.pop();
        }
    }

    /// Opens the elements that a start tag implies.
    fn imply_for(&mut self, tag: Tag) {
        if tag == Tag::HTML {
            return;
        }
        if self.open.is_empty() {
            self.insert(Tag::HTML, self.dom.attributes.len());
        }
        match tag {
            Tag::BODY | Tag::HEAD => {}
            Tag::SCRIPT | Tag::STYLE | Tag::META | Tag::LINK | Tag::TITLE | Tag::BASE
                if self.open.len() <= 1 =>
            {
                if self.section < Section::Head {
                    self.insert(Tag::HEAD, self.dom.attributes.len());
                }
            }
            Tag::NOFRAMES | Tag::FRAME | Tag::FRAMESET => {}
            _ => {
                // A head is never further up the stack, and a body only if there was one before.
                let is_in_head = self.open.get(1).is_some_and(|(_, tag)| *tag == Tag::HEAD);
                if self.section < Section::Body && !is_in_head {
                    self.insert(Tag::BODY, self.dom.attributes.len());
                }
            }
        }
    }
}

/// Whether comments and doctypes still follow each other; an end tag, be it of nothing, is none.
fn may_stand_in_prolog(rest: &[u8]) -> bool {
    let is_doctype = || rest.get(..9).is_some_and(|start| start.eq_ignore_ascii_case(b"<!doctype"));
    !rest.starts_with(b"<") || rest.starts_with(b"<?") || rest.starts_with(b"<!--") || is_doctype()
}

/// What the characters in an element are.
fn content_of(tag: Tag) -> State {
    match tag {
        Tag::TITLE | Tag::TEXTAREA => State::Rcdata(tag),
        Tag::IFRAME | Tag::NOEMBED | Tag::NOFRAMES | Tag::STYLE | Tag::XMP => State::Rawtext(tag),
        Tag::SCRIPT => State::Script,
        Tag::PLAINTEXT => State::Plaintext,
        _ => State::Data,
    }
}

/// Elements without content as HTML 4 has them; later ones are like any other.
fn is_void(tag: Tag) -> bool {
    matches!(
        tag,
        Tag::AREA
            | Tag::BASE
            | Tag::BASEFONT
            | Tag::BR
            | Tag::COL
            | Tag::FRAME
            | Tag::HR
            | Tag::IMG
            | Tag::INPUT
            | Tag::ISINDEX
            | Tag::LINK
            | Tag::META
            | Tag::PARAM
    )
}

/// An end tag closes no element that weighs more than its own.
fn weight(tag: Tag) -> u8 {
    match tag {
        Tag::DIV => 1,
        Tag::TD | Tag::TH => 2,
        Tag::TR => 3,
        Tag::THEAD | Tag::TBODY | Tag::TFOOT => 4,
        Tag::TABLE => 5,
        Tag::HEAD | Tag::BODY => 6,
        Tag::HTML => 7,
        _ => 0,
    }
}

/// Whether a start tag closes an element that is open.
fn closes(start: Tag, open: Tag) -> bool {
    let is = |list: &[Tag]| list.contains(&start);
    match open {
        Tag::A => is(&[Tag::A, Tag::FIELDSET, Tag::TABLE, Tag::TD, Tag::TH]),
        Tag::ADDRESS => is(&[Tag::DD, Tag::DL, Tag::DT, Tag::FORM, Tag::LI, Tag::UL]),
        Tag::B | Tag::I => is(&[Tag::CENTER, Tag::P, Tag::TD, Tag::TH]),
        Tag::BIG | Tag::S | Tag::SMALL | Tag::STRIKE | Tag::TT => start == Tag::P,
        Tag::CAPTION | Tag::COL => {
            is(&[Tag::COL, Tag::COLGROUP, Tag::TBODY, Tag::TFOOT, Tag::THEAD, Tag::TR])
        }
        Tag::COLGROUP => is(&[Tag::COLGROUP, Tag::TBODY, Tag::TFOOT, Tag::THEAD, Tag::TR]),
        Tag::DD => start == Tag::DT,
        Tag::DIR | Tag::MENU => is(&[Tag::DD, Tag::DL, Tag::DT, Tag::FORM, Tag::UL]),
        Tag::DL => is(&[Tag::FORM, Tag::LI]),
        Tag::DT => is(&[Tag::DD, Tag::DL]),
        Tag::FONT => is(&[Tag::CENTER, Tag::TD, Tag::TH]),
        Tag::FORM | Tag::OL => start == Tag::FORM,
        Tag::H1 | Tag::H2 | Tag::H3 | Tag::H4 | Tag::H5 | Tag::H6 => {
            is(&[Tag::FIELDSET, Tag::FORM, Tag::LI, Tag::P, Tag::TABLE])
        }
        Tag::HEAD => closes_head(start),
        Tag::LEGEND => start == Tag::FIELDSET,
        Tag::LI => start == Tag::LI,
        Tag::LISTING | Tag::PRE | Tag::XMP => {
            is(&[Tag::DD, Tag::DL, Tag::DT, Tag::FIELDSET, Tag::FORM, Tag::LI, Tag::TABLE, Tag::UL])
        }
        Tag::OPTION => is(&[Tag::OPTGROUP, Tag::OPTION]),
        Tag::P => closes_p(start),
        Tag::SCRIPT => start == Tag::NOSCRIPT,
        Tag::SPAN => is(&[Tag::TD, Tag::TH]),
        Tag::STYLE | Tag::TITLE => is(&[Tag::BODY, Tag::FRAMESET]),
        Tag::TBODY | Tag::THEAD => is(&[Tag::TBODY, Tag::TFOOT]),
        Tag::TD | Tag::TH => is(&[Tag::TBODY, Tag::TD, Tag::TFOOT, Tag::TH, Tag::TR]),
        Tag::TFOOT => start == Tag::TBODY,
        Tag::TR => is(&[Tag::TBODY, Tag::TFOOT, Tag::TR]),
        Tag::U => is(&[Tag::P, Tag::TD, Tag::TH]),
        Tag::UL => is(&[Tag::ADDRESS, Tag::FORM, Tag::MENU, Tag::PRE]),
        _ => false,
    }
}

fn closes_head(start: Tag) -> bool {
    const CLOSERS: &[Tag] = &[
        Tag::A,
        Tag::ABBR,
        Tag::ACRONYM,
        Tag::ADDRESS,
        Tag::B,
        Tag::BDO,
        Tag::BIG,
        Tag::BLOCKQUOTE,
        Tag::BODY,
        Tag::BR,
        Tag::CENTER,
        Tag::CITE,
        Tag::CODE,
        Tag::DD,
        Tag::DFN,
        Tag::DIR,
        Tag::DIV,
        Tag::DL,
        Tag::DT,
        Tag::EM,
        Tag::FIELDSET,
        Tag::FONT,
        Tag::FORM,
        Tag::FRAMESET,
        Tag::H1,
        Tag::H2,
        Tag::H3,
        Tag::H4,
        Tag::H5,
        Tag::H6,
        Tag::HR,
        Tag::I,
        Tag::IFRAME,
        Tag::IMG,
        Tag::KBD,
        Tag::LI,
        Tag::LISTING,
        Tag::MAP,
        Tag::MENU,
        Tag::OL,
        Tag::P,
        Tag::PRE,
        Tag::Q,
        Tag::S,
        Tag::SAMP,
        Tag::SMALL,
        Tag::SPAN,
        Tag::STRIKE,
        Tag::STRONG,
        Tag::SUB,
        Tag::SUP,
        Tag::TABLE,
        Tag::TT,
        Tag::U,
        Tag::UL,
        Tag::VAR,
        Tag::XMP,
    ];
    CLOSERS.contains(&start)
}

fn closes_p(start: Tag) -> bool {
    const CLOSERS: &[Tag] = &[
        Tag::ADDRESS,
        Tag::BLOCKQUOTE,
        Tag::BODY,
        Tag::CAPTION,
        Tag::CENTER,
        Tag::COL,
        Tag::COLGROUP,
        Tag::DD,
        Tag::DIR,
        Tag::DIV,
        Tag::DL,
        Tag::DT,
        Tag::FIELDSET,
        Tag::FORM,
        Tag::FRAMESET,
        Tag::H1,
        Tag::H2,
        Tag::H3,
        Tag::H4,
        Tag::H5,
        Tag::H6,
        Tag::HEAD,
        Tag::HR,
        Tag::LI,
        Tag::LISTING,
        Tag::MENU,
        Tag::OL,
        Tag::P,
        Tag::PRE,
        Tag::TABLE,
        Tag::TBODY,
        Tag::TD,
        Tag::TFOOT,
        Tag::TH,
        Tag::TITLE,
        Tag::TR,
        Tag::UL,
        Tag::XMP,
    ];
    CLOSERS.contains(&start)
}
