//! Text and layout as version 2.0.1 makes them: margins between blocks, cells set apart, numbers that count every item.
//!
//! As in the other version the original lays collected segments out afterwards; here each is laid out as it comes. White
//! space collapses over the whole text of a segment, so what the last piece ended in is remembered.

use super::emit_v1::push_blanks;
use super::space::{ends_in_space, is_space, push_collapsed, strip, strip_end, strip_start};
use super::{Emit, Event, is_big, is_block, is_typed_input};
use crate::Options;
use crate::html::names::{Attr, Tag};

/// Lays out one page.
pub(super) struct Emitter<'o> {
    options: &'o Options,
    out: String,
    segment: Option<Segment>,
    /// Line feeds due before the next text.
    margin: usize,
    list_depth: usize,
    numbers: Vec<u32>,
    /// Whether the next text begins a list item, and what is printed in front.
    bullet: bool,
    prefix: String,
    /// Of each open row whether it has had a cell.
    rows: Vec<bool>,
}

struct Segment {
    depth: u32,
    block: bool,
    /// How many pre and textarea elements are open around it.
    pre_depth: usize,
    /// The end of a cell: its text is lost.
    discarded: bool,
    /// Whether something has been written, and whether that ends in collapsed white space.
    begun: bool,
    after_space: bool,
}

impl<'o> Emitter<'o> {
    pub(super) fn new(options: &'o Options) -> Self {
        Self {
            options,
            out: String::new(),
            segment: None,
            margin: 0,
            list_depth: 0,
            numbers: Vec::new(),
            bullet: false,
            prefix: String::new(),
            rows: Vec::new(),
        }
    }
}

impl Emit for Emitter<'_> {
    fn event(&mut self, event: &Event<'_>) {
        let opens = match &self.segment {
            None => true,
            Some(segment) => {
                event.depth < segment.depth
                    || event.tag.is_some_and(|tag| {
                        is_block(tag)
                            || matches!(tag, Tag::TEXTAREA | Tag::TD | Tag::TH)
                            || (tag == Tag::A && self.options.links)
                    })
            }
        };
        if opens {
            self.open(event);
        }
        match event.tag {
            None => self.text(event.text),
            Some(Tag::A) if self.options.links && event.end => {
                for part in [" (", strip(event.attribute(Attr::HREF)), ")"] {
                    self.text(part);
                }
            }
            Some(Tag::IMG | Tag::AREA) if self.options.alt_texts => self.text(event.attribute(Attr::ALT)),
            Some(Tag::TEXTAREA | Tag::BUTTON) if self.options.form_fields => {
                self.text(if event.end { " ] " } else { "[ " });
            }
            Some(Tag::INPUT) if self.options.form_fields && is_typed_input(event.attribute(Attr::TYPE)) => {
                let value = strip(event.attribute(Attr::VALUE));
                let value = if value.is_empty() { strip(event.attribute(Attr::PLACEHOLDER)) } else { value };
                if !value.is_empty() {
                    for part in ["[ ", value, " ] "] {
                        self.text(part);
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
        let end = self.out.bytes().rposition(|byte| !is_space(byte)).map_or(0, |at| at + 1);
        self.out.truncate(end);
        self.out
    }
}

impl Emitter<'_> {
    fn open(&mut self, event: &Event<'_>) {
        let Event { tag, end, depth, .. } = *event;
        let mut pre_depth = self.segment.as_ref().map_or(0, |segment| segment.pre_depth);
        if matches!(tag, Some(Tag::PRE | Tag::TEXTAREA)) {
            pre_depth = if end { pre_depth.saturating_sub(1) } else { pre_depth + 1 };
        }
        let block = tag.is_some_and(is_block);
        let cell = matches!(tag, Some(Tag::TD | Tag::TH));
        let discarded = cell && end;
        self.segment = Some(Segment { depth, block, pre_depth, discarded, begun: false, after_space: false });
        if discarded {
            return;
        }
        if tag == Some(Tag::TR) {
            if end {
                self.rows.pop();
            } else {
                self.rows.push(false);
            }
        } else if cell {
            self.start_cell();
        }
        if self.options.preserve_formatting {
            self.lists(event);
        }
        if block {
            let size = if tag.is_some_and(is_big) && pre_depth == 0 { 2 } else { 1 };
            if tag == Some(Tag::BR) && self.options.preserve_formatting {
                self.margin += 1;
            } else {
                self.margin = self.margin.max(size);
            }
        }
    }

    fn start_cell(&mut self) {
        self.flush();
        let Some(has_cells) = self.rows.last_mut() else { return };
        if std::mem::replace(has_cells, true) {
            if self.options.preserve_formatting {
                self.out.push_str("\t\t");
            } else if !self.out.is_empty() && !ends_in_space(&self.out) {
                self.out.push(' ');
            }
        }
    }

    fn lists(&mut self, event: &Event<'_>) {
        let Event { tag, end, .. } = *event;
        if matches!(tag, Some(Tag::UL | Tag::OL)) || (tag == Some(Tag::LI) && self.list_depth == 0) {
            if end {
                self.list_depth = self.list_depth.saturating_sub(1);
                self.numbers.pop();
                self.bullet = false;
                self.prefix.clear();
            } else {
                self.list_depth += 1;
                self.numbers.push(u32::from(tag == Some(Tag::OL)));
            }
        }
        if tag == Some(Tag::LI) && self.options.list_bullets {
            self.bullet = !end;
            self.prefix.clear();
            match self.numbers.last_mut().filter(|number| **number > 0) {
                Some(number) => {
                    self.prefix.push_str(&number.to_string());
                    self.prefix.push_str(". ");
                    if !end {
                        *number = number.saturating_add(1);
                    }
                }
                None => self.prefix.push_str("• "),
            }
        }
    }

    /// Writes the margin that is due.
    fn flush(&mut self) {
        if self.margin == 0 {
            return;
        }
        let pre_depth = self.segment.as_ref().map_or(0, |segment| segment.pre_depth);
        if pre_depth == 0 || !self.options.preserve_formatting {
            strip_end(&mut self.out, 0);
        }
        if !self.out.is_empty() {
            if self.options.preserve_formatting {
                self.out.extend(std::iter::repeat_n('\n', self.margin));
            } else {
                self.out.push(' ');
            }
        }
        self.margin = 0;
    }

    fn text(&mut self, text: &str) {
        let Some(segment) = &self.segment else { return };
        if segment.discarded {
            return;
        }
        let collapses = segment.pre_depth == 0 || !self.options.preserve_formatting;
        let strips = collapses
            && if segment.begun { segment.after_space } else { segment.block || ends_in_space(&self.out) };
        let text = if strips { strip_start(text) } else { text };
        if text.is_empty() {
            return;
        }
        if !segment.begun {
            self.begin();
        }
        if collapses {
            push_collapsed(&mut self.out, text);
        } else {
            self.out.push_str(text);
        }
        if let Some(segment) = &mut self.segment {
            segment.begun = true;
            segment.after_space = ends_in_space(text);
        }
    }

    /// Writes what comes before a segment's text.
    fn begin(&mut self) {
        self.flush();
        if self.list_depth > 0 && self.options.preserve_formatting {
            let hanging = self.options.list_bullets && !self.bullet;
            push_blanks(&mut self.out, 2 * (self.list_depth + usize::from(hanging)));
            self.bullet = false;
        }
        self.out.push_str(&self.prefix);
        self.prefix.clear();
    }
}
