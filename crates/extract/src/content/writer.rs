//! Lines of text: collapses white space, sets paragraphs apart, and puts in front of lines what belongs there.

use crate::html::names::Tag;

/// How far apart two pieces of text stand.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Break {
    None,
    Line,
    Paragraph,
}

/// An inline mark that has been asked for; written once there is text for it.
struct Mark {
    name: &'static str,
    end: &'static str,
    written: bool,
}

/// Where the first row of a table in Markdown ends, and the line below it.
#[derive(Clone, Copy)]
pub(super) struct Head {
    row_end: usize,
    rule_end: usize,
}

/// A column's part of that line.
const RULE: &str = " --- |";

/// Each line ends and begins all open marks, so they must not be many.
const MAX_MARKS: usize = 8;

pub(super) struct Writer {
    out: String,
    markdown: bool,
    due: Break,
    space: bool,
    /// What the next line begins with: how many quotation marks, how many blanks, and a marker.
    quotes: usize,
    indent: usize,
    marker: Option<String>,
    /// How many quotation marks the last line has.
    quoted: usize,
    /// The width of the marker whose item we are in: further lines of the item stand below its text.
    hanging: usize,
    /// Whether a list in the item has just ended, so that text of the item itself must stand apart from it.
    after_list: bool,
    heading: Option<Tag>,
    marks: Vec<Mark>,
    /// Marks asked for inside as many as are written.
    unwritten: usize,
    /// Whether the current line has any text yet.
    blank: bool,
    in_row: bool,
    caret: bool,
}

