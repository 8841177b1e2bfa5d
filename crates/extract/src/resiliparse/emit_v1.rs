//! Text and layout as version 0.14.7 makes them.
//!
//! The original collects segments (a tag and its text) and then lays them out one by one. Layout needs nothing from
//! later segments, so here a segment's line break is written as it opens and its text straight behind; what turns out to
//! be empty is taken back as the next one opens.

use super::space::{ends_in_space, is_space, push_collapsed, strip, strip_end, strip_start};
use super::{Emit, Event, is_big, is_block, is_typed_input};
use crate::Options;
use crate::html::names::{Attr, Tag};

/// Lays out one page.
pub(super) struct Emitter<'o> {
    options: &'o Options,
    out: String,
    /// The open segment: at which depth it began, and whether its text stays as it is.
    segment: Option<Segment>,
    list_depth: usize,
    /// Of each open list the next number, 0 for bullets.
    numbers: Vec<u32>,
    /// Whether the next text begins a list item.
    deferred: bool,
}

struct Segment {
    depth: u32,
    verbatim: bool,
    /// Where the segment's output begins, list prefix included, and where its text does, once it has any.
    start: usize,
    text: Option<usize>,
}

impl<'o> Emitter<'o> {
    pub(super) fn new(options: &'o Options) -> Self {
        Self {
            options,
            out: String::new(),
            segment: None,
            list_depth: 0,
            numbers: Vec::new(),
            deferred: false,
        }
    }
}

impl Emit for Emitter<'_> {
    fn event(&mut self, event: &Event<'_>) {
        let opens = match &self.segment {
            None => true,
            Some(segment) => {
                event.depth < segment.depth
                    || event.tag.is_some_and(|tag| is_block(tag) || tag == Tag::TEXTAREA)
            }
        };
        if opens {
            self.close();
            self.open(event);
        }
        match event.tag {
            None => self.text(event.text),
            Some(Tag::BR | Tag::HR) => {}
            Some(Tag::A) if self.options.links && event.end => {
                let href = strip(event.attribute(Attr::HREF));
                if !href.is_empty() {
                    self.begin_text();
                    for part in [" (", href, ") "] {
                        self.out.push_str(part);
                    }
                }
            }
            Some(Tag::IMG | Tag::AREA) if self.options.alt_texts => {
                self.begin_text();
                self.out.push_str(event.attribute(Attr::ALT));
            }
            Some(Tag::TEXTAREA | Tag::BUTTON) if self.options.form_fields => {
                self.begin_text();
                self.out.push_str(if event.end { " ]" } else { "[ " });
            }
            Some(Tag::INPUT) if self.options.form_fields && is_typed_input(event.attribute(Attr::TYPE)) => {
                let value = strip(event.attribute(Attr::VALUE));
                let value = if value.is_empty() { strip(event.attribute(Attr::PLACEHOLDER)) } else { value };
                if !value.is_empty() {
                    self.begin_text();
                    for part in ["[ ", value, " ]"] {
                        self.out.push_str(part);
                    }
                }
            }
            Some(_) => {}
        }
    }

    fn len(&self) -> usize {
        self.out.len()
    }

    fn finish(mut self) -> String {
        self.close();
        let end = self.out.bytes().rposition(|byte| !is_space(byte)).map_or(0, |at| at + 1);
        self.out.truncate(end);
        self.out
    }
}

impl Emitter<'_> {
    fn open(&mut self, event: &Event<'_>) {
        let tag = event.tag;
        if self.options.preserve_formatting {
            self.layout(event);
        } else if !self.out.is_empty() && !self.out.ends_with(' ') {
            self.out.push(' ');
        }
        let verbatim =
            self.options.preserve_formatting && !event.end && matches!(tag, Some(Tag::PRE | Tag::TEXTAREA));
        self.segment = Some(Segment { depth: event.depth, verbatim, start: self.out.len(), text: None });
    }

    fn layout(&mut self, event: &Event<'_>) {
        let Event { tag, end, .. } = *event;
        if matches!(tag, Some(Tag::UL | Tag::OL)) || (tag == Some(Tag::LI) && self.list_depth == 0) {
            if end {
                self.list_depth = self.list_depth.saturating_sub(1);
                self.numbers.pop();
                self.deferred = false;
            } else {
                self.list_depth += 1;
                self.numbers.push(u32::from(tag == Some(Tag::OL)));
            }
        }
        if tag == Some(Tag::LI) {
            self.deferred = true;
        }
        if tag == Some(Tag::TEXTAREA) {
            return;
        }
        let breaks_always = matches!(tag, Some(Tag::BR | Tag::HR));
        if breaks_always || (!self.out.is_empty() && !self.out.ends_with('\n')) {
            self.out.push('\n');
        }
        // Only the last byte but one is looked at.
        if tag.is_some_and(is_big)
            && !self.deferred
            && self.out.len() >= 2
            && self.out.as_bytes()[self.out.len() - 2] != b'\n'
        {
            self.out.push('\n');
        }
    }

    /// Makes the segment's text present, with what the list puts in front.
    fn begin_text(&mut self) {
        let Some(segment) = &mut self.segment else { return };
        if segment.text.is_some() {
            return;
        }
        if self.options.preserve_formatting && self.list_depth > 0 {
            let hanging = self.options.list_bullets && !self.deferred;
            push_blanks(&mut self.out, 2 * self.list_depth + 2 * usize::from(hanging));
            if self.deferred && self.options.list_bullets {
                match self.numbers.last() {
                    Some(&number) if number > 0 => {
                        self.out.push_str(&number.to_string());
                        self.out.push_str(". ");
                    }
                    _ => self.out.push_str("• "),
                }
            }
        }
        segment.text = Some(self.out.len());
    }

    fn text(&mut self, text: &str) {
        self.begin_text();
        let Some(Segment { verbatim, text: Some(start), .. }) = self.segment else { return };
        if verbatim {
            self.out.push_str(text);
            return;
        }
        let continues = self.out.len() > start && !ends_in_space(&self.out);
        push_collapsed(&mut self.out, if continues { text } else { strip_start(text) });
    }

    /// Ends the segment: trailing white space goes, and a segment without text with all it wrote.
    fn close(&mut self) {
        let Some(Segment { verbatim, start, text: Some(text), .. }) = self.segment.take() else { return };
        if !verbatim {
            strip_end(&mut self.out, text);
        }
        if self.out.len() == text {
            self.out.truncate(start);
            return;
        }
        if !self.options.preserve_formatting || self.list_depth == 0 {
            return;
        }
        if verbatim {
            self.indent_lines(text);
        }
        if self.deferred {
            if self.options.list_bullets
                && let Some(number) = self.numbers.last_mut().filter(|number| **number > 0)
            {
                *number = number.saturating_add(1);
            }
            self.deferred = false;
        }
    }

    /// Moves the lines of preformatted text in by what its list is.
    fn indent_lines(&mut self, from: usize) {
        let indent = 2 * (self.list_depth + usize::from(self.options.list_bullets));
        let text = self.out.split_off(from);
        for line in text.split_inclusive('\n') {
            self.out.push_str(line);
            if line.ends_with('\n') {
                push_blanks(&mut self.out, indent);
            }
        }
    }
}

pub(super) fn push_blanks(out: &mut String, count: usize) {
    out.extend(std::iter::repeat_n(' ', count));
}
