//! The stack of open elements (HTML standard 13.2.4.2), with every question about it answered in constant time.
//!
//! The standard words "has an element in scope" and its like as walks down the stack. On a page of a hundred thousand
//! open elements such walks make parsing quadratic, so each entry knows the position of the nearest entry of each kind
//! at or below it, and of the next one of its own name. Positions count from 1; 0 is "none".

use super::dom::{Kind, NodeId};
use super::names::{Tag, group};

#[derive(Clone, Copy, Debug)]
struct Entry {
    node: NodeId,
    tag: Tag,
    /// Whether the element is of the HTML namespace.
    html: bool,
    /// Whether it is a boundary of scopes, special, or both, by its [`group`] bits.
    groups: u16,
    /// The next entry below of the same name (and the same side of `html`).
    same: u32,
    /// The nearest at or below that is a scope boundary, special, a stop for `<li>`, an HTML element, or decides the
    /// insertion mode.
    scope: u32,
    special: u32,
    li_stop: u32,
    last_html: u32,
    resets: u32,
}

#[derive(Default)]
pub(crate) struct OpenElements {
    entries: Vec<Entry>,
    /// The topmost position of each name, HTML elements and foreign ones apart.
    html_tops: Vec<u32>,
    foreign_tops: Vec<u32>,
}

