//! The list of active formatting elements (HTML standard 13.2.4.3): what `<p><b>x<p>y` reopens in the second paragraph.

use super::dom::NodeId;
use super::names::Tag;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Entry {
    /// Put in by cells, captions, objects and templates: what is below stays out of them.
    Marker,
    Element {
        node: NodeId,
        tag: Tag,
        /// Stands for all the element's attributes.
        fingerprint: u64,
    },
}

/// How far back equal elements are looked for. Nobody nests this many by accident; without a limit a page of nothing but
/// formatting elements takes time in the square of their number.
const NOAHS_ARK_REACH: usize = 1024;

#[derive(Default)]
pub(crate) struct ActiveFormatting {
    pub(crate) entries: Vec<Entry>,
}

impl ActiveFormatting {
    pub(crate) fn push_marker(&mut self) {
        self.entries.push(Entry::Marker);
    }

    /// Adds an element. If three like it are there since the last marker ("Noah's Ark"), the earliest goes: it is
    /// returned.
    pub(crate) fn push(&mut self, node: NodeId, tag: Tag, fingerprint: u64) -> Option<NodeId> {
        let mut alike = 0;
        let mut earliest = None;
        for (at, entry) in self.entries.iter().enumerate().rev().take(NOAHS_ARK_REACH) {
            match *entry {
                Entry::Marker => break,
                Entry::Element { node, tag: t, fingerprint: f } if t == tag && f == fingerprint => {
                    alike += 1;
                    earliest = Some((at, node));
                }
                Entry::Element { .. } => {}
            }
        }
        let evicted = earliest.filter(|_| alike >= 3).map(|(at, node)| {
            self.entries.remove(at);
            node
        });
        self.entries.push(Entry::Element { node, tag, fingerprint });
        evicted
    }

    /// Removes what stands above the last marker, and the marker, showing each element to `removed`.
    pub(crate) fn clear_to_marker(&mut self, mut removed: impl FnMut(NodeId)) {
        while let Some(Entry::Element { node, .. }) = self.entries.pop() {
            removed(node);
        }
    }

    /// The last element of that name since the last marker, with its index, and how many entries were looked at.
    pub(crate) fn last(&self, tag: Tag) -> (Option<(usize, NodeId)>, usize) {
        for (looked_at, (at, entry)) in self.entries.iter().enumerate().rev().enumerate() {
            match *entry {
                Entry::Marker => return (None, looked_at),
                Entry::Element { node, tag: t, .. } if t == tag => return (Some((at, node)), looked_at),
                Entry::Element { .. } => {}
            }
        }
        (None, self.entries.len())
    }

    /// The index of an element, looked for from the end.
    pub(crate) fn index_of(&self, wanted: NodeId) -> Option<usize> {
        self.entries.iter().rposition(|entry| matches!(entry, Entry::Element { node, .. } if *node == wanted))
    }
}
