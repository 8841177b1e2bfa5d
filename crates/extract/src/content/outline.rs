//! The visible page as a flat list in document order, with what the rules ask about each element, from one walk.
//!
//! An element's subtree is the range from its own place to [`Item::end`], so that every later question ("how much prose is
//! in here", "take this out") is a loop over a slice. Text is also cut into [`Block`]s: what stands together on a page
//! between two breaks, the unit that Boilerpipe (Kohlschütter et al. 2010) and jusText (Pomikálek 2011) judge text by.

use super::measure::{Measure, measure};
use super::vocabulary::{Traits, Vocabulary};
use crate::html::dom::{Dom, Kind, NONE, NodeId};
use crate::html::names::Tag;

/// Stands for text in [`Item::tag`].
pub(super) const TEXT: Tag = Tag(u32::MAX);

/// One element or one text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    pub(super) node: NodeId,
    pub(super) parent: u32,
    /// Where the items after this one's subtree start.
    pub(super) end: u32,
    pub(super) tag: Tag,
    /// What its attributes say.
    pub(super) traits: Traits,
    /// Bytes of text that are no white space; those of them in links; and those in blocks that read as prose.
    pub(super) text: u32,
    pub(super) links: u32,
    pub(super) prose: u32,
    /// Blocks that start before its end; with the count at its start, the range of its blocks.
    pub(super) first_block: u32,
    pub(super) end_block: u32,
    /// Form fields below it, headings, and `h1` with text.
    pub(super) controls: u32,
    pub(super) headings: u32,
    pub(super) titles: u32,
    /// Tables of data in it, itself included.
    pub(super) tables: u32,
    /// Whether it is left out, with all that is below it.
    pub(super) dropped: bool,
    /// Of a table: its rows and cells are data, not layout.
    pub(super) is_data: bool,
}

impl Item {
    /// Text outside links.
    pub(super) fn plain(&self) -> u32 {
        self.text - self.links
    }

    /// How much it matters: prose counts most, other text that is no link a little.
    pub(super) fn mass(&self) -> u32 {
        self.prose.saturating_add(self.plain() / 8)
    }

    /// The share of its text that is links.
    pub(super) fn link_density(&self) -> f32 {
        if self.text == 0 { 0.0 } else { self.links as f32 / self.text as f32 }
    }
}

/// A run of text between two breaks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    /// The items it spans, and the innermost block-level element around it.
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) owner: u32,
    pub(super) text: u32,
    pub(super) links: u32,
    pub(super) sentences: u32,
    pub(super) prose: bool,
}

/// The page's items and blocks. Reused from page to page.
#[derive(Default)]
pub(super) struct Outline {
    pub(super) items: Vec<Item>,
    pub(super) blocks: Vec<Block>,
    /// Open elements, innermost last, and those of them that are blocks.
    open: Vec<u32>,
    open_blocks: Vec<u32>,
    tables: Vec<Table>,
}

/// What is known of an open table.
#[derive(Default, Clone, Copy)]
struct Table {
    item: u32,
    rows: u32,
    cells: u32,
    headers: u32,
    /// Cells with paragraphs of text, headings or tables in them: the mark of layout.
    bulky: u32,
}

/// The block being read.
#[derive(Default)]
struct Current {
    start: Option<u32>,
    end: u32,
    measure: Measure,
    links: u32,
    /// Whether it ends in an ellipsis so far.
    is_cut_off: bool,
}

/// Buffers larger than this many entries are given back.
const KEPT_ENTRIES: usize = 1 << 20;

