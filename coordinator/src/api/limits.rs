//! How large a request may be. What is larger is refused before anything looks at it.

use crate::service::ServiceError;
use std::collections::BTreeMap;

/// A message on the wire.
pub(super) const MESSAGE_MAX: usize = 4 << 20;
/// Connections at once.
pub(super) const CONNECTIONS_MAX: usize = 1024;
/// Requests at once on one connection.
pub(super) const STREAMS_MAX: u32 = 128;
/// Requests that parse recipes or list inputs at once; others wait for their turn.
pub(super) const PLANNING_MAX: usize = 8;
/// All headers of a request.
pub(super) const HEADERS_MAX: u32 = 16 << 10;

const RECIPE_MAX: usize = 1 << 20;
const OVERRIDES_MAX: usize = 256;
const OVERRIDES_BYTES_MAX: usize = 64 << 10;
const LABELS_MAX: usize = 64;
const LABEL_NAME_MAX: usize = 63;
const LABEL_VALUE_MAX: usize = 256;
const KEY_MAX: usize = 256;
const REASON_MAX: usize = 1024;
const TOKEN_MAX: usize = 256;
const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1000;

fn most(field: &'static str, found: usize, most: usize, what: &str) -> Result<(), ServiceError> {
    if found <= most {
        return Ok(());
    }
    Err(ServiceError::Invalid { field, why: format!("{found} {what}, and at most {most} are allowed") })
}

pub(super) fn recipe(recipe: &str, overrides: &[String]) -> Result<(), ServiceError> {
    most("recipe", recipe.len(), RECIPE_MAX, "bytes")?;
    most("overrides", overrides.len(), OVERRIDES_MAX, "overrides")?;
    most("overrides", overrides.iter().map(String::len).sum(), OVERRIDES_BYTES_MAX, "bytes")
}

pub(super) fn labels(labels: &BTreeMap<String, String>) -> Result<(), ServiceError> {
    most("labels", labels.len(), LABELS_MAX, "labels")?;
    for (name, value) in labels {
        if name.is_empty() {
            return Err(ServiceError::Invalid { field: "labels", why: "a label needs a name".to_owned() });
        }
        most("labels", name.len(), LABEL_NAME_MAX, "bytes in the name of a label")?;
        most("labels", value.len(), LABEL_VALUE_MAX, "bytes in the value of a label")?;
    }
    Ok(())
}

pub(super) fn key(key: &str) -> Result<(), ServiceError> {
    most("key", key.len(), KEY_MAX, "bytes")
}

pub(super) fn reason(reason: &str) -> Result<(), ServiceError> {
    most("reason", reason.len(), REASON_MAX, "bytes")
}

pub(super) fn page_token(token: &str) -> Result<(), ServiceError> {
    most("page_token", token.len(), TOKEN_MAX, "bytes")
}

/// As many entries as asked for, within what a page may have.
pub(super) fn page_size(asked: u32) -> usize {
    match asked as usize {
        0 => PAGE_DEFAULT,
        asked => asked.min(PAGE_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(result: Result<(), ServiceError>) -> String {
        result.err().map(|e| e.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let check = |result: Result<(), ServiceError>, expected: &str| assert_eq!(said(result), expected);
        let long = |n: usize| "x".repeat(n);
        let label = |name: usize, value: usize| BTreeMap::from([(long(name), long(value))]);
        check(recipe(&long(1 << 20), &vec![String::new(); 256]), "");
        check(recipe(&long((1 << 20) + 1), &[]), "recipe: 1048577 bytes, and at most 1048576 are allowed");
        check(recipe("", &vec![String::new(); 257]), "overrides: 257 overrides, and at most 256 are allowed");
        check(recipe("", &[long(70_000)]), "overrides: 70000 bytes, and at most 65536 are allowed");
        check(labels(&label(63, 256)), "");
        check(labels(&label(0, 1)), "labels: a label needs a name");
        check(labels(&label(64, 1)), "labels: 64 bytes in the name of a label, and at most 63 are allowed");
        check(
            labels(&label(1, 257)),
            "labels: 257 bytes in the value of a label, and at most 256 are allowed",
        );
        let many = (0..65).map(|n| (n.to_string(), String::new())).collect();
        check(labels(&many), "labels: 65 labels, and at most 64 are allowed");
        check(key(&long(257)), "key: 257 bytes, and at most 256 are allowed");
        check(reason(&long(1025)), "reason: 1025 bytes, and at most 1024 are allowed");
        check(page_token(&long(257)), "page_token: 257 bytes, and at most 256 are allowed");
    }

    #[test]
    fn pages_have_their_bounds() {
        for (asked, expected) in [(0, 100), (1, 1), (1000, 1000), (1001, 1000), (u32::MAX, 1000)] {
            assert_eq!(page_size(asked), expected);
        }
    }

    /// What a recipe grows to is bounded by those who read it.
    #[test]
    fn recipes_that_grow_are_refused_soon() {
        let check = |yaml: &str, expected: &str| {
            let began = std::time::Instant::now();
            let error = gristmill_pipeline::Recipe::parse(yaml, &[]).err().expect("refused").to_string();
            assert!(error.contains(expected), "{error}");
            assert!(began.elapsed().as_secs() < 5, "{expected:?} took {:?}", began.elapsed());
        };
        let bomb = (1..12).fold("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned(), |yaml, level| {
            let aliases = vec![format!("*a{}", level - 1); 10].join(",");
            format!("{yaml}a{level}: &a{level} [{aliases}]\n")
        });
        check(&bomb, "line ");
        check(&"[".repeat(1 << 20), "line 1");
        check(
            &format!("name: a\nsteps:\n{}", "- x\n".repeat(1001)),
            "1001 steps, and at most 1000 are allowed",
        );
        let long = format!("- {}\n", "x".repeat(1000)).repeat(1000);
        check(&format!("name: a\nsteps:\n{long}"), "there is no step");
    }
}
