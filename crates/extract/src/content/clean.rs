//! What is taken out of the main content: lists of links, lines that only lead elsewhere, and scraps before and after.
//!
//! The measures are link density and length, as in Boilerpipe and jusText; text in between good text is good.

use super::outline::{Block, Item, Outline, TEXT};
use super::vocabulary::Traits;
use crate::html::dom::Dom;
use crate::html::names::Tag;
use rustc_hash::{FxHashSet, FxHasher};
use std::hash::Hasher;

/// Takes out of `root` what is no content. `strict` is for pages of running text; on others links are the content.
pub(super) fn clean(outline: &mut Outline, dom: &Dom, page: &str, root: u32, strict: bool) {
    let links = match strict {
        _ if is_reference(outline, root) => Links::Refer,
        true => Links::LeadAway,
        false => Links::AreContent,
    };
    drop_link_groups(outline, root, links);
    drop_menu_lines(outline, root);
    outline.spread();
    drop_repeats(outline, dom, page, root);
    if strict {
        drop_above_title(outline, root);
        drop_scraps(outline, root);
    }
    drop_lone_headings(outline, root, strict);
}

/// What links are on a page.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Links {
    /// Of running text: what is mostly links leads away from it.
    LeadAway,
    /// Of none: a listing, say.
    AreContent,
    /// Of a work of reference: lists of links belong to the text like any other list.
    Refer,
}

/// Takes out elements that are mostly links.
fn drop_link_groups(outline: &mut Outline, root: u32, links: Links) {
    let end = outline.items[root as usize].end;
    let total = outline.items[root as usize].mass().max(1) as f32;
    let mut at = root + 1;
    while at < end {
        let item = outline.items[at as usize];
        if item.dropped || item.tag == TEXT {
            at = item.end;
        } else if item.tables > 0 && item.plain() * 5 > item.text {
            // A table of data has its links in its columns: it says something about each of them.
            at = if item.is_data { item.end } else { at + 1 };
        } else if is_grid(outline, at) {
            outline.items[at as usize].is_data = true;
            at = item.end;
        } else if item.text > 0 && is_link_group(&item, links) && item.prose as f32 <= 0.1 * total {
            outline.items[at as usize].dropped = true;
            at = item.end;
        } else if item.is_data {
            // Cells belong to their rows, links or not.
            at = item.end;
        } else {
            at += 1;
        }
    }
}

/// As many elements of code make a page technical.
const TECHNICAL_CODES: usize = 3;

/// Whether a page is one of a work of reference, where links in lists and on lines of their own are what the text refers to:
/// documentation, told by its code or its generator's class names, or a wiki.
fn is_reference(outline: &Outline, root: u32) -> bool {
    let item = outline.items[root as usize];
    let mut around = root;
    while around != 0 {
        if outline.items[around as usize].traits.has(Traits::WIKI) {
            return true;
        }
        around = outline.items[around as usize].parent;
    }
    let below = &outline.items[root as usize..item.end as usize];
    let is_code = |item: &&Item| matches!(item.tag, Tag::CODE | Tag::PRE | Tag::TT | Tag::KBD | Tag::SAMP);
    below.iter().filter(is_code).take(TECHNICAL_CODES).count() == TECHNICAL_CODES
        || below.iter().any(|part| part.traits.has(Traits::WIKI) && part.prose * 2 >= item.prose)
}

/// So many elements side by side are cells, if they are of so few lines each.
const GRID_CELLS: usize = 6;
const CELL_LINES: u32 = 3;

/// Whether what is in an element are the cells of a table made of `div`: many side by side, of a few lines each, some of them
/// links and some not.
fn is_grid(outline: &Outline, at: u32) -> bool {
    let item = outline.items[at as usize];
    if item.tag != Tag::DIV || ((item.end_block - item.first_block) as usize) < GRID_CELLS {
        return false;
    }
    let (mut cells, mut plain) = (0, 0);
    let mut below = at + 1;
    while below < item.end {
        let cell = &outline.items[below as usize];
        if cell.tag != TEXT {
            if cell.tag != Tag::DIV || cell.end_block > cell.first_block + CELL_LINES {
                return false;
            }
            cells += usize::from(cell.text > 0);
            plain += usize::from(cell.plain() > cell.links);
        } else if cell.text > 0 {
            return false;
        }
        below = cell.end;
    }
    cells >= GRID_CELLS && plain * 3 >= cells && plain < cells
}

