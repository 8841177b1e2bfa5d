//! Resiliparse's plain-text extraction, from our own code: same answers as 0.14.7 (DCLM's) and 2.0.1.
//!
//! A page's text comes from one walk over its tree ([`walk`]): nodes that are skipped or judged boilerplate are pruned
//! ([`decide`]), the others are events from which a version's emitter makes text and layout. Behaviour is that of
//! `resiliparse.extract.html2text.extract_plain_text`, oddities included; where a rule looks wrong, it is theirs.

mod decide;
mod emit_v1;
mod emit_v2;
mod facts;
mod patterns;
mod root;
mod selector;
mod space;

use self::decide::Judge;
use self::facts::Facts;
use self::patterns::Matcher;
use self::selector::{SelectorState, Selectors};
use self::space::strip;
use crate::html::dom::{Dom, Kind, NONE, NodeId};
use crate::html::names::{Attr, Names, Tag};
use crate::html::{Dialect, Wanted};
use crate::{ExtractError, Options, OptionsError, Version};

/// The extraction with one set of options, and its memory of patterns.
pub(crate) struct Engine {
    matcher: Matcher,
    facts: Facts,
    /// Tags never entered, by number.
    skipped: [bool; Tag::KNOWN],
    selectors: Selectors,
}

/// How much text a page may have: more than any page, and so many times its size. Attributes of reopened elements and the
/// indentation of nested lists can be repeated without end.
const TEXT_FLOOR_BYTES: usize = 1 << 20;
const TEXT_PER_BYTE: usize = 16;

/// Makes text and layout of the events of a walk.
trait Emit {
    fn event(&mut self, event: &Event<'_>);
    /// Bytes written so far.
    fn len(&self) -> usize;
    fn finish(self) -> String;
}

/// Something to emit.
struct Event<'a> {
    /// The element's name; none for text.
    tag: Option<Tag>,
    text: &'a str,
    /// Steps below the root.
    depth: u32,
    end: bool,
    dom: &'a Dom,
    page: &'a str,
    node: NodeId,
}

impl Event<'_> {
    fn attribute(&self, name: Attr) -> &str {
        self.dom.attribute(self.page, self.node, name).unwrap_or("")
    }
}

const BLOCK: [Tag; 34] = [
    Tag::ADDRESS,
    Tag::ARTICLE,
    Tag::ASIDE,
    Tag::BLOCKQUOTE,
    Tag::BR,
    Tag::CENTER,
    Tag::DETAILS,
    Tag::DD,
    Tag::DT,
    Tag::DIV,
    Tag::DL,
    Tag::FIELDSET,
    Tag::FIGCAPTION,
    Tag::FIGURE,
    Tag::FOOTER,
    Tag::FORM,
    Tag::H1,
    Tag::H2,
    Tag::H3,
    Tag::H4,
    Tag::H5,
    Tag::H6,
    Tag::HEADER,
    Tag::HGROUP,
    Tag::HR,
    Tag::LI,
    Tag::MAIN,
    Tag::NAV,
    Tag::OL,
    Tag::P,
    Tag::PRE,
    Tag::SECTION,
    Tag::TABLE,
    Tag::TR,
];

static IS_BLOCK: [bool; Tag::KNOWN] = {
    let mut table = [false; Tag::KNOWN];
    let mut at = 0;
    while at < BLOCK.len() {
        table[BLOCK[at].0 as usize] = true;
        at += 1;
    }
    table[Tag::UL.0 as usize] = true;
    table
};

/// Whether elements of that name stand on lines of their own.
fn is_block(tag: Tag) -> bool {
    IS_BLOCK.get(tag.0 as usize).copied().unwrap_or(false)
}

/// Whether a blank line sets elements of that name apart.
fn is_big(tag: Tag) -> bool {
    matches!(tag, Tag::P | Tag::H1 | Tag::H2 | Tag::H3 | Tag::H4)
}

/// Whether an input of this type has text in it. Types compare as written, so `Hidden` has.
fn is_typed_input(kind: &str) -> bool {
    !matches!(strip(kind), "checkbox" | "color" | "file" | "hidden" | "radio" | "reset")
}

