//! A recipe as text that people read and keep: one step a line where it fits, comments above it.

use crate::recipe::tree::{Node, Tree};
use std::fmt::Write as _;

/// Longer steps have a line for each parameter.
const WIDTH: usize = 110;

/// A line of its own, `#` in front, at the depth of the steps.
pub(super) fn comment(out: &mut String, indent: &str, text: &str) {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let _ = writeln!(out, "{indent}# {}", text.trim());
}

/// An entry of the list of steps.
pub(super) fn step(out: &mut String, step: &Tree) {
    let line = format!("  - {}", unbraced(step));
    let (Node::Map(map), true) = (&step.node, line.chars().count() > WIDTH) else {
        let _ = writeln!(out, "{line}");
        return;
    };
    for (name, params) in map {
        let _ = writeln!(out, "  - {}:", scalar(name));
        if let Node::Map(params) = &params.node {
            for (name, value) in params {
                param(out, name, value);
            }
        }
    }
}

/// A parameter on a line of its own, or several for a long list.
fn param(out: &mut String, name: &str, value: &Tree) {
    let line = format!("      {}: {}", scalar(name), flow(value));
    let (Node::List(list), true) = (&value.node, line.chars().count() > WIDTH) else {
        let _ = writeln!(out, "{line}");
        return;
    };
    if list.iter().any(|entry| matches!(&entry.node, Node::String(text) if is_block(text))) {
        let _ = writeln!(out, "      {}:", scalar(name));
        for entry in list {
            match &entry.node {
                Node::String(text) if is_block(text) => {
                    let lines = text.lines().map(|line| format!("          {line}\n"));
                    let _ = write!(out, "        - |\n{}", lines.collect::<String>());
                }
                _ => _ = writeln!(out, "        - {}", flow(entry)),
            }
        }
        return;
    }
    let mut line = format!("      {}: [", scalar(name));
    for (place, entry) in list.iter().enumerate() {
        let entry = format!("{}{}", flow(entry), if place + 1 < list.len() { "," } else { "]" });
        if place > 0 && line.chars().count() + entry.chars().count() >= WIDTH {
            let _ = writeln!(out, "{}", line.trim_end());
            line = " ".repeat(8);
        }
        line.push_str(&entry);
        line.push(' ');
    }
    let _ = writeln!(out, "{}", line.trim_end());
}

/// A step on one line: `name`, or `name: {parameters}`.
fn unbraced(step: &Tree) -> String {
    match &step.node {
        Node::Map(map) => entries(map),
        _ => flow(step),
    }
}

fn entries(map: &indexmap::IndexMap<String, Tree>) -> String {
    let entries: Vec<String> =
        map.iter().map(|(name, value)| format!("{}: {}", scalar(name), flow(value))).collect();
    entries.join(", ")
}

/// A value on one line.
pub(super) fn flow(tree: &Tree) -> String {
    match &tree.node {
        Node::Null => "null".to_owned(),
        Node::Bool(yes) => yes.to_string(),
        Node::Number(number) => number.to_string(),
        Node::String(text) => scalar(text),
        Node::List(list) => format!("[{}]", list.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Node::Map(map) => format!("{{{}}}", entries(map)),
    }
}

/// A text, in quotes where it could be read as something else: by this program or by any that reads YAML.
pub(super) fn scalar(text: &str) -> String {
    let plain_start = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '/');
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "_./:#=@+- ".contains(c));
    let ambiguous =
        text.ends_with([' ', ':']) || text.contains(": ") || text.contains(" #") || is_word_of_yaml(text);
    if plain_start && plain && !ambiguous { text.to_owned() } else { quoted(text) }
}

fn is_word_of_yaml(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    matches!(
        &*lower,
        "null"
            | "true"
            | "false"
            | "yes"
            | "no"
            | "on"
            | "off"
            | "y"
            | "n"
            | "none"
            | "nan"
            | "inf"
            | "infinity"
    )
}

