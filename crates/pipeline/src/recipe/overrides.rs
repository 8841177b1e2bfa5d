//! `--set key.path=value`.

use super::tree::{self, Node, Tree};
use indexmap::IndexMap;

/// Why an override does not apply.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverrideError {
    #[error("write key.path=value")]
    NoValue,
    #[error("the value is not YAML: {0}")]
    BadValue(String),
    #[error("{0:?} is not there; steps are named by their number from 0 or, where it stands once, by name")]
    NotThere(String),
    #[error("step {0:?} stands more than once; name it by its number from 0")]
    Ambiguous(String),
    #[error("{0:?} is a plain value and has nothing below it")]
    Leaf(String),
}

/// Applies one override. Maps on the way are made where they are missing; list entries must be there. In the list
/// of steps an entry is named by its number or its step's name, and its parameters lie right below it:
/// `steps.language_filter.threshold=0.7`.
pub fn set(tree: &mut Tree, text: &str) -> Result<(), OverrideError> {
    let (path, value) = text.split_once('=').ok_or(OverrideError::NoValue)?;
    let value = if value.is_empty() {
        Tree { line: 0, node: Node::String(String::new()) }
    } else {
        let mut value = tree::parse(value).map_err(|e| OverrideError::BadValue(e.message))?;
        forget_lines(&mut value);
        value
    };
    let mut at = tree;
    let mut walked: Vec<&str> = Vec::new();
    for name in path.split('.') {
        if name.is_empty() {
            return Err(OverrideError::NotThere(path.to_owned()));
        }
        at = child(at, name, &walked)?;
        walked.push(name);
    }
    *at = value;
    Ok(())
}

fn child<'t>(at: &'t mut Tree, name: &str, walked: &[&str]) -> Result<&'t mut Tree, OverrideError> {
    if matches!(at.node, Node::Null) {
        at.node = Node::Map(IndexMap::new());
    }
    match &mut at.node {
        Node::Map(map) => {
            // Below a step's number its name may be left out.
            let below_step = walked.len() == 2 && walked.first() == Some(&"steps");
            if below_step && map.len() == 1 && !map.contains_key(name) {
                let (_, params) =
                    map.get_index_mut(0).ok_or_else(|| OverrideError::NotThere(name.to_owned()))?;
                return child(params, name, &[]);
            }
            Ok(map.entry(name.to_owned()).or_insert(Tree { line: 0, node: Node::Null }))
        }
        Node::List(list) => {
            let index = match name.parse::<usize>() {
                Ok(index) => index,
                Err(_) => by_step_name(list, name)?,
            };
            let entry = list.get_mut(index).ok_or_else(|| OverrideError::NotThere(name.to_owned()))?;
            // A bare step name becomes a map that can take parameters.
            if walked == ["steps"]
                && let Node::String(step) = &entry.node
            {
                let params = Tree { line: entry.line, node: Node::Null };
                entry.node = Node::Map(IndexMap::from([(step.clone(), params)]));
            }
            Ok(entry)
        }
        _ => Err(OverrideError::Leaf(walked.join("."))),
    }
}

fn by_step_name(list: &[Tree], name: &str) -> Result<usize, OverrideError> {
    let mut found = list.iter().enumerate().filter(|(_, entry)| match &entry.node {
        Node::String(step) => step == name,
        Node::Map(map) => map.len() == 1 && map.contains_key(name),
        _ => false,
    });
    match (found.next(), found.next()) {
        (Some((index, _)), None) => Ok(index),
        (Some(_), Some(_)) => Err(OverrideError::Ambiguous(name.to_owned())),
        (None, _) => Err(OverrideError::NotThere(name.to_owned())),
    }
}

fn forget_lines(tree: &mut Tree) {
    let mut open = vec![tree];
    while let Some(tree) = open.pop() {
        tree.line = 0;
        match &mut tree.node {
            Node::List(list) => open.extend(list),
            Node::Map(map) => open.extend(map.values_mut()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(overrides: &[&str], expected: Result<serde_json::Value, OverrideError>) {
        let yaml = "name: a\nsteps:\n- b\n- c: {x: 1}\n- d:\n- d: {y: 2}\n";
        let mut tree = tree::parse(yaml).expect("YAML");
        let result = overrides.iter().try_for_each(|o| set(&mut tree, o)).map(|()| tree.to_value());
        assert_eq!(result, expected, "{overrides:?}");
    }

    #[test]
    fn overrides() {
        let steps = json!(["b", {"c": {"x": 1}}, {"d": null}, {"d": {"y": 2}}]);
        check(&["name=b"], Ok(json!({"name": "b", "steps": steps})));
        check(&["output.path=/x=y"], Ok(json!({"name": "a", "steps": steps, "output": {"path": "/x=y"}})));
        check(
            &["steps.c.x=[1, 2]", "steps.b.z=true", "steps.2.q=0.5", "steps.3.d.y=3"],
            Ok(
                json!({"name": "a", "steps": [{"b": {"z": true}}, {"c": {"x": [1, 2]}}, {"d": {"q": 0.5}}, {"d": {"y": 3}}]}),
            ),
        );
        check(&["name"], Err(OverrideError::NoValue));
        check(&["name.x=1"], Err(OverrideError::Leaf("name".to_owned())));
        check(&["steps.d.y=1"], Err(OverrideError::Ambiguous("d".to_owned())));
        check(&["steps.9.y=1"], Err(OverrideError::NotThere("9".to_owned())));
        check(&["steps.e.y=1"], Err(OverrideError::NotThere("e".to_owned())));
    }
}
