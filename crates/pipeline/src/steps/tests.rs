//! What must hold for every step of the list.

mod properties;

use super::ALL;
use crate::recipe::{parse_steps, schema, tree};
use std::collections::HashSet;

#[test]
fn names_are_unique_and_documented() {
    let mut seen = HashSet::new();
    for def in ALL {
        assert!(seen.insert(def.name), "{} stands twice in the list", def.name);
        assert!(def.summary().ends_with('.'), "{}: the first line of the doc is one sentence", def.name);
        assert!(def.origin.len() > 10, "{} needs a source", def.name);
        assert!(
            def.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
            "{}",
            def.name
        );
    }
}

#[test]
fn examples_are_accepted_and_unknown_keys_are_not() {
    for def in ALL {
        let parse = |yaml: &str| {
            let mut complaints = Vec::new();
            let list = tree::parse(yaml).unwrap_or_else(|e| panic!("{}: {}", def.name, e.message));
            parse_steps(&list, &mut complaints);
            complaints
        };
        assert_eq!(parse(&format!("- {}: {}", def.name, def.example)), [], "{}", def.name);
        let complaints = parse(&format!("- {}:\n    surely_unknown: 1", def.name));
        assert!(complaints.iter().any(|c| c.line == 2), "{} takes unknown parameters", def.name);
    }
}

#[test]
fn the_schema_names_every_step() {
    let schema = schema().to_string();
    for def in ALL {
        assert!(schema.contains(&format!("\"{}\"", def.name)));
    }
}
