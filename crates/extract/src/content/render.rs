//! The text of what is left of an outline, plain or as Markdown.
//!
//! Paragraphs, headings and lists are set apart by a blank line, items of a list and rows of a table stand on lines of
//! their own, cells are parted by ` | `, and preformatted text keeps its lines and indentation. White space collapses as
//! in a browser. Markdown adds the marks and nothing else; characters of the text that could be read as marks are left as
//! they are, except where a line would begin like a code fence.

use super::formula::{self, Forms};
use super::outline::{Item, Outline, TEXT, is_block};
use super::vocabulary::Traits;
use super::writer::{Break, Writer};
use super::{Format, MainOptions};
use crate::ExtractError;
use crate::html::dom::Dom;
use crate::html::names::{Attr, Tag};

/// A page to be rendered.
pub(super) struct Source<'a> {
    pub(super) dom: &'a Dom,
    pub(super) page: &'a str,
    pub(super) outline: &'a Outline,
    pub(super) forms: &'a Forms,
}

impl Source<'_> {
    fn text(&self, item: &Item) -> &str {
        self.dom.text(self.page, item.node)
    }

    fn attribute(&self, item: &Item, name: Attr) -> Option<&str> {
        self.dom.attribute(self.page, item.node, name)
    }
}

/// Deeper lists are not indented any further, nor deeper quotations marked, so that a page of nested lists stays in
/// proportion.
const MAX_DEPTH: usize = 12;

/// An open list.
struct List {
    numbered: bool,
    next: u32,
}

/// Renders one page.
pub(super) struct Renderer<'a> {
    source: Source<'a>,
    options: &'a MainOptions,
    out: Writer,
    lists: Vec<List>,
    quotes: usize,
    /// Open descriptions in lists of definitions.
    descriptions: usize,
    /// Open tables of data, and how many cells the current row and the first one have.
    tables: Vec<(u32, u32)>,
    /// Within inline code: nested ones add nothing.
    code_end: u32,
    raw: String,
    limit: usize,
}

impl<'a> Renderer<'a> {
    pub(super) fn new(source: Source<'a>, options: &'a MainOptions, limit: usize) -> Self {
        let markdown = options.format == Format::Markdown;
        Self {
            source,
            options,
            out: Writer::new(markdown),
            lists: Vec::new(),
            quotes: 0,
            descriptions: 0,
            tables: Vec::new(),
            code_end: 0,
            raw: String::new(),
            limit,
        }
    }

    fn markdown(&self) -> bool {
        self.options.format == Format::Markdown
    }

    /// The text below an item.
    pub(super) fn render(mut self, root: u32) -> Result<String, ExtractError> {
        let items = &self.source.outline.items;
        let Some(last) = items.get(root as usize).map(|item| item.end) else { return Ok(String::new()) };
        let mut open: Vec<u32> = Vec::new();
        let mut at = root;
        loop {
            while let Some(&ended) = open.last()
                && self.source.outline.items[ended as usize].end <= at
            {
                open.pop();
                self.end(ended);
            }
            if at >= last {
                break;
            }
            if self.out.len() > self.limit {
                return Err(ExtractError::TooMuchText);
            }
            let item = self.source.outline.items[at as usize];
            if item.dropped {
                at = item.end;
            } else if item.tag == TEXT {
                let text = self.source.dom.text(self.source.page, item.node);
                self.out.text(text);
                at += 1;
            } else if self.start(at, &item) {
                open.push(at);
                at += 1;
            } else {
                at = item.end;
            }
        }
        Ok(self.out.finish())
    }

