//! Tree construction: dispatch, insertion, and what all insertion modes share (HTML standard 13.2.6).

use super::dom::{Attribute, DOCUMENT, Dom, Kind, NONE, NodeId, Span, flag};
use super::formatting::{ActiveFormatting, Entry};
use super::names::{Attr, Tag, group};
use super::open::OpenElements;
use super::tokenizer::{StartTag, State, Text, Token, Tokenizer};
use super::{Config, Dialect, GaveUp};

/// The insertion modes. Three of the standard's are missing: "in table text" is the [`Parser::pending`] text, and the
/// frameset modes are not entered because a page with a frameset has no text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    Initial,
    BeforeHtml,
    BeforeHead,
    InHead,
    InHeadNoscript,
    AfterHead,
    InBody,
    Text,
    InTable,
    InCaption,
    InColumnGroup,
    InTableBody,
    InRow,
    InCell,
    InSelect,
    InSelectInTable,
    InTemplate,
    AfterBody,
    AfterAfterBody,
}

/// What a parse needs beside the tree; kept from page to page for its memory.
#[derive(Default)]
pub(crate) struct Buffers {
    open: OpenElements,
    formatting: ActiveFormatting,
    template_modes: Vec<Mode>,
    pending: Vec<Text>,
}

/// What a mode did with a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Done,
    /// The mode has changed, and the token is for the new one.
    Again,
}

/// Steps of rearrangement that any page may cost, and how many more for each of its bytes. Real pages stay far below the
/// first figure; a page made for it ends within a second for each ten megabytes or so.
pub(super) const WORK_FLOOR: u64 = 1 << 24;
pub(super) const WORK_PER_BYTE: u64 = 64;

pub(super) struct Parser<'p> {
    pub(super) page: &'p str,
    pub(super) dom: &'p mut Dom,
    pub(super) tokenizer: Tokenizer<'p>,
    pub(super) dialect: Dialect,
    pub(super) open: &'p mut OpenElements,
    pub(super) formatting: &'p mut ActiveFormatting,
    pub(super) template_modes: &'p mut Vec<Mode>,
    /// Characters met directly in a table, until it is known whether all are white space.
    pub(super) pending: &'p mut Vec<Text>,
    pub(super) mode: Mode,
    /// Where [`Mode::Text`] goes back to.
    pub(super) original_mode: Mode,
    pub(super) head: NodeId,
    pub(super) form: NodeId,
    pub(super) frameset_ok: bool,
    pub(super) foster_parenting: bool,
    /// Whether a line feed that comes next is dropped (after `<pre>` and its like).
    pub(super) skip_line_feed: bool,
    /// Set once nothing can change the text any more: a frameset.
    pub(super) finished: bool,
    pub(super) work: u64,
}

/// Parses a page into an arena. The page has no carriage returns.
pub(crate) fn parse(page: &str, config: &Config, dom: &mut Dom, buffers: &mut Buffers) -> Result<(), GaveUp> {
    dom.clear();
    if let Dialect::Libxml2 { events } = config.dialect {
        return super::libxml2::parse(page, config, events, dom);
    }
    buffers.open.clear();
    buffers.formatting.entries.clear();
    buffers.template_modes.clear();
    buffers.pending.clear();
    let mut parser = Parser {
        page,
        dom,
        tokenizer: Tokenizer::new(page, &config.wanted),
        dialect: config.dialect,
        open: &mut buffers.open,
        formatting: &mut buffers.formatting,
        template_modes: &mut buffers.template_modes,
        pending: &mut buffers.pending,
        mode: Mode::Initial,
        original_mode: Mode::Initial,
        head: NONE,
        form: NONE,
        frameset_ok: true,
        foster_parenting: false,
        skip_line_feed: false,
        finished: false,
        work: 0,
    };
    parser.run(config.max_nodes)
}

/// How many bytes of white space the text begins with. With `form_feed` false, U+000C is none.
pub(super) fn leading_space(text: &str, form_feed: bool) -> usize {
    let is_space = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' ') || (form_feed && *byte == 0x0C);
    text.bytes().take_while(|byte| is_space(byte)).count()
}

