//! YAML as PyYAML's `safe_load` reads it, with lines and comments.
//!
//! DCLM reads its configs with PyYAML, which follows YAML 1.1 (<https://yaml.org/type/>): `no` is a boolean, `010` is
//! eight, `1:30` is ninety, and `1e-3` is text. Recipes are YAML 1.2, where none of this holds; so a config is read by its
//! own rules here, and written anew by the others'.

use crate::recipe::Complaint;
use crate::recipe::tree::{Node, Tree};
use granit_parser::{Event, Parser, Placement, ScalarStyle, Tag, options};
use indexmap::IndexMap;
use serde_json::Number;
use std::collections::HashMap;

/// No number is greater: stands for infinity, which recipes do not have. Its negative stands for the other one.
pub(super) const INFINITE: f64 = f64::MAX;

/// A config holds no more values than this, its aliases written out, and none deeper.
const VALUES_MAX: usize = 100_000;
const DEPTH_MAX: usize = 32;

/// A document and what is written beside it.
pub(super) struct Loaded {
    pub(super) tree: Tree,
    pub(super) comments: Vec<Comment>,
}

pub(super) struct Comment {
    pub(super) line: u64,
    /// Behind something, on the same line.
    pub(super) is_beside: bool,
    pub(super) text: String,
}

pub(super) fn load(yaml: &str) -> Result<Loaded, Vec<Complaint>> {
    // As libyaml does: a block of text that ends with the file has no line feed more than is written.
    let options =
        options! { block_scalar_eof_without_line_feed: true, max_buffered_comment_events: VALUES_MAX };
    let mut builder = Builder::default();
    let mut comments = Vec::new();
    let mut documents = 0;
    for next in Parser::new_from_str_with_options(yaml, options) {
        let (event, span) = next.map_err(|e| vec![complaint(e.marker().line() as u64, e.info())])?;
        let line = span.start.line() as u64;
        match event {
            Event::Comment(text, placement) => comments.push(Comment {
                line,
                is_beside: placement == Placement::Right,
                text: text.trim().to_owned(),
            }),
            Event::DocumentStart(..) => documents += 1,
            Event::Alias(id) => builder.alias(line, id),
            Event::Scalar(text, style, anchor, tag) => {
                builder.scalar(line, &text, style == ScalarStyle::Plain, anchor, tag.as_deref())
            }
            Event::SequenceStart(_, anchor, tag) => builder.open(line, anchor, tag.as_deref(), "seq"),
            Event::MappingStart(_, anchor, tag) => builder.open(line, anchor, tag.as_deref(), "map"),
            Event::SequenceEnd | Event::MappingEnd => builder.close(),
            _ => {}
        }
        if documents > 1 {
            builder.complain(line, "a config is one YAML document, and here another begins");
        }
        // What is wrong goes on being told, but no more is kept.
        if builder.values > VALUES_MAX {
            builder.complain(line, &format!("a config holds at most {VALUES_MAX} values"));
        }
        if documents > 1 || builder.values > VALUES_MAX {
            break;
        }
    }
    match builder.root {
        _ if !builder.complaints.is_empty() => Err(builder.complaints),
        Some(tree) => Ok(Loaded { tree, comments }),
        None => Err(vec![complaint(0, "the file holds nothing".to_owned())]),
    }
}

fn complaint(line: u64, message: String) -> Complaint {
    Complaint { line, path: String::new(), message }
}

/// Puts a tree together from what the parser says, without recursion.
#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Tree>,
    /// By the numbers that the parser gives to anchors, with their depths and how many values they hold.
    anchors: HashMap<usize, (Tree, usize, usize)>,
    values: usize,
    complaints: Vec<Complaint>,
}

/// A list or map that has not ended.
struct Open {
    line: u64,
    anchor: usize,
    parts: Parts,
    /// Values in it, and the depth of the deepest.
    values: usize,
    depth: usize,
}

enum Parts {
    List(Vec<Tree>),
    Map { entries: IndexMap<String, Tree>, key: Option<Key>, merged: Vec<Tree> },
}

enum Key {
    Text(String),
    /// `<<`: the entries of what follows are this map's, too.
    Merge,
    /// Told already.
    Bad,
}

