//! The document as an arena: nodes are numbers, links are numbers, text and attribute values are ranges.
//!
//! A range lies in the page itself where the page can be used as it is (nearly always) and in a side buffer where
//! character references, NULs or the merging of distant pieces of text made something new. An arena is emptied and
//! filled again document by document, so that a lane allocates only while it meets its largest page.

use super::names::{Attr, Names, Tag};

/// Index of a node in its arena.
pub(crate) type NodeId = u32;

/// "No node": also the parent of the document and of what has been taken out of the tree.
pub(crate) const NONE: NodeId = u32::MAX;

/// The document node, which is always there.
pub(crate) const DOCUMENT: NodeId = 0;

/// What a node is; elements by namespace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// An element of the HTML namespace.
    Html,
    Svg,
    MathMl,
    Text,
    /// A comment or processing instruction, without its content: only that it stands between its siblings matters.
    Comment,
    /// The document, or a template's content, which hangs on nothing.
    Root,
}

/// One node in 36 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub(crate) parent: NodeId,
    pub(crate) previous: NodeId,
    pub(crate) next: NodeId,
    pub(crate) first_child: NodeId,
    /// Of a text node in the side buffer: how many bytes it may grow to where it stands.
    pub(crate) last_child: NodeId,
    /// Of an element: where its attributes start. Of a text node: where its text starts.
    start: u32,
    /// The number of attributes, or bytes of text.
    length: u32,
    pub(crate) tag: Tag,
    pub(crate) kind: Kind,
    /// Bits of [`flag`].
    pub(crate) flags: u8,
}

/// Facts about a node that the tree builder would otherwise have to search for.
pub(crate) mod flag {
    /// The element is on the stack of open elements.
    pub(crate) const OPEN: u8 = 1;
    /// The element is in the list of active formatting elements.
    pub(crate) const FORMATTING: u8 = 1 << 1;
    /// The text lies in the side buffer.
    pub(crate) const SIDE: u8 = 1 << 2;
    /// HTML integration point, or MathML text integration point (HTML standard 13.2.4.2 refers to 13.2.6).
    pub(crate) const HTML_INTEGRATION: u8 = 1 << 3;
    pub(crate) const TEXT_INTEGRATION: u8 = 1 << 4;
}

/// An attribute that somebody asks about; the others are not kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attribute {
    pub(crate) name: Attr,
    side: bool,
    start: u32,
    length: u32,
}

impl Attribute {
    /// Bytes of the value.
    pub(crate) fn length(&self) -> u32 {
        self.length
    }
}

/// A piece of text: a range of the page or of the side buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) side: bool,
    pub(crate) start: u32,
    pub(crate) length: u32,
}

impl Span {
    /// The part from byte `at` on.
    pub(crate) fn from(self, at: usize) -> Self {
        Self { start: self.start + at as u32, length: self.length - at as u32, ..self }
    }

    /// The part before byte `at`.
    pub(crate) fn until(self, at: usize) -> Self {
        Self { length: at as u32, ..self }
    }
}

/// A parsed document. Which page its ranges point into is said on each question, so that it can outlive the page.
pub(crate) struct Dom {
    pub(crate) nodes: Vec<Node>,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) side: String,
    pub(crate) names: Names,
    /// The body element, or [`NONE`] in a frameset document.
    pub(crate) body: NodeId,
    /// Whether the doctype, or its absence, asked for quirks mode.
    pub(crate) quirks: bool,
}

impl Default for Dom {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            attributes: Vec::new(),
            side: String::new(),
            names: Names::default(),
            body: NONE,
            quirks: false,
        }
    }
}

/// Buffers larger than this many entries are given back rather than kept for the next document.
const KEPT_ENTRIES: usize = 1 << 20;

impl Dom {
    /// Makes room for the next document, with nothing in it but the document node.
    pub(crate) fn clear(&mut self) {
        self.nodes.clear();
        self.nodes.shrink_to(KEPT_ENTRIES);
        self.attributes.clear();
        self.attributes.shrink_to(KEPT_ENTRIES);
        self.side.clear();
        self.side.shrink_to(8 * KEPT_ENTRIES);
        self.names.clear();
        self.body = NONE;
        self.quirks = false;
        self.push(Kind::Root, Tag(u32::MAX), 0, 0, 0);
    }

