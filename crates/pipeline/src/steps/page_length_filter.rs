//! `page_length_filter`

use super::shared::check_bounds;
use super::shared::sentences::{NltkVersion, SentenceTokenizer, Sentences};
use super::word_counter_enricher::Model;
use crate::resources::Wanted;
use crate::step::{Context, Semantics};
use crate::{BuildError, Built, Step, Text, Verdict};
use gristmill_filters::python;
use gristmill_filters::sentences::SentenceSplitter;
use gristmill_filters::splitter::Splitter;
use schemars::JsonSchema;
use serde::Deserialize;

pub struct PageLengthFilter;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// What is counted.
    length_type: LengthType,
    #[serde(default = "one")]
    min_length: u64,
    #[serde(default)]
    max_length: Option<u64>,
    /// For words: how they are told [fasttext].
    #[serde(default)]
    model: Option<Model>,
    /// For words: leave out those that start with no letter or digit [false].
    #[serde(default)]
    ignore_punctuation: Option<bool>,
    /// For words: leave out those of white space [true].
    #[serde(default)]
    ignore_whitespace: Option<bool>,
    /// For lines and paragraphs: leave out blank ones [true].
    #[serde(default)]
    remove_empty: Option<bool>,
    /// For sentences: how they are told [rule; with `semantics: dclm` blingfire].
    #[serde(default)]
    tokenizer: Option<SentenceTokenizer>,
    /// For sentences by `nltk`: `en` or `english` for its trained model, punkt_tab.zip; anything else for an untrained one.
    #[serde(default)]
    tokenizer_lang: Option<String>,
    /// For sentences by `nltk`: which releases of it to do as [from_3_10].
    #[serde(default)]
    nltk_version: Option<NltkVersion>,
    #[serde(default)]
    semantics: Semantics,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum LengthType {
    Char,
    Word,
    Sentence,
    Line,
    Paragraph,
}

fn one() -> u64 {
    1
}

impl Params {
    fn sentences(&self) -> Sentences {
        let language = self.tokenizer_lang.as_deref();
        Sentences::new(self.tokenizer, language, self.nltk_version, self.semantics)
    }

    fn length(&self, text: &mut Text, sentences: &SentenceSplitter) -> usize {
        match self.length_type {
            LengthType::Char => python::len(text.as_str()),
            LengthType::Word => Splitter {
                model: self.model.unwrap_or_default().into(),
                ignore_punctuation: self.ignore_punctuation.unwrap_or(false),
                ignore_whitespace: self.ignore_whitespace.unwrap_or(true),
            }
            .count(text),
            LengthType::Sentence => sentences.split(text.as_str()).len(),
            LengthType::Line if self.remove_empty.unwrap_or(true) => text.survey().lines,
            LengthType::Line => text.survey().newlines + 1,
            LengthType::Paragraph => {
                let keep_blank = !self.remove_empty.unwrap_or(true);
                text.as_str().split("\n\n").filter(|part| keep_blank || !python::is_blank(part)).count()
            }
        }
    }
}

