//! Code in Markdown: what it stands between, and its language.

use super::outline::{Item, TEXT, is_block};
use super::render::Source;
use crate::html::names::{Attr, Tag};

/// Inline code with backticks in it stands between longer runs of them, with a blank where they would touch.
const TICKS: [[(&str, &str); 2]; 4] = [
    [("`", "`"), ("` ", " `")],
    [("``", "``"), ("`` ", " ``")],
    [("```", "```"), ("``` ", " ```")],
    [("````", "````"), ("```` ", " ````")],
];

/// What inline code can be put between; None if it has more than one line, or more backticks than anybody means.
pub(super) fn ticks_around(
    source: &Source<'_>,
    at: u32,
    item: &Item,
) -> Option<(&'static str, &'static str)> {
    let (mut longest, mut run) = (0, 0);
    let (mut first, mut last) = (b' ', b' ');
    for below in &source.outline.items[at as usize..item.end as usize] {
        if below.tag != TEXT {
            if is_block(below.tag) {
                return None;
            }
            continue;
        }
        for &byte in source.text(below).as_bytes() {
            run = if byte == b'`' { run + 1 } else { 0 };
            longest = longest.max(run);
            if !byte.is_ascii_whitespace() {
                last = byte;
                first = if first == b' ' { byte } else { first };
            }
        }
    }
    let touches = first == b'`' || last == b'`';
    TICKS.get(longest).map(|pair| pair[usize::from(touches)])
}

/// The language of code, as highlighters write it into class names: `language-x`, `lang-x`, `highlight-x`,
/// `brush: x`; on the element, the one around it or the first one in it.
pub(super) fn language<'a>(source: &'a Source<'_>, at: u32) -> &'a str {
    let items = &source.outline.items;
    let around = items[at as usize].parent;
    let inside = items.get(at as usize + 1).filter(|item| item.tag == Tag::CODE).map_or(at, |_| at + 1);
    [at, inside, around, items[around as usize].parent]
        .iter()
        .filter_map(|&at| source.attribute(&items[at as usize], Attr::CLASS))
        .filter(|class| class.len() < 256)
        .flat_map(|class| {
            let mut after_brush = false;
            class.split_ascii_whitespace().filter_map(move |word| {
                let word = word.trim_end_matches(';');
                let is_brush = std::mem::replace(&mut after_brush, word == "brush:");
                let prefixed = ["language-", "lang-", "highlight-source-", "highlight-", "brush:"]
                    .iter()
                    .find_map(|prefix| word.strip_prefix(prefix));
                prefixed.or(is_brush.then_some(word))
            })
        })
        .find(|name| {
            let name = name.as_bytes();
            (1..20).contains(&name.len())
                && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+#-_.".contains(byte))
                && !matches!(name, b"default" | b"none" | b"text-html-basic")
        })
        .unwrap_or("")
}
