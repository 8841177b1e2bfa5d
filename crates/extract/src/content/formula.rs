//! Formulas in the form that can be read: the TeX they were made from.
//!
//! Where it is found: `alttext` of `math` (LaTeXML, MediaWiki), `<annotation encoding="application/x-tex">` in it (KaTeX,
//! MathJax, Pandoc), `<script type="math/tex">` (MathJax 2), `alt` of images with a class that says so (WordPress,
//! MediaWiki) or that is TeX by the look of it. MathML without any of these is written as TeX ([`mathml`]).

mod mathml;

pub(super) use self::mathml::Forms;

use super::outline::TEXT;
use super::render::Source;
use super::vocabulary::Traits;
use crate::html::names::{Attr, Tag};

/// Appends the source of the formula at an item, nothing if there is none; true if it stands on a line of its own.
pub(super) fn read(source: &Source<'_>, at: u32, out: &mut String) -> bool {
    let items = &source.outline.items;
    let item = items[at as usize];
    let attribute = |at: u32, name| source.dom.attribute(source.page, items[at as usize].node, name);
    match item.tag {
        Tag::SCRIPT => {
            if item.traits.has(Traits::TEX) {
                push_tex(out, text_of(source, at).trim());
            }
            attribute(at, Attr::TYPE).is_some_and(|kind| kind.contains("mode=display"))
        }
        Tag::IMG => {
            // Where the image is the fallback of a formula before it, that has been read.
            let is_fallback = items[item.parent as usize].traits.has(Traits::FORMULA);
            let alt = attribute(at, Attr::ALT).unwrap_or("").trim();
            if (item.traits.has(Traits::FORMULA) || is_tex(alt)) && !is_fallback {
                push_tex(out, undelimited(alt));
            }
            false
        }
        _ => {
            let display = attribute(at, Attr::DISPLAY) == Some("block");
            let stated = attribute(at, Attr::ALTTEXT).map(str::trim).filter(|text| !text.is_empty());
            let annotation = (at + 1..item.end).find(|&below| {
                items[below as usize].tag == Tag::ANNOTATION
                    && attribute(below, Attr::ENCODING)
                        .is_some_and(|kind| kind.contains("tex") || kind.contains("TeX"))
            });
            if let Some(annotation) = annotation {
                push_tex(out, text_of(source, annotation).trim());
            } else if let Some(stated) = stated {
                push_tex(out, stated);
            } else {
                mathml::push(source, at, out);
            }
            display
        }
    }
}

/// The text right below an item.
fn text_of<'a>(source: &Source<'a>, at: u32) -> &'a str {
    source
        .outline
        .items
        .get(at as usize + 1)
        .filter(|item| item.tag == TEXT && item.parent == at)
        .map_or("", |item| source.dom.text(source.page, item.node))
}

/// Whether a text is TeX by the look of it: between its delimiters, or with a command that has braces.
fn is_tex(text: &str) -> bool {
    let is_command = || {
        text.contains('{')
            && text.split('\\').skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()))
    };
    undelimited(text).len() < text.len() || is_command()
}

/// TeX without what says that it is TeX.
fn undelimited(text: &str) -> &str {
    [("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")]
        .iter()
        .find_map(|(open, close)| {
            text.strip_prefix(open)?.strip_suffix(close).filter(|inner| !inner.is_empty())
        })
        .map_or(text, str::trim)
}

/// Appends TeX on one line. MediaWiki wraps everything in `{\displaystyle …}`, which says nothing.
fn push_tex(out: &mut String, tex: &str) {
    let inner = tex.strip_prefix("{\\displaystyle").and_then(|rest| rest.strip_suffix('}'));
    let tex = inner.unwrap_or(tex).trim();
    for (at, word) in tex.split_ascii_whitespace().enumerate() {
        if at > 0 {
            out.push(' ');
        }
        out.push_str(word);
    }
}