impl Builder {
    fn complain(&mut self, line: u64, message: &str) {
        self.complaints.push(complaint(line, message.to_owned()));
    }

    fn awaits_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { parts: Parts::Map { key: None, .. }, .. }))
    }

    fn set_key(&mut self, given: Key) {
        if let Some(Open { parts: Parts::Map { key, .. }, .. }) = self.open.last_mut() {
            *key = Some(given);
        }
    }

    fn scalar(&mut self, line: u64, text: &str, is_plain: bool, anchor: usize, tag: Option<&Tag>) {
        if self.awaits_key() && is_plain && tag.is_none() && text == "<<" {
            return self.set_key(Key::Merge);
        }
        let node = match tag.map(|tag| (tag.handle(), tag.suffix())) {
            None if is_plain => implicit(text),
            None | Some(("", "!") | ("!", "")) => Ok(Node::String(text.to_owned())),
            Some(("tag:yaml.org,2002:", suffix)) => explicit(text, suffix),
            Some((handle, suffix)) => Err(format!("PyYAML does not know the tag {handle}{suffix}")),
        };
        let node = node.unwrap_or_else(|message| {
            self.complain(line, &message);
            Node::Null
        });
        self.value(Tree { line, node }, anchor, 1, 1);
    }

    fn alias(&mut self, line: u64, id: usize) {
        match self.anchors.get(&id) {
            // The values stand where the alias does: a complaint names the line that uses them.
            Some((tree, values, depth)) => {
                let (tree, values, depth) = (tree.clone(), *values, *depth);
                self.value(Tree { line, ..tree }, 0, values, depth);
            }
            None => {
                self.complain(line, "this alias stands in what it is an alias of");
                self.value(Tree { line, node: Node::Null }, 0, 1, 1);
            }
        }
    }

    fn open(&mut self, line: u64, anchor: usize, tag: Option<&Tag>, kind: &str) {
        if let Some(tag) = tag
            && (tag.handle(), tag.suffix()) != ("tag:yaml.org,2002:", kind)
        {
            let message = format!("PyYAML does not know the tag {}{} here", tag.handle(), tag.suffix());
            self.complain(line, &message);
        }
        if self.awaits_key() {
            self.complain(line, "a list or map cannot be a key");
        }
        let parts = match kind {
            "seq" => Parts::List(Vec::new()),
            _ => Parts::Map { entries: IndexMap::new(), key: None, merged: Vec::new() },
        };
        self.open.push(Open { line, anchor, parts, values: 1, depth: 0 });
    }

    fn close(&mut self) {
        let Some(Open { line, anchor, parts, values, depth }) = self.open.pop() else { return };
        let node = match parts {
            Parts::List(list) => Node::List(list),
            Parts::Map { entries, merged, .. } => {
                let mut all = IndexMap::new();
                for tree in merged {
                    if let Node::Map(map) = tree.node {
                        all.extend(map);
                    }
                }
                // A map's own entries win over merged ones.
                all.extend(entries);
                Node::Map(all)
            }
        };
        self.value(Tree { line, node }, anchor, values, depth + 1);
    }

    /// Takes a finished value to its place, which may be that of a key.
    fn value(&mut self, tree: Tree, anchor: usize, values: usize, depth: usize) {
        self.values += values;
        let line = tree.line;
        if self.open.len() + depth > DEPTH_MAX {
            self.complain(line, &format!("values are nested more than {DEPTH_MAX} deep"));
            return;
        }
        if self.values > VALUES_MAX {
            return;
        }
        if anchor > 0 {
            self.anchors.insert(anchor, (tree.clone(), values, depth));
        }
        let awaits_key = self.awaits_key();
        let Some(open) = self.open.last_mut() else {
            self.root.get_or_insert(tree);
            return;
        };
        open.values += values;
        open.depth = open.depth.max(depth);
        match &mut open.parts {
            Parts::List(list) => list.push(tree),
            Parts::Map { key: waiting, .. } if awaits_key => match tree.node {
                Node::String(text) => *waiting = Some(Key::Text(text)),
                Node::List(_) | Node::Map(_) => *waiting = Some(Key::Bad),
                _ => {
                    *waiting = Some(Key::Bad);
                    self.complain(line, "PyYAML does not read this key as text: put quotes around it");
                }
            },
            Parts::Map { entries, key, merged } => match key.take() {
                // Of equal keys the last wins.
                Some(Key::Text(text)) => _ = entries.insert(text, tree),
                Some(Key::Merge) => match tree.node {
                    Node::Map(_) => merged.push(tree),
                    // The first of a list wins.
                    Node::List(list) if list.iter().all(|tree| matches!(tree.node, Node::Map(_))) => {
                        merged.extend(list.into_iter().rev());
                    }
                    _ => self.complain(line, "`<<` takes a map, or a list of maps"),
                },
                Some(Key::Bad) | None => {}
            },
        }
    }
}