fn is_link_group(item: &Item, of: Links) -> bool {
    let strict = of == Links::LeadAway;
    let density = item.link_density();
    let blocks = item.end_block - item.first_block;
    if is_pager(item, blocks, density) {
        return true;
    }
    match item.tag {
        Tag::UL | Tag::OL | Tag::DL if of == Links::Refer => false,
        Tag::UL | Tag::OL | Tag::DL | Tag::MENU | Tag::DIR => {
            if strict {
                density > 0.6
            } else {
                density > 0.9 && is_menu(item, blocks)
            }
        }
        Tag::P | Tag::CENTER if strict => {
            // "Read more: …" and bare links.
            (density > 0.8 && item.text < 100) || (density > 0.6 && item.plain() < 25 && item.links < 150)
        }
        Tag::DIV
        | Tag::SECTION
        | Tag::ARTICLE
        | Tag::TABLE
        | Tag::TR
        | Tag::FORM
        | Tag::FIGURE
        | Tag::ASIDE
        | Tag::FIELDSET
        | Tag::TD => {
            if strict {
                density > 0.5 && item.prose * 5 < item.text
            } else {
                density > 0.9 && item.headings == 0 && is_menu(item, blocks)
            }
        }
        _ => false,
    }
}

/// The numbers of a listing's pages.
fn is_pager(item: &Item, blocks: u32, density: f32) -> bool {
    matches!(item.tag, Tag::UL | Tag::OL | Tag::DIV | Tag::TABLE)
        && !item.is_data
        && blocks >= 5
        && item.text < 6 * blocks
        && density > 0.5
}

/// Many links of a word or two.
fn is_menu(item: &Item, blocks: u32) -> bool {
    item.text < 25 * blocks.max(1)
}

/// Takes out lines of several short links with nothing in between but what parts them: "Home | News | Sport", "Previous, Up, Next".
fn drop_menu_lines(outline: &mut Outline, root: u32) {
    const LINKS: u32 = 3;
    const LINK_BYTES: u32 = 25;
    const PARTING_BYTES: u32 = 3;
    let Item { first_block, end_block, .. } = outline.items[root as usize];
    for at in first_block as usize..end_block as usize {
        let Block { start, end, owner, text, links, prose, .. } = outline.blocks[at];
        let is_cell =
            matches!(outline.items[owner as usize].tag, Tag::TD | Tag::TH | Tag::LI | Tag::DD | Tag::DT);
        if prose || is_cell || links * 2 < text {
            continue;
        }
        let is_link = |item: &&Item| item.tag == Tag::A && item.text > 0;
        let count = outline.items[start as usize..end as usize].iter().filter(is_link).count();
        // A block begins with its first text, and that may be in a link.
        let count = (count + usize::from(is_in_link(outline, start, owner))) as u32;
        let parts = text - links <= PARTING_BYTES * count.saturating_sub(1);
        if count >= LINKS && parts && links < LINK_BYTES * count {
            outline.drop_block(at);
        }
    }
}

/// Whether an item is in a link, not too deep.
fn is_in_link(outline: &Outline, at: u32, owner: u32) -> bool {
    const DEPTH: usize = 8;
    let up = std::iter::successors(Some(at), |at| Some(outline.items[*at as usize].parent));
    up.take(DEPTH).take_while(|at| *at > owner).any(|at| outline.items[at as usize].tag == Tag::A)
}

/// Shorter texts may well come twice.
const REPEATED_BYTES: u32 = 60;

