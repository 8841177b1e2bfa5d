//! `select`, by the rules before 2025 (two insertion modes in which only options exist) and since (HTML standard
//! 13.2.6.4.7 as changed by whatwg/html pull request 10548: other elements stay inside).

use super::super::Dialect;
use super::super::builder::{Mode, Parser, Step};
use super::super::names::Tag;
use super::super::tokenizer::StartTag;

impl Parser<'_> {
    pub(super) fn start_select(&mut self, tag: &StartTag) {
        if self.dialect == Dialect::Standard2025 && self.open.in_scope(Tag::SELECT) {
            self.pop_until(Tag::SELECT);
            return;
        }
        self.reconstruct_formatting();
        self.insert(tag);
        self.frameset_ok = false;
        if self.dialect == Dialect::Lexbor230 {
            self.mode = match self.mode {
                Mode::InTable | Mode::InCaption | Mode::InTableBody | Mode::InRow | Mode::InCell => {
                    Mode::InSelectInTable
                }
                _ => Mode::InSelect,
            };
        }
    }

    pub(super) fn start_option(&mut self, tag: &StartTag) {
        if self.dialect == Dialect::Standard2025 && self.open.in_scope(Tag::SELECT) {
            let except = (tag.tag == Tag::OPTION).then_some(Tag::OPTGROUP);
            self.generate_implied_end_tags(except);
        } else if self.current_is(Tag::OPTION) {
            self.pop();
        }
        self.reconstruct_formatting();
        self.insert(tag);
    }

    /// Since 2025 an input closes an open select.
    pub(super) fn close_select(&mut self) {
        if self.dialect == Dialect::Standard2025 && self.open.in_scope(Tag::SELECT) {
            self.pop_until(Tag::SELECT);
        }
    }

    pub(super) fn end_select_in_body(&mut self) {
        if self.dialect == Dialect::Lexbor230 {
            self.any_other_end_tag(Tag::SELECT);
        } else if self.open.in_scope(Tag::SELECT) {
            self.pop_until(Tag::SELECT);
        }
    }

    /// Whether a select is open with nothing but options above it.
    fn in_select_scope(&self) -> bool {
        let mut position = self.open.len();
        while matches!(self.open.tag(position), Some(Tag::OPTION | Tag::OPTGROUP)) {
            position -= 1;
        }
        self.open.tag(position) == Some(Tag::SELECT)
    }

    fn leave_select(&mut self) {
        self.pop_until(Tag::SELECT);
        self.reset_mode();
    }

    pub(super) fn start_in_select(&mut self, tag: &StartTag) -> Step {
        match tag.tag {
            Tag::OPTION | Tag::OPTGROUP => {
                if self.current_is(Tag::OPTION) {
                    self.pop();
                }
                if tag.tag == Tag::OPTGROUP && self.current_is(Tag::OPTGROUP) {
                    self.pop();
                }
                self.insert(tag);
            }
            Tag::SELECT => {
                if self.in_select_scope() {
                    self.leave_select();
                }
            }
            Tag::INPUT | Tag::KEYGEN | Tag::TEXTAREA => {
                if self.in_select_scope() {
                    self.leave_select();
                    return Step::Again;
                }
            }
            Tag::SCRIPT | Tag::TEMPLATE => return self.start_in_head(tag),
            _ => {}
        }
        Step::Done
    }

    pub(super) fn end_in_select(&mut self, tag: Tag) -> Step {
        match tag {
            Tag::OPTGROUP => {
                if self.current_is(Tag::OPTION) && self.open.tag(self.open.len() - 1) == Some(Tag::OPTGROUP) {
                    self.pop();
                }
                if self.current_is(Tag::OPTGROUP) {
                    self.pop();
                }
            }
            Tag::OPTION => {
                if self.current_is(Tag::OPTION) {
                    self.pop();
                }
            }
            Tag::SELECT => {
                if self.in_select_scope() {
                    self.leave_select();
                }
            }
            Tag::TEMPLATE => self.end_template(),
            _ => {}
        }
        Step::Done
    }

    fn belongs_to_table(tag: Tag) -> bool {
        matches!(
            tag,
            Tag::CAPTION | Tag::TABLE | Tag::TBODY | Tag::TFOOT | Tag::THEAD | Tag::TR | Tag::TD | Tag::TH
        )
    }

    pub(super) fn start_in_select_in_table(&mut self, tag: &StartTag) -> Step {
        if Self::belongs_to_table(tag.tag) {
            self.leave_select();
            return Step::Again;
        }
        self.start_in_select(tag)
    }

    pub(super) fn end_in_select_in_table(&mut self, tag: Tag) -> Step {
        if !Self::belongs_to_table(tag) {
            return self.end_in_select(tag);
        }
        if !self.open.in_table_scope(tag) {
            return Step::Done;
        }
        self.leave_select();
        Step::Again
    }
}