impl Parser<'_> {
    fn run(&mut self, max_nodes: usize) -> Result<(), GaveUp> {
        let work_limit = WORK_FLOOR + WORK_PER_BYTE * self.page.len() as u64;
        while !self.finished {
            let foreign = self.current().is_some_and(|node| self.dom.node(node).kind != Kind::Html);
            let unclaimed = self.dom.attributes.len();
            let nodes = self.dom.nodes.len();
            let token = self.tokenizer.next(self.dom, foreign);
            if !self.pending.is_empty() && !matches!(token, Token::Text(_)) {
                self.flush_pending();
            }
            let skip_line_feed = std::mem::take(&mut self.skip_line_feed);
            match token {
                Token::Text(text) => self.text(text, skip_line_feed),
                Token::Start(tag) => self.start(&tag),
                Token::End(tag) => self.end(tag),
                Token::Comment => self.comment(),
                Token::Doctype { quirks } => {
                    if self.mode == Mode::Initial {
                        self.dom.quirks = quirks;
                        self.mode = Mode::BeforeHtml;
                    }
                }
                Token::EndOfFile => break,
            }
            if self.dom.nodes.len() == nodes {
                // No element took the tag's attributes.
                self.dom.attributes.truncate(unclaimed);
            } else if self.dom.nodes.len() > max_nodes {
                return Err(GaveUp::TooManyNodes);
            }
            if self.work > work_limit {
                return Err(GaveUp::TooTangled);
            }
        }
        Ok(())
    }

    // The current node and the stack.

    pub(super) fn current(&self) -> Option<NodeId> {
        self.open.node(self.open.len())
    }

    /// The current node's name if it is an HTML element.
    pub(super) fn current_tag(&self) -> Option<Tag> {
        self.open.tag(self.open.len())
    }

    pub(super) fn current_is(&self, tag: Tag) -> bool {
        self.current_tag() == Some(tag)
    }

    pub(super) fn push_open(&mut self, node: NodeId) {
        let node_mut = self.dom.node_mut(node);
        node_mut.flags |= flag::OPEN;
        let (tag, kind, flags) = (node_mut.tag, node_mut.kind, node_mut.flags);
        let groups = match kind {
            // Since 2025 a select bounds scopes like a table does.
            Kind::Html if tag == Tag::SELECT && self.dialect == Dialect::Standard2025 => {
                tag.groups() | group::SCOPE
            }
            // lexbor 2.3.0 is older than this element.
            Kind::Html if tag == Tag::SEARCH && self.dialect == Dialect::Lexbor230 => 0,
            Kind::Html => tag.groups(),
            // Integration points are the foreign elements that are special and bound scopes.
            _ if flags & (flag::HTML_INTEGRATION | flag::TEXT_INTEGRATION) != 0
                || tag == Tag::ANNOTATION_XML =>
            {
                group::SPECIAL | group::SCOPE
            }
            _ => 0,
        };
        self.open.push(node, tag, kind, groups);
    }

    pub(super) fn pop(&mut self) {
        if let Some(node) = self.open.pop() {
            self.dom.node_mut(node).flags &= !flag::OPEN;
        }
    }

    /// Pops down to a position, the element there included.
    pub(super) fn pop_to(&mut self, position: u32) {
        while position != 0 && self.open.len() >= position {
            self.pop();
        }
    }

    pub(super) fn pop_until(&mut self, tag: Tag) {
        self.pop_to(self.open.position(tag));
    }

    pub(super) fn generate_implied_end_tags(&mut self, except: Option<Tag>) {
        while self.current_tag().is_some_and(|tag| tag.is(group::IMPLIED_END) && Some(tag) != except) {
            self.pop();
        }
    }

    pub(super) fn close_p(&mut self) {
        if self.open.in_button_scope(Tag::P) {
            // Implied end tags above the p go with it, whatever they are.
            self.pop_until(Tag::P);
        }
    }

    // Insertion.

    /// The "appropriate place for inserting a node": a parent, and the child to insert before (or none: at the end).
    pub(super) fn place(&self, target: Option<NodeId>) -> (NodeId, NodeId) {
        let Some(target) = target.or_else(|| self.current()) else { return (DOCUMENT, NONE) };
        let node = self.dom.node(target);
        if self.foster_parenting && node.kind == Kind::Html && node.tag.is(group::FOSTERS) {
            let (template, table) = (self.open.position(Tag::TEMPLATE), self.open.position(Tag::TABLE));
            if template > table
                && let Some(template) = self.open.node(template)
            {
                return (content_of(template), NONE);
            }
            let Some(table_node) = self.open.node(table) else {
                return (self.open.node(1).unwrap_or(DOCUMENT), NONE);
            };
            let parent = self.dom.node(table_node).parent;
            if parent != NONE {
                return (parent, table_node);
            }
            let above = self.open.node(table - 1).unwrap_or(DOCUMENT);
            return (self.content_or_self(above), NONE);
        }
        (self.content_or_self(target), NONE)
    }

    fn content_or_self(&self, id: NodeId) -> NodeId {
        let node = self.dom.node(id);
        if node.kind == Kind::Html && node.tag == Tag::TEMPLATE { content_of(id) } else { id }
    }

    pub(super) fn link_at(&mut self, place: (NodeId, NodeId), node: NodeId) {
        if place.1 == NONE {
            self.dom.append(place.0, node);
        } else {
            self.dom.insert_before(place.1, node);
        }
    }

    /// Makes the tag's HTML element and links it, without opening it.
    pub(super) fn insert_void(&mut self, tag: &StartTag) -> NodeId {
        self.insert_named(tag.tag, tag.first_attribute)
    }

    fn insert_named(&mut self, tag: Tag, first_attribute: usize) -> NodeId {
        let place = self.place(None);
        let node = self.dom.new_element(Kind::Html, tag, first_attribute);
        if tag == Tag::TEMPLATE {
            self.dom.new_fragment();
        }
        self.link_at(place, node);
        node
    }

    /// Makes the tag's HTML element, links it and opens it.
    pub(super) fn insert(&mut self, tag: &StartTag) -> NodeId {
        let node = self.insert_void(tag);
        self.push_open(node);
        node
    }

    /// The same for an element no tag in the page names.
    pub(super) fn insert_implied(&mut self, tag: Tag) -> NodeId {
        let node = self.insert_named(tag, self.dom.attributes.len());
        self.push_open(node);
        node
    }

    /// Inserts an element whose content the tokenizer must not take for markup.
    pub(super) fn insert_raw(&mut self, tag: &StartTag, state: State) {
        self.insert(tag);
        self.tokenizer.state = state;
        self.original_mode = self.mode;
        self.mode = Mode::Text;
    }

    pub(super) fn insert_body(&mut self, tag: Option<&StartTag>) {
        self.dom.body = match tag {
            Some(tag) => self.insert(tag),
            None => self.insert_implied(Tag::BODY),
        };
        self.mode = Mode::InBody;
    }

    /// Adds text at the current node, NULs dropped.
    pub(super) fn insert_text(&mut self, text: Text) {
        let Some(text) = self.without_nul(text, "") else { return };
        let (parent, before) = self.place(None);
        if parent == DOCUMENT {
            return;
        }
        self.dom.insert_text(self.page, parent, before, text.span);
    }

    /// The text with its NULs replaced; None if nothing is left.
    pub(super) fn without_nul(&mut self, text: Text, by: &str) -> Option<Text> {
        if !text.has_nul {
            return (text.span.length > 0).then_some(text);
        }
        let clean = self.dom.span(self.page, text.span).replace('\0', by);
        let span = Span { side: true, start: self.dom.side.len() as u32, length: clean.len() as u32 };
        self.dom.side.push_str(&clean);
        (!clean.is_empty()).then_some(Text { span, has_nul: false })
    }

    pub(super) fn comment(&mut self) {
        // Comments outside html, and those behind body, are nobody's sibling that is ever looked at.
        if matches!(self.mode, Mode::Initial | Mode::BeforeHtml | Mode::AfterBody | Mode::AfterAfterBody) {
            return;
        }
        let place = self.place(None);
        let comment = self.dom.new_comment();
        self.link_at(place, comment);
    }

    // Active formatting elements.

    /// Remembers the tag's element as a formatting element.
    pub(super) fn push_formatting(&mut self, node: NodeId, tag: &StartTag) {
        self.dom.node_mut(node).flags |= flag::FORMATTING;
        if let Some(evicted) = self.formatting.push(node, tag.tag, tag.fingerprint) {
            self.dom.node_mut(evicted).flags &= !flag::FORMATTING;
        }
    }

    pub(super) fn clear_formatting_to_marker(&mut self) {
        let dom = &mut *self.dom;
        self.formatting.clear_to_marker(|node| dom.node_mut(node).flags &= !flag::FORMATTING);
    }

    /// Opens again the formatting elements that were closed with a block around them.
    #[inline]
    pub(super) fn reconstruct_formatting(&mut self) {
        match self.formatting.entries.last() {
            Some(Entry::Element { node, .. }) if self.dom.node(*node).flags & flag::OPEN == 0 => {
                self.reopen()
            }
            _ => {}
        }
    }

    fn reopen(&mut self) {
        let closed = self.formatting.entries.iter().rev().take_while(|entry| match entry {
            Entry::Marker => false,
            Entry::Element { node, .. } => self.dom.node(*node).flags & flag::OPEN == 0,
        });
        let first = self.formatting.entries.len() - closed.count();
        for at in first..self.formatting.entries.len() {
            let Some(&Entry::Element { node, tag, fingerprint }) = self.formatting.entries.get(at) else {
                continue;
            };
            let place = self.place(None);
            let clone = self.clone_element(node);
            self.link_at(place, clone);
            self.push_open(clone);
            self.dom.node_mut(node).flags &= !flag::FORMATTING;
            self.dom.node_mut(clone).flags |= flag::FORMATTING;
            self.formatting.entries[at] = Entry::Element { node: clone, tag, fingerprint };
        }
    }

    /// A new element like this one. It shares the other's attributes, but whoever extracts reads them again.
    pub(super) fn clone_element(&mut self, node: NodeId) -> NodeId {
        let bytes = |attribute: &Attribute| u64::from(attribute.length());
        self.work += self.dom.attributes_of(node).iter().map(|attribute| 1 + bytes(attribute)).sum::<u64>();
        self.dom.clone_element(node)
    }

    // Dispatch: HTML rules or foreign content.

    fn start(&mut self, tag: &StartTag) {
        loop {
            let step = if self.start_is_html(tag.tag) {
                self.start_by_mode(tag)
            } else {
                self.start_in_foreign(tag)
            };
            if step == Step::Done {
                return;
            }
        }
    }

    fn start_is_html(&self, tag: Tag) -> bool {
        let Some(current) = self.current() else { return true };
        let node = self.dom.node(current);
        node.kind == Kind::Html
            || node.flags & flag::HTML_INTEGRATION != 0
            || (node.flags & flag::TEXT_INTEGRATION != 0 && !matches!(tag, Tag::MGLYPH | Tag::MALIGNMARK))
            || (node.kind == Kind::MathMl && node.tag == Tag::ANNOTATION_XML && tag == Tag::SVG)
    }

    fn end(&mut self, tag: Tag) {
        let foreign = self.current().is_some_and(|node| self.dom.node(node).kind != Kind::Html);
        if foreign && self.end_in_foreign(tag) == Step::Done {
            return;
        }
        while self.end_by_mode(tag) == Step::Again {}
    }

    fn text(&mut self, mut text: Text, skip_line_feed: bool) {
        if skip_line_feed && self.dom.span(self.page, text.span).starts_with('\n') {
            text.span = text.span.from(1);
            if text.span.length == 0 {
                return;
            }
        }
        let in_foreign = self.current().is_some_and(|node| {
            let node = self.dom.node(node);
            node.kind != Kind::Html && node.flags & (flag::HTML_INTEGRATION | flag::TEXT_INTEGRATION) == 0
        });
        if in_foreign {
            self.text_in_foreign(text);
        } else {
            self.text_by_mode(text);
        }
    }

    /// Characters that stood directly in a table: white space stays there, anything else moves in front of the table.
    fn flush_pending(&mut self) {
        let all_space = self.pending.iter().all(|text| !has_content(self.dom.span(self.page, text.span)));
        for at in 0..self.pending.len() {
            let text = self.pending[at];
            if all_space {
                self.insert_text(text);
            } else {
                self.foster_parenting = true;
                self.text_in_body(text);
                self.foster_parenting = false;
            }
        }
        self.pending.clear();
    }

    /// Whether an input is of type hidden, which does not count as content.
    pub(super) fn is_hidden_input(&self, tag: &StartTag) -> bool {
        let attributes = &self.dom.attributes[tag.first_attribute..];
        attributes.iter().any(|attribute| {
            attribute.name == Attr::TYPE
                && self.dom.value(self.page, attribute).eq_ignore_ascii_case("hidden")
        })
    }

    /// "Reset the insertion mode appropriately".
    pub(super) fn reset_mode(&mut self) {
        let position = self.open.resets();
        self.mode = match self.open.tag(position) {
            Some(Tag::SELECT) if self.dialect == Dialect::Lexbor230 => {
                if self.open.position(Tag::TABLE) > self.open.position(Tag::TEMPLATE) {
                    Mode::InSelectInTable
                } else {
                    Mode::InSelect
                }
            }
            Some(Tag::TD | Tag::TH) => Mode::InCell,
            Some(Tag::TR) => Mode::InRow,
            Some(Tag::TBODY | Tag::THEAD | Tag::TFOOT) => Mode::InTableBody,
            Some(Tag::CAPTION) => Mode::InCaption,
            Some(Tag::COLGROUP) => Mode::InColumnGroup,
            Some(Tag::TABLE) => Mode::InTable,
            Some(Tag::TEMPLATE) => self.template_modes.last().copied().unwrap_or(Mode::InBody),
            Some(Tag::HEAD) => Mode::InHead,
            Some(Tag::HTML) if self.head == NONE => Mode::BeforeHead,
            Some(Tag::HTML) => Mode::AfterHead,
            _ => Mode::InBody,
        };
    }
}

/// The fragment that holds a template's content: the node made right after it.
fn content_of(template: NodeId) -> NodeId {
    template + 1
}

/// Whether the text holds anything but white space and NULs.
pub(super) fn has_content(text: &str) -> bool {
    text.bytes().any(|byte| !matches!(byte, 0 | b'\t' | b'\n' | 0x0C | b'\r' | b' '))
}
