//! `refinedweb_linewise_filter`

use super::shared::{OneOrMany, apply, check_share};
use crate::step::Context;
use crate::{BuildError, Built, Step, Verdict};
use gristmill_filters::phrases::{LinePhrases, Location, Syntax};
use gristmill_filters::refinedweb::{Corrected, LineCorrections};
use schemars::JsonSchema;
use serde::Deserialize;

pub struct RefinedwebLinewiseFilter;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// The share of capitals in a line's characters, at most.
    max_uppercase_ratio: f64,
    /// Take out lines of digits.
    remove_numeric_lines: bool,
    /// Take out lines such as `3 likes`.
    remove_counter_lines: bool,
    /// Words of a line, at least; empty lines stay.
    min_words_per_line: usize,
    /// Words of a line from which phrases are cut, at most.
    max_words_to_edit: usize,
    /// Phrases cut off the beginnings of such lines, in any case.
    prefixes: OneOrMany,
    /// Phrases cut off their ends.
    suffixes: OneOrMany,
    /// Phrases cut out of them anywhere.
    substrings: OneOrMany,
    /// The share of a page's words that goes, at most.
    max_removed_ratio: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            max_uppercase_ratio: 0.5,
            remove_numeric_lines: true,
            remove_counter_lines: true,
            min_words_per_line: 2,
            max_words_to_edit: 10,
            prefixes: OneOrMany::One("sign-in".to_owned()),
            suffixes: OneOrMany::One("Read more...".to_owned()),
            substrings: OneOrMany::One("items in cart".to_owned()),
            max_removed_ratio: 0.05,
        }
    }
}

impl Params {
    fn corrections(&self) -> Result<LineCorrections, BuildError> {
        let list = |phrases: &OneOrMany, location| {
            LinePhrases::new(&phrases.to_vec(), location, Syntax::Literal, true)
                .map_err(|error| BuildError::new(error.to_string()))
        };
        Ok(LineCorrections {
            max_uppercase_ratio: self.max_uppercase_ratio,
            remove_numeric_lines: self.remove_numeric_lines,
            remove_counter_lines: self.remove_counter_lines,
            min_words_per_line: self.min_words_per_line,
            max_words_to_edit: self.max_words_to_edit,
            phrases: [
                list(&self.prefixes, Location::Prefix)?,
                list(&self.suffixes, Location::Suffix)?,
                list(&self.substrings, Location::Any)?,
            ],
            max_removed_ratio: self.max_removed_ratio,
        })
    }
}

impl Step for RefinedwebLinewiseFilter {
    const NAME: &'static str = "refinedweb_linewise_filter";
    const DOC: &'static str = "RefinedWeb's line-wise corrections: takes out lines that are no prose, cuts boilerplate off short ones, drops pages with much of either.\n\n\
        Lines go that are mainly capitals, only digits, a counter (`3 likes`) or one word. The paper gives one example of each phrase and says \
        \"mainly\" for half; the lists are yours to lengthen. Compared with the page's words is what was taken out; words are what white \
        space separates. DCLM has the same as nine steps, from `uppercase_ratio_line_modifier` to `word_removal_ratio_filter`.";
    const ORIGIN: &'static str = "RefinedWeb, arXiv 2306.01116, appendix G.2";
    const EXAMPLE: &'static str = "{prefixes: [sign-in, log in], max_removed_ratio: 0.05}";
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        for list in [&params.prefixes, &params.suffixes, &params.substrings] {
            if list.to_vec().iter().any(String::is_empty) {
                return Err(BuildError::new("an empty phrase is in every line"));
            }
        }
        check_share("max_uppercase_ratio", params.max_uppercase_ratio)?;
        check_share("max_removed_ratio", params.max_removed_ratio)
    }

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let corrections = params.corrections()?;
        Ok(Built::text(move |text, _| match corrections.correct(text.as_str()) {
            Corrected::Text(edit) => apply(text, edit),
            Corrected::Dropped => Verdict::dropped("many corrections"),
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn lines_are_corrected() {
        let page = r#"{"text":"Home\nThis is a page\nand log in here\nRead more..."}"#;
        check("refinedweb_linewise_filter", page, "drop: many corrections");
        let kept = keep(r#"{"text":"This is a page\nand log in here"}"#);
        check("refinedweb_linewise_filter: {max_removed_ratio: 1}", page, kept);
        let kept = keep(r#"{"text":"Home\nThis is a page\nand here\nRead more..."}"#);
        let step = "refinedweb_linewise_filter: {max_removed_ratio: 1, min_words_per_line: 1, suffixes: [], substrings: log in}";
        check(step, page, kept);
        check(
            "refinedweb_linewise_filter: {prefixes: ''}",
            page,
            "refused: an empty phrase is in every line",
        );
        check("refinedweb_linewise_filter", r#"{"text":""}"#, "drop: nothing left");
    }
}
