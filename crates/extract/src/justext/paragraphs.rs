//! Cuts a page into paragraphs where jusText does.

use super::{is_space, lxml};
use crate::html::dom::{Dom, Kind, NONE, NodeId};
use crate::html::names::{Attr, Tag};

/// One paragraph: a range of [`Paragraphs`]' text, and its length in characters.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Paragraph {
    start: usize,
    end: usize,
    pub(super) chars: usize,
    /// Characters of pieces of text in links, their outer blanks included.
    pub(super) link_chars: usize,
    pub(super) is_heading: bool,
}

/// The paragraphs of a page in order. Reused from page to page.
#[derive(Default)]
pub(super) struct Paragraphs {
    /// Whether the trees are those of libxml2, and everything is as it is in lxml.
    is_lxml: bool,
    pub(super) list: Vec<Paragraph>,
    buffer: String,
    current: Paragraph,
    /// White space that is due before the next character.
    space: Option<char>,
}

/// Where a page's text is when its elements are walked.
#[derive(Default)]
struct State {
    headings: u32,
    in_link: bool,
    after_break: bool,
    /// Whether the last thing was text, with nothing but comments and removed elements since; and blank text at such a
    /// place. jusText joins what stands on both sides of something it removes, and drops what is blank on its own.
    joined: bool,
    blank: Option<char>,
}

/// What becomes of an element before jusText looks at the page.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Stays,
    /// Its tags go, what is in it stays.
    Opened,
    Gone,
}

impl Paragraphs {
    pub(super) fn new(is_lxml: bool) -> Self {
        Self { is_lxml, ..Self::default() }
    }

    pub(super) fn text(&self, paragraph: &Paragraph) -> &str {
        self.buffer.get(paragraph.start..paragraph.end).unwrap_or("")
    }

    /// Reads a page.
    pub(super) fn read(&mut self, dom: &Dom, page: &str) {
        self.list.clear();
        self.list.shrink_to(1 << 20);
        self.buffer.clear();
        self.buffer.shrink_to(16 << 20);
        let mut state = State::default();
        self.begin(&state);
        if self.is_lxml {
            let found = lxml::Roots::find(dom, page);
            for root in &found.elements {
                self.walk(dom, page, *root, &mut state);
            }
            (state.joined, state.blank) = (false, None);
            if found.ends_paragraph {
                self.begin(&state);
            }
            for text in &found.tail {
                self.push(dom.text(page, *text), &mut state);
            }
        } else if dom.body != NONE {
            self.walk(dom, page, dom.body, &mut state);
        }
        self.begin(&state);
    }

    /// Reads what is in an element.
    fn walk(&mut self, dom: &Dom, page: &str, root: NodeId, state: &mut State) {
        let mut node = root;
        loop {
            let here = dom.node(node);
            let mut enters = node == root && here.first_child != NONE;
            match here.kind {
                _ if node == root => {}
                Kind::Text => self.push(dom.text(page, node), state),
                Kind::Html | Kind::Svg | Kind::MathMl => {
                    let fate = self.fate(dom, page, node);
                    enters = fate != Fate::Gone && here.first_child != NONE;
                    if fate == Fate::Stays {
                        self.start(here.tag, state);
                        if !enters {
                            self.end(here.tag, state);
                        }
                    }
                }
                Kind::Comment | Kind::Root => {}
            }
            if enters {
                node = here.first_child;
                continue;
            }
            let Some(next) = self.next(dom, page, root, node, state) else { break };
            node = next;
        }
    }

    /// The node after this one's subtree, ending what ends before it.
    fn next(
        &mut self,
        dom: &Dom,
        page: &str,
        root: NodeId,
        mut node: NodeId,
        state: &mut State,
    ) -> Option<NodeId> {
        while node != root {
            let here = dom.node(node);
            if here.next != NONE {
                return Some(here.next);
            }
            node = here.parent;
            if node != root && self.fate(dom, page, node) == Fate::Stays {
                self.end(dom.node(node).tag, state);
            }
        }
        None
    }

