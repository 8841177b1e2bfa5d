//! Everything before body, and templates (HTML standard 13.2.6.4.1 to 13.2.6.4.6 and 13.2.6.4.22).

use super::super::Dialect;
use super::super::builder::{Mode, Parser, Step, leading_space};
use super::super::dom::NONE;
use super::super::names::Tag;
use super::super::tokenizer::{StartTag, State, Text};

impl Parser<'_> {
    /// Characters in the modes that lead up to body: white space is dropped or kept where it is, anything else moves on
    /// to the next mode.
    pub(super) fn text_in_head(&mut self, mut text: Text) {
        loop {
            // lexbor 2.3.0 does not take a form feed for white space here.
            let form_feed = self.dialect != Dialect::Lexbor230;
            let space = leading_space(self.dom.span(self.page, text.span), form_feed);
            if space > 0 {
                let keeps = matches!(
                    self.mode,
                    Mode::InHead | Mode::InHeadNoscript | Mode::AfterHead | Mode::InColumnGroup
                );
                if keeps {
                    self.insert_text(Text { span: text.span.until(space), has_nul: false });
                }
                text.span = text.span.from(space);
            }
            if text.span.length == 0 {
                return;
            }
            match self.mode {
                Mode::Initial => self.no_doctype(),
                Mode::BeforeHtml => self.imply_html(),
                Mode::BeforeHead => self.imply_head(),
                Mode::InHead => self.leave_head(),
                Mode::InHeadNoscript => self.leave_head_noscript(),
                Mode::AfterHead => self.insert_body(None),
                Mode::InColumnGroup => {
                    if !self.leave_column_group() {
                        return;
                    }
                }
                _ => {
                    self.text_by_mode(text);
                    return;
                }
            }
        }
    }

    fn no_doctype(&mut self) {
        self.dom.quirks = true;
        self.mode = Mode::BeforeHtml;
    }

    fn imply_html(&mut self) {
        self.insert_implied(Tag::HTML);
        self.mode = Mode::BeforeHead;
    }

    fn imply_head(&mut self) {
        self.head = self.insert_implied(Tag::HEAD);
        self.mode = Mode::InHead;
    }

    fn leave_head(&mut self) {
        self.pop();
        self.mode = Mode::AfterHead;
    }

    fn leave_head_noscript(&mut self) {
        self.pop();
        self.mode = Mode::InHead;
    }

    pub(super) fn start_before_html(&mut self, tag: &StartTag) -> Step {
        if self.mode == Mode::Initial {
            self.no_doctype();
        }
        if tag.tag == Tag::HTML {
            self.insert(tag);
            self.mode = Mode::BeforeHead;
            return Step::Done;
        }
        self.imply_html();
        Step::Again
    }

    pub(super) fn start_before_head(&mut self, tag: &StartTag) -> Step {
        match tag.tag {
            Tag::HTML => Step::Done,
            Tag::HEAD => {
                self.head = self.insert(tag);
                self.mode = Mode::InHead;
                Step::Done
            }
            _ => {
                self.imply_head();
                Step::Again
            }
        }
    }

    pub(super) fn end_before_head(&mut self, tag: Tag) -> Step {
        if !matches!(tag, Tag::HEAD | Tag::BODY | Tag::HTML | Tag::BR) {
            if self.mode == Mode::Initial {
                self.no_doctype();
            }
            return Step::Done;
        }
        match self.mode {
            Mode::Initial => self.no_doctype(),
            Mode::BeforeHtml => self.imply_html(),
            _ => self.imply_head(),
        }
        Step::Again
    }

    pub(super) fn start_in_head(&mut self, tag: &StartTag) -> Step {
        match tag.tag {
            Tag::HTML | Tag::HEAD => {}
            Tag::BASE | Tag::BASEFONT | Tag::BGSOUND | Tag::LINK | Tag::META => {
                self.insert_void(tag);
            }
            Tag::TITLE => self.insert_raw(tag, State::Rcdata(tag.tag)),
            Tag::NOSCRIPT => {
                self.insert(tag);
                self.mode = Mode::InHeadNoscript;
            }
            Tag::NOFRAMES | Tag::STYLE => self.insert_raw(tag, State::Rawtext(tag.tag)),
            Tag::SCRIPT => self.insert_raw(tag, State::Script),
            Tag::TEMPLATE => {
                self.insert(tag);
                self.formatting.push_marker();
                self.frameset_ok = false;
                self.mode = Mode::InTemplate;
                self.template_modes.push(Mode::InTemplate);
            }
            _ => {
                self.leave_head();
                return Step::Again;
            }
        }
        Step::Done
    }

    pub(super) fn end_in_head(&mut self, tag: Tag) -> Step {
        match tag {
            Tag::HEAD => self.leave_head(),
            Tag::BODY | Tag::HTML | Tag::BR => {
                self.leave_head();
                return Step::Again;
            }
            Tag::TEMPLATE => self.end_template(),
            _ => {}
        }
        Step::Done
    }

    pub(super) fn end_template(&mut self) {
        if self.open.position(Tag::TEMPLATE) == 0 {
            return;
        }
        self.pop_until(Tag::TEMPLATE);
        self.clear_formatting_to_marker();
        self.template_modes.pop();
        self.reset_mode();
    }

    pub(super) fn start_in_head_noscript(&mut self, tag: &StartTag) -> Step {
        match tag.tag {
            Tag::HTML | Tag::HEAD | Tag::NOSCRIPT => Step::Done,
            Tag::BASEFONT | Tag::BGSOUND | Tag::LINK | Tag::META | Tag::NOFRAMES | Tag::STYLE => {
                self.start_in_head(tag)
            }
            _ => {
                self.leave_head_noscript();
                Step::Again
            }
        }
    }

    pub(super) fn end_in_head_noscript(&mut self, tag: Tag) -> Step {
        match tag {
            Tag::NOSCRIPT => self.leave_head_noscript(),
            Tag::BR => {
                self.leave_head_noscript();
                return Step::Again;
            }
            _ => {}
        }
        Step::Done
    }

    pub(super) fn start_after_head(&mut self, tag: &StartTag) -> Step {
        match tag.tag {
            Tag::HTML | Tag::HEAD => {}
            Tag::BODY => {
                self.frameset_ok = false;
                self.insert_body(Some(tag));
            }
            Tag::FRAMESET => self.finished = true,
            Tag::BASE
            | Tag::BASEFONT
            | Tag::BGSOUND
            | Tag::LINK
            | Tag::META
            | Tag::NOFRAMES
            | Tag::SCRIPT
            | Tag::STYLE
            | Tag::TEMPLATE
            | Tag::TITLE => {
                // They go into head after all.
                let head = self.head;
                if head == NONE {
                    return Step::Done;
                }
                self.push_open(head);
                let step = self.start_in_head(tag);
                let position = self.open.position_of(head, Tag::HEAD);
                if position != 0 {
                    self.open.remove(position);
                }
                return step;
            }
            _ => {
                self.insert_body(None);
                return Step::Again;
            }
        }
        Step::Done
    }

    pub(super) fn end_after_head(&mut self, tag: Tag) -> Step {
        match tag {
            Tag::TEMPLATE => self.end_template(),
            Tag::BODY | Tag::HTML | Tag::BR => {
                self.insert_body(None);
                return Step::Again;
            }
            _ => {}
        }
        Step::Done
    }

    pub(super) fn start_in_template(&mut self, tag: &StartTag) -> Step {
        let mode = match tag.tag {
            Tag::BASE
            | Tag::BASEFONT
            | Tag::BGSOUND
            | Tag::LINK
            | Tag::META
            | Tag::NOFRAMES
            | Tag::SCRIPT
            | Tag::STYLE
            | Tag::TEMPLATE
            | Tag::TITLE => return self.start_in_head(tag),
            Tag::CAPTION | Tag::COLGROUP | Tag::TBODY | Tag::TFOOT | Tag::THEAD => Mode::InTable,
            Tag::COL => Mode::InColumnGroup,
            Tag::TR => Mode::InTableBody,
            Tag::TD | Tag::TH => Mode::InRow,
            _ => Mode::InBody,
        };
        if let Some(current) = self.template_modes.last_mut() {
            *current = mode;
        }
        self.mode = mode;
        Step::Again
    }
}
