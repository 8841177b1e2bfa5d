//! The adoption agency algorithm (HTML standard 13.2.6.4.7): end tags of formatting elements in the wrong order.

use super::builder::Parser;
use super::dom::{NodeId, flag};
use super::formatting::Entry;
use super::names::Tag;

/// The standard's limits on how far one end tag may reach.
const OUTER_LOOPS: usize = 8;
const INNER_LOOPS: usize = 3;

impl Parser<'_> {
    /// Closes the formatting element of that name.
    pub(super) fn adoption_agency(&mut self, subject: Tag) {
        if let Some(current) = self.current()
            && self.current_is(subject)
            && self.dom.node(current).flags & flag::FORMATTING == 0
        {
            self.pop();
            return;
        }
        for _ in 0..OUTER_LOOPS {
            let (found, looked_at) = self.formatting.last(subject);
            self.work += looked_at as u64;
            let Some((index, formatting)) = found else {
                self.any_other_end_tag(subject);
                return;
            };
            if self.dom.node(formatting).flags & flag::OPEN == 0 {
                self.forget(index);
                return;
            }
            let position = self.open.position_of(formatting, subject);
            if !self.open.is_in_scope(position) {
                return;
            }
            self.work += u64::from(self.open.len() - position);
            let furthest = self.open.lowest_special_above(position);
            if furthest == 0 {
                self.pop_to(position);
                self.forget(index);
                return;
            }
            self.adopt(formatting, position, furthest);
        }
    }

    /// Takes the entry at an index out of the list.
    fn forget(&mut self, index: usize) {
        self.work += (self.formatting.entries.len() - index) as u64;
        if let Entry::Element { node, .. } = self.formatting.entries.remove(index) {
            self.dom.node_mut(node).flags &= !flag::FORMATTING;
        }
    }

    /// One round of the outer loop: the furthest block, which is at a position above the formatting element, leaves it,
    /// and what is in it gets a formatting element of its own.
    fn adopt(&mut self, formatting: NodeId, position: u32, furthest_position: u32) {
        let (Some(common_ancestor), Some(furthest)) =
            (self.open.node(position - 1), self.open.node(furthest_position))
        else {
            return;
        };
        let Some(mut bookmark) = self.formatting.index_of(formatting) else { return };
        self.work += (self.formatting.entries.len() - bookmark) as u64;
        let mut last = furthest;
        let mut at = furthest_position;
        let mut furthest_now = furthest_position;
        let mut inner = 0;
        loop {
            inner += 1;
            at -= 1;
            let Some(node) = self.open.node(at) else { return };
            if node == formatting {
                break;
            }
            let mut remembered = self.dom.node(node).flags & flag::FORMATTING != 0;
            if remembered
                && inner > INNER_LOOPS
                && let Some(index) = self.formatting.index_of(node)
            {
                self.forget(index);
                bookmark -= usize::from(index < bookmark);
                remembered = false;
            }
            self.work += u64::from(self.open.len() - at);
            if !remembered {
                self.dom.node_mut(node).flags &= !flag::OPEN;
                self.open.remove(at);
                furthest_now -= 1;
                continue;
            }
            let Some(index) = self.formatting.index_of(node) else { return };
            self.work += (self.formatting.entries.len() - index) as u64;
            let clone = self.clone_in_place(node, index);
            self.open.replace(at, clone);
            if last == furthest {
                bookmark = index + 1;
            }
            self.dom.detach(last);
            self.dom.append(clone, last);
            last = clone;
        }
        self.dom.detach(last);
        let place = self.place(Some(common_ancestor));
        self.link_at(place, last);
        // The furthest block's children move into a new formatting element, its only child from now on.
        let clone = self.clone_element(formatting);
        self.move_children(furthest, clone);
        self.dom.append(furthest, clone);
        self.dom.node_mut(formatting).flags &= !(flag::OPEN | flag::FORMATTING);
        self.dom.node_mut(clone).flags |= flag::OPEN | flag::FORMATTING;
        let Some(index) = self.formatting.index_of(formatting) else { return };
        let Entry::Element { tag, fingerprint, .. } = self.formatting.entries.remove(index) else { return };
        bookmark -= usize::from(index < bookmark);
        let bookmark = bookmark.min(self.formatting.entries.len());
        self.formatting.entries.insert(bookmark, Entry::Element { node: clone, tag, fingerprint });
        self.work += 2 * u64::from(self.open.len() - position);
        // The position of the formatting element is as before: only entries above it went.
        self.open.remove(position);
        self.open.insert(furthest_now, clone, tag);
    }

    /// Replaces the formatting element at an index by a new one like it, in the list of formatting elements only.
    fn clone_in_place(&mut self, node: NodeId, index: usize) -> NodeId {
        let clone = self.clone_element(node);
        self.dom.node_mut(node).flags &= !(flag::OPEN | flag::FORMATTING);
        self.dom.node_mut(clone).flags |= flag::OPEN | flag::FORMATTING;
        if let Some(Entry::Element { node, .. }) = self.formatting.entries.get_mut(index) {
            *node = clone;
        }
        clone
    }

    fn move_children(&mut self, from: NodeId, to: NodeId) {
        loop {
            let child = self.dom.node(from).first_child;
            if child == super::dom::NONE {
                return;
            }
            self.work += 1;
            self.dom.detach(child);
            self.dom.append(to, child);
        }
    }

    /// Forgets a formatting element and closes it, wherever it is: for `<a>` in an open `<a>`.
    pub(super) fn drop_formatting(&mut self, node: NodeId, tag: Tag) {
        if self.dom.node(node).flags & flag::FORMATTING != 0
            && let Some(index) = self.formatting.index_of(node)
        {
            self.forget(index);
        }
        if self.dom.node(node).flags & flag::OPEN != 0 {
            let position = self.open.position_of(node, tag);
            if position != 0 {
                self.work += u64::from(self.open.len() - position);
                self.dom.node_mut(node).flags &= !flag::OPEN;
                self.open.remove(position);
            }
        }
    }
}