/// What a scalar without quotes and tag is.
fn implicit(text: &str) -> Result<Node, String> {
    if let Some(yes) = boolean(text) {
        return Ok(Node::Bool(yes));
    }
    if let Some(number) = integer(text) {
        return Ok(Node::Number(number));
    }
    match float(text) {
        Some(number) if number.is_nan() => return Err("a parameter cannot be no number (.nan)".to_owned()),
        Some(number) => return Ok(number_node(number)),
        None => {}
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Ok(Node::Null),
        _ if is_date(text) => Err(format!("PyYAML reads {text} as a date: put quotes around it")),
        "=" => Err("PyYAML cannot read = alone: put quotes around it".to_owned()),
        _ => Ok(Node::String(text.to_owned())),
    }
}

/// What a scalar with a tag of YAML's own is.
fn explicit(text: &str, tag: &str) -> Result<Node, String> {
    let node = match tag {
        "str" => Some(Node::String(text.to_owned())),
        "null" => Some(Node::Null),
        "bool" => boolean(text).map(Node::Bool),
        "int" => integer(text).map(Node::Number),
        "float" => {
            float(text).or_else(|| text.parse().ok()).filter(|number| !number.is_nan()).map(number_node)
        }
        _ => None,
    };
    node.ok_or_else(|| format!("{text:?} cannot be read as the tag !!{tag} says"))
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

fn number_node(number: f64) -> Node {
    Number::from_f64(number.clamp(-INFINITE, INFINITE)).map_or(Node::Null, Node::Number)
}

fn signed(text: &str) -> (bool, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    }
}

/// Digits of a base and underscores, at least one of either.
fn are_digits(text: &str, base: u32) -> bool {
    !text.is_empty() && text.chars().all(|c| c == '_' || c.is_digit(base))
}

fn integer(text: &str) -> Option<Number> {
    let (negative, digits) = signed(text);
    let (base, digits) = match digits.as_bytes() {
        [b'0'] => (10, digits),
        [b'0', b'b', ..] => (2, &digits[2..]),
        [b'0', b'x', ..] => (16, &digits[2..]),
        [b'0', ..] => (8, &digits[1..]),
        [b'1'..=b'9', ..] => (10, digits),
        _ => return None,
    };
    let mut parts = digits.split(':');
    let first = parts.next().filter(|first| are_digits(first, base))?.replace('_', "");
    let mut value = if first.is_empty() { 0 } else { i128::from_str_radix(&first, base).ok()? };
    for part in parts {
        if base != 10 || !is_sixtieth(part) {
            return None;
        }
        value = value.checked_mul(60)?.checked_add(part.parse().ok()?)?;
    }
    let value = if negative { -value } else { value };
    i64::try_from(value)
        .map(Number::from)
        .or_else(|_| u64::try_from(value).map(Number::from))
        .ok()
        .or_else(|| Number::from_f64(value as f64))
}