impl Writer {
    pub(super) fn new(markdown: bool) -> Self {
        Self {
            out: String::new(),
            markdown,
            due: Break::None,
            space: false,
            quotes: 0,
            indent: 0,
            marker: None,
            quoted: 0,
            hanging: 0,
            after_list: false,
            heading: None,
            marks: Vec::new(),
            unwritten: 0,
            blank: true,
            in_row: false,
            caret: false,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    pub(super) fn ends_with(&self, char: char) -> bool {
        self.out.ends_with(char)
    }

    /// What comes next stands apart from what came before.
    pub(super) fn break_line(&mut self, size: Break) {
        if !self.blank {
            self.suspend_marks();
        }
        self.due = self.due.max(size);
        self.space = false;
        self.heading = None;
        self.caret = false;
        self.in_row = false;
    }

    /// A line break within a paragraph.
    pub(super) fn line_break(&mut self) {
        if self.out.is_empty() {
            return;
        }
        let heading = self.heading;
        let size = if self.due == Break::None { Break::Line } else { Break::Paragraph };
        self.break_line(size);
        self.heading = heading.filter(|_| self.blank);
    }

    pub(super) fn space(&mut self) {
        self.space = true;
    }

    /// How lines begin from now on.
    pub(super) fn begin_lines(&mut self, quotes: usize, indent: usize) {
        self.quotes = quotes;
        self.indent = indent;
        self.hanging = 0;
        self.marker = None;
        self.after_list = false;
    }

    /// A list within an item is over, and the item, whose marker is that wide, goes on.
    pub(super) fn back_in_item(&mut self, width: usize) {
        self.hanging = width;
        self.after_list = self.markdown;
    }

    pub(super) fn marker(&mut self, marker: String) {
        self.marker = Some(marker);
        self.hanging = 0;
    }

    /// The item is over; if nothing was in it, its marker goes, too.
    pub(super) fn unmark(&mut self) {
        self.marker = None;
        self.hanging = 0;
        self.after_list = false;
    }

    pub(super) fn heading(&mut self, tag: Tag) {
        self.heading = Some(tag);
    }

    /// The next text is an exponent.
    pub(super) fn caret(&mut self) {
        self.caret = true;
    }

    /// Begins an inline mark, which ends with `end` unless [`close`](Self::close) says more.
    pub(super) fn open(&mut self, name: &'static str, end: &'static str) {
        if self.marks.len() < MAX_MARKS {
            self.marks.push(Mark { name, end, written: false });
        } else {
            self.unwritten += 1;
        }
    }

    /// Ends the innermost mark if it has that name, and adds what belongs behind it.
    pub(super) fn close(&mut self, name: &'static str, behind: &str) {
        if self.unwritten > 0 {
            self.unwritten -= 1;
        } else if self.marks.last().is_some_and(|mark| mark.name == name)
            && let Some(mark) = self.marks.pop()
            && mark.written
        {
            self.out.push_str(mark.end);
            self.out.push_str(behind);
        }
    }

    /// Marks do not span lines.
    fn suspend_marks(&mut self) {
        for mark in self.marks.iter_mut().rev() {
            if std::mem::take(&mut mark.written) {
                self.out.push_str(mark.end);
            }
        }
    }

    /// Appends text, its white space collapsed.
    pub(super) fn text(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let start = at;
            while at < bytes.len() && !is_space_at(bytes, at) {
                at += 1;
            }
            if at > start {
                self.word(text.get(start..at).unwrap_or(""));
            }
            if at < bytes.len() {
                self.space = true;
                while at < bytes.len() && is_space_at(bytes, at) {
                    at += if bytes[at] == 0xC2 { 2 } else { 1 };
                }
            }
        }
    }

    fn word(&mut self, word: &str) {
        self.begin(word);
        let (in_row, in_link) = (self.markdown && self.in_row, self.in_link_text());
        let ends_something = |char| (in_row && char == '|') || (in_link && matches!(char, '[' | ']'));
        let mut rest = word;
        while (in_row || in_link)
            && let Some(at) = rest.find(ends_something)
        {
            self.out.push_str(&rest[..at]);
            self.out.push('\\');
            self.out.push_str(&rest[at..=at]);
            rest = &rest[at + 1..];
        }
        self.out.push_str(rest);
    }

    /// Whether a bracket would end a link's text. In code it is code.
    fn in_link_text(&self) -> bool {
        self.marks.iter().any(|mark| mark.name == "[")
            && !self.marks.iter().any(|mark| mark.name.starts_with('`'))
    }

    /// Writes all that is due before a piece of text.
    fn begin(&mut self, text: &str) {
        let line_starts = self.start_line();
        if !line_starts && std::mem::take(&mut self.space) && !self.out.ends_with([' ', '\n']) {
            self.out.push(' ');
        }
        self.space = false;
        if std::mem::take(&mut self.caret)
            && self.out.chars().next_back().is_some_and(|last| last.is_alphanumeric() || last == ')')
        {
            self.out.push('^');
        }
        for mark in self.marks.iter_mut().filter(|mark| !mark.written) {
            mark.written = true;
            self.out.push_str(mark.name);
        }
        // A line of text must not open a code fence, be it inside what looks like a quote or a list.
        if self.markdown
            && text.trim_start_matches('>').starts_with(['`', '~'])
            && self.line_holds_only_markers()
        {
            self.out.push('\\');
        }
        self.blank = false;
    }

    /// Whether all of the line so far may be taken for the beginning of quotes and list items.
    fn line_holds_only_markers(&self) -> bool {
        // From the end, where anything else shows at once however long the line is.
        let mut line = self.out.bytes().rev().take_while(|&b| b != b'\n');
        line.all(|b| b.is_ascii_digit() || b" >-+*:.)".contains(&b))
    }

    /// Ends the line before if that is due, and begins the next one; true if a line begins here.
    fn start_line(&mut self) -> bool {
        if self.due == Break::None && !self.out.is_empty() {
            return false;
        }
        let apart = std::mem::take(&mut self.after_list) && self.marker.is_none();
        if !self.out.is_empty() {
            trim_line(&mut self.out);
            if apart || self.due == Break::Paragraph {
                self.out.push('\n');
                self.out.extend(std::iter::repeat_n('>', self.quotes.min(self.quoted)));
            }
            self.out.push('\n');
        }
        self.due = Break::None;
        self.blank = true;
        self.prefix();
        true
    }

    fn prefix(&mut self) {
        for _ in 0..self.quotes {
            self.out.push_str("> ");
        }
        self.quoted = self.quotes;
        self.out.extend(std::iter::repeat_n(' ', self.indent));
        if let Some(marker) = self.marker.take() {
            self.out.push_str(&marker);
            self.hanging = marker.len();
        } else {
            self.out.extend(std::iter::repeat_n(' ', self.hanging));
        }
        if let Some(tag) = self.heading.take() {
            let level = (Tag::H1.0..=tag.0).count();
            self.out.extend(std::iter::repeat_n('#', level));
            self.out.push(' ');
        }
    }

    /// Begins a cell of a row.
    pub(super) fn cell(&mut self, first: bool) {
        if first {
            if self.markdown {
                self.start_line();
                self.out.push_str("| ");
            }
        } else {
            self.suspend_marks();
            self.start_line();
            if !self.out.ends_with([' ', '\n']) && !self.out.is_empty() {
                self.out.push(' ');
            }
            self.out.push_str("| ");
        }
        self.space = false;
        self.in_row = true;
    }

    /// Ends a row; after the first one Markdown wants a line that says where the columns are. Says where the two end.
    pub(super) fn end_row(&mut self, first: bool, cells: u32) -> Option<Head> {
        self.suspend_marks();
        let mut head = None;
        if self.markdown && cells > 0 && self.in_row {
            if !self.out.ends_with(' ') {
                self.out.push(' ');
            }
            self.out.push('|');
            if first {
                let row_end = self.out.len();
                self.out.push('\n');
                let marker = self.marker.take();
                self.prefix();
                self.marker = marker;
                self.out.push('|');
                for _ in 0..cells {
                    self.out.push_str(RULE);
                }
                head = Some(Head { row_end, rule_end: self.out.len() });
            }
        }
        self.break_line(Break::Line);
        head
    }

    /// Gives the head of the table that was written last so many more columns: what goes beyond it would not be shown.
    pub(super) fn widen(&mut self, head: Head, columns: u32) {
        let columns = columns as usize;
        self.out.insert_str(head.rule_end, &RULE.repeat(columns));
        self.out.insert_str(head.row_end, &" |".repeat(columns));
    }

    /// Writes a formula in TeX.
    pub(super) fn formula(&mut self, tex: &str, display: bool) {
        let fence = if display { "$$" } else { "$" };
        if display && !self.in_row {
            self.break_line(Break::Line);
        }
        self.begin("$");
        for part in [fence, tex, fence] {
            self.out.push_str(part);
        }
        if display && !self.in_row {
            self.break_line(Break::Line);
        }
    }

    /// Writes text with its own lines, in a fence where there are fences.
    pub(super) fn preformatted(&mut self, text: &str, language: &str) {
        self.break_line(Break::Paragraph);
        self.start_line();
        self.blank = false;
        let ticks = "`".repeat(3.max(1 + longest_run(text, b'`')));
        if self.markdown {
            self.out.push_str(&ticks);
            self.out.push_str(language);
            self.out.push('\n');
            self.prefix();
        }
        for (at, line) in text.split('\n').enumerate() {
            if at > 0 {
                self.out.push('\n');
                self.prefix();
            }
            self.out.push_str(line.trim_end());
        }
        if self.markdown {
            self.out.push('\n');
            self.prefix();
            self.out.push_str(&ticks);
        }
        self.break_line(Break::Paragraph);
    }

    pub(super) fn finish(mut self) -> String {
        self.suspend_marks();
        let kept = self.out.trim_end().len();
        self.out.truncate(kept);
        self.out
    }
}

/// White space, the non-breaking kind included.
#[inline]
fn is_space_at(bytes: &[u8], at: usize) -> bool {
    match bytes[at] {
        b' ' | b'\t'..=b'\r' => true,
        0xC2 => bytes.get(at + 1) == Some(&0xA0),
        _ => false,
    }
}

/// Removes blanks from the end of the last line.
fn trim_line(out: &mut String) {
    let kept = out.trim_end_matches([' ', '\t']).len();
    out.truncate(kept);
}

fn longest_run(text: &str, wanted: u8) -> usize {
    let (mut longest, mut run) = (0, 0);
    for &byte in text.as_bytes() {
        run = if byte == wanted { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}
