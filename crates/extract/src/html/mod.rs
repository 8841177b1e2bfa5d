//! An HTML parser: the HTML standard's tokenizer and tree construction, scripting off, whole documents.
//!
//! What comes out is the tree as far as an extractor can see it. Contents of comments, and attributes nobody asked for,
//! are not kept; the attributes of `html` and `body` are ignored; a frameset document is given up as soon as it is known
//! to be one, because it has no body. Input is text that has been decoded already, so `<meta charset>` means nothing.
//!
//! It fails in two ways only, both on hostile input: too many nodes, and too much work. Everything in it is linear in the
//! page except what the standard words as a rearrangement of open elements (the adoption agency, reopened formatting
//! elements with all their attributes), which draws on a budget in proportion to the page.
//!
//! The rules are those of <https://html.spec.whatwg.org/multipage/parsing.html>; where [`Dialect`]s differ it says so.

mod adoption;
mod builder;
mod doctype;
pub(crate) mod dom;
mod entities;
mod formatting;
mod libxml2;
mod modes;
pub(crate) mod names;
mod open;
#[cfg(test)]
mod tests;
mod tokenizer;

pub(crate) use builder::{Buffers, parse};

/// Which reading of the standard: the lexbor version that an extractor to be matched is built on. Found by comparing
/// whole documents; everything else is the standard as of 2025.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Dialect {
    /// lexbor 2.3.0: only options fit into `select`; `</p>` and `</br>` stay in foreign content; a form feed before body
    /// or after `</body>` is no white space; `search` is an element like any unknown one. In either version `<image>`
    /// right inside a table is lost instead of becoming an image in front of it. A body that a frameset has taken the
    /// place of is still there to lexbor's users, who find it through the document rather than the tree. Not
    /// followed: where an end tag crosses more than three formatting elements, lexbor 2.3.0 can put what comes next into one of
    /// them instead of behind it, which no page of the corpus shows.
    Lexbor230,
    /// The standard since 2025, when `select` was opened to other elements.
    Standard2025,
    /// No reading of the standard, but the trees of [`libxml2`]: every element is one of the HTML namespace, a template's content is its
    /// own, and there may be more than one `html` and `body`. Who listens to its parser event by event hears of more than who
    /// asks for the tree: of elements at any depth, and of doctypes anywhere.
    Libxml2 { events: bool },
}

/// Which attributes are kept.
#[derive(Clone, Default, Debug)]
pub(crate) struct Wanted {
    /// Known ones, as bits of [`names::Attr::bit`].
    pub(crate) attributes: u64,
    /// Further names in lower case, numbered on from the known ones.
    pub(crate) names: Vec<String>,
}

impl Wanted {
    /// The index among the further names.
    fn position(&self, name: &[u8]) -> Option<usize> {
        self.names.iter().position(|wanted| wanted.as_bytes().eq_ignore_ascii_case(name))
    }

    /// Asks for an attribute by name, and says what it is called from now on.
    pub(crate) fn ask(&mut self, name: &str) -> names::Attr {
        let name = name.to_ascii_lowercase();
        if let Some(known) = names::Attr::known(&name) {
            self.attributes |= known.bit();
            return known;
        }
        let at = self.position(name.as_bytes()).unwrap_or_else(|| {
            self.names.push(name);
            self.names.len() - 1
        });
        names::Attr((names::Attr::KNOWN + at) as u16)
    }
}

/// What a parse is told.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) dialect: Dialect,
    pub(crate) wanted: Wanted,
    /// More nodes than this are a bomb.
    pub(crate) max_nodes: usize,
}

/// Why a page was given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum GaveUp {
    TooManyNodes,
    /// Open elements were rearranged out of proportion to the page.
    TooTangled,
}
