//! Trees of pages, for each reading of the standard: `tests/trees/` has them as data.
//!
//! A case is a page, and under it, indented, its tree: what is in head if there is anything, then what is in body, or "nothing". An
//! element is its name, its attributes `class` and `k` in brackets, its children in parentheses; `<!>` is a comment. A
//! second line that begins with `2.3.0:` is what [`Dialect::Lexbor230`] makes of the page if that is something else.
//! Made up for these tests, and held against lexbor itself, of both ages.

use std::fmt::Write;

use super::dom::{DOCUMENT, Dom, Kind, NONE, NodeId};
use super::names::{Attr, Tag};
use super::{Buffers, Config, Dialect, Wanted, parse};

const TREES: [(&str, &str); 7] = [
    ("blocks", include_str!("../../tests/trees/blocks.txt")),
    ("foreign", include_str!("../../tests/trees/foreign.txt")),
    ("formatting", include_str!("../../tests/trees/formatting.txt")),
    ("select", include_str!("../../tests/trees/select.txt")),
    ("structure", include_str!("../../tests/trees/structure.txt")),
    ("tables", include_str!("../../tests/trees/tables.txt")),
    ("tokens", include_str!("../../tests/trees/tokens.txt")),
];

#[test]
fn trees() {
    let mut wrong = Vec::new();
    for (file, cases) in TREES {
        let mut lines = cases.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")).peekable();
        while let Some(page) = lines.next() {
            let mut expected = || lines.next_if(|line| line.starts_with("  ")).map(str::trim_start);
            let standard = expected().expect("a tree under each page");
            let lexbor = expected().map(|line| line.strip_prefix("2.3.0: ").expect("which reading"));
            for (dialect, expected) in
                [(Dialect::Standard2025, standard), (Dialect::Lexbor230, lexbor.unwrap_or(standard))]
            {
                let found = Trees::new(dialect).tree(&unescaped(page));
                if found != expected {
                    wrong.push(format!(
                        "{file}, {dialect:?}: {page}\n  expected {expected}\n  found    {found}"
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} trees differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// `\n`, `\r`, `\\` and `\x{…}` for what does not show.
fn unescaped(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\\') {
        text.push_str(before);
        let (char, length) = match after.as_bytes().first() {
            Some(b'n') => ('\n', 1),
            Some(b'r') => ('\r', 1),
            Some(b'x') => {
                let end = after.find('}').expect("a brace at the end");
                let code = u32::from_str_radix(&after[2..end], 16).expect("a number");
                (char::from_u32(code).expect("a character"), end + 1)
            }
            _ => ('\\', 1),
        };
        text.push(char);
        rest = &after[length..];
    }
    text + rest
}

struct Trees {
    config: Config,
    dom: Dom,
    named: [(Attr, &'static str); 2],
}

impl Trees {
    fn new(dialect: Dialect) -> Self {
        let mut wanted = Wanted { attributes: Attr::TYPE.bit() | Attr::ENCODING.bit(), names: Vec::new() };
        let named = ["class", "k"].map(|name| (wanted.ask(name), name));
        Self { config: Config { dialect, wanted, max_nodes: 1000 }, dom: Dom::default(), named }
    }

    fn tree(&mut self, page: &str) -> String {
        let mut normalised = String::new();
        let page = crate::normalise_line_ends(page, &mut normalised);
        parse(page, &self.config, &mut self.dom, &mut Buffers::default()).expect("a small page");
        let mut parts = Vec::new();
        for html in self.children(DOCUMENT) {
            let head = self.children(html).into_iter().find(|&node| self.dom.node(node).tag == Tag::HEAD);
            let content = head.map(|head| self.all(page, head)).filter(|content| !content.is_empty());
            parts.extend(content.map(|content| format!("head({content})")));
        }
        let body = if self.dom.body == NONE { String::new() } else { self.all(page, self.dom.body) };
        parts.push(if body.is_empty() { "nothing".to_owned() } else { body });
        parts.join(" ")
    }

    fn children(&self, node: NodeId) -> Vec<NodeId> {
        let mut children = Vec::new();
        let mut child = self.dom.node(node).first_child;
        while child != NONE {
            assert_eq!(self.dom.node(child).parent, node);
            assert_eq!(self.dom.node(child).previous, children.last().copied().unwrap_or(NONE));
            children.push(child);
            child = self.dom.node(child).next;
        }
        children
    }

    fn all(&self, page: &str, node: NodeId) -> String {
        self.children(node).into_iter().map(|child| self.one(page, child)).collect::<Vec<_>>().join(" ")
    }

    fn one(&self, page: &str, node: NodeId) -> String {
        match self.dom.node(node).kind {
            Kind::Comment => return "<!>".to_owned(),
            Kind::Text => return format!("\"{}\"", escaped(self.dom.text(page, node))),
            _ => {}
        }
        let mut text = String::from_utf8_lossy(self.dom.names.name(self.dom.node(node).tag)).into_owned();
        let attributes = self.named.iter().filter_map(|&(name, shown)| {
            Some(format!("{shown}=\"{}\"", escaped(self.dom.attribute(page, node, name)?)))
        });
        let attributes = attributes.collect::<Vec<_>>().join(" ");
        if !attributes.is_empty() {
            let _ = write!(text, "[{attributes}]");
        }
        let children = self.all(page, node);
        if !children.is_empty() {
            let _ = write!(text, "({children})");
        }
        text
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for char in text.chars() {
        match char {
            '"' | '\\' => escaped.extend(['\\', char]),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            _ if char.is_control() || (char.is_whitespace() && char != ' ') || !shows(char) => {
                let _ = write!(escaped, "\\x{{{:x}}}", char as u32);
            }
            _ => escaped.push(char),
        }
    }
    escaped
}

/// Whether a character can be told from none.
fn shows(char: char) -> bool {
    !matches!(char, '\u{ad}' | '\u{200c}' | '\u{feff}' | '\u{fffe}')
}