impl Outline {
    /// Lists what is visible below body.
    pub(super) fn build(&mut self, dom: &Dom, page: &str, vocabulary: &mut Vocabulary) {
        self.items.clear();
        self.items.shrink_to(KEPT_ENTRIES);
        self.blocks.clear();
        self.blocks.shrink_to(KEPT_ENTRIES);
        self.open.clear();
        self.open_blocks.clear();
        self.tables.clear();
        let mut current = Current::default();
        // How many links are open, and line breaks since the last text.
        let (mut links, mut breaks) = (0u32, 0u32);
        let mut node = dom.body;
        loop {
            let here = *dom.node(node);
            let at = self.items.len() as u32;
            let mut entered = false;
            match here.kind {
                Kind::Text => {
                    let text = dom.text(page, node);
                    let measured = measure(text);
                    self.push(node, TEXT, Traits::default());
                    if measured.bytes > 0 {
                        self.items[at as usize].text = measured.bytes;
                        current.start.get_or_insert(at);
                        current.end = at + 1;
                        current.measure.add(measured);
                        current.is_cut_off = is_cut_off(text);
                        if links > 0 {
                            current.links += measured.bytes;
                            self.items[at as usize].links = measured.bytes;
                        }
                        breaks = 0;
                    }
                    self.fold(at);
                }
                Kind::Html | Kind::Svg | Kind::MathMl => {
                    let traits = vocabulary.traits(dom, page, node);
                    if !is_invisible(here.tag) && (!traits.has(Traits::SCRIPT) || traits.has(Traits::TEX)) {
                        if here.tag == Tag::BR {
                            breaks += 1;
                            // Two line breaks are how old pages end a paragraph.
                            if breaks >= 2 {
                                self.cut(&mut current);
                            }
                        } else if is_block(here.tag) {
                            self.cut(&mut current);
                        }
                        self.push(node, here.tag, traits);
                        match here.tag {
                            Tag::A => links += 1,
                            Tag::TABLE => self.tables.push(Table { item: at, ..Table::default() }),
                            _ => {}
                        }
                        if here.first_child == NONE {
                            self.close(at, &mut current, &mut links);
                        } else {
                            self.open.push(at);
                            if is_block(here.tag) {
                                self.open_blocks.push(at);
                            }
                            entered = true;
                        }
                    }
                }
                Kind::Comment | Kind::Root => {}
            }
            if entered {
                node = here.first_child;
                continue;
            }
            loop {
                if node == dom.body {
                    return;
                }
                let next = dom.node(node).next;
                if next != NONE {
                    node = next;
                    break;
                }
                node = dom.node(node).parent;
                let Some(at) = self.open.pop() else { return };
                self.close(at, &mut current, &mut links);
            }
        }
    }

    fn push(&mut self, node: NodeId, tag: Tag, traits: Traits) {
        let at = self.items.len() as u32;
        let blocks = self.blocks.len() as u32;
        self.items.push(Item {
            node,
            parent: self.open.last().copied().unwrap_or(0),
            end: at + 1,
            tag,
            traits,
            text: 0,
            links: 0,
            prose: 0,
            first_block: blocks,
            end_block: blocks,
            controls: 0,
            headings: u32::from(tag.is_heading()),
            titles: 0,
            tables: 0,
            dropped: false,
            is_data: false,
        });
    }

    /// Ends an element: its block if it is one, and its share in its parent.
    fn close(&mut self, at: u32, current: &mut Current, links: &mut u32) {
        let tag = self.items[at as usize].tag;
        if is_block(tag) {
            self.cut(current);
            if self.open_blocks.last() == Some(&at) {
                self.open_blocks.pop();
            }
        }
        let end = self.items.len() as u32;
        let blocks = self.blocks.len() as u32;
        let item = &mut self.items[at as usize];
        item.end = end;
        item.end_block = blocks;
        match tag {
            Tag::A => *links -= 1,
            Tag::INPUT | Tag::TEXTAREA | Tag::SELECT | Tag::BUTTON => item.controls += 1,
            _ => {}
        }
        let Item { headings, text, first_block, .. } = *item;
        if let Some(table) = self.tables.last_mut() {
            match tag {
                Tag::TR => table.rows += 1,
                Tag::TH => {
                    table.headers += 1;
                    table.cells += 1;
                }
                Tag::TD => {
                    table.cells += 1;
                    let several = blocks - first_block >= 3 && text > 100;
                    table.bulky += u32::from(headings > 0 || text > 250 || several);
                }
                _ => {}
            }
            if tag == Tag::TABLE {
                let table = *table;
                self.tables.pop();
                if let Some(around) = self.tables.last_mut() {
                    around.bulky = around.bulky.saturating_add(1 << 16);
                }
                let presentation = self.items[table.item as usize].traits.has(Traits::PRESENTATION);
                self.items[table.item as usize].is_data = !presentation
                    && table.rows >= 2
                    && table.cells > table.rows
                    && (table.bulky == 0
                        || (table.headers > 0 && table.bulky < 1 << 16 && table.bulky * 4 < table.cells));
                let item = &mut self.items[table.item as usize];
                item.tables += u32::from(item.is_data);
            }
        }
        self.fold(at);
    }

    /// Adds an ended item to its parent.
    fn fold(&mut self, at: u32) {
        let item = self.items[at as usize];
        if at == item.parent {
            return;
        }
        let parent = &mut self.items[item.parent as usize];
        parent.text += item.text;
        parent.links += item.links;
        parent.prose += item.prose;
        parent.controls += item.controls;
        parent.headings += item.headings;
        parent.titles += item.titles + u32::from(item.tag == Tag::H1 && item.text > 0);
        parent.tables += item.tables;
    }

    /// Ends the block being read.
    fn cut(&mut self, current: &mut Current) {
        let Some(start) = current.start else { return };
        let owner = self.open_blocks.last().copied().unwrap_or(0);
        let Current { end, measure, links, is_cut_off, .. } = std::mem::take(current);
        let tag = self.items[owner as usize].tag;
        let prose = !tag.is_heading() && !is_cut_off && reads_as_prose(tag, measure, links);
        self.blocks.push(Block {
            start,
            end,
            owner,
            text: measure.bytes,
            links,
            sentences: measure.sentences,
            prose,
        });
        if prose {
            // Not folded into its parents yet: the owner is still open.
            self.items[owner as usize].prose += measure.bytes - links;
        }
    }