impl Engine {
    /// Prepares for pages with these options; says in `wanted` and `names` what the parser is to keep.
    pub(crate) fn new(
        options: &Options,
        wanted: &mut Wanted,
        names: &mut Names,
    ) -> Result<Self, OptionsError> {
        let mut ask =
            |attributes: &[Attr]| attributes.iter().for_each(|name| wanted.attributes |= name.bit());
        if options.main_content {
            ask(&decide::WANTED);
        }
        if options.alt_texts {
            ask(&[Attr::ALT]);
        }
        if options.links {
            ask(&[Attr::HREF, Attr::XLINK_HREF]);
        }
        if options.form_fields {
            ask(&[Attr::TYPE, Attr::XLINK_TYPE, Attr::VALUE, Attr::PLACEHOLDER]);
        }
        if options.main_content {
            ask(&[Attr::XLINK_ROLE]);
        }
        let mut skipped = [false; Tag::KNOWN];
        let mut skip = |tags: &[Tag]| tags.iter().for_each(|tag| skipped[tag.0 as usize] = true);
        skip(&[Tag::SCRIPT, Tag::STYLE, Tag::IFRAME, Tag::FRAME, Tag::TEMPLATE]);
        if !options.noscript {
            skip(&[Tag::NOSCRIPT]);
        }
        if !options.form_fields {
            skip(&[Tag::TEXTAREA, Tag::INPUT, Tag::BUTTON, Tag::SELECT, Tag::OPTION, Tag::LABEL]);
        }
        if !options.alt_texts {
            skip(&[Tag::OBJECT, Tag::VIDEO, Tag::AUDIO, Tag::AREA, Tag::SVG, Tag::FIGCAPTION, Tag::FIGURE]);
            if options.version == Version::V2_0_1 {
                skip(&[Tag::EMBED, Tag::IMG]);
            }
        }
        Ok(Self {
            matcher: Matcher::new(options.version).map_err(|source| OptionsError::Pattern { source })?,
            facts: Facts::default(),
            skipped,
            selectors: Selectors::new(&options.skip_elements, options.version, wanted, names)?,
        })
    }

    /// The text of a parsed page.
    pub(crate) fn extract(
        &mut self,
        dom: &Dom,
        page: &str,
        options: &Options,
    ) -> Result<String, ExtractError> {
        if dom.body == NONE {
            return Ok(String::new());
        }
        self.facts.clear();
        match options.version {
            Version::V0_14_7 => self.walk(dom, page, options, emit_v1::Emitter::new(options)),
            Version::V2_0_1 => self.walk(dom, page, options, emit_v2::Emitter::new(options)),
        }
    }

    /// Walks from the root in document order. A node with children is an event before and after them, one without only
    /// once; what is skipped or rejected is none, nor is anything below.
    fn walk(
        &mut self,
        dom: &Dom,
        page: &str,
        options: &Options,
        mut emitter: impl Emit,
    ) -> Result<String, ExtractError> {
        let text_limit = TEXT_FLOOR_BYTES + TEXT_PER_BYTE * page.len();
        let (root, base_depth) = if options.main_content {
            root::find(dom, page, dialect(options.version))
        } else {
            (dom.body, 0)
        };
        let mut judge = Judge { options, matcher: &mut self.matcher, facts: &mut self.facts };
        let mut selected = SelectorState::new(&self.selectors, dom, page, root);
        let (mut node, mut depth, mut end) = (root, 0, false);
        loop {
            let here = *dom.node(node);
            let mut pruned = false;
            match here.kind {
                Kind::Text => {
                    let text = dom.text(page, node);
                    pruned = options.main_content && !decide::keeps_text(text);
                    if !pruned {
                        emitter.event(&Event { tag: None, text, depth, end, dom, page, node });
                    }
                }
                Kind::Html | Kind::Svg | Kind::MathMl => {
                    if !end {
                        pruned = (node != root
                            && (self.skipped.get(here.tag.0 as usize).copied().unwrap_or(false)
                                || selected.enters(node)))
                            || (options.main_content && !judge.keeps(dom, page, node, depth + base_depth));
                    }
                    if !pruned {
                        emitter.event(&Event { tag: Some(here.tag), text: "", depth, end, dom, page, node });
                    }
                }
                Kind::Comment | Kind::Root => pruned = true,
            }
            if emitter.len() > text_limit {
                return Err(ExtractError::TooMuchText);
            }
            if !end && !pruned && here.first_child != NONE {
                selected.descend();
                node = here.first_child;
                depth += 1;
            } else if node == root {
                return Ok(emitter.finish());
            } else if here.next != NONE && here.kind != Kind::Root {
                node = here.next;
                end = false;
            } else {
                selected.ascend();
                node = here.parent;
                depth -= 1;
                end = true;
            }
        }
    }
}

/// The parser that a version's answers are made with.
pub(crate) fn dialect(version: Version) -> Dialect {
    match version {
        Version::V0_14_7 => Dialect::Lexbor230,
        Version::V2_0_1 => Dialect::Standard2025,
    }
}