/// In double quotes, with nothing in them that does not print.
fn quoted(text: &str) -> String {
    let mut out = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            _ if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') || is_private(c) => {
                let _ = write!(out, "\\U{:08x}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Whether a text can stand as it is, line by line.
fn is_block(text: &str) -> bool {
    let plain = text.chars().all(|c| c == '\n' || c == ' ' || c.is_ascii_graphic());
    let lines = text.lines().count() > 1 && text.lines().all(|line| !line.trim().is_empty());
    plain && lines && text.ends_with('\n') && !text.starts_with(' ')
}

/// What YAML does not count among the characters that print.
fn is_private(c: char) -> bool {
    matches!(c, '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::tree;
    use indexmap::IndexMap;
    use proptest::prelude::*;

    fn tree(node: Node) -> Tree {
        Tree { line: 0, node }
    }

    #[test]
    fn steps_read_well() {
        for (yaml, expected) in [
            ("move_url_modifier", "  - move_url_modifier\n"),
            (
                "language_filter: {keep_languages: [en, 'no'], threshold: 0.65}",
                "  - language_filter: {keep_languages: [en, \"no\"], threshold: 0.65}\n",
            ),
            (
                "split_lines_modifier: {delimiter: \"\\n\"}",
                "  - split_lines_modifier: {delimiter: \"\\n\"}\n",
            ),
            (
                "substring_filter: {banlist: ['{', \"a: b\", '-']}",
                "  - substring_filter: {banlist: [\"{\", \"a: b\", \"-\"]}\n",
            ),
        ] {
            let mut out = String::new();
            step(&mut out, &tree::parse(yaml).expect("YAML"));
            assert_eq!(out, expected);
        }
        let long = format!("a: {{b: {}, c: 1}}", "x".repeat(WIDTH));
        let mut out = String::new();
        step(&mut out, &tree::parse(&long).expect("YAML"));
        assert_eq!(out, format!("  - a:\n      b: {}\n      c: 1\n", "x".repeat(WIDTH)));
        let list = ["x"; 60].join(", ");
        let mut out = String::new();
        step(&mut out, &tree::parse(&format!("a: {{b: [{list}]}}")).expect("YAML"));
        assert_eq!(
            out,
            format!("  - a:\n      b: [{},\n        {}]\n", ["x"; 33].join(", "), ["x"; 27].join(", "))
        );
    }

    #[test]
    fn programs_stand_line_by_line() {
        let program = format!("for x in y:\n    print({})\n", "x".repeat(WIDTH));
        let command = serde_json::json!({"a": {"command": ["python3", "-c", program]}}).to_string();
        let command = tree::parse(&command).expect("YAML");
        let mut out = String::new();
        step(&mut out, &command);
        let expected = "  - a:\n      command:\n        - python3\n        - \"-c\"\n        - |\n          for x in y:\n              print(";
        assert!(out.starts_with(expected), "{out}");
        assert_eq!(tree::parse(&out).expect("YAML").to_value(), serde_json::json!([command.to_value()]));
    }

    #[test]
    fn a_comment_stays_one() {
        let mut out = String::new();
        comment(&mut out, "  ", "a\nb: 1\r\u{85}c ");
        assert_eq!(out, "  # a b: 1  c\n");
    }

    fn values() -> impl Strategy<Value = Node> {
        let text = prop_oneof![
            "[-a-z0-9:.,'\"#&*!|>?%@~ _/=+{}\\[\\]]{0,12}",
            "([-a-z:# ]{0,40}\n){1,4}",
            any::<String>(),
            prop::sample::select(vec![
                "null", "Yes", "1e3", "~", "<<", "0x1", ".inf", "- a", "a #b", "\u{feff}", "\u{85}"
            ])
            .prop_map(str::to_owned),
        ];
        let leaf = prop_oneof![
            Just(Node::Null),
            any::<bool>().prop_map(Node::Bool),
            any::<i64>().prop_map(|n| Node::Number(n.into())),
            any::<f64>().prop_filter_map("finite", |n| serde_json::Number::from_f64(n).map(Node::Number)),
            text.clone().prop_map(Node::String),
        ];
        leaf.prop_recursive(3, 16, 4, move |inner| {
            let entry = (text.clone(), inner.clone().prop_map(tree));
            prop_oneof![
                prop::collection::vec(inner.prop_map(tree), 0..4).prop_map(Node::List),
                prop::collection::vec(entry, 0..4)
                    .prop_map(|entries| Node::Map(IndexMap::from_iter(entries))),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(value in values(), name in "[a-z]{1,60}") {
            let wanted = tree(Node::Map(IndexMap::from_iter([(name, tree(Node::Map(IndexMap::from_iter([("p".to_owned(), tree(value))]))))])));
            let mut out = String::new();
            step(&mut out, &wanted);
            let read = tree::parse(&out).expect("YAML");
            prop_assert_eq!(read.to_value(), serde_json::json!([wanted.to_value()]), "{}", out);
        }
    }
}
