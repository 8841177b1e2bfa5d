//! All text of a page, as Beautiful Soup's `get_text()` gives it when lxml parses.
//!
//! Followed is `BeautifulSoup(html, "lxml").get_text()` of Beautiful Soup 4.15: strings in the order of the document with nothing in
//! between, but for those in scripts, styles, templates and the readings of ruby. A string of nothing but white space is one line feed, if
//! there is one in it, or one blank, except in `pre` and `textarea`.

use crate::html::dom::{DOCUMENT, Dom, Kind, NONE, NodeId};
use crate::html::names::Tag;

/// The text of a page parsed as libxml2 does.
pub(crate) fn text(dom: &Dom, page: &str) -> String {
    let mut out = String::new();
    let mut node = DOCUMENT;
    // How many open elements keep white space.
    let mut preserving = 0_u32;
    loop {
        let here = dom.node(node);
        let mut enters = here.first_child != NONE;
        match here.kind {
            Kind::Text => push(&mut out, dom.text(page, node), preserving > 0),
            _ if is_apart(here.tag) => enters = false,
            _ => {}
        }
        if enters {
            preserving += u32::from(preserves(here.tag));
            node = here.first_child;
            continue;
        }
        let Some(next) = next(dom, node, &mut preserving) else { return out };
        node = next;
    }
}

fn next(dom: &Dom, mut node: NodeId, preserving: &mut u32) -> Option<NodeId> {
    while node != DOCUMENT {
        let here = dom.node(node);
        if here.next != NONE {
            return Some(here.next);
        }
        node = here.parent;
        *preserving -= u32::from(preserves(dom.node(node).tag));
    }
    None
}

fn push(out: &mut String, text: &str, preserves: bool) {
    let is_blank = text.bytes().all(|byte| matches!(byte, b' ' | b'\n' | b'\t' | b'\x0c' | b'\r'));
    match (is_blank && !preserves, text.contains('\n')) {
        (true, true) => out.push('\n'),
        (true, false) => out.push(' '),
        (false, _) => out.push_str(text),
    }
}

fn preserves(tag: Tag) -> bool {
    matches!(tag, Tag::PRE | Tag::TEXTAREA)
}

/// Whether strings in an element are of a kind of their own.
fn is_apart(tag: Tag) -> bool {
    matches!(tag, Tag::SCRIPT | Tag::STYLE | Tag::TEMPLATE | Tag::RT | Tag::RP)
}

#[cfg(test)]
mod tests {
    use crate::{Algorithm, Extractor};

    /// What Beautiful Soup 4.15 answers over lxml 6.1 (libxml2 2.14).
    #[test]
    fn strings_in_order() {
        let mut extractor = Extractor::with(vec![Algorithm::BeautifulSoup]).expect("an extractor");
        for (page, expected) in [
            ("<p>a <b>b</b>\n  <i>c</i></p>\n\n<p>d", "a b\nc\nd"),
            ("  <p> a </p> \t <p>b</p>\n\n", " a  b\n"),
            ("<pre>  x  </pre>  <pre> \n </pre>", "  x    \n "),
            ("<title>t &amp; u</title>x<script>1</script><style>2</style>y", "t & uxy"),
            ("x<template>y<p>z</template>w", "xw"),
            ("<ruby>a<rp>(</rp><rt>b</rt></ruby>", "a"),
            ("a<!-- b -->c&lt;d&nbsp;e", "ac<d\u{a0}e"),
            ("<table><tr><td>a<p>b</table>c", "abc"),
            ("a\0b&#0;", "a\u{fffd}b\u{fffd}"),
            ("a < b </", "a < b </"),
            ("", ""),
        ] {
            assert_eq!(extractor.extract(page).as_deref(), Ok(expected), "{page:?}");
        }
    }
}
