//! What is no part of the main content wherever it stands: navigation, sharing, advertising, comments and their like.
//!
//! Markup that says so outright is believed, words are hints. Either is overruled by the text itself: an element with a
//! large share of the page's prose is not boilerplate whatever it is called, because templates call layout what they will
//! ("page with-sidebar", "modal-content" around everything).

use super::outline::{Outline, TEXT};
use super::vocabulary::Traits;
use crate::html::names::Tag;

/// Up to which share of the page's mass an element may be taken out because it is marked as what frames the page.
const MARKED_SHARE: f32 = 0.8;
/// The same for what else markup says is no content.
const OUTRIGHT_SHARE: f32 = 0.5;
/// The same where only a word in its class or id says so.
const HINTED_SHARE: f32 = 0.25;
/// The same for comments, which may be many times the article.
const COMMENTS_SHARE: f32 = 0.9;
/// Bylines, dates and tags are short.
const META_BYTES: u32 = 250;

/// Takes out what is boilerplate by its markup or its name.
pub(super) fn prune(outline: &mut Outline, comments: bool) {
    let Some(page) = outline.items.first().copied() else { return };
    let total = page.mass().max(1) as f32;
    let keeps_comments = comments || is_discussion(outline, page.mass());
    // How deep in a content section we are: an article's header is not the site's.
    let mut section_end = 0u32;
    let mut code_end = 0u32;
    let mut quote_end = 0u32;
    let mut at = 1;
    while let Some(item) = outline.items.get(at as usize).copied() {
        if item.tag == TEXT {
            at += 1;
            continue;
        }
        let traits = item.traits;
        let share = item.mass() as f32 / total;
        let in_section = at < section_end;
        let has = |bits| traits.has(bits);
        let footer = item.tag == Tag::FOOTER && at >= quote_end;
        let outright = has(Traits::LANDMARK) || footer;
        let header = (item.tag == Tag::HEADER || has(Traits::HEADER)) && !in_section;
        let aside = item.tag == Tag::ASIDE && !has(Traits::NOTE);
        let hidden = has(Traits::HIDDEN) && !holds_formula(outline, at) && !holds_code(outline, at);
        let form = matches!(item.tag, Tag::BUTTON | Tag::TEXTAREA | Tag::INPUT | Tag::LABEL)
            || (item.tag == Tag::FORM && item.controls >= 1 && item.prose < 200);
        let marginal = has(Traits::MARGINALIA) && !matches!(item.tag, Tag::PRE | Tag::CODE | Tag::TABLE);
        let drops = if matches!(item.tag, Tag::BODY | Tag::MAIN) {
            false
        } else if at < code_end {
            marginal || item.tag == Tag::BUTTON
        } else if item.tag.is_heading() {
            hidden
        } else if item.tag == Tag::BLOCKQUOTE {
            // Quotations of postings bear the names of networks.
            hidden || (has(Traits::COMMENT) && !keeps_comments && share <= COMMENTS_SHARE)
        } else {
            let rendered = has(Traits::RENDERED) && !holds_formula(outline, at);
            let strong = outright || hidden || form || aside || rendered || has(Traits::CONSENT);
            let by_word = has(Traits::NAV | Traits::SOCIAL | Traits::RELATED | Traits::AD | Traits::OVERLAY)
                || (has(Traits::CHROME) && !has(Traits::MAIN))
                || header;
            let by_meta =
                has(Traits::META) && item.text <= META_BYTES && item.prose == 0 && !has(Traits::BODY);
            (strong && share <= if footer || has(Traits::LANDMARK) { MARKED_SHARE } else { OUTRIGHT_SHARE })
                || (by_word && share <= HINTED_SHARE && !holds_title(outline, at))
                || by_meta
                || (has(Traits::COMMENT) && !keeps_comments && share <= COMMENTS_SHARE)
                || (is_caption(outline, at) && share <= HINTED_SHARE)
                || (marginal && item.prose == 0 && item.text < 100)
                || (item.tag == Tag::SUP && has(Traits::REFERENCE))
        };
        if drops {
            outline.items[at as usize].dropped = true;
            at = item.end;
            continue;
        }
        if has(Traits::CONTENT | Traits::BODY | Traits::ARTICLE_BODY | Traits::MAIN) && share > 0.1 {
            section_end = section_end.max(item.end);
        }
        if has(Traits::CODE) || item.tag == Tag::PRE {
            code_end = code_end.max(item.end);
        }
        if item.tag == Tag::BLOCKQUOTE {
            quote_end = quote_end.max(item.end);
        }
        at += 1;
    }
    outline.recount();
}

/// Whether what readers said is the page: a forum, a question with answers, or comments with next to nothing above them.
fn is_discussion(outline: &Outline, total: u32) -> bool {
    let (mut said, mut at) = (0u32, 0);
    while let Some(item) = outline.items.get(at as usize) {
        if item.traits.has(Traits::POSTING) {
            return true;
        }
        if item.traits.has(Traits::COMMENT) && item.tag != Tag::BODY {
            said = said.saturating_add(item.mass());
            at = item.end;
        } else {
            at += 1;
        }
    }
    said as f32 > 0.75 * total as f32
}

/// Images and what is said about them interrupt the text; figures of code, tables or quotations are part of it.
fn is_caption(outline: &Outline, at: u32) -> bool {
    let item = outline.items[at as usize];
    let named = item.traits.has(Traits::CAPTION) && item.tag != Tag::CAPTION && item.tag != Tag::TABLE;
    if !named && !matches!(item.tag, Tag::FIGURE | Tag::FIGCAPTION) {
        return false;
    }
    let mut below = outline.items[at as usize..item.end as usize].iter().take(32);
    !below.any(|item| matches!(item.tag, Tag::PRE | Tag::TABLE | Tag::BLOCKQUOTE | Tag::MATH | Tag::CODE))
}

/// Whether an element holds the page's title, which is above the text and often in what looks like a banner.
fn holds_title(outline: &Outline, at: u32) -> bool {
    let item = outline.items[at as usize];
    item.titles > 0 && item.text < 600 && item.link_density() < 0.5
}

/// Code for one system or in one language of several is hidden until the reader chooses; it is part of the text.
fn holds_code(outline: &Outline, at: u32) -> bool {
    let item = outline.items[at as usize];
    let mut below = outline.items[at as usize..item.end as usize].iter().take(8);
    below.any(|item| item.tag == Tag::PRE)
}

/// Mathematics for screen readers is hidden from sight; it is the readable form. It comes first, or beside what is rendered.
fn holds_formula(outline: &Outline, at: u32) -> bool {
    let items = &outline.items;
    let item = items[at as usize];
    let begins = |at: u32, within: usize| {
        items[at as usize..item.end as usize].iter().take(within).any(|item| item.tag == Tag::MATH)
    };
    let mut child = at + 1;
    let mut found = begins(at, 4);
    while child < item.end && !found {
        found = begins(child, 2);
        child = items[child as usize].end;
    }
    item.tag != Tag::ANNOTATION && found
}