    /// Begins an element; false if it is done with, children and all.
    fn start(&mut self, at: u32, item: &Item) -> bool {
        match item.tag {
            Tag::BR => {
                if self.tables.is_empty() {
                    self.out.line_break();
                } else {
                    self.out.space();
                }
                return false;
            }
            Tag::PRE | Tag::LISTING | Tag::XMP | Tag::PLAINTEXT => {
                self.preformatted(at, item);
                return false;
            }
            // Code whose lines are rows of a table, their numbers in a column of their own.
            Tag::TABLE if item.is_data && item.traits.has(Traits::CODE) => {
                self.preformatted(at, item);
                return false;
            }
            Tag::MATH | Tag::SCRIPT | Tag::IMG => {
                self.raw.clear();
                let display = formula::read(&self.source, at, &mut self.raw);
                let raw = std::mem::take(&mut self.raw);
                if !raw.is_empty() {
                    self.out.formula(&raw, display);
                }
                self.raw = raw;
                return false;
            }
            Tag::SUP if is_exponent(&self.source, at, item) => self.out.caret(),
            _ => {}
        }
        if item.text == 0 && !matches!(item.tag, Tag::TD | Tag::TH) && !holds_marks(&self.source, at, item) {
            return false;
        }
        if !self.tables.is_empty() && !matches!(item.tag, Tag::TR | Tag::TABLE) {
            // Within a row everything is one line.
            match item.tag {
                Tag::TD | Tag::TH => {
                    if let Some((cells, _)) = self.tables.last_mut() {
                        *cells += 1;
                        let first = *cells == 1;
                        self.out.cell(first);
                    }
                }
                Tag::CAPTION => self.out.break_line(Break::Line),
                tag if is_block(tag) => self.out.space(),
                _ => self.start_inline(at, item),
            }
            return true;
        }
        match item.tag {
            Tag::H1 | Tag::H2 | Tag::H3 | Tag::H4 | Tag::H5 | Tag::H6 => {
                self.out.break_line(Break::Paragraph);
                if self.markdown() {
                    self.out.heading(item.tag);
                }
            }
            Tag::UL | Tag::OL | Tag::MENU | Tag::DIR => {
                self.out.break_line(if self.lists.is_empty() { Break::Paragraph } else { Break::Line });
                let start =
                    self.source.attribute(item, Attr::START).and_then(|value| value.trim().parse().ok());
                self.lists.push(List { numbered: item.tag == Tag::OL, next: start.unwrap_or(1) });
            }
            Tag::LI => {
                self.out.break_line(Break::Line);
                self.indent();
                let marker = match self.lists.last_mut() {
                    Some(List { numbered: true, next }) => {
                        let number = *next;
                        *next = next.saturating_add(1);
                        format!("{number}. ")
                    }
                    _ => "- ".to_owned(),
                };
                self.out.marker(marker);
            }
            Tag::BLOCKQUOTE => {
                self.out.break_line(Break::Paragraph);
                self.quotes += 1;
                self.indent();
            }
            Tag::TABLE if item.is_data => {
                self.out.break_line(Break::Paragraph);
                self.tables.push((0, 0));
            }
            Tag::TR => {
                self.out.break_line(Break::Line);
                if let Some((cells, _)) = self.tables.last_mut() {
                    *cells = 0;
                }
            }
            Tag::P | Tag::TABLE | Tag::DL | Tag::FIGURE => {
                self.out.break_line(self.paragraph());
            }
            Tag::DD => {
                self.descriptions += 1;
                self.out.break_line(Break::Line);
                if self.markdown() {
                    self.out.marker(": ".to_owned());
                }
            }
            tag if is_block(tag) => self.out.break_line(Break::Line),
            _ => self.start_inline(at, item),
        }
        true
    }

    /// How far apart paragraphs stand: items of lists hold together.
    fn paragraph(&self) -> Break {
        if self.lists.is_empty() && self.descriptions == 0 { Break::Paragraph } else { Break::Line }
    }

    fn start_inline(&mut self, at: u32, item: &Item) {
        if item.tag == Tag::A {
            if self.options.links && self.markdown() && self.href(item).is_some() {
                self.out.open("[");
            }
            return;
        }
        if !self.markdown() {
            return;
        }
        match item.tag {
            Tag::B | Tag::STRONG => self.out.open("**"),
            Tag::I | Tag::EM => self.out.open("*"),
            Tag::CODE | Tag::TT | Tag::KBD | Tag::SAMP if at >= self.code_end => {
                self.code_end = item.end;
                if self.takes_ticks(at, item) {
                    self.out.open("`");
                }
            }
            _ => {}
        }
    }

    /// Whether inline code can be put between single backticks: it has none itself, and is of one line.
    fn takes_ticks(&self, at: u32, item: &Item) -> bool {
        self.source.outline.items[at as usize..item.end as usize].iter().all(|below| {
            if below.tag == TEXT { !self.source.text(below).contains('`') } else { !is_block(below.tag) }
        })
    }

    fn end(&mut self, at: u32) {
        let item = self.source.outline.items[at as usize];
        if !self.tables.is_empty() && item.tag != TEXT {
            match item.tag {
                Tag::TABLE if item.is_data => {
                    self.tables.pop();
                    self.out.break_line(Break::Paragraph);
                }
                Tag::TR => {
                    if let Some((cells, columns)) = self.tables.last_mut() {
                        let first = *columns == 0;
                        *columns = (*columns).max(*cells);
                        let count = *cells;
                        self.out.end_row(first, count);
                    }
                }
                Tag::CAPTION => self.out.break_line(Break::Line),
                Tag::TD | Tag::TH => {}
                tag if is_block(tag) => self.out.space(),
                _ => self.end_inline(&item),
            }
            return;
        }
        match item.tag {
            Tag::H1 | Tag::H2 | Tag::H3 | Tag::H4 | Tag::H5 | Tag::H6 => {
                self.out.break_line(Break::Paragraph)
            }
            Tag::UL | Tag::OL | Tag::MENU | Tag::DIR => {
                self.lists.pop();
                self.out.break_line(if self.lists.is_empty() { Break::Paragraph } else { Break::Line });
                self.indent();
            }
            Tag::LI | Tag::DD => {
                self.descriptions -= usize::from(item.tag == Tag::DD);
                self.out.break_line(Break::Line);
                self.out.unmark();
            }
            Tag::BLOCKQUOTE => {
                self.out.break_line(Break::Paragraph);
                self.quotes -= 1;
                self.indent();
            }
            Tag::P | Tag::TABLE | Tag::DL | Tag::FIGURE => {
                self.out.break_line(self.paragraph());
            }
            tag if is_block(tag) => self.out.break_line(Break::Line),
            _ => self.end_inline(&item),
        }
    }