/// A digit of base 60: one or two decimal ones.
fn is_sixtieth(part: &str) -> bool {
    matches!(part.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9'])
}

fn float(text: &str) -> Option<f64> {
    let (negative, unsigned) = signed(text);
    let sign = if negative { -1.0 } else { 1.0 };
    match unsigned {
        ".inf" | ".Inf" | ".INF" => return Some(sign * f64::INFINITY),
        ".nan" | ".NaN" | ".NAN" => return (unsigned.len() == text.len()).then_some(f64::NAN),
        _ => {}
    }
    let (whole, fraction) = unsigned.split_once('.')?;
    let starts_with_digit = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    if whole.contains(':') {
        let fraction_is_fine = fraction.is_empty() || are_digits(fraction, 10);
        let mut parts = whole.split(':');
        let first = parts.next().filter(|first| starts_with_digit(first) && are_digits(first, 10))?;
        let mut value: f64 = first.replace('_', "").parse().ok()?;
        for part in parts {
            value = value * 60.0 + part.parse::<f64>().ok().filter(|_| is_sixtieth(part))?;
        }
        let fraction: f64 = format!("0.{}", fraction.replace('_', "")).parse().ok()?;
        return fraction_is_fine.then_some(sign * (value + fraction));
    }
    let (fraction, exponent) = match fraction.find(['e', 'E']) {
        Some(at) => (fraction.get(..at)?, fraction.get(at + 1..)),
        None => (fraction, None),
    };
    let shape = match whole {
        // `.5`, but not `-.5`.
        "" => unsigned.len() == text.len() && starts_with_digit(fraction) && are_digits(fraction, 10),
        _ => {
            starts_with_digit(whole)
                && are_digits(whole, 10)
                && (fraction.is_empty() || are_digits(fraction, 10))
        }
    };
    // `1e3` is text: an exponent needs a dot before it, and a sign.
    let power = exponent.is_none_or(|power| {
        power.starts_with(['-', '+']) && power.len() > 1 && power[1..].bytes().all(|b| b.is_ascii_digit())
    });
    if !shape || !power {
        return None;
    }
    text.replace('_', "").parse().ok()
}

/// `2024-05-01`, alone or with a time.
fn is_date(text: &str) -> bool {
    let (day, time) = text.split_at(text.find(['T', 't', ' ', '\t']).unwrap_or(text.len()));
    let length = |part: &str| if part.bytes().all(|b| b.is_ascii_digit()) { part.len() } else { 0 };
    let lengths: Vec<usize> = day.split('-').map(length).collect();
    let time_is_fine = || {
        let clock = time.trim_start_matches(['T', 't', ' ', '\t']);
        clock.starts_with(|c: char| c.is_ascii_digit())
            && clock.matches(':').count() >= 2
            && clock.chars().all(|c| c.is_ascii_digit() || ":.Z+- \t".contains(c))
    };
    match lengths[..] {
        [4, 2, 2] if time.is_empty() => true,
        [4, 1 | 2, 1 | 2] => time_is_fine(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[track_caller]
    fn check(yaml: &str, expected: Value) {
        match load(yaml) {
            Ok(loaded) => assert_eq!(loaded.tree.to_value(), expected, "{yaml:?}"),
            Err(complaints) => {
                let said: Vec<String> = complaints.iter().map(ToString::to_string).collect();
                assert_eq!(Value::from(said.join("; ")), expected, "{yaml:?}");
            }
        }
    }

    #[test]
    fn scalars_are_those_of_yaml_1_1() {
        for (yaml, expected) in [
            ("[yes, No, ON, off, True, n, y]", json!([true, false, true, false, true, "n", "y"])),
            ("['yes', \"no\"]", json!(["yes", "no"])),
            ("[~, null, NULL, nul]", json!([null, null, null, "nul"])),
            ("a:\nb: 1", json!({"a": null, "b": 1})),
            (
                "[10, 010, 0o10, 0x1F, 0b11, 1_000, +5, -5, 08, 0]",
                json!([10, 8, "0o10", 31, 3, 1000, 5, -5, "08", 0]),
            ),
            ("[1:30, 190:20:30, 0:30, 1:60, 1:30.5]", json!([90, 685_230, "0:30", "1:60", 90.5])),
            (
                "[1e3, 1e-3, 1.0e3, 1.0e+3, 1.e-3, .5, -.5, 5., 0.5, -0.5]",
                json!(["1e3", "1e-3", "1.0e3", 1000.0, 0.001, 0.5, "-.5", 5.0, 0.5, -0.5]),
            ),
            ("[.inf, -.INF, .NaN.]", json!([f64::MAX, f64::MIN, ".NaN."])),
            ("[18446744073709551615, -9223372036854775808]", json!([u64::MAX, i64::MIN])),
            ("[None, none, '1', 1.2.3, 1.2:3]", json!(["None", "none", "1", "1.2.3", "1.2:3"])),
            ("[!!str 1, !!float 2, !!int '3', !!bool no]", json!(["1", 2.0, 3, false])),
            ("2024-05-01", json!("line 1: PyYAML reads 2024-05-01 as a date: put quotes around it")),
            ("2024-5-1", json!("2024-5-1")),
            (
                "2024-5-1 10:00:00",
                json!("line 1: PyYAML reads 2024-5-1 10:00:00 as a date: put quotes around it"),
            ),
            ("a: .nan", json!("line 1: a parameter cannot be no number (.nan)")),
            ("!!binary aGk=", json!("line 1: \"aGk=\" cannot be read as the tag !!binary says")),
            (
                "!!python/tuple [1]",
                json!("line 1: PyYAML does not know the tag tag:yaml.org,2002:python/tuple here"),
            ),
        ] {
            check(yaml, expected);
        }
    }

    #[test]
    fn maps_are_those_of_pyyaml() {
        for (yaml, expected) in [
            ("a: 1\nb: 2\na: 3\n", json!({"a": 3, "b": 2})),
            (
                "x: &x {a: 1, b: 1}\ny: {<<: *x, b: 2}\n",
                json!({"x": {"a": 1, "b": 1}, "y": {"a": 1, "b": 2}}),
            ),
            (
                "- &x {a: 1}\n- &y {a: 2, b: 2}\n- <<: [*x, *y]\n",
                json!([{"a": 1}, {"a": 2, "b": 2}, {"a": 1, "b": 2}]),
            ),
            ("{'<<': 1}", json!({"<<": 1})),
            ("a: |\n  text", json!({"a": "text"})),
            ("on: 1\n", json!("line 1: PyYAML does not read this key as text: put quotes around it")),
            ("? [a]\n: 1\n", json!("line 1: a list or map cannot be a key")),
            ("<<: 1\n", json!("line 1: `<<` takes a map, or a list of maps")),
            ("a: 1\n---\nb: 1\n", json!("line 2: a config is one YAML document, and here another begins")),
            ("# nothing\n", json!("the file holds nothing")),
        ] {
            check(yaml, expected);
        }
    }

    #[test]
    fn values_and_comments_know_their_lines() {
        let loaded = load("# top\n- a: 1 # one\n  b:\n  # before c\n  - c\n").expect("YAML");
        assert_eq!(loaded.tree.line_of(&["0", "b", "0"]), 5);
        let comments: Vec<_> = loaded.comments.iter().map(|c| (c.line, c.is_beside, &*c.text)).collect();
        assert_eq!(comments, [(1, false, "top"), (2, true, "one"), (4, false, "before c")]);
        // An alias stands where it is used.
        let loaded = load("- &a [x]\n-\n  - *a\n").expect("YAML");
        assert_eq!(loaded.tree.line_of(&["1", "0"]), 3);
    }

    #[test]
    fn bombs_are_complaints() {
        use std::fmt::Write;
        let mut bomb = "- &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for i in 1..9 {
            let _ = writeln!(bomb, "- &a{i} [{}]", vec![format!("*a{}", i - 1); 10].join(","));
        }
        let mut ladder = "- &a0 [x]\n".to_owned();
        for i in 1..10_000 {
            let _ = writeln!(ladder, "- &a{i} [*a{}]", i - 1);
        }
        for yaml in [
            bomb,
            ladder,
            "[".repeat(100_000),
            "- ".repeat(100_000),
            "&a [*a]".to_owned(),
            "[x,".repeat(100) + &"]".repeat(100),
        ] {
            assert!(load(&yaml).is_err());
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(yaml in "[-a-z0-9:.,'\"\\[\\]{}&*!#|>?%@ \\t\\n<=_+e]{0,60}") {
            let _ = load(&yaml);
        }
    }
}