impl Step for PageLengthFilter {
    const NAME: &'static str = "page_length_filter";
    const DOC: &'static str = "Keeps pages with at least `min_length` and at most `max_length` characters, words, sentences, lines or paragraphs.\n\n\
        Words are fastText's by default: a blank does not end at a no-break space, each newline is a word `</s>`, and with \
        `ignore_punctuation` a word that starts with a quote or bracket does not count. Characters are code points.\n\n\
        Sentences are told by `tokenizer`. `blingfire`: as BlingFire 0.1.8 does; its model is `sbd.bin` (microsoft/BlingFire, ldbsrc/ldb). \
        `nltk`: as NLTK's Punkt does; the trained model for English is `punkt_tab.zip` (nltk/nltk_data, packages/tokenizers). `rule`: by a \
        rule of our own that needs no model, and counts as either of them to 5 % or one sentence on about four of five pages.\n\n\
        `semantics: dclm`: without `tokenizer`, blingfire. `fixed`: without `tokenizer`, rule, so that no model is needed.";
    const ORIGIN: &'static str = "mlfoundations/dclm, baselines/mappers/filters/content_filters.py";
    const EXAMPLE: &'static str =
        "{length_type: word, min_length: 50, max_length: 100000, ignore_punctuation: true}";
    const HAS_SEMANTICS: bool = true;
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        check_bounds(params.min_length, params.max_length)?;
        let of_words = params.model.is_some()
            || params.ignore_punctuation.is_some()
            || params.ignore_whitespace.is_some();
        let of_sentences =
            params.tokenizer.is_some() || params.tokenizer_lang.is_some() || params.nltk_version.is_some();
        match params.length_type {
            LengthType::Word | LengthType::Line | LengthType::Paragraph if of_sentences => {
                Err(BuildError::new("tokenizer, tokenizer_lang and nltk_version are for sentences"))
            }
            LengthType::Sentence if params.remove_empty == Some(false) => {
                Err(BuildError::new("remove_empty: false is not to be had for sentences, in DCLM neither"))
            }
            LengthType::Word if params.remove_empty.is_some() => {
                Err(BuildError::new("remove_empty is for lines and paragraphs"))
            }
            LengthType::Sentence | LengthType::Line | LengthType::Paragraph if of_words => {
                Err(BuildError::new("model, ignore_punctuation and ignore_whitespace are for words"))
            }
            _ => Ok(()),
        }
    }

    fn resources(params: &Params) -> Vec<Wanted> {
        match params.length_type {
            LengthType::Sentence => params.sentences().wanted().into_iter().collect(),
            _ => Vec::new(),
        }
    }

    fn build(params: &Params, cx: &Context) -> Result<Built, BuildError> {
        let params = params.clone();
        let sentences = match params.length_type {
            LengthType::Sentence => params.sentences().load(cx.resources)?,
            _ => SentenceSplitter::Rule,
        };
        Ok(Built::text(move |text, _| {
            let length = params.length(text, &sentences) as u64;
            if length < params.min_length {
                return Verdict::dropped("too short");
            }
            Verdict::keep_if(params.max_length.is_none_or(|max| length <= max), "too long")
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep, outcome};

    #[test]
    fn bounds_are_inclusive() {
        let page = r#"{"text":"“a” b, c\n \n\nd"}"#;
        for (params, expected) in [
            ("length_type: char, min_length: 13, max_length: 13", ""),
            ("length_type: char, min_length: 14", "drop: too short"),
            ("length_type: line, min_length: 2, max_length: 2", ""),
            ("length_type: line, remove_empty: false, min_length: 4", ""),
            ("length_type: paragraph, min_length: 2, max_length: 2", ""),
            ("length_type: sentence, max_length: 1", ""),
            ("length_type: sentence, tokenizer: rule, min_length: 2", "drop: too short"),
            ("length_type: sentence, tokenizer: nltk, max_length: 1", ""),
            ("length_type: word, model: split, min_length: 4, max_length: 4", ""),
            ("length_type: word, max_length: 3, model: split", "drop: too long"),
            ("length_type: word, min_length: 9", "drop: too short"),
            ("length_type: word, remove_empty: true", "refused: remove_empty is for lines and paragraphs"),
            (
                "length_type: line, min_length: 3, max_length: 2",
                "refused: nothing is at least 3 and at most 2",
            ),
        ] {
            let expected = if expected.is_empty() { keep(page) } else { expected.to_owned() };
            check(&format!("page_length_filter: {{{params}}}"), page, expected);
        }
    }

    #[test]
    fn sentences_are_told_in_many_ways() {
        let page = r#"{"text":"By J. Bach. “Well.” Mr. X."}"#;
        let sentences = |number: u32, params: &str| {
            format!(
                "page_length_filter: {{length_type: sentence, min_length: {number}, max_length: {number}, {params}}}"
            )
        };
        check(&sentences(3, "semantics: fixed"), page, keep(page));
        check(&sentences(4, "tokenizer: nltk"), page, keep(page));
        check(&sentences(3, "tokenizer: nltk, nltk_version: before_3_10"), page, keep(page));
        for (params, model) in [
            ("semantics: dclm", "sbd.bin"),
            ("tokenizer: blingfire", "sbd.bin"),
            ("tokenizer: nltk, tokenizer_lang: en", "punkt_tab.zip"),
            ("tokenizer: nltk, tokenizer_lang: english, semantics: dclm", "punkt_tab.zip"),
        ] {
            let missing = outcome(&[], &sentences(1, params), page);
            assert!(missing.contains(&format!("resource {model:?} is not there")), "{params}: {missing}");
            let wrong = outcome(&[(model, b"no model")], &sentences(1, params), page);
            assert!(wrong.contains("cannot be used"), "{params}: {wrong}");
        }
    }

    #[test]
    fn trap_t4_words_are_fasttexts() {
        // Three newlines are three words `</s>`; a no-break space is part of a word; what starts with a quote is punctuation.
        let page = "{\"text\":\"\\\"Hello a\u{a0}b (see)\\n\\n\\n7\"}";
        let words = |n: usize, ignore: bool| {
            format!(
                "page_length_filter: {{length_type: word, min_length: {n}, max_length: {n}, ignore_punctuation: {ignore}}}"
            )
        };
        check(&words(7, false), page, keep(page));
        check(&words(2, true), page, keep(page));
    }
}
