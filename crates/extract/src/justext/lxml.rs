//! What `lxml.html.fromstring` gives out of a page.

use super::is_space;
use crate::html::dom::{DOCUMENT, Dom, Kind, NONE, NodeId};
use crate::html::names::Tag;

/// Where jusText finds a page's text.
#[derive(Debug, Default)]
pub(super) struct Roots {
    /// Elements whose contents it reads, as if they were one.
    pub(super) elements: Vec<NodeId>,
    /// Texts behind them, which lxml takes for a part of them.
    pub(super) tail: Vec<NodeId>,
    /// Whether that text is a paragraph of its own.
    pub(super) ends_paragraph: bool,
}

impl Roots {
    /// Of a page that begins like one or has a head it is all that is in the first `html`. Of a fragment it is what is in its bodies, with
    /// the text right behind them unless they hold a single element. That a body is put in place of `div` or `span`, by the elements
    /// in it, shows in that text only.
    pub(super) fn find(dom: &Dom, page: &str) -> Self {
        let Some(html) = children(dom, DOCUMENT).find(|&node| dom.is_element(node)) else {
            return Self::default();
        };
        let bodies: Vec<NodeId> = children(dom, html).filter(|&node| is(dom, node, Tag::BODY)).collect();
        let has_head = children(dom, html).any(|node| is(dom, node, Tag::HEAD));
        let Some(&body) = bodies.first().filter(|_| !has_head && !begins_like_a_page(page)) else {
            return Self { elements: vec![html], ..Self::default() };
        };
        let inside = || bodies.iter().flat_map(|&body| children(dom, body));
        let texts = || inside().filter(|&node| dom.node(node).kind == Kind::Text);
        let is_single = inside().count() - texts().count() == 1
            && texts().all(|text| dom.text(page, text).chars().all(is_space));
        let mut tail = Vec::new();
        let mut next = dom.node(body).next;
        while !is_single && next != NONE {
            match dom.node(next).kind {
                Kind::Text => tail.push(next),
                _ if is(dom, next, Tag::BODY) => {}
                _ => break,
            }
            next = dom.node(next).next;
        }
        let ends_paragraph = !tail.is_empty() && bodies.iter().any(|&body| has_block(dom, body));
        Self { elements: bodies, tail, ends_paragraph }
    }
}

fn children(dom: &Dom, parent: NodeId) -> impl Iterator<Item = NodeId> {
    let some = |node: NodeId| (node != NONE).then_some(node);
    std::iter::successors(some(dom.node(parent).first_child), move |&node| some(dom.node(node).next))
}

fn is(dom: &Dom, node: NodeId, tag: Tag) -> bool {
    dom.is_element(node) && dom.node(node).tag == tag
}

fn begins_like_a_page(page: &str) -> bool {
    let page = page.trim_start_matches(is_space).as_bytes();
    [&b"<html"[..], b"<!doctype"]
        .iter()
        .any(|name| page.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)))
}

/// Whether an element holds one that lxml lists among the block-level ones (`lxml.html.defs.block_tags`).
fn has_block(dom: &Dom, root: NodeId) -> bool {
    let mut node = root;
    loop {
        let here = dom.node(node);
        if dom.is_element(node) && is_block(here.tag) {
            return true;
        }
        if here.first_child != NONE && here.kind != Kind::Text {
            node = here.first_child;
            continue;
        }
        while node != root && dom.node(node).next == NONE {
            node = dom.node(node).parent;
        }
        if node == root {
            return false;
        }
        node = dom.node(node).next;
    }
}

fn is_block(tag: Tag) -> bool {
    tag.is_heading()
        || matches!(
            tag,
            Tag::ADDRESS
                | Tag::BLOCKQUOTE
                | Tag::CAPTION
                | Tag::CENTER
                | Tag::COL
                | Tag::COLGROUP
                | Tag::DD
                | Tag::DEL
                | Tag::DIR
                | Tag::DIV
                | Tag::DL
                | Tag::DT
                | Tag::FIELDSET
                | Tag::FORM
                | Tag::HR
                | Tag::INS
                | Tag::ISINDEX
                | Tag::LEGEND
                | Tag::LI
                | Tag::MENU
                | Tag::NOSCRIPT
                | Tag::OL
                | Tag::OPTGROUP
                | Tag::OPTION
                | Tag::P
                | Tag::PRE
                | Tag::TABLE
                | Tag::TBODY
                | Tag::TD
                | Tag::TFOOT
                | Tag::TH
                | Tag::THEAD
                | Tag::TR
                | Tag::UL
        )
}