    #[inline]
    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    #[inline]
    pub(crate) fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id as usize]
    }

    fn push(&mut self, kind: Kind, tag: Tag, start: u32, length: u32, flags: u8) -> NodeId {
        let id = self.nodes.len() as NodeId;
        self.nodes.push(Node {
            parent: NONE,
            previous: NONE,
            next: NONE,
            first_child: NONE,
            last_child: NONE,
            start,
            length,
            tag,
            kind,
            flags,
        });
        id
    }

    /// A new element, not yet in the tree, whose attributes are the ones from `first_attribute` on.
    pub(crate) fn new_element(&mut self, kind: Kind, tag: Tag, first_attribute: usize) -> NodeId {
        let count = self.attributes.len() - first_attribute;
        self.push(kind, tag, first_attribute as u32, count as u32, 0)
    }

    /// A new element with the name and the attributes of another (which are shared, not copied).
    pub(crate) fn clone_element(&mut self, id: NodeId) -> NodeId {
        let Node { kind, tag, start, length, flags, .. } = *self.node(id);
        self.push(kind, tag, start, length, flags & !(flag::OPEN | flag::FORMATTING))
    }

    /// The content of a template: a tree of its own that nothing points to.
    pub(crate) fn new_fragment(&mut self) -> NodeId {
        self.push(Kind::Root, Tag(u32::MAX), 0, 0, 0)
    }

    pub(crate) fn new_comment(&mut self) -> NodeId {
        self.push(Kind::Comment, Tag(u32::MAX), 0, 0, 0)
    }

    fn new_text(&mut self, span: Span) -> NodeId {
        let id =
            self.push(Kind::Text, Tag(u32::MAX), span.start, span.length, u8::from(span.side) * flag::SIDE);
        self.node_mut(id).last_child = if span.side { span.length } else { 0 };
        id
    }

    /// Links a node without a parent as last child of `parent`.
    #[inline]
    pub(crate) fn append(&mut self, parent: NodeId, child: NodeId) {
        let last = self.node(parent).last_child;
        let node = self.node_mut(child);
        node.parent = parent;
        node.previous = last;
        if last == NONE {
            self.node_mut(parent).first_child = child;
        } else {
            self.node_mut(last).next = child;
        }
        self.node_mut(parent).last_child = child;
    }

    /// Links a node without a parent right before `sibling`, which has one.
    pub(crate) fn insert_before(&mut self, sibling: NodeId, child: NodeId) {
        let Node { parent, previous, .. } = *self.node(sibling);
        let node = self.node_mut(child);
        node.parent = parent;
        node.previous = previous;
        node.next = sibling;
        self.node_mut(sibling).previous = child;
        if previous == NONE {
            self.node_mut(parent).first_child = child;
        } else {
            self.node_mut(previous).next = child;
        }
    }

    /// Takes a node (with what is below it) out of the tree.
    pub(crate) fn detach(&mut self, id: NodeId) {
        let Node { parent, previous, next, .. } = *self.node(id);
        if parent == NONE {
            return;
        }
        if previous == NONE {
            self.node_mut(parent).first_child = next;
        } else {
            self.node_mut(previous).next = next;
        }
        if next == NONE {
            self.node_mut(parent).last_child = previous;
        } else {
            self.node_mut(next).previous = previous;
        }
        let node = self.node_mut(id);
        (node.parent, node.previous, node.next) = (NONE, NONE, NONE);
    }

    /// Adds text as last child of `parent`, or right before `before` if that is a node: to the text node that is already
    /// there, else as a new one.
    pub(crate) fn insert_text(&mut self, page: &str, parent: NodeId, before: NodeId, span: Span) {
        let neighbour =
            if before == NONE { self.node(parent).last_child } else { self.node(before).previous };
        if neighbour != NONE && self.node(neighbour).kind == Kind::Text {
            self.extend_text(page, neighbour, span);
            return;
        }
        let text = self.new_text(span);
        if before == NONE {
            self.append(parent, text);
        } else {
            self.insert_before(before, text);
        }
    }

    fn extend_text(&mut self, page: &str, id: NodeId, span: Span) {
        let Node { start, length, flags, last_child: capacity, .. } = *self.node(id);
        let in_side = flags & flag::SIDE != 0;
        if !in_side && !span.side && start + length == span.start {
            self.node_mut(id).length += span.length;
            return;
        }
        let grown = length + span.length;
        if in_side && grown <= capacity {
            // The node owns the bytes up to its capacity, which are spaces so far.
            let added = span_str(page, &self.side, span).to_owned();
            let at = (start + length) as usize;
            if self.side.is_char_boundary(at) {
                self.side.replace_range(at..at + added.len(), &added);
            }
            self.node_mut(id).length = grown;
            return;
        }
        // Moves to the buffer's end with room to double, so that all moves together stay linear in the text.
        let moved = self.side.len();
        let old = Span { side: in_side, start, length };
        for part in [old, span] {
            if part.side {
                let from = part.start as usize;
                self.side.extend_from_within(from..from + part.length as usize);
            } else {
                self.side.push_str(slice(page, part));
            }
        }
        let capacity = if in_side { 2 * grown } else { grown };
        self.side.extend(std::iter::repeat_n(' ', (capacity - grown) as usize));
        let node = self.node_mut(id);
        node.start = moved as u32;
        node.length = grown;
        node.last_child = capacity;
        node.flags |= flag::SIDE;
    }

    /// The text of a text node.
    #[inline]
    pub(crate) fn text<'a>(&'a self, page: &'a str, id: NodeId) -> &'a str {
        let node = self.node(id);
        span_str(
            page,
            &self.side,
            Span { side: node.flags & flag::SIDE != 0, start: node.start, length: node.length },
        )
    }

    /// The text of a span.
    #[inline]
    pub(crate) fn span<'a>(&'a self, page: &'a str, span: Span) -> &'a str {
        span_str(page, &self.side, span)
    }

    /// Notes an attribute of the tag being read.
    #[inline]
    pub(crate) fn push_attribute(&mut self, name: Attr, value: Span) {
        self.attributes.push(Attribute { name, side: value.side, start: value.start, length: value.length });
    }

    /// The kept attributes of an element in source order.
    #[inline]
    pub(crate) fn attributes_of(&self, id: NodeId) -> &[Attribute] {
        let node = self.node(id);
        self.attributes.get(node.start as usize..(node.start + node.length) as usize).unwrap_or(&[])
    }

    /// An attribute's decoded value.
    #[inline]
    pub(crate) fn value<'a>(&'a self, page: &'a str, attribute: &Attribute) -> &'a str {
        span_str(
            page,
            &self.side,
            Span { side: attribute.side, start: attribute.start, length: attribute.length },
        )
    }

    /// The value of the first attribute with this name; None if there is none.
    #[inline]
    pub(crate) fn attribute<'a>(&'a self, page: &'a str, id: NodeId, name: Attr) -> Option<&'a str> {
        let found = self.attributes_of(id).iter().find(|attribute| attribute.name == name)?;
        Some(self.value(page, found))
    }

    /// Whether the node is an element, of whatever namespace.
    #[inline]
    pub(crate) fn is_element(&self, id: NodeId) -> bool {
        matches!(self.node(id).kind, Kind::Html | Kind::Svg | Kind::MathMl)
    }
}

