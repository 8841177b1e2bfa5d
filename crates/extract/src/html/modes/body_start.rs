//! Start tags and characters in body (HTML standard 13.2.6.4.7).

use super::super::Dialect;
use super::super::builder::{Mode, Parser, Step, has_content};
use super::super::dom::Kind;
use super::super::names::{Attr, Tag};
use super::super::tokenizer::{StartTag, State, Text};

impl Parser<'_> {
    pub(in super::super) fn text_in_body(&mut self, text: Text) {
        let chars = self.dom.span(self.page, text.span);
        if self.frameset_ok && has_content(chars) {
            self.frameset_ok = false;
        }
        // A text of nothing but NULs is no text, and reopens nothing.
        if text.has_nul && chars.bytes().all(|byte| byte == 0) {
            return;
        }
        self.reconstruct_formatting();
        self.insert_text(text);
    }

    pub(in super::super) fn start_in_body(&mut self, tag: &StartTag) -> Step {
        match tag.tag {
            Tag::SEARCH if self.dialect == Dialect::Lexbor230 => {
                self.reconstruct_formatting();
                self.insert(tag);
            }
            Tag::ADDRESS
            | Tag::ARTICLE
            | Tag::ASIDE
            | Tag::BLOCKQUOTE
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
            | Tag::MAIN
            | Tag::MENU
            | Tag::NAV
            | Tag::OL
            | Tag::P
            | Tag::SEARCH
            | Tag::SECTION
            | Tag::SUMMARY
            | Tag::UL => {
                self.close_p();
                self.insert(tag);
            }
            Tag::A => {
                if let (Some((_, open)), _) = self.formatting.last(Tag::A) {
                    self.adoption_agency(Tag::A);
                    self.drop_formatting(open, Tag::A);
                }
                self.reconstruct_formatting();
                self.insert_formatting(tag);
            }
            Tag::B
            | Tag::BIG
            | Tag::CODE
            | Tag::EM
            | Tag::FONT
            | Tag::I
            | Tag::S
            | Tag::SMALL
            | Tag::STRIKE
            | Tag::STRONG
            | Tag::TT
            | Tag::U => {
                self.reconstruct_formatting();
                self.insert_formatting(tag);
            }
            Tag::NOBR => {
                self.reconstruct_formatting();
                if self.open.in_scope(Tag::NOBR) {
                    self.adoption_agency(Tag::NOBR);
                    self.reconstruct_formatting();
                }
                self.insert_formatting(tag);
            }
            Tag::LI => {
                self.frameset_ok = false;
                if self.open.tag(self.open.li_stop()) == Some(Tag::LI) {
                    self.pop_until(Tag::LI);
                }
                self.close_p();
                self.insert(tag);
            }
            Tag::DD | Tag::DT => {
                self.frameset_ok = false;
                if matches!(self.open.tag(self.open.li_stop()), Some(Tag::DD | Tag::DT)) {
                    self.pop_to(self.open.li_stop());
                }
                self.close_p();
                self.insert(tag);
            }
            Tag::AREA | Tag::BR | Tag::EMBED | Tag::IMG | Tag::KEYGEN | Tag::WBR => {
                self.insert_phrasing_void(tag)
            }
            Tag::IMAGE => self.insert_phrasing_void(&StartTag { tag: Tag::IMG, ..*tag }),
            Tag::H1 | Tag::H2 | Tag::H3 | Tag::H4 | Tag::H5 | Tag::H6 => {
                self.close_p();
                if self.current_tag().is_some_and(Tag::is_heading) {
                    self.pop();
                }
                self.insert(tag);
            }
            Tag::TABLE => {
                if !self.dom.quirks {
                    self.close_p();
                }
                self.insert(tag);
                self.frameset_ok = false;
                self.mode = Mode::InTable;
            }
            Tag::PRE | Tag::LISTING => {
                self.close_p();
                self.insert(tag);
                self.skip_line_feed = true;
                self.frameset_ok = false;
            }
            Tag::HR => {
                self.close_p();
                if self.dialect == Dialect::Standard2025 && self.open.in_scope(Tag::SELECT) {
                    self.generate_implied_end_tags(None);
                }
                self.insert_void(tag);
                self.frameset_ok = false;
            }
            Tag::INPUT => {
                self.close_select();
                self.reconstruct_formatting();
                self.insert_void(tag);
                if !self.is_hidden_input(tag) {
                    self.frameset_ok = false;
                }
            }
            Tag::BUTTON => {
                if self.open.in_scope(Tag::BUTTON) {
                    self.pop_until(Tag::BUTTON);
                }
                self.reconstruct_formatting();
                self.insert(tag);
                self.frameset_ok = false;
            }
            Tag::FORM => {
                let in_template = self.open.position(Tag::TEMPLATE) != 0;
                if self.form == super::super::dom::NONE || in_template {
                    self.close_p();
                    let form = self.insert(tag);
                    if !in_template {
                        self.form = form;
                    }
                }
            }
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
            Tag::OPTION | Tag::OPTGROUP => self.start_option(tag),
            Tag::SELECT => self.start_select(tag),
            Tag::TEXTAREA => {
                self.insert_raw(tag, State::Rcdata(tag.tag));
                self.skip_line_feed = true;
                self.frameset_ok = false;
            }
            Tag::XMP => {
                self.close_p();
                self.reconstruct_formatting();
                self.frameset_ok = false;
                self.insert_raw(tag, State::Rawtext(tag.tag));
            }
            Tag::IFRAME => {
                self.frameset_ok = false;
                self.insert_raw(tag, State::Rawtext(tag.tag));
            }
            Tag::NOEMBED => self.insert_raw(tag, State::Rawtext(tag.tag)),
            Tag::PLAINTEXT => {
                self.close_p();
                self.insert(tag);
                self.tokenizer.state = State::Plaintext;
            }
            Tag::APPLET | Tag::MARQUEE | Tag::OBJECT => {
                self.reconstruct_formatting();
                self.insert(tag);
                self.formatting.push_marker();
                self.frameset_ok = false;
            }
            Tag::PARAM | Tag::SOURCE | Tag::TRACK => {
                self.insert_void(tag);
            }
            Tag::RB | Tag::RTC => {
                if self.open.in_scope(Tag::RUBY) {
                    self.generate_implied_end_tags(None);
                }
                self.insert(tag);
            }
            Tag::RP | Tag::RT => {
                if self.open.in_scope(Tag::RUBY) {
                    self.generate_implied_end_tags(Some(Tag::RTC));
                }
                self.insert(tag);
            }
            Tag::MATH | Tag::SVG => {
                self.reconstruct_formatting();
                self.insert_foreign(tag, if tag.tag == Tag::SVG { Kind::Svg } else { Kind::MathMl });
            }
            Tag::BODY => {
                // Only that a frameset cannot replace body any more; its attributes mean nothing here.
                if self.open.tag(2) == Some(Tag::BODY) && self.open.position(Tag::TEMPLATE) == 0 {
                    self.frameset_ok = false;
                }
            }
            Tag::FRAMESET => {
                if self.open.tag(2) == Some(Tag::BODY) && self.frameset_ok {
                    // The body leaves the tree but stays what extractors ask for; no text is in it, or the frameset
                    // would not be let in.
                    self.finished = true;
                }
            }
            Tag::HTML
            | Tag::CAPTION
            | Tag::COL
            | Tag::COLGROUP
            | Tag::FRAME
            | Tag::HEAD
            | Tag::TBODY
            | Tag::TD
            | Tag::TFOOT
            | Tag::TH
            | Tag::THEAD
            | Tag::TR => {}
            _ => {
                self.reconstruct_formatting();
                self.insert(tag);
            }
        }
        Step::Done
    }

    fn insert_formatting(&mut self, tag: &StartTag) {
        let node = self.insert(tag);
        self.push_formatting(node, tag);
    }

    pub(super) fn insert_phrasing_void(&mut self, tag: &StartTag) {
        self.reconstruct_formatting();
        self.insert_void(tag);
        self.frameset_ok = false;
    }

    /// Whether a `font` tag has one of the attributes that make it end foreign content.
    pub(super) fn is_styled_font(tag: &StartTag) -> bool {
        tag.tag == Tag::FONT && tag.present & (Attr::COLOR.bit() | Attr::FACE.bit() | Attr::SIZE.bit()) != 0
    }
}
