//! Tables (HTML standard 13.2.6.4.9 to 13.2.6.4.15).

use super::super::builder::{Mode, Parser, Step};
use super::super::dom::NONE;
use super::super::names::Tag;
use super::super::tokenizer::{StartTag, Text};

impl Parser<'_> {
    pub(super) fn text_in_table(&mut self, text: Text) {
        let directly_in_table = matches!(
            self.current_tag(),
            Some(Tag::TABLE | Tag::TBODY | Tag::TEMPLATE | Tag::TFOOT | Tag::THEAD | Tag::TR)
        );
        if directly_in_table {
            self.pending.push(text);
        } else {
            self.foster_parenting = true;
            self.text_in_body(text);
            self.foster_parenting = false;
        }
    }

    fn clear_stack_to(&mut self, context: &[Tag]) {
        while !self
            .current_tag()
            .is_some_and(|tag| context.contains(&tag) || tag == Tag::TEMPLATE || tag == Tag::HTML)
            && self.current().is_some()
        {
            self.pop();
        }
    }

    fn clear_to_table(&mut self) {
        self.clear_stack_to(&[Tag::TABLE]);
    }

    fn clear_to_table_body(&mut self) {
        self.clear_stack_to(&[Tag::TBODY, Tag::TFOOT, Tag::THEAD]);
    }

    fn clear_to_row(&mut self) {
        self.clear_stack_to(&[Tag::TR]);
    }

    pub(super) fn start_in_table(&mut self, tag: &StartTag) -> Step {
        match tag.tag {
            Tag::CAPTION => {
                self.clear_to_table();
                self.formatting.push_marker();
                self.insert(tag);
                self.mode = Mode::InCaption;
            }
            Tag::COLGROUP => {
                self.clear_to_table();
                self.insert(tag);
                self.mode = Mode::InColumnGroup;
            }
            Tag::COL => {
                self.clear_to_table();
                self.insert_implied(Tag::COLGROUP);
                self.mode = Mode::InColumnGroup;
                return Step::Again;
            }
            Tag::TBODY | Tag::TFOOT | Tag::THEAD => {
                self.clear_to_table();
                self.insert(tag);
                self.mode = Mode::InTableBody;
            }
            Tag::TD | Tag::TH | Tag::TR => {
                self.clear_to_table();
                self.insert_implied(Tag::TBODY);
                self.mode = Mode::InTableBody;
                return Step::Again;
            }
            Tag::TABLE => {
                if self.open.in_table_scope(Tag::TABLE) {
                    self.pop_until(Tag::TABLE);
                    self.reset_mode();
                    return Step::Again;
                }
            }
            Tag::STYLE | Tag::SCRIPT | Tag::TEMPLATE => return self.start_in_head(tag),
            Tag::INPUT if self.is_hidden_input(tag) => {
                self.insert_void(tag);
            }
            Tag::FORM => {
                if self.form == NONE && self.open.position(Tag::TEMPLATE) == 0 {
                    self.form = self.insert(tag);
                    self.pop();
                }
            }
            // lexbor loses an `image` here; the standard would make an img of it, in front of the table.
            Tag::IMAGE => {}
            _ => {
                self.foster_parenting = true;
                let step = self.start_in_body(tag);
                self.foster_parenting = false;
                return step;
            }
        }
        Step::Done
    }

    pub(super) fn end_in_table(&mut self, tag: Tag) -> Step {
        match tag {
            Tag::TABLE => {
                if self.open.in_table_scope(Tag::TABLE) {
                    self.pop_until(Tag::TABLE);
                    self.reset_mode();
                }
            }
            Tag::BODY
            | Tag::CAPTION
            | Tag::COL
            | Tag::COLGROUP
            | Tag::HTML
            | Tag::TBODY
            | Tag::TD
            | Tag::TFOOT
            | Tag::TH
            | Tag::THEAD
            | Tag::TR => {}
            Tag::TEMPLATE => self.end_template(),
            _ => {
                self.foster_parenting = true;
                let step = self.end_in_body(tag);
                self.foster_parenting = false;
                return step;
            }
        }
        Step::Done
    }

    /// Closes the caption; false if none is open.
    fn close_caption(&mut self) -> bool {
        if !self.open.in_table_scope(Tag::CAPTION) {
            return false;
        }
        self.pop_until(Tag::CAPTION);
        self.clear_formatting_to_marker();
        self.mode = Mode::InTable;
        true
    }

    pub(super) fn start_in_caption(&mut self, tag: &StartTag) -> Step {
        match tag.tag {
            Tag::CAPTION
            | Tag::COL
            | Tag::COLGROUP
            | Tag::TBODY
            | Tag::TD
            | Tag::TFOOT
            | Tag::TH
            | Tag::THEAD
            | Tag::TR => again_if(self.close_caption()),
            _ => self.start_in_body(tag),
        }
    }

    pub(super) fn end_in_caption(&mut self, tag: Tag) -> Step {
        match tag {
            Tag::CAPTION => {
                self.close_caption();
                Step::Done
            }
            Tag::TABLE => again_if(self.close_caption()),
            Tag::BODY
            | Tag::COL
            | Tag::COLGROUP
            | Tag::HTML
            | Tag::TBODY
            | Tag::TD
            | Tag::TFOOT
            | Tag::TH
            | Tag::THEAD
            | Tag::TR => Step::Done,
            _ => self.end_in_body(tag),
        }
    }

    /// Closes the column group; false if none is open.
    pub(super) fn leave_column_group(&mut self) -> bool {
        if !self.current_is(Tag::COLGROUP) {
            return false;
        }
        self.pop();
        self.mode = Mode::InTable;
        true
    }

    pub(super) fn start_in_column_group(&mut self, tag: &StartTag) -> Step {
        match tag.tag {
            Tag::HTML => Step::Done,
            Tag::COL => {
                self.insert_void(tag);
                Step::Done
            }
            Tag::TEMPLATE => self.start_in_head(tag),
            _ => again_if(self.leave_column_group()),
        }
    }

    pub(super) fn end_in_column_group(&mut self, tag: Tag) -> Step {
        match tag {
            Tag::COLGROUP => {
                self.leave_column_group();
                Step::Done
            }
            Tag::COL => Step::Done,
            Tag::TEMPLATE => {
                self.end_template();
                Step::Done
            }
            _ => again_if(self.leave_column_group()),
        }
    }

    /// Closes the table section; false if none is open.
    fn close_section(&mut self) -> bool {
        let open = [Tag::TBODY, Tag::THEAD, Tag::TFOOT].into_iter().any(|tag| self.open.in_table_scope(tag));
        if open {
            self.clear_to_table_body();
            self.pop();
            self.mode = Mode::InTable;
        }
        open
    }

    pub(super) fn start_in_table_body(&mut self, tag: &StartTag) -> Step {
        match tag.tag {
            Tag::TR => {
                self.clear_to_table_body();
                self.insert(tag);
                self.mode = Mode::InRow;
                Step::Done
            }
            Tag::TH | Tag::TD => {
                self.clear_to_table_body();
                self.insert_implied(Tag::TR);
                self.mode = Mode::InRow;
                Step::Again
            }
            Tag::CAPTION | Tag::COL | Tag::COLGROUP | Tag::TBODY | Tag::TFOOT | Tag::THEAD => {
                again_if(self.close_section())
            }
            _ => self.start_in_table(tag),
        }
    }

    pub(super) fn end_in_table_body(&mut self, tag: Tag) -> Step {
        match tag {
            Tag::TBODY | Tag::TFOOT | Tag::THEAD => {
                if self.open.in_table_scope(tag) {
                    self.clear_to_table_body();
                    self.pop();
                    self.mode = Mode::InTable;
                }
                Step::Done
            }
            Tag::TABLE => again_if(self.close_section()),
            Tag::BODY | Tag::CAPTION | Tag::COL | Tag::COLGROUP | Tag::HTML | Tag::TD | Tag::TH | Tag::TR => {
                Step::Done
            }
            _ => self.end_in_table(tag),
        }
    }

    /// Closes the row; false if none is open.
    fn close_row(&mut self) -> bool {
        if !self.open.in_table_scope(Tag::TR) {
            return false;
        }
        self.clear_to_row();
        self.pop();
        self.mode = Mode::InTableBody;
        true
    }

    pub(super) fn start_in_row(&mut self, tag: &StartTag) -> Step {
        match tag.tag {
            Tag::TH | Tag::TD => {
                self.clear_to_row();
                self.insert(tag);
                self.mode = Mode::InCell;
                self.formatting.push_marker();
                Step::Done
            }
            Tag::CAPTION | Tag::COL | Tag::COLGROUP | Tag::TBODY | Tag::TFOOT | Tag::THEAD | Tag::TR => {
                again_if(self.close_row())
            }
            _ => self.start_in_table(tag),
        }
    }

    pub(super) fn end_in_row(&mut self, tag: Tag) -> Step {
        match tag {
            Tag::TR => {
                self.close_row();
                Step::Done
            }
            Tag::TABLE => again_if(self.close_row()),
            Tag::TBODY | Tag::TFOOT | Tag::THEAD => {
                again_if(self.open.in_table_scope(tag) && self.close_row())
            }
            Tag::BODY | Tag::CAPTION | Tag::COL | Tag::COLGROUP | Tag::HTML | Tag::TD | Tag::TH => Step::Done,
            _ => self.end_in_table(tag),
        }
    }

    fn close_cell(&mut self) {
        let cell = self.open.position(Tag::TD).max(self.open.position(Tag::TH));
        self.pop_to(cell);
        self.clear_formatting_to_marker();
        self.mode = Mode::InRow;
    }

    pub(super) fn start_in_cell(&mut self, tag: &StartTag) -> Step {
        match tag.tag {
            Tag::CAPTION
            | Tag::COL
            | Tag::COLGROUP
            | Tag::TBODY
            | Tag::TD
            | Tag::TFOOT
            | Tag::TH
            | Tag::THEAD
            | Tag::TR => {
                let open = self.open.in_table_scope(Tag::TD) || self.open.in_table_scope(Tag::TH);
                if open {
                    self.close_cell();
                }
                again_if(open)
            }
            _ => self.start_in_body(tag),
        }
    }

    pub(super) fn end_in_cell(&mut self, tag: Tag) -> Step {
        match tag {
            Tag::TD | Tag::TH => {
                if self.open.in_table_scope(tag) {
                    self.pop_until(tag);
                    self.clear_formatting_to_marker();
                    self.mode = Mode::InRow;
                }
                Step::Done
            }
            Tag::BODY | Tag::CAPTION | Tag::COL | Tag::COLGROUP | Tag::HTML => Step::Done,
            Tag::TABLE | Tag::TBODY | Tag::TFOOT | Tag::THEAD | Tag::TR => {
                let open = self.open.in_table_scope(tag);
                if open {
                    self.close_cell();
                }
                again_if(open)
            }
            _ => self.end_in_body(tag),
        }
    }
}

fn again_if(changed: bool) -> Step {
    if changed { Step::Again } else { Step::Done }
}
