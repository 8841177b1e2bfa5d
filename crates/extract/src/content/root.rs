//! Which part of the page is the main content.
//!
//! Pages that mark it are believed if enough of their text is there: `main`, one `article` above all others,
//! schema.org's `articleBody`. From there the way goes down as long as one child has nearly all that counts; it stops
//! where several share it, which is where an article's paragraphs, a forum's postings or a list's entries stand side by
//! side. (Readability and its successors climb up from paragraphs to the same place.)

use super::outline::{Item, Outline, TEXT};
use super::vocabulary::Traits;
use crate::html::names::Tag;

/// The share that a marked element needs.
const MARKED_SHARE: f32 = 0.5;
/// The share that makes one child stand for its parent.
const DOMINANT_SHARE: f32 = 0.8;

/// The item that holds the main content. Around it may be leads, for whose sake an element further up is the answer and
/// all else in that is dropped.
pub(super) fn find(outline: &mut Outline, comments: bool) -> u32 {
    let root = narrow(outline, comments);
    take_leads(outline, root)
}

/// Narrows the page down to its main content; where comments are wanted, not beyond them.
fn narrow(outline: &Outline, comments: bool) -> u32 {
    let said = outline.items.iter().position(|item| {
        comments && item.traits.has(Traits::COMMENT) && item.prose > 0 && item.tag != Tag::BODY
    });
    let holds = |item: &Item, at: u32| said.is_none_or(|said| (at..item.end).contains(&(said as u32)));
    let mut root = 0;
    for bits in [Traits::MAIN, Traits::ARTICLE_BODY] {
        root = marked(outline, root, |item, at| item.traits.has(bits) && holds(item, at)).unwrap_or(root);
    }
    root = marked(outline, root, |item, at| item.tag == Tag::ARTICLE && holds(item, at)).unwrap_or(root);
    root = marked(outline, root, |item, at| item.traits.has(Traits::BODY) && holds(item, at)).unwrap_or(root);
    descend(outline, root, holds)
}

/// How far up leads are looked for.
const LEAD_LEVELS: usize = 3;

/// Adds what stands right before the text and is called its summary: the root becomes the element around both.
fn take_leads(outline: &mut Outline, found: u32) -> u32 {
    let mut root = found;
    let mut inner = found;
    for _ in 0..LEAD_LEVELS {
        if inner == 0 || matches!(outline.items[inner as usize].tag, Tag::ARTICLE | Tag::MAIN | Tag::BODY) {
            break;
        }
        let outer = outline.items[inner as usize].parent;
        let mut leads = false;
        let mut at = outer + 1;
        while at < inner {
            let item = outline.items[at as usize];
            leads |= is_lead(&item);
            at = item.end;
        }
        if leads {
            // All that is neither lead nor on the way to the root goes.
            let mut at = outer + 1;
            while at < outline.items[outer as usize].end {
                let item = outline.items[at as usize];
                if at != inner && !(at < inner && is_lead(&item)) {
                    outline.items[at as usize].dropped = true;
                }
                at = item.end;
            }
            if root != inner {
                drop_beside(outline, inner, root);
            }
            root = outer;
        }
        inner = outer;
    }
    root
}

/// Drops what is below `outer` and not on the way to `root`.
fn drop_beside(outline: &mut Outline, outer: u32, root: u32) {
    let mut inner = root;
    while inner != outer && inner != 0 {
        let around = outline.items[inner as usize].parent;
        let mut at = around + 1;
        while at < outline.items[around as usize].end {
            if at != inner {
                outline.items[at as usize].dropped = true;
            }
            at = outline.items[at as usize].end;
        }
        inner = around;
    }
}

fn is_lead(item: &Item) -> bool {
    item.tag != TEXT
        && !item.dropped
        && item.traits.has(Traits::LEAD)
        && !item.tag.is_heading()
        && item.prose > 0
        && item.link_density() < 0.3
}

/// The outermost marked element with most of the mass below `from`.
fn marked(outline: &Outline, from: u32, is_marked: impl Fn(&Item, u32) -> bool) -> Option<u32> {
    let item = outline.items[from as usize];
    if is_marked(&item, from) {
        return None;
    }
    let needed = MARKED_SHARE * item.mass() as f32;
    let mut at = from + 1;
    while at < item.end {
        let here = &outline.items[at as usize];
        if here.tag == TEXT || here.dropped || (here.mass() as f32) < needed {
            at = here.end;
        } else if is_marked(here, at) && !is_leaf_like(here.tag) {
            return Some(at);
        } else {
            at += 1;
        }
    }
    None
}

/// Goes down while one child has nearly everything.
fn descend(outline: &Outline, from: u32, holds: impl Fn(&Item, u32) -> bool) -> u32 {
    let mut root = from;
    loop {
        let item = outline.items[root as usize];
        if is_leaf_like(item.tag) {
            return root;
        }
        let needed = DOMINANT_SHARE * item.mass() as f32;
        let mut at = root + 1;
        let mut dominant = None;
        while at < item.end {
            let here = &outline.items[at as usize];
            if !here.dropped && here.tag != TEXT && here.mass() as f32 >= needed && holds(here, at) {
                dominant = Some(at);
            }
            at = here.end;
        }
        match dominant {
            Some(child) if !is_leaf_like(outline.items[child as usize].tag) && item.mass() > 0 => {
                root = child
            }
            _ => return root,
        }
    }
}

/// Elements that are pieces of text rather than places for it.
fn is_leaf_like(tag: Tag) -> bool {
    tag.is_heading()
        || matches!(
            tag,
            Tag::P
                | Tag::PRE
                | Tag::BLOCKQUOTE
                | Tag::UL
                | Tag::OL
                | Tag::DL
                | Tag::LI
                | Tag::TABLE
                | Tag::A
                | Tag::SPAN
        )
}
