//! Lines or paragraphs that were there before.

use super::Edit;
use crate::python;
use std::borrow::Cow;
use std::collections::HashSet;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granularity {
    Line,
    Paragraph,
}

/// Keeps the first of equal lines or paragraphs, and all that are empty (after normalising). `normalize` compares them stripped and in
/// lower case. Unlike other edits, an empty result is a text: it is never [`Edit::Gone`].
#[must_use]
pub fn without_repeats(text: &str, granularity: Granularity, normalize: bool) -> Edit {
    let separator = match granularity {
        Granularity::Line => "\n",
        Granularity::Paragraph => "\n\n",
    };
    let mut seen: HashSet<Cow<str>, rustc_hash::FxBuildHasher> = HashSet::default();
    let mut out = String::new();
    let mut kept_any = false;
    for part in text.split(separator) {
        let key = if normalize { python::lower(python::strip(part)) } else { Cow::Borrowed(part) };
        if !key.is_empty() && !seen.insert(key) {
            continue;
        }
        if kept_any {
            out.push_str(separator);
        }
        out.push_str(part);
        kept_any = true;
    }
    if out.len() == text.len() { Edit::Unchanged } else { Edit::Changed(out) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_copy_stays() {
        for (text, granularity, normalize, expected) in [
            ("a\nA \n\n\nb", Granularity::Line, true, "a\n\n\nb"),
            ("a\nA \nb", Granularity::Line, false, "a\nA \nb"),
            ("x\n\nx\n\n\ny", Granularity::Paragraph, true, "x\n\n\ny"),
            ("x\n\n\n\n\n\nx", Granularity::Paragraph, false, "x\n\n\n\n"),
            ("", Granularity::Line, true, ""),
        ] {
            let got = match without_repeats(text, granularity, normalize) {
                Edit::Changed(new) => new,
                _ => text.to_owned(),
            };
            assert_eq!(got, expected, "{text:?}");
        }
    }
}