impl OpenElements {
    /// Empties the stack, also after a document that was given up half-way.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        for tops in [&mut self.html_tops, &mut self.foreign_tops] {
            tops.clear();
            tops.resize(Tag::KNOWN, 0);
        }
    }

    fn tops(&mut self, html: bool, tag: Tag) -> &mut u32 {
        let tops = if html { &mut self.html_tops } else { &mut self.foreign_tops };
        let at = tag.0 as usize;
        if at >= tops.len() {
            tops.resize(at + 1, 0);
        }
        &mut tops[at]
    }

    /// Pushes an element; `groups` are its [`group`] bits (a foreign element's say whether it is a scope boundary).
    pub(crate) fn push(&mut self, node: NodeId, tag: Tag, kind: Kind, groups: u16) {
        let html = kind == Kind::Html;
        let entry = Entry {
            node,
            tag,
            html,
            groups,
            same: 0,
            scope: 0,
            special: 0,
            li_stop: 0,
            last_html: 0,
            resets: 0,
        };
        self.entries.push(entry);
        self.link(self.entries.len() - 1);
    }

    /// Fills in what an entry knows about those below it.
    fn link(&mut self, at: usize) {
        let position = at as u32 + 1;
        let Entry { tag, html, groups, .. } = self.entries[at];
        let same = std::mem::replace(self.tops(html, tag), position);
        let (scope, special, li_stop, last_html, resets) =
            match at.checked_sub(1).map(|below| &self.entries[below]) {
                Some(below) => (below.scope, below.special, below.li_stop, below.last_html, below.resets),
                None => (0, 0, 0, 0, 0),
            };
        let entry = &mut self.entries[at];
        let if_in = |wanted: bool, otherwise| if wanted { position } else { otherwise };
        entry.same = same;
        entry.scope = if_in(groups & group::SCOPE != 0, scope);
        entry.special = if_in(groups & group::SPECIAL != 0, special);
        entry.li_stop = if_in(groups & (group::SPECIAL | group::LI_PASSES) == group::SPECIAL, li_stop);
        entry.last_html = if_in(html, last_html);
        entry.resets = if_in(groups & group::RESETS != 0, resets);
    }

    /// Pops the current node.
    pub(crate) fn pop(&mut self) -> Option<NodeId> {
        let Entry { node, tag, html, same, .. } = self.entries.pop()?;
        *self.tops(html, tag) = same;
        Some(node)
    }

    /// Lets `change` rearrange the entries from position `from` on.
    fn rearrange(&mut self, from: u32, change: impl FnOnce(&mut Vec<Entry>)) {
        let from = (from as usize).saturating_sub(1);
        for at in (from..self.entries.len()).rev() {
            let Entry { tag, html, same, .. } = self.entries[at];
            *self.tops(html, tag) = same;
        }
        change(&mut self.entries);
        for at in from..self.entries.len() {
            self.link(at);
        }
    }

    /// Takes the entry at a position out of the middle. Costs time in the number of entries above.
    pub(crate) fn remove(&mut self, position: u32) {
        self.rearrange(position, |entries| {
            entries.remove(position as usize - 1);
        });
    }

    /// Puts an HTML element in at a position. Costs time in the number of entries above.
    pub(crate) fn insert(&mut self, position: u32, node: NodeId, tag: Tag) {
        self.rearrange(position, |entries| {
            let entry = Entry {
                node,
                tag,
                html: true,
                groups: tag.groups(),
                same: 0,
                scope: 0,
                special: 0,
                li_stop: 0,
                last_html: 0,
                resets: 0,
            };
            entries.insert(position as usize - 1, entry);
        });
    }

    /// Puts another element of the same name in an entry's place.
    pub(crate) fn replace(&mut self, position: u32, node: NodeId) {
        if let Some(entry) = self.entries.get_mut(position as usize - 1) {
            entry.node = node;
        }
    }

    pub(crate) fn len(&self) -> u32 {
        self.entries.len() as u32
    }

    /// The element at a position.
    pub(crate) fn node(&self, position: u32) -> Option<NodeId> {
        self.entries.get((position as usize).checked_sub(1)?).map(|entry| entry.node)
    }

    /// The name of the HTML element at a position; None if there is none, or a foreign one.
    pub(crate) fn tag(&self, position: u32) -> Option<Tag> {
        let entry = self.entries.get((position as usize).checked_sub(1)?)?;
        entry.html.then_some(entry.tag)
    }

    /// The position of the topmost HTML element of that name.
    #[inline]
    pub(crate) fn position(&self, tag: Tag) -> u32 {
        self.html_tops.get(tag.0 as usize).copied().unwrap_or(0)
    }

    /// The position of the topmost foreign element of that name, if no HTML element stands above it.
    pub(crate) fn foreign_position(&self, tag: Tag) -> u32 {
        let position = self.foreign_tops.get(tag.0 as usize).copied().unwrap_or(0);
        if position > self.entries.last().map_or(0, |top| top.last_html) { position } else { 0 }
    }

    /// The position of one HTML element, known by its name; 0 if it is not open.
    pub(crate) fn position_of(&self, node: NodeId, tag: Tag) -> u32 {
        let mut position = self.position(tag);
        while let Some(entry) = self.entries.get((position as usize).wrapping_sub(1)) {
            if entry.node == node {
                return position;
            }
            position = entry.same;
        }
        0
    }

    /// The nearest scope boundary's position.
    fn scope(&self) -> u32 {
        self.entries.last().map_or(0, |top| top.scope)
    }

    /// Whether the stack "has an element in scope" with that name.
    pub(crate) fn in_scope(&self, tag: Tag) -> bool {
        self.is_in_scope(self.position(tag))
    }

    /// The same of the entry at a position.
    pub(crate) fn is_in_scope(&self, position: u32) -> bool {
        position != 0 && position >= self.scope()
    }

    pub(crate) fn in_button_scope(&self, tag: Tag) -> bool {
        self.in_scope(tag) && self.position(tag) >= self.position(Tag::BUTTON)
    }

    pub(crate) fn in_list_item_scope(&self, tag: Tag) -> bool {
        self.in_scope(tag) && self.position(tag) >= self.position(Tag::OL).max(self.position(Tag::UL))
    }

    pub(crate) fn in_table_scope(&self, tag: Tag) -> bool {
        let boundary =
            self.position(Tag::HTML).max(self.position(Tag::TABLE)).max(self.position(Tag::TEMPLATE));
        let position = self.position(tag);
        position != 0 && position >= boundary
    }

    /// Whether a heading of any rank is in scope.
    pub(crate) fn heading_in_scope(&self) -> bool {
        [Tag::H1, Tag::H2, Tag::H3, Tag::H4, Tag::H5, Tag::H6].into_iter().any(|tag| self.in_scope(tag))
    }

    /// The position of the topmost special element.
    pub(crate) fn special(&self) -> u32 {
        self.entries.last().map_or(0, |top| top.special)
    }

    /// The lowest special element above a position. Costs time in the number of entries between; 0 if there is none.
    pub(crate) fn lowest_special_above(&self, position: u32) -> u32 {
        if self.special() <= position {
            return 0;
        }
        let above = self.entries.iter().enumerate().skip(position as usize);
        above
            .into_iter()
            .find(|(_, entry)| entry.groups & group::SPECIAL != 0)
            .map_or(0, |(at, _)| at as u32 + 1)
    }

    /// The nearest element that ends the search for an open `li`, `dd` or `dt`.
    pub(crate) fn li_stop(&self) -> u32 {
        self.entries.last().map_or(0, |top| top.li_stop)
    }

    /// The nearest element that decides the insertion mode.
    pub(crate) fn resets(&self) -> u32 {
        self.entries.last().map_or(0, |top| top.resets)
    }
}
