//! `word_counter_enricher`

use super::shared::{add_field, check_key};
use crate::step::Context;
use crate::{BuildError, Built, Step};
use gristmill_filters::splitter::{self, Splitter};
use schemars::JsonSchema;
use serde::Deserialize;

pub struct WordCounterEnricher;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// The field that holds the count.
    key: String,
    /// Replace a field that is there; otherwise such a page is broken.
    overwrite: bool,
    /// How words are told.
    model: Model,
    /// Leave out words that start with no letter or digit.
    ignore_punctuation: bool,
    /// Leave out words of white space.
    ignore_whitespace: bool,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            key: "word_count".to_owned(),
            overwrite: false,
            model: Model::default(),
            ignore_punctuation: true,
            ignore_whitespace: true,
        }
    }
}

/// How words are told: by fastText's tokenizer, by Unicode's rules, or as Python's `str.split()` does.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    #[default]
    Fasttext,
    Uniseg,
    Split,
}

impl From<Model> for splitter::Model {
    fn from(model: Model) -> Self {
        match model {
            Model::Fasttext => Self::Fasttext,
            Model::Uniseg => Self::Uniseg,
            Model::Split => Self::Split,
        }
    }
}

impl Step for WordCounterEnricher {
    const NAME: &'static str = "word_counter_enricher";
    const DOC: &'static str = "Writes the number of words into a field.\n\nWords are told as in `page_length_filter`.";
    const ORIGIN: &'static str = "mlfoundations/dclm, baselines/mappers/enrichers/enrichers.py";
    const EXAMPLE: &'static str = "{key: previous_word_count}";
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        check_key(&params.key)
    }

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let Params { key, overwrite, model, ignore_punctuation, ignore_whitespace } = params.clone();
        let splitter = Splitter { model: model.into(), ignore_punctuation, ignore_whitespace };
        Ok(Built::text(move |text, fields| add_field(fields, &key, overwrite, splitter.count(text))))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn the_count_is_a_field() {
        check("word_counter_enricher", r#"{"text":"a b. (c"}"#, keep(r#"{"text":"a b. (c","word_count":2}"#));
        check("word_counter_enricher: {key: n}", r#"{"text":"a","n":null}"#, "broken: field n is there already");
        check(
            "word_counter_enricher: {key: n, overwrite: true, ignore_punctuation: false}",
            r#"{"n":0,"text":"a (b\n"}"#,
            keep(r#"{"n":3,"text":"a (b\n"}"#),
        );
        check("word_counter_enricher: {key: text}", "{}", "refused: the field `text` is the document's text; choose another key");
    }
}