    fn fate(&self, dom: &Dom, page: &str, node: NodeId) -> Fate {
        let tag = dom.node(node).tag;
        match tag {
            Tag::SCRIPT
            | Tag::STYLE
            | Tag::HEAD
            | Tag::BASE
            | Tag::BUTTON
            | Tag::INPUT
            | Tag::SELECT
            | Tag::TEXTAREA
            | Tag::APPLET => Fate::Gone,
            Tag::LINK => {
                let rel = dom.attribute(page, node, Attr::REL).unwrap_or_default();
                if rel.to_ascii_lowercase().contains("stylesheet") { Fate::Gone } else { Fate::Stays }
            }
            // lxml reads a frame's markup as its text, and has no notion of templates.
            Tag::IFRAME | Tag::TEMPLATE if !self.is_lxml => Fate::Gone,
            Tag::FORM | Tag::IFRAME | Tag::EMBED | Tag::LAYER | Tag::OBJECT | Tag::PARAM => Fate::Opened,
            _ => Fate::Stays,
        }
    }

    fn start(&mut self, tag: Tag, state: &mut State) {
        (state.joined, state.blank) = (false, None);
        state.headings += u32::from(tag.is_heading());
        if is_paragraph(tag) || (tag == Tag::BR && state.after_break) {
            self.begin(state);
            return;
        }
        state.after_break = tag == Tag::BR;
        match tag {
            Tag::BR => self.add_space(' '),
            Tag::A => state.in_link = true,
            _ => {}
        }
    }

    fn end(&mut self, tag: Tag, state: &mut State) {
        (state.joined, state.blank) = (false, None);
        state.headings -= u32::from(tag.is_heading());
        if is_paragraph(tag) {
            self.begin(state);
        }
        if tag == Tag::A {
            state.in_link = false;
        }
    }

    /// Ends the current paragraph and begins another.
    fn begin(&mut self, state: &State) {
        if self.current.chars > 0 {
            self.current.end = self.buffer.len();
            self.list.push(self.current);
        }
        self.space = None;
        let start = self.buffer.len();
        self.current = Paragraph { start, is_heading: state.headings > 0, ..Paragraph::default() };
    }

    fn add_space(&mut self, space: char) {
        if self.space != Some('\n') {
            self.space = Some(space);
        }
    }

    /// Adds a piece of text, runs of white space as one blank or, with a line feed in them, as that.
    fn push(&mut self, text: &str, state: &mut State) {
        if text.chars().all(is_space) {
            let space = if text.contains(['\n', '\r']) { '\n' } else { ' ' };
            if state.joined {
                self.add_space(space);
            } else {
                state.blank = Some(space);
            }
            return;
        }
        if let Some(space) = state.blank.take() {
            self.add_space(space);
        }
        state.joined = true;
        state.after_break = false;
        let mut chars = 0;
        let mut in_space = false;
        for char in text.chars() {
            if is_space(char) {
                chars += usize::from(!in_space);
                in_space = true;
                self.add_space(if matches!(char, '\n' | '\r') { '\n' } else { ' ' });
                continue;
            }
            in_space = false;
            chars += 1;
            if let Some(space) = self.space.take()
                && self.current.chars > 0
            {
                self.buffer.push(space);
                self.current.chars += 1;
            }
            self.buffer.push(char);
            self.current.chars += 1;
        }
        if state.in_link {
            self.current.link_chars += chars;
        }
    }
}

/// Elements that begin and end a paragraph.
fn is_paragraph(tag: Tag) -> bool {
    matches!(
        tag,
        Tag::BODY
            | Tag::BLOCKQUOTE
            | Tag::CAPTION
            | Tag::CENTER
            | Tag::COL
            | Tag::COLGROUP
            | Tag::DD
            | Tag::DIV
            | Tag::DL
            | Tag::DT
            | Tag::FIELDSET
            | Tag::LEGEND
            | Tag::OPTGROUP
            | Tag::OPTION
            | Tag::P
            | Tag::PRE
            | Tag::TABLE
            | Tag::TD
            | Tag::TFOOT
            | Tag::TH
            | Tag::THEAD
            | Tag::TR
            | Tag::UL
            | Tag::LI
    ) || tag.is_heading()
}
