//! Which nodes are main content: Resiliparse's rules, in their order; the first that decides wins.
//!
//! Rules from `resiliparse/extract/html2text.pyx` of 0.14.7 and its Rust port of 2.0.1 (Apache-2.0), told by their effect.

use super::facts::Facts;
use super::patterns::{Matcher, Verdict};
use super::space::strip;
use crate::html::dom::{Dom, NodeId};
use crate::html::names::{Attr, Tag};
use crate::{Options, Version};

/// Attributes that the rules look at.
pub(super) const WANTED: [Attr; 12] = [
    Attr::CLASS,
    Attr::ID,
    Attr::ROLE,
    Attr::REL,
    Attr::ITEMPROP,
    Attr::HIDDEN,
    Attr::ARIA_HIDDEN,
    Attr::ARIA_EXPANDED,
    Attr::STYLE,
    Attr::DATA_AD,
    Attr::DATA_ADVERTISEMENT,
    Attr::DATA_TEXT_AD,
];

/// The values of an element's attributes, "" where missing.
#[derive(Default)]
struct Values<'a> {
    class: &'a str,
    id: &'a str,
    role: &'a str,
    rel: &'a str,
    itemprop: &'a str,
    aria_hidden: &'a str,
    aria_expanded: &'a str,
    style: &'a str,
    present: u64,
}

impl<'a> Values<'a> {
    fn of(dom: &'a Dom, page: &'a str, node: NodeId) -> Self {
        let mut values = Self::default();
        for attribute in dom.attributes_of(node) {
            // In foreign content two names may have become one: the first counts.
            if values.present & attribute.name.bit() != 0 {
                continue;
            }
            values.present |= attribute.name.bit();
            let slot = match attribute.name {
                Attr::CLASS => &mut values.class,
                Attr::ID => &mut values.id,
                Attr::ROLE => &mut values.role,
                Attr::REL => &mut values.rel,
                Attr::ITEMPROP => &mut values.itemprop,
                Attr::ARIA_HIDDEN => &mut values.aria_hidden,
                Attr::ARIA_EXPANDED => &mut values.aria_expanded,
                Attr::STYLE => &mut values.style,
                _ => continue,
            };
            *slot = dom.value(page, attribute);
        }
        values
    }

    fn has(&self, attribute: Attr) -> bool {
        self.present & attribute.bit() != 0
    }
}

/// Whether a text node is main content. Meant to drop icon-font glyphs, the rule drops nearly every text of one
/// character of three bytes.
pub(super) fn keeps_text(text: &str) -> bool {
    match *strip(text).as_bytes() {
        [0xC2, 0xB6] => false,
        [first, second, third] => {
            let value = u32::from_le_bytes([first, second, third, 0]);
            !(0x0080_80EE..=0x00BF_A3EF).contains(&value)
        }
        _ => true,
    }
}

/// What the rules draw on.
pub(super) struct Judge<'a> {
    pub(super) options: &'a Options,
    pub(super) matcher: &'a mut Matcher,
    pub(super) facts: &'a mut Facts,
}

