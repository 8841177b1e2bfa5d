//! SVG and MathML (HTML standard 13.2.6.5).

use super::super::Dialect;
use super::super::builder::{Parser, Step, has_content};
use super::super::dom::{Kind, flag};
use super::super::names::{Attr, Tag, group};
use super::super::tokenizer::{StartTag, Text};

impl Parser<'_> {
    pub(in super::super) fn text_in_foreign(&mut self, text: Text) {
        if has_content(self.dom.span(self.page, text.span)) {
            self.frameset_ok = false;
        }
        if let Some(text) = self.without_nul(text, "\u{FFFD}") {
            self.insert_text(text);
        }
    }

    pub(in super::super) fn start_in_foreign(&mut self, tag: &StartTag) -> Step {
        if tag.tag.is(group::BREAKS_OUT) || Self::is_styled_font(tag) {
            self.leave_foreign();
            return Step::Again;
        }
        let kind = self.current().map_or(Kind::Svg, |node| self.dom.node(node).kind);
        self.insert_foreign(tag, kind);
        Step::Done
    }

    /// Pops to the nearest element under which HTML rules hold.
    fn leave_foreign(&mut self) {
        while let Some(current) = self.current() {
            let node = self.dom.node(current);
            if node.kind == Kind::Html || node.flags & (flag::HTML_INTEGRATION | flag::TEXT_INTEGRATION) != 0
            {
                return;
            }
            self.pop();
        }
    }

    pub(super) fn insert_foreign(&mut self, tag: &StartTag, kind: Kind) {
        for attribute in &mut self.dom.attributes[tag.first_attribute..] {
            attribute.name = attribute.name.in_foreign_content();
        }
        let place = self.place(None);
        let node = self.dom.new_element(kind, tag.tag, tag.first_attribute);
        self.link_at(place, node);
        let integration = match (kind, tag.tag) {
            (Kind::MathMl, Tag::MI | Tag::MO | Tag::MN | Tag::MS | Tag::MTEXT) => flag::TEXT_INTEGRATION,
            (Kind::Svg, Tag::FOREIGNOBJECT | Tag::DESC | Tag::TITLE) => flag::HTML_INTEGRATION,
            (Kind::MathMl, Tag::ANNOTATION_XML) => {
                let encoding = self.dom.attribute(self.page, node, Attr::ENCODING).unwrap_or("");
                let is_html =
                    ["text/html", "application/xhtml+xml"].iter().any(|e| encoding.eq_ignore_ascii_case(e));
                if is_html { flag::HTML_INTEGRATION } else { 0 }
            }
            _ => 0,
        };
        self.dom.node_mut(node).flags |= integration;
        if !tag.self_closing {
            self.push_open(node);
        }
    }

    /// An end tag while the current node is foreign. Again: it is for HTML rules.
    pub(in super::super) fn end_in_foreign(&mut self, tag: Tag) -> Step {
        if matches!(tag, Tag::P | Tag::BR) && self.dialect == Dialect::Standard2025 {
            self.leave_foreign();
            return Step::Again;
        }
        let position = self.open.foreign_position(tag);
        if position == 0 {
            return Step::Again;
        }
        self.pop_to(position);
        Step::Done
    }
}
