//! The text of what is left of an outline, plain or as Markdown.
//!
//! Paragraphs, headings and lists are set apart by a blank line, items of a list and rows of a table stand on lines of
//! their own, cells are parted by ` | `, and preformatted text keeps its lines and indentation. White space collapses as
//! in a browser. Markdown adds the marks and nothing else; characters of the text that could be read as marks are left as
//! they are, except where a line would begin like a code fence.

use super::code;
use super::formula::{self, Forms};
use super::outline::{Item, Outline, TEXT, is_block};
use super::vocabulary::Traits;
use super::writer::{Break, Head, Writer};
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
    pub(super) fn text(&self, item: &Item) -> &str {
        self.dom.text(self.page, item.node)
    }

    pub(super) fn attribute(&self, item: &Item, name: Attr) -> Option<&str> {
        self.dom.attribute(self.page, item.node, name)
    }
}

/// Deeper lists are not indented any further, nor deeper quotations marked, so that a page of nested lists stays in
/// proportion.
const MAX_DEPTH: usize = 12;

const BULLET: &str = "- ";

/// An open list.
struct List {
    numbered: bool,
    next: u32,
    /// Of the last item's marker. What is inside the item stands below the text behind it.
    width: usize,
}

/// An open table of data.
#[derive(Default)]
struct Table {
    /// Cells of the current row.
    cells: u32,
    /// Cells of the first row that has any, and of the longest.
    first: u32,
    longest: u32,
    head: Option<Head>,
}

/// Columns that one cell may take.
const MAX_SPAN: u32 = 16;

