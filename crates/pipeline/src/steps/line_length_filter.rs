//! `line_length_filter`

use crate::step::Context;
use crate::{BuildError, Built, Step, Verdict};
use gristmill_filters::python;
use schemars::JsonSchema;
use serde::Deserialize;

pub struct LineLengthFilter;

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// The longest line, or lines on average.
    length_type: LengthType,
    /// Characters, at most.
    max_length: f64,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum LengthType {
    Max,
    Avg,
}

impl Default for Params {
    fn default() -> Self {
        Self { length_type: LengthType::Max, max_length: 1000.0 }
    }
}

impl Step for LineLengthFilter {
    const NAME: &'static str = "line_length_filter";
    const DOC: &'static str = "Drops pages with long lines, such as minified code.\n\n\
        Lines are Python's `splitlines()`, which knows ten line ends; an empty page is dropped.";
    const ORIGIN: &'static str = "RedPajama-Data v1, github; mlfoundations/dclm, baselines/mappers/filters/content_filters.py";
    const EXAMPLE: &'static str = "{length_type: max, max_length: 1000}";
    type Params = Params;

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let params = *params;
        Ok(Built::text(move |text, _| {
            let (mut lines, mut longest, mut total) = (0_usize, 0, 0);
            for line in python::lines(text.as_str()) {
                let len = python::len(line);
                lines += 1;
                longest = longest.max(len);
                total += len;
            }
            if lines == 0 {
                return Verdict::dropped("empty");
            }
            let length = match params.length_type {
                LengthType::Max => longest as f64,
                LengthType::Avg => total as f64 / lines as f64,
            };
            Verdict::keep_if(length <= params.max_length, "long lines")
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn lines_are_measured() {
        for (params, text, expected) in [
            ("length_type: max, max_length: 3", r"äöü\r\na", ""),
            ("length_type: max, max_length: 3", r"abcd\na", "drop: long lines"),
            ("length_type: avg, max_length: 2", r"abc\u0085a", ""),
            ("length_type: avg, max_length: 2", r"abcd\na", "drop: long lines"),
            ("max_length: 2", "", "drop: empty"),
        ] {
            let page = format!(r#"{{"text":"{text}"}}"#);
            let outcome = crate::steps::check::outcome(&[], &format!("line_length_filter: {{{params}}}"), &page);
            assert_eq!(outcome.split(": ").next(), if expected.is_empty() { Some("keep") } else { Some("drop") }, "{text}");
        }
        check("line_length_filter", r#"{"text":"a"}"#, keep(r#"{"text":"a"}"#));
    }
}
