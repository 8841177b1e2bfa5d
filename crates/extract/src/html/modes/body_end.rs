//! End tags in body (HTML standard 13.2.6.4.7).

use super::super::Dialect;
use super::super::builder::{Mode, Parser, Step};
use super::super::dom::NONE;
use super::super::names::Tag;
use super::super::tokenizer::StartTag;

impl Parser<'_> {
    pub(in super::super) fn end_in_body(&mut self, tag: Tag) -> Step {
        match tag {
            Tag::SEARCH if self.dialect == Dialect::Lexbor230 => self.any_other_end_tag(tag),
            Tag::ADDRESS
            | Tag::ARTICLE
            | Tag::ASIDE
            | Tag::BLOCKQUOTE
            | Tag::BUTTON
            | Tag::CENTER
            | Tag::DETAILS
            | Tag::DIALOG
            | Tag::DIR
            | Tag::DIV
            | Tag::DL
            | Tag::FIELDSET
            | Tag::FIGCAPTION
            | Tag::FIGURE
            | Tag::FOOTER
            | Tag::HEADER
            | Tag::HGROUP
            | Tag::LISTING
            | Tag::MAIN
            | Tag::MENU
            | Tag::NAV
            | Tag::OL
            | Tag::PRE
            | Tag::SEARCH
            | Tag::SECTION
            | Tag::SUMMARY
            | Tag::UL
            | Tag::DD
            | Tag::DT => {
                if self.open.in_scope(tag) {
                    self.pop_until(tag);
                }
            }
            Tag::P => {
                if !self.open.in_button_scope(Tag::P) {
                    self.insert_implied(Tag::P);
                }
                self.close_p();
            }
            Tag::LI => {
                if self.open.in_list_item_scope(Tag::LI) {
                    self.pop_until(Tag::LI);
                }
            }
            Tag::A
            | Tag::B
            | Tag::BIG
            | Tag::CODE
            | Tag::EM
            | Tag::FONT
            | Tag::I
            | Tag::NOBR
            | Tag::S
            | Tag::SMALL
            | Tag::STRIKE
            | Tag::STRONG
            | Tag::TT
            | Tag::U => self.adoption_agency(tag),
            Tag::H1 | Tag::H2 | Tag::H3 | Tag::H4 | Tag::H5 | Tag::H6 => {
                if self.open.heading_in_scope() {
                    while let Some(current) = self.current_tag_or_foreign() {
                        self.pop();
                        if current.is_some_and(Tag::is_heading) {
                            break;
                        }
                    }
                }
            }
            Tag::FORM => self.end_form(),
            Tag::BODY | Tag::HTML => {
                if self.open.in_scope(Tag::BODY) {
                    self.mode = Mode::AfterBody;
                    if tag == Tag::HTML {
                        return Step::Again;
                    }
                }
            }
            Tag::BR => {
                let first_attribute = self.dom.attributes.len();
                let br = StartTag { tag, self_closing: false, first_attribute, present: 0, fingerprint: 0 };
                self.insert_phrasing_void(&br);
            }
            Tag::APPLET | Tag::MARQUEE | Tag::OBJECT => {
                if self.open.in_scope(tag) {
                    self.pop_until(tag);
                    self.clear_formatting_to_marker();
                }
            }
            Tag::TEMPLATE => self.end_template(),
            Tag::SELECT => self.end_select_in_body(),
            _ => self.any_other_end_tag(tag),
        }
        Step::Done
    }

    /// The current node, by name where it is an HTML element; None on an empty stack.
    fn current_tag_or_foreign(&self) -> Option<Option<Tag>> {
        self.current().map(|_| self.current_tag())
    }

    /// Closes the nearest element of that name unless a special element stands above it.
    pub(in super::super) fn any_other_end_tag(&mut self, tag: Tag) {
        let position = self.open.position(tag);
        if position >= self.open.special() {
            self.pop_to(position);
        }
    }

    fn end_form(&mut self) {
        if self.open.position(Tag::TEMPLATE) != 0 {
            if self.open.in_scope(Tag::FORM) {
                self.pop_until(Tag::FORM);
            }
            return;
        }
        let form = std::mem::replace(&mut self.form, NONE);
        if form == NONE || !self.open.is_in_scope(self.open.position_of(form, Tag::FORM)) {
            return;
        }
        self.generate_implied_end_tags(None);
        // What is open inside stays open.
        let position = self.open.position_of(form, Tag::FORM);
        if position != 0 {
            self.work += u64::from(self.open.len() - position);
            self.open.remove(position);
            self.dom.node_mut(form).flags &= !super::super::dom::flag::OPEN;
        }
    }
}