/// Renders one page.
pub(super) struct Renderer<'a> {
    source: Source<'a>,
    options: &'a MainOptions,
    out: Writer,
    lists: Vec<List>,
    quotes: usize,
    /// Open descriptions in lists of definitions.
    descriptions: usize,
    tables: Vec<Table>,
    /// Inline code, up to its end, and what it begins with if it is marked: nested ones add nothing.
    code_end: u32,
    ticks: Option<&'static str>,
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
            ticks: None,
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
                    self.cell();
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
                self.lists.push(List {
                    numbered: item.tag == Tag::OL,
                    next: start.unwrap_or(1),
                    width: BULLET.len(),
                });
            }
            Tag::LI => {
                self.out.break_line(Break::Line);
                self.indent();
                let mut marker = BULLET.to_owned();
                if let Some(list) = self.lists.last_mut() {
                    if list.numbered {
                        marker = format!("{}. ", list.next);
                        list.next = list.next.saturating_add(1);
                    }
                    list.width = marker.len();
                }
                self.out.marker(marker);
            }
            Tag::BLOCKQUOTE => {
                self.out.break_line(Break::Paragraph);
                self.quotes += 1;
                self.indent();
            }
            Tag::TABLE if item.is_data => {
                self.out.break_line(Break::Paragraph);
                self.tables.push(Table::default());
            }
            Tag::TR => {
                self.out.break_line(Break::Line);
                if let Some(table) = self.tables.last_mut() {
                    table.cells = 0;
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
                self.out.open("[", "]");
            }
            return;
        }
        if !self.markdown() {
            return;
        }
        match item.tag {
            Tag::B | Tag::STRONG => self.out.open("**", "**"),
            Tag::I | Tag::EM => self.out.open("*", "*"),
            Tag::CODE | Tag::TT | Tag::KBD | Tag::SAMP if at >= self.code_end => {
                self.code_end = item.end;
                let ticks = code::ticks_around(&self.source, at, item);
                self.ticks = ticks.map(|(start, _)| start);
                if let Some((start, end)) = ticks {
                    self.out.open(start, end);
                }
            }
            _ => {}
        }
    }

    /// Begins a cell of the innermost table.
    fn cell(&mut self) {
        if let Some(table) = self.tables.last_mut() {
            table.cells += 1;
            self.out.cell(table.cells == 1);
        }
    }

    /// Ends a cell; in Markdown one that is as wide as several columns has empty ones behind it.
    fn end_cell(&mut self, item: &Item) {
        if !self.markdown() {
            return;
        }
        let span = self.source.attribute(item, Attr::COLSPAN).and_then(|span| span.trim().parse().ok());
        for _ in 1..span.unwrap_or(1).min(MAX_SPAN) {
            self.cell();
        }
    }

    fn end(&mut self, at: u32) {
        let item = self.source.outline.items[at as usize];
        if !self.tables.is_empty() && item.tag != TEXT {
            match item.tag {
                Tag::TABLE if item.is_data => {
                    if let Some(Table { first, longest, head: Some(head), .. }) = self.tables.pop()
                        && longest > first
                    {
                        self.out.widen(head, longest - first);
                    }
                    self.out.break_line(Break::Paragraph);
                }
                Tag::TR => {
                    if let Some(table) = self.tables.last_mut() {
                        let head = self.out.end_row(table.first == 0, table.cells);
                        if table.first == 0 {
                            (table.first, table.head) = (table.cells, head);
                        }
                        table.longest = table.longest.max(table.cells);
                    }
                }
                // What stands right above a table in Markdown is taken for its head.
                Tag::CAPTION => {
                    self.out.break_line(if self.markdown() { Break::Paragraph } else { Break::Line });
                }
                Tag::TD | Tag::TH => self.end_cell(&item),
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
                if let Some(List { width, .. }) = self.lists.last() {
                    self.out.back_in_item(*width);
                }
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
            match self.href(item) {
                Some(href) if self.markdown() => self.out.close("[", &format!("({href})")),
                Some(href) => self.out.text(&format!(" ({href})")),
                None => {}
            }
            return;
        }
        // In forums: `<blockquote><cite>Ann wrote:</cite>What she wrote.`
        if item.tag == Tag::CITE && self.quotes > 0 && self.out.ends_with(':') {
            self.out.break_line(Break::Line);
        }
        if !self.markdown() {
            return;
        }
        match item.tag {
            Tag::B | Tag::STRONG => self.out.close("**", ""),
            Tag::I | Tag::EM => self.out.close("*", ""),
            Tag::CODE | Tag::TT | Tag::KBD | Tag::SAMP if item.end == self.code_end => {
                if let Some(ticks) = self.ticks.take() {
                    self.out.close(ticks, "");
                }
            }
            _ => {}
        }
    }

    /// Where a link leads, if that is a place elsewhere; what would end it when it is read again is written by number.
    fn href(&self, item: &Item) -> Option<String> {
        let href = self.source.attribute(item, Attr::HREF)?.trim();
        let scripted = href.get(..11).is_some_and(|scheme| scheme.eq_ignore_ascii_case("javascript:"));
        if href.is_empty() || href.starts_with('#') || scripted {
            return None;
        }
        let mut written = String::with_capacity(href.len());
        for char in href.chars() {
            match char {
                ' ' => written.push_str("%20"),
                '(' => written.push_str("%28"),
                ')' => written.push_str("%29"),
                '<' => written.push_str("%3C"),
                '>' => written.push_str("%3E"),
                // Line ends and tabs, which browsers leave out, too.
                control if control.is_ascii_control() => {}
                other => written.push(other),
            }
        }
        Some(written)
    }

    /// Tells the writer how its lines begin.
    fn indent(&mut self) {
        let outer = self.lists.len().saturating_sub(1).min(MAX_DEPTH);
        let width = |list: &List| if self.markdown() { list.width } else { BULLET.len() };
        let indent = self.lists.iter().take(outer).map(width).sum();
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
                let language = if self.markdown() { code::language(&self.source, at) } else { "" }.to_owned();
                self.out.preformatted(text, &language);
            } else {
                self.out.text(text);
            }
        }
        self.raw = raw;
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
