//! `massive_web_repetition_filters`

use crate::step::Context;
use crate::{BuildError, Built, Step, Verdict};
use gristmill_filters::repetition::{Excess, Scratch, massive_web};
use schemars::JsonSchema;
use serde::Deserialize;

pub struct MassiveWebRepetitionFilters;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Leave out the tests on paragraphs.
    skip_paragraph: bool,
}

impl Step for MassiveWebRepetitionFilters {
    const NAME: &'static str = "massive_web_repetition_filters";
    const DOC: &'static str = "Drops pages that repeat themselves: the thirteen tests of Gopher.\n\n\
        Dropped is what goes beyond: lines or paragraphs that come more than once, all copies counted, 0.30 of their number or 0.20 of \
        their characters; the characters of the most common 2-, 3- and 4-gram, 0.20, 0.18 and 0.16; characters in any repeated n-gram \
        of 5 to 10 words, 0.15, 0.14, 0.13, 0.12, 0.11 and 0.10. Words are those of Unicode's rules that start with a letter or digit. A \
        single line passes the tests on lines; a blank page is dropped.";
    const ORIGIN: &'static str =
        "Gopher, arXiv 2112.11446, table A1; mlfoundations/dclm, baselines/mappers/filters/content_filters.py";
    const EXAMPLE: &'static str = "{}";
    type Params = Params;

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let skip_paragraph = params.skip_paragraph;
        let mut scratch = Scratch::default();
        Ok(Built::text(move |text, _| match massive_web(text, skip_paragraph, &mut scratch) {
            Ok(()) => Verdict::Keep,
            Err(Excess::Empty) => Verdict::dropped("empty"),
            Err(Excess::Lines) => Verdict::dropped("duplicate lines"),
            Err(Excess::Paragraphs) => Verdict::dropped("duplicate paragraphs"),
            Err(Excess::TopNgram(_)) => Verdict::dropped("top n-gram"),
            Err(Excess::Ngrams(_)) => Verdict::dropped("duplicate n-grams"),
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn each_test_has_its_reason() {
        for (text, expected) in [
            ("", "drop: empty"),
            (r" \n ", "drop: duplicate lines"),
            (r"one\ntwo\none\nthree", "drop: duplicate lines"),
            (r"one\n\ntwo\n\none", "drop: duplicate lines"),
            ("one two and one two", "drop: top n-gram"),
            ("alone", ""),
            ("a quick brown fox jumps over it, a quick brown fox jumps high", "drop: top n-gram"),
            ("every word here is said once, so that nothing at all comes again", ""),
        ] {
            let page = format!(r#"{{"text":"{text}"}}"#);
            let expected = if expected.is_empty() { keep(&page) } else { expected.to_owned() };
            check("massive_web_repetition_filters", &page, expected);
        }
        let lines: Vec<String> = (0..17).map(|n| format!("line{n} number{n}")).collect();
        let page = format!(r#"{{"text":"a b\nc d\n\na b\nc d\n\n{}"}}"#, lines.join(r"\n"));
        check("massive_web_repetition_filters: {skip_paragraph: true}", &page, keep(&page));
        check("massive_web_repetition_filters", &page, "drop: duplicate paragraphs");
    }
}
