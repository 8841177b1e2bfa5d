//! The insertion modes (HTML standard 13.2.6.4), a group of them to a file.

mod body_end;
mod body_start;
mod foreign;
mod head;
mod select;
mod table;

use super::Dialect;
use super::builder::{Mode, Parser, Step, leading_space};
use super::names::Tag;
use super::tokenizer::{StartTag, Text};

impl Parser<'_> {
    /// A start tag under HTML rules.
    #[inline]
    pub(super) fn start_by_mode(&mut self, tag: &StartTag) -> Step {
        match self.mode {
            Mode::InBody | Mode::Text => self.start_in_body(tag),
            Mode::Initial | Mode::BeforeHtml => self.start_before_html(tag),
            Mode::BeforeHead => self.start_before_head(tag),
            Mode::InHead => self.start_in_head(tag),
            Mode::InHeadNoscript => self.start_in_head_noscript(tag),
            Mode::AfterHead => self.start_after_head(tag),
            Mode::InTable => self.start_in_table(tag),
            Mode::InCaption => self.start_in_caption(tag),
            Mode::InColumnGroup => self.start_in_column_group(tag),
            Mode::InTableBody => self.start_in_table_body(tag),
            Mode::InRow => self.start_in_row(tag),
            Mode::InCell => self.start_in_cell(tag),
            Mode::InSelect => self.start_in_select(tag),
            Mode::InSelectInTable => self.start_in_select_in_table(tag),
            Mode::InTemplate => self.start_in_template(tag),
            Mode::AfterBody | Mode::AfterAfterBody => {
                if tag.tag == Tag::HTML {
                    return Step::Done;
                }
                self.mode = Mode::InBody;
                Step::Again
            }
        }
    }

    /// An end tag under HTML rules.
    #[inline]
    pub(super) fn end_by_mode(&mut self, tag: Tag) -> Step {
        match self.mode {
            Mode::InBody => self.end_in_body(tag),
            Mode::Text => {
                self.pop();
                self.mode = self.original_mode;
                Step::Done
            }
            Mode::Initial | Mode::BeforeHtml | Mode::BeforeHead => self.end_before_head(tag),
            Mode::InHead => self.end_in_head(tag),
            Mode::InHeadNoscript => self.end_in_head_noscript(tag),
            Mode::AfterHead => self.end_after_head(tag),
            Mode::InTable => self.end_in_table(tag),
            Mode::InCaption => self.end_in_caption(tag),
            Mode::InColumnGroup => self.end_in_column_group(tag),
            Mode::InTableBody => self.end_in_table_body(tag),
            Mode::InRow => self.end_in_row(tag),
            Mode::InCell => self.end_in_cell(tag),
            Mode::InSelect => self.end_in_select(tag),
            Mode::InSelectInTable => self.end_in_select_in_table(tag),
            Mode::InTemplate => {
                if tag == Tag::TEMPLATE {
                    self.end_template();
                }
                Step::Done
            }
            Mode::AfterBody if tag == Tag::HTML => {
                self.mode = Mode::AfterAfterBody;
                Step::Done
            }
            Mode::AfterBody | Mode::AfterAfterBody => {
                self.mode = Mode::InBody;
                Step::Again
            }
        }
    }

    /// Characters under HTML rules.
    #[inline]
    pub(super) fn text_by_mode(&mut self, text: Text) {
        match self.mode {
            Mode::InBody | Mode::InCaption | Mode::InCell | Mode::InTemplate => self.text_in_body(text),
            Mode::Text | Mode::InSelect | Mode::InSelectInTable => self.insert_text(text),
            Mode::InTable | Mode::InTableBody | Mode::InRow => self.text_in_table(text),
            Mode::AfterBody | Mode::AfterAfterBody => {
                // As before body, lexbor 2.3.0 does not take a form feed for white space.
                let form_feed = self.dialect != Dialect::Lexbor230;
                let chars = self.dom.span(self.page, text.span);
                if leading_space(chars, form_feed) < chars.len() {
                    self.mode = Mode::InBody;
                }
                self.text_in_body(text);
            }
            _ => self.text_in_head(text),
        }
    }
}
