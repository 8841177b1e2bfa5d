//! What the decision rules ask about an element's surroundings, for the whole page in one pass: how much text is below
//! it, how much of that is links, and whether anything follows it.

use super::space::{collapsed_len, is_space};
use crate::html::dom::{Dom, Kind, NONE, NodeId};
use crate::html::names::Tag;

/// Of one element.
#[derive(Clone, Copy, Default, Debug)]
struct Fact {
    /// Bytes of all descendants' text with its white space collapsed.
    text: u32,
    /// Bytes of the text of descendants named `a`, each counted for itself, nested ones again.
    links: u64,
    starts_with_space: bool,
    ends_with_space: bool,
    followed: bool,
}

/// Facts about all elements below body; computed for a page on the first question.
#[derive(Default)]
pub(super) struct Facts {
    facts: Vec<Fact>,
    known: bool,
}

impl Facts {
    /// Makes ready for the next page.
    pub(super) fn clear(&mut self) {
        self.known = false;
        self.facts.shrink_to(1 << 20);
    }

    fn fact(&mut self, dom: &Dom, page: &str, node: NodeId) -> Fact {
        if !self.known {
            self.compute(dom, page);
            self.known = true;
        }
        self.facts.get(node as usize).copied().unwrap_or_default()
    }

    /// Whether the element is mostly links: more than `ratio` of its text. With `max_bytes` above 0, elements with more
    /// text than that never are.
    pub(super) fn is_link_cluster(
        &mut self,
        dom: &Dom,
        page: &str,
        node: NodeId,
        ratio: f64,
        max_bytes: u32,
    ) -> bool {
        let fact = self.fact(dom, page, node);
        if max_bytes > 0 && fact.text > max_bytes {
            return false;
        }
        fact.links > 0 && fact.links as f64 / f64::from(fact.text) > ratio
    }

    /// Whether anything but one text node comes after the element, or after one of its ancestors below the child of body.
    pub(super) fn is_followed(&mut self, dom: &Dom, page: &str, node: NodeId) -> bool {
        self.fact(dom, page, node).followed
    }

    fn compute(&mut self, dom: &Dom, page: &str) {
        self.facts.clear();
        self.facts.resize(dom.nodes.len(), Fact::default());
        let body = dom.body;
        let mut node = body;
        // In document order down, and folded into the parent on the way up.
        loop {
            let here = dom.node(node);
            if here.kind == Kind::Text {
                self.fold_text(here.parent, dom.text(page, node));
            } else {
                if node != body {
                    self.facts[node as usize].followed = here.parent != body
                        && (followed_by_more(dom, node) || self.facts[here.parent as usize].followed);
                }
                if here.first_child != NONE {
                    node = here.first_child;
                    continue;
                }
                if node != body {
                    self.fold_element(dom, node);
                }
            }
            loop {
                if node == body {
                    return;
                }
                let here = dom.node(node);
                if here.next != NONE {
                    node = here.next;
                    break;
                }
                node = here.parent;
                if node != body {
                    self.fold_element(dom, node);
                }
            }
        }
    }

    fn fold_text(&mut self, parent: NodeId, text: &str) {
        let bytes = text.as_bytes();
        let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else { return };
        self.facts[parent as usize].append(collapsed_len(text) as u32, is_space(first), is_space(last));
    }

    fn fold_element(&mut self, dom: &Dom, node: NodeId) {
        let fact = self.facts[node as usize];
        let parent = dom.node(node).parent;
        let into = &mut self.facts[parent as usize];
        into.links += fact.links;
        if fact.text > 0 {
            if dom.node(node).tag == Tag::A {
                into.links += u64::from(fact.text);
            }
            into.append(fact.text, fact.starts_with_space, fact.ends_with_space);
        }
    }
}

impl Fact {
    /// Adds non-empty text behind the text so far: white space that meets white space collapses with it.
    fn append(&mut self, length: u32, starts_with_space: bool, ends_with_space: bool) {
        if self.text == 0 {
            self.starts_with_space = starts_with_space;
        } else if self.ends_with_space && starts_with_space {
            self.text -= 1;
        }
        self.text += length;
        self.ends_with_space = ends_with_space;
    }
}

/// Whether a sibling follows that is not the one text node directly behind.
fn followed_by_more(dom: &Dom, node: NodeId) -> bool {
    let mut next = dom.node(node).next;
    if next != NONE && dom.node(next).kind == Kind::Text {
        next = dom.node(next).next;
    }
    next != NONE
}