#[inline]
fn slice(buffer: &str, span: Span) -> &str {
    // Ranges are cut at ASCII bytes, so this never fails; if it did, text would be missing rather than the program gone.
    buffer.get(span.start as usize..(span.start + span.length) as usize).unwrap_or("")
}

#[inline]
fn span_str<'a>(page: &'a str, side: &'a str, span: Span) -> &'a str {
    slice(if span.side { side } else { page }, span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_small() {
        assert!(size_of::<Node>() <= 40, "{}", size_of::<Node>());
    }

    #[test]
    fn text_pieces_merge_in_order() {
        let page = "abcdef";
        let mut dom = Dom::default();
        dom.clear();
        dom.side.push_str("XY");
        let piece = |side, start, length| Span { side, start, length };
        for span in
            [piece(false, 0, 2), piece(false, 2, 1), piece(true, 0, 1), piece(false, 5, 1), piece(true, 1, 1)]
        {
            dom.insert_text(page, DOCUMENT, NONE, span);
        }
        let only = dom.node(DOCUMENT).first_child;
        assert_eq!(dom.node(only).next, NONE);
        assert_eq!(dom.text(page, only), "abcXfY");
        for _ in 0..10_000 {
            dom.insert_text(page, DOCUMENT, NONE, piece(false, 1, 3));
        }
        assert_eq!(dom.text(page, only).len(), 6 + 30_000);
        assert!(dom.side.len() < 4 * 30_000);
    }
}