    fn end_inline(&mut self, item: &Item) {
        if item.tag == Tag::A {
            if !self.options.links {
                return;
            }
            let href = self.href(item).map(str::to_owned);
            match href {
                Some(href) if self.markdown() => self.out.close("[", &format!("]({href})")),
                Some(href) => self.out.text(&format!(" ({href})")),
                None => {}
            }
            return;
        }
        if !self.markdown() {
            return;
        }
        match item.tag {
            Tag::B | Tag::STRONG => self.out.close("**", "**"),
            Tag::I | Tag::EM => self.out.close("*", "*"),
            Tag::CODE | Tag::TT | Tag::KBD | Tag::SAMP => self.out.close("`", "`"),
            _ => {}
        }
    }

    /// Where a link leads, if that can be written down.
    fn href(&self, item: &Item) -> Option<&str> {
        let href = self.source.attribute(item, Attr::HREF)?.trim();
        let scripted = href.get(..11).is_some_and(|scheme| scheme.eq_ignore_ascii_case("javascript:"));
        let plain = !href.bytes().any(|byte| byte <= b' ' || matches!(byte, b'(' | b')' | b'<' | b'>'));
        (!href.is_empty() && !href.starts_with('#') && !scripted && plain).then_some(href)
    }

    /// Tells the writer how its lines begin.
    fn indent(&mut self) {
        let indent = 2 * self.lists.len().saturating_sub(1).min(MAX_DEPTH);
        let quotes = if self.markdown() { self.quotes.min(MAX_DEPTH) } else { 0 };
        self.out.begin_lines(quotes, indent);
    }

    /// Text with its own lines: code, mostly.
    fn preformatted(&mut self, at: u32, item: &Item) {
        let mut raw = std::mem::take(&mut self.raw);
        raw.clear();
        let mut below = at + 1;
        while below < item.end {
            let here = self.source.outline.items[below as usize];
            if here.dropped {
                below = here.end;
                continue;
            }
            if here.tag == TEXT {
                // Between the rows of a table there is no text.
                let around = self.source.outline.items[here.parent as usize].tag;
                if !matches!(around, Tag::TABLE | Tag::TBODY | Tag::TR) {
                    raw.push_str(self.source.text(&here));
                }
            } else if here.tag == Tag::BR || (is_block(here.tag) && !raw.is_empty() && !raw.ends_with('\n')) {
                raw.push('\n');
            }
            below += 1;
        }
        let text = raw.trim_end().trim_start_matches(['\n', '\r']);
        if !text.is_empty() {
            if self.tables.is_empty() {
                let language = self.language(at).to_owned();
                self.out.preformatted(text, &language);
            } else {
                self.out.text(text);
            }
        }
        self.raw = raw;
    }

    /// The language of code, as highlighters write it into class names: `language-x`, `lang-x`, `highlight-x`,
    /// `brush: x`; on the element, the one around it or the first one in it.
    fn language(&self, at: u32) -> &str {
        if !self.markdown() {
            return "";
        }
        let items = &self.source.outline.items;
        let around = items[at as usize].parent;
        let inside = items.get(at as usize + 1).filter(|item| item.tag == Tag::CODE).map_or(at, |_| at + 1);
        [at, inside, around, items[around as usize].parent]
            .iter()
            .filter_map(|&at| self.source.attribute(&items[at as usize], Attr::CLASS))
            .filter(|class| class.len() < 256)
            .flat_map(|class| {
                let mut after_brush = false;
                class.split_ascii_whitespace().filter_map(move |word| {
                    let word = word.trim_end_matches(';');
                    let is_brush = std::mem::replace(&mut after_brush, word == "brush:");
                    let prefixed = ["language-", "lang-", "highlight-source-", "highlight-", "brush:"]
                        .iter()
                        .find_map(|prefix| word.strip_prefix(prefix));
                    prefixed.or(is_brush.then_some(word))
                })
            })
            .find(|name| {
                let name = name.as_bytes();
                (1..20).contains(&name.len())
                    && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+#-_.".contains(byte))
                    && !matches!(name, b"default" | b"none" | b"text-html-basic")
            })
            .unwrap_or("")
    }
}

/// Whether an element without text has something to show for itself all the same.
fn holds_marks(source: &Source<'_>, at: u32, item: &Item) -> bool {
    source.outline.items[at as usize..item.end as usize].iter().take(6).any(|below| {
        matches!(below.tag, Tag::MATH | Tag::BR | Tag::TD | Tag::TH)
            || below.traits.has(Traits::TEX | Traits::FORMULA)
    })
}

/// A superscript number that would otherwise become part of the number or the word before it: an exponent.
fn is_exponent(source: &Source<'_>, at: u32, item: &Item) -> bool {
    let Some(only) = source.outline.items.get(at as usize + 1) else { return false };
    if item.end != at + 2 || only.tag != TEXT || item.links > 0 {
        return false;
    }
    let text = source.text(only).trim();
    let digits = text.trim_start_matches(['-', '−', '+']);
    (1..=4).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}