impl Judge<'_> {
    /// Whether an element at a depth below body (its children have 1) is main content.
    pub(super) fn keeps(&mut self, dom: &Dom, page: &str, node: NodeId, depth: u32) -> bool {
        let tag = dom.node(node).tag;
        match tag {
            Tag::BODY | Tag::MAIN | Tag::H1 => return true,
            Tag::FOOTER => {
                return depth >= 3
                    && !self.facts.is_link_cluster(dom, page, node, 0.2, 0)
                    && self.facts.is_followed(dom, page, node);
            }
            Tag::UL if depth < 4 || self.facts.is_link_cluster(dom, page, node, 0.2, 0) => return false,
            Tag::ARTICLE if depth > 2 && self.facts.is_link_cluster(dom, page, node, 0.2, 500) => {
                return false;
            }
            Tag::NAV | Tag::ASIDE | Tag::AUDIO | Tag::VIDEO | Tag::TIME => return false,
            _ => {}
        }
        if dom.attributes_of(node).is_empty() {
            return self.keeps_nameless(dom, page, node, depth);
        }
        let values = Values::of(dom, page, node);
        if values.has(Attr::HIDDEN)
            || matches!(strip(values.rel), "author" | "icon" | "search" | "prev" | "next" | "tag")
            || matches!(strip(values.itemprop), "datePublished" | "author" | "url")
            || strip(values.aria_hidden) == "true"
            || strip(values.aria_expanded) == "false"
        {
            return false;
        }
        let nameless = values.class.is_empty() && values.id.is_empty();
        let v2 = self.options.version == Version::V2_0_1;
        if nameless && !(v2 && self.matcher_hides(&values)) {
            return self.keeps_nameless(dom, page, node, depth);
        }
        if nameless {
            return false;
        }
        let verdict = self.matcher.judge(values.class, values.id);
        self.keeps_named(dom, page, node, depth, &values, verdict)
    }

    fn matcher_hides(&self, values: &Values<'_>) -> bool {
        !values.style.is_empty() && self.matcher.hides(values.style)
    }

    /// An element with neither class nor id.
    fn keeps_nameless(&mut self, dom: &Dom, page: &str, node: NodeId, depth: u32) -> bool {
        dom.node(node).tag != Tag::DIV || depth <= 5 || !self.facts.is_link_cluster(dom, page, node, 0.6, 800)
    }

    fn keeps_named(
        &mut self,
        dom: &Dom,
        page: &str,
        node: NodeId,
        depth: u32,
        values: &Values<'_>,
        verdict: Verdict,
    ) -> bool {
        let tag = dom.node(node).tag;
        let v2 = self.options.version == Version::V2_0_1;
        let shows_hidden = v2 && self.options.hidden_elements;
        if (verdict.has(Verdict::DISPLAY) && !shows_hidden) || self.matcher_hides(values) {
            return false;
        }
        if matches!(tag, Tag::A | Tag::DIV | Tag::LI) && verdict.has(Verdict::SKIP_LINK) {
            return false;
        }
        let keeps_meta = v2 && self.options.post_meta;
        let deep_only = Verdict::SIGNIN | Verdict::SOCIAL | if keeps_meta { 0 } else { Verdict::POST_META };
        if depth > 2 && verdict.has(deep_only) {
            return false;
        }
        if verdict.has(Verdict::LOGO | Verdict::ADS | Verdict::JUNK)
            || values.has(Attr::DATA_AD)
            || values.has(Attr::DATA_ADVERTISEMENT)
            || values.has(Attr::DATA_TEXT_AD)
        {
            return false;
        }
        if !super::is_block(tag) && tag != Tag::TD {
            return true;
        }
        // Sic: rel, not role.
        if strip(values.rel) == "main" {
            return true;
        }
        if is_boilerplate_role(strip(values.role)) {
            return false;
        }
        let drops_comments = !self.options.comments && verdict.has(Verdict::COMMENTS);
        if v2 && drops_comments {
            return false;
        }
        if verdict.has(Verdict::ARTICLE) || (v2 && tag == Tag::ARTICLE) {
            return true;
        }
        let boilerplate = Verdict::LANDMARK
            | Verdict::HEADER
            | Verdict::FOOTER
            | Verdict::NAV
            | Verdict::RECOMMENDED
            | Verdict::SEARCH
            | Verdict::SIDEBAR
            | Verdict::MODAL
            | Verdict::GALLERY
            | Verdict::PRINT;
        if verdict.has(boilerplate) || drops_comments {
            return false;
        }
        !(tag == Tag::DIV && depth > 2 && self.facts.is_link_cluster(dom, page, node, 0.6, 1500))
    }
}

fn is_boilerplate_role(role: &str) -> bool {
    matches!(
        role,
        "alert"
            | "banner"
            | "checkbox"
            | "comment"
            | "complementary"
            | "contentinfo"
            | "dialog"
            | "img"
            | "menu"
            | "menubar"
            | "menuitem"
            | "navigation"
            | "presentation"
            | "radio"
            | "search"
            | "searchbox"
            | "separator"
            | "tab"
            | "toolbar"
            | "tooltip"
    )
}
