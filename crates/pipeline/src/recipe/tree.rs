//! YAML with the line of every value, so that a complaint can name it.

use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};
use serde_saphyr::Spanned;

/// A value of a YAML document and the line it stands on (from 1; 0 for values that come from elsewhere, such as
/// a `--set`).
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    pub line: u64,
    pub node: Node,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    List(Vec<Tree>),
    Map(IndexMap<String, Tree>),
}

/// YAML that cannot be read.
#[derive(Debug)]
pub struct YamlError {
    pub line: u64,
    pub message: String,
}

/// Reads one YAML document. Aliases, depth and size are bounded, so that a bomb is an error.
pub fn parse(yaml: &str) -> Result<Tree, YamlError> {
    let mut options = serde_saphyr::Options::default();
    options.strict_booleans = true;
    options.with_snippet = false;
    match serde_saphyr::from_str_with_options::<Spanned<Node>>(yaml, options) {
        Ok(spanned) => Ok(Tree::from(spanned)),
        Err(error) => {
            let line = error.location().map_or(0, |l| l.line());
            let message = error.to_string();
            // The place is told once, by whoever prints the error.
            let message = message.lines().next().unwrap_or_default();
            let message = message.split(" at line ").next().unwrap_or(message).trim_start_matches("error: ");
            Err(YamlError { line, message: message.to_owned() })
        }
    }
}

impl From<Spanned<Node>> for Tree {
    fn from(spanned: Spanned<Node>) -> Self {
        Self { line: spanned.referenced.line(), node: spanned.value }
    }
}

impl Tree {
    #[must_use]
    pub fn to_value(&self) -> Value {
        match &self.node {
            Node::Null => Value::Null,
            Node::Bool(b) => Value::Bool(*b),
            Node::Number(n) => Value::Number(n.clone()),
            Node::String(s) => Value::String(s.clone()),
            Node::List(list) => Value::Array(list.iter().map(Tree::to_value).collect()),
            Node::Map(map) => Value::Object(map.iter().map(|(k, v)| (k.clone(), v.to_value())).collect()),
        }
    }

    /// The line of the value that a path leads to, or of the last value on the way that has one.
    #[must_use]
    pub fn line_of<S: AsRef<str>>(&self, path: &[S]) -> u64 {
        let mut at = self;
        let mut line = self.line;
        for name in path {
            let next = match &at.node {
                Node::Map(map) => map.get(name.as_ref()),
                Node::List(list) => name.as_ref().parse::<usize>().ok().and_then(|i| list.get(i)),
                _ => None,
            };
            let Some(next) = next else { break };
            at = next;
            line = at.line.max(line);
        }
        line
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<Node, D::Error> {
        Node::deserialize(d)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Node, E> {
        Ok(Node::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Node, E> {
        Ok(Node::Number(v.into()))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Node, E> {
        Ok(Node::Number(v.into()))
    }

    fn visit_f64<E: de::Error>(self, v: f64) -> Result<Node, E> {
        Number::from_f64(v).map(Node::Number).ok_or_else(|| E::custom("a number must be finite"))
    }

    fn visit_str<E>(self, v: &str) -> Result<Node, E> {
        Ok(Node::String(v.to_owned()))
    }

    fn visit_string<E>(self, v: String) -> Result<Node, E> {
        Ok(Node::String(v))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = seq.next_element::<Spanned<Node>>()? {
            list.push(Tree::from(item));
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = IndexMap::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value::<Spanned<Node>>()?;
            entries.insert(key, Tree::from(value));
        }
        Ok(Node::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_knows_its_line() {
        let tree = parse("a: 1\nb:\n  - x: [no, yes]\n  - y: 0.65\n").expect("YAML");
        assert_eq!(tree.to_value(), serde_json::json!({"a": 1, "b": [{"x": ["no", "yes"]}, {"y": 0.65}]}));
        assert_eq!(tree.line_of(&["a"]), 1);
        assert_eq!(tree.line_of(&["b", "1", "y"]), 4);
        assert_eq!(tree.line_of(&["b", "0", "x", "1"]), 3);
        assert_eq!(tree.line_of(&["b", "7"]), 3);
    }

    #[test]
    fn bad_yaml_is_an_error_with_a_line() {
        for (yaml, line) in [("a: 1\na: 2\n", 2), ("a: [1\nb: 2\n", 2), ("a: .nan\n", 1)] {
            let error = parse(yaml).expect_err(yaml);
            assert_eq!(error.line, line, "{yaml:?}: {}", error.message);
        }
    }

    #[test]
    fn a_bomb_is_an_error() {
        let mut yaml = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for i in 1..12 {
            use std::fmt::Write;
            let _ = writeln!(yaml, "a{i}: &a{i} [{}]", vec![format!("*a{}", i - 1); 10].join(","));
        }
        assert!(parse(&yaml).is_err());
        assert!(parse(&"[".repeat(100_000)).is_err());
    }
}
