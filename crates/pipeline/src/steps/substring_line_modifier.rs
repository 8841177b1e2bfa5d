//! `substring_line_modifier`

use super::shared::{Location, OneOrMany, apply};
use crate::step::{Context, Semantics};
use crate::{BuildError, Built, Step};
use gristmill_filters::lines::{Ends, edit, has_length};
use gristmill_filters::phrases::{LinePhrases, Syntax};
use gristmill_filters::python::is_blank;
use schemars::JsonSchema;
use serde::Deserialize;
use std::borrow::Cow;

pub struct SubstringLineModifier;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The phrases.
    banlist: OneOrMany,
    #[serde(default)]
    case_sensitive: bool,
    /// Where in the line they stand.
    #[serde(default)]
    location: Location,
    /// Look only at lines of at most so many words.
    #[serde(default)]
    max_length: Option<usize>,
    /// Take out the phrase, not the line.
    #[serde(default)]
    remove_substring_only: bool,
    #[serde(default)]
    semantics: Semantics,
}

impl Params {
    fn phrases(&self) -> Result<LinePhrases, BuildError> {
        let syntax = match self.semantics {
            Semantics::Dclm => Syntax::Pattern,
            Semantics::Fixed => Syntax::Literal,
        };
        LinePhrases::new(&self.banlist.to_vec(), self.location.into(), syntax, !self.case_sensitive)
            .map_err(|error| BuildError::new(error.to_string()))
    }
}

impl Step for SubstringLineModifier {
    const NAME: &'static str = "substring_line_modifier";
    const DOC: &'static str = "Takes out lines with a phrase, or the phrase from the line.\n\n\
        With `remove_substring_only` one white space beside the phrase goes with it, and the line goes if it is blank then; lines that \
        were blank before, though not empty, go as well. White space at both ends of the text goes, and a text of nothing else is dropped.\n\n\
        `semantics: dclm`: phrases are patterns, since DCLM does not escape them: `Read more...` is also `Read more!!!`. `fixed`: they \
        are what they say.";
    const ORIGIN: &'static str =
        "RefinedWeb, arXiv 2306.01116, appendix G.2; mlfoundations/dclm, baselines/mappers/modifiers.py";
    const EXAMPLE: &'static str = "{banlist: Read more..., location: suffix, max_length: 10, remove_substring_only: true}";
    const HAS_SEMANTICS: bool = true;
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        let phrases = params.banlist.to_vec();
        if phrases.is_empty() || phrases.iter().any(String::is_empty) {
            return Err(BuildError::new("an empty phrase is in every line"));
        }
        params.phrases().map(|_| ())
    }

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let phrases = params.phrases()?;
        let params = params.clone();
        Ok(Built::text(move |text, _| {
            // Most pages have no phrase at all; their blank lines go just the same.
            let occurs = phrases.may_occur(text.as_str());
            let edit = edit(text.as_str(), Ends::Strip, |line| change(line, occurs, &phrases, &params));
            apply(text, edit)
        }))
    }
}

/// What becomes of a line.
fn change<'t>(line: &'t str, occurs: bool, phrases: &LinePhrases, params: &Params) -> Option<Cow<'t, str>> {
    if params.remove_substring_only && !line.is_empty() && is_blank(line) {
        return None;
    }
    let looked_at = occurs
        && phrases.may_occur(line)
        && params.max_length.is_none_or(|max| line.is_empty() || has_length(line, 0, max));
    if !looked_at {
        return Some(Cow::Borrowed(line));
    }
    if params.remove_substring_only {
        let new = phrases.delete(line);
        return (line.is_empty() || !is_blank(&new)).then_some(new);
    }
    (!phrases.is_match(line)).then_some(Cow::Borrowed(line))
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn phrases_or_lines_go() {
        let page = r#"{"text":"Sign-in\nplease sign-in now\n\nsign-in here"}"#;
        for (params, expected) in [
            ("", r"\n"),
            ("location: prefix", "please sign-in now"),
            ("location: suffix, remove_substring_only: true", r"please sign-in now\n\nsign-in here"),
            ("remove_substring_only: true", r"please now\n\n here"),
            ("remove_substring_only: true, max_length: 2", r"please sign-in now\n\n here"),
            ("case_sensitive: true", r"please sign-in now\n\nsign-in here"),
        ] {
            let banlist = if params.contains("case") { "Sign-in" } else { "sign-in" };
            let step = format!("substring_line_modifier: {{banlist: {banlist}, {params}}}");
            if expected == r"\n" {
                check(&step, page, "drop: nothing left");
            } else {
                check(&step, page, keep(&format!(r#"{{"text":"{expected}"}}"#)));
            }
        }
        check("substring_line_modifier: {banlist: ['']}", page, "refused: an empty phrase is in every line");
    }

    #[test]
    fn trap_t3_phrases_are_patterns() {
        let step = |semantics: &str| {
            format!("substring_line_modifier: {{banlist: Read more..., location: suffix, remove_substring_only: true, semantics: {semantics}}}")
        };
        let page = r#"{"text":"a read more>>>\nb Read more..."}"#;
        check(&step("dclm"), page, keep(r#"{"text":"a\nb"}"#));
        check(&step("fixed"), page, keep(r#"{"text":"a read more>>>\nb"}"#));
        check(
            "substring_line_modifier: {banlist: ['a(b'], semantics: dclm}",
            page,
            "refused: \"\\\\s?(?:a(b)\" is no usable pattern: unclosed group",
        );
    }
}