    /// Takes everything back in.
    pub(super) fn restore(&mut self) {
        self.items.iter_mut().for_each(|item| item.dropped = false);
        self.recount();
    }

    /// Marks all that is below dropped items as dropped, too.
    pub(super) fn spread(&mut self) {
        let mut end = 0;
        for at in 0..self.items.len() {
            let item = &mut self.items[at];
            if item.dropped {
                end = end.max(item.end);
            } else if (at as u32) < end {
                item.dropped = true;
            }
        }
    }

    /// Leaves the text of a block out.
    pub(super) fn drop_block(&mut self, at: usize) {
        let Block { start, end, .. } = self.blocks[at];
        for item in &mut self.items[start as usize..end as usize] {
            item.dropped |= item.tag == TEXT;
        }
    }

    /// Counts anew after items were left out.
    pub(super) fn recount(&mut self) {
        for item in &mut self.items {
            if item.tag != TEXT {
                (item.text, item.links, item.prose) = (0, 0, 0);
                item.headings = u32::from(item.tag.is_heading());
                item.titles = 0;
                item.tables = u32::from(item.is_data);
            }
        }
        for block in &self.blocks {
            if block.prose {
                self.items[block.owner as usize].prose += block.text - block.links;
            }
        }
        for at in (1..self.items.len() as u32).rev() {
            if !self.items[at as usize].dropped {
                self.fold(at);
            }
        }
    }
}

/// Whether a text stops in the middle: the beginning of something that is to be read elsewhere.
fn is_cut_off(text: &str) -> bool {
    let text = text.trim_end().trim_end_matches([']', ')', '»', '→']);
    text.ends_with("...") || text.ends_with('…')
}

/// Whether a block is running text: some length, few links, and the punctuation of sentences or the length of several.
fn reads_as_prose(owner: Tag, measure: Measure, links: u32) -> bool {
    let plain = measure.bytes - links;
    if matches!(owner, Tag::PRE | Tag::LISTING | Tag::XMP | Tag::PLAINTEXT) {
        return plain > 0;
    }
    if links * 2 > measure.bytes {
        return false;
    }
    let enough = if owner == Tag::P { 25 } else { 50 };
    plain >= enough && (measure.sentences > 0 || plain >= 120)
}

/// Elements that never show text.
fn is_invisible(tag: Tag) -> bool {
    matches!(
        tag,
        Tag::STYLE
            | Tag::TEMPLATE
            | Tag::NOSCRIPT
            | Tag::IFRAME
            | Tag::FRAME
            | Tag::SVG
            | Tag::CANVAS
            | Tag::AUDIO
            | Tag::VIDEO
            | Tag::OBJECT
            | Tag::EMBED
            | Tag::APPLET
            | Tag::SELECT
            | Tag::OPTION
            | Tag::OPTGROUP
            | Tag::RP
            | Tag::RT
            | Tag::TITLE
            | Tag::NOEMBED
            | Tag::NOFRAMES
            | Tag::DIALOG
    )
}

/// Whether elements of that name begin and end a line.
pub(super) fn is_block(tag: Tag) -> bool {
    matches!(
        tag,
        Tag::ADDRESS
            | Tag::ARTICLE
            | Tag::ASIDE
            | Tag::BLOCKQUOTE
            | Tag::BODY
            | Tag::CAPTION
            | Tag::CENTER
            | Tag::DD
            | Tag::DETAILS
            | Tag::DIR
            | Tag::DIV
            | Tag::DL
            | Tag::DT
            | Tag::FIELDSET
            | Tag::FIGCAPTION
            | Tag::FIGURE
            | Tag::FOOTER
            | Tag::FORM
            | Tag::H1
            | Tag::H2
            | Tag::H3
            | Tag::H4
            | Tag::H5
            | Tag::H6
            | Tag::HEADER
            | Tag::HGROUP
            | Tag::HR
            | Tag::LEGEND
            | Tag::LI
            | Tag::LISTING
            | Tag::MAIN
            | Tag::MENU
            | Tag::NAV
            | Tag::OL
            | Tag::P
            | Tag::PLAINTEXT
            | Tag::PRE
            | Tag::SEARCH
            | Tag::SECTION
            | Tag::SUMMARY
            | Tag::TABLE
            | Tag::TBODY
            | Tag::TD
            | Tag::TFOOT
            | Tag::TH
            | Tag::THEAD
            | Tag::TR
            | Tag::UL
            | Tag::XMP
    )
}