/// Takes out what has been said before: captions of galleries, and blocks that pages have once for every screen size.
fn drop_repeats(outline: &mut Outline, dom: &Dom, page: &str, root: u32) {
    let Item { first_block, end_block, .. } = outline.items[root as usize];
    let mut seen = FxHashSet::default();
    for at in first_block as usize..end_block as usize {
        let block = outline.blocks[at];
        if block.text < REPEATED_BYTES || is_dropped(outline, &block) {
            continue;
        }
        let mut hasher = FxHasher::default();
        for item in &outline.items[block.start as usize..block.end as usize] {
            if item.tag == TEXT {
                hasher.write(dom.text(page, item.node).trim().as_bytes());
            }
        }
        let repeats = !seen.insert((hasher.finish(), block.text));
        if repeats && !matches!(outline.items[block.owner as usize].tag, Tag::PRE | Tag::TD | Tag::TH) {
            outline.drop_block(at);
        }
    }
}

/// Takes out what stands above the page's only title, if most of the text is below it.
fn drop_above_title(outline: &mut Outline, root: u32) {
    let Item { first_block, end_block, prose, .. } = outline.items[root as usize];
    let mut title = None;
    let mut above = 0;
    for at in first_block as usize..end_block as usize {
        let block = outline.blocks[at];
        if is_dropped(outline, &block) {
            continue;
        }
        if outline.items[block.owner as usize].tag == Tag::H1 {
            if title.is_some() {
                return;
            }
            title = Some((at, above));
        }
        if block.prose {
            above += block.text - block.links;
        }
    }
    if let Some((title, above)) = title
        && above * 2 < prose.max(1)
    {
        (first_block as usize..title).for_each(|at| outline.drop_block(at));
    }
}

/// Takes out short texts that are in no paragraph and have no prose on both sides.
fn drop_scraps(outline: &mut Outline, root: u32) {
    let Item { first_block, end_block, .. } = outline.items[root as usize];
    let blocks = first_block as usize..end_block as usize;
    let (mut before, mut headed) = (false, false);
    for at in blocks.clone() {
        let block = outline.blocks[at];
        if is_dropped(outline, &block) {
            before = false;
            continue;
        }
        let Item { tag: owner, parent, .. } = outline.items[block.owner as usize];
        if !is_scrap(&block, owner) || outline.items[parent as usize].is_data {
            before = true;
            headed = matches!(heading_level(owner), 2..=6);
            continue;
        }
        // What a heading is followed by is what it announces.
        if std::mem::take(&mut headed) {
            continue;
        }
        // The next that is there and is no scrap.
        let after = outline.blocks[at + 1..blocks.end]
            .iter()
            .take(3)
            .find(|next| !is_scrap(next, outline.items[next.owner as usize].tag))
            .is_some_and(|next| next.prose && !is_dropped(outline, next));
        if !(before && after) {
            outline.drop_block(at);
        }
    }
}

fn is_scrap(block: &Block, owner: Tag) -> bool {
    !block.prose
        && block.text < 80
        && block.sentences == 0
        && matches!(
            owner,
            Tag::DIV
                | Tag::SECTION
                | Tag::ARTICLE
                | Tag::HEADER
                | Tag::MAIN
                | Tag::BODY
                | Tag::FIGURE
                | Tag::FORM
        )
}

/// Whether a block has been taken out, or what is around it.
fn is_dropped(outline: &Outline, block: &Block) -> bool {
    outline.items.get(block.start as usize).is_some_and(|item| item.dropped)
}

/// Takes out headings whose text has been taken out: what followed was dropped, and no text comes before the next heading
/// of their level.
fn drop_lone_headings(outline: &mut Outline, root: u32, strict: bool) {
    let Item { first_block, end_block, .. } = outline.items[root as usize];
    // The level of what comes next: 0 for the end, 7 for text.
    let mut next = 0;
    let mut lost = strict;
    for at in (first_block as usize..end_block as usize).rev() {
        let block = outline.blocks[at];
        if is_dropped(outline, &block) {
            lost = true;
            continue;
        }
        let level = heading_level(outline.items[block.owner as usize].tag);
        if level < 7 && next <= level && lost {
            outline.drop_block(at);
            continue;
        }
        next = level;
        lost = false;
    }
}

/// 1 to 6, and 7 for what is no heading.
fn heading_level(tag: Tag) -> u8 {
    match tag {
        Tag::H1 => 1,
        Tag::H2 => 2,
        Tag::H3 => 3,
        Tag::H4 => 4,
        Tag::H5 => 5,
        Tag::H6 => 6,
        _ => 7,
    }
}
