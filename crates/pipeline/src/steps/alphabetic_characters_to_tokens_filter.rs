//! `alphabetic_characters_to_tokens_filter`

use crate::resources::Wanted;
use crate::step::Context;
use crate::{BuildError, Built, Step, Verdict};
use gristmill_filters::python;
use gristmill_tokenize::Tokenizer;
use schemars::JsonSchema;
use serde::Deserialize;

pub struct AlphabeticCharactersToTokensFilter;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// A Hugging Face tokenizer: the file of a `tokenizer.json`, or the name of a model, whose tokenizer is `NAME.json` or
    /// `NAME/tokenizer.json`, with or without the owner before the name.
    tokenizer_name: String,
    /// Fewer alphabetic characters for each token drop the page: in spite of its name, a minimum.
    max_ratio: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self { tokenizer_name: "EleutherAI/pythia-6.9b-deduped".to_owned(), max_ratio: 1.5 }
    }
}

impl Params {
    fn wanted(&self) -> Wanted {
        let name = &self.tokenizer_name;
        if name.contains("://") || name.ends_with(".json") {
            return Wanted::named(name);
        }
        let model = name.rsplit('/').next().unwrap_or(name);
        let mut candidates = vec![format!("{model}.json"), format!("{name}/tokenizer.json")];
        if model != name {
            candidates.push(format!("{model}/tokenizer.json"));
        }
        Wanted { name: name.clone(), candidates }
    }
}

impl Step for AlphabeticCharactersToTokensFilter {
    const NAME: &'static str = "alphabetic_characters_to_tokens_filter";
    const DOC: &'static str = "Drops pages with few letters for each token of a language model, as files of data have.\n\n\
        Letters are those of `str.isalpha()`; tokens are counted without special ones being added. An empty text is dropped.";
    const ORIGIN: &'static str =
        "RedPajama-Data v1, github; mlfoundations/dclm, baselines/mappers/filters/content_filters.py";
    const EXAMPLE: &'static str = "{tokenizer_name: EleutherAI/pythia-6.9b-deduped}";
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        if params.tokenizer_name.is_empty() {
            return Err(BuildError::new("tokenizer_name is empty; name a model or a tokenizer.json"));
        }
        Ok(())
    }

    fn resources(params: &Params) -> Vec<Wanted> {
        vec![params.wanted()]
    }

    fn build(params: &Params, cx: &Context) -> Result<Built, BuildError> {
        let resource = cx.resources.get(&params.tokenizer_name)?;
        let tokenizer = cx.resources.shared(&format!("tokenizer {}", params.tokenizer_name), || {
            Tokenizer::load((*resource.bytes).as_ref())
                .map_err(|error| BuildError::new(format!("{}: {error}", resource.found)))
        })?;
        let max_ratio = params.max_ratio;
        Ok(Built::text(move |text, _| {
            let text = text.as_str();
            if text.is_empty() {
                return Verdict::dropped("no text");
            }
            match tokenizer.count(text) {
                Ok(0) => Verdict::broken("no tokens"),
                Ok(tokens) => {
                    let letters = text.chars().filter(|&char| python::is_alpha(char)).count();
                    // Not the same as at least: what is no number passes, as in Python.
                    let is_low = (letters as f64 / tokens as f64) < max_ratio;
                    Verdict::keep_if(!is_low, "few letters for its tokens")
                }
                Err(_) => Verdict::broken("cannot be tokenized"),
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::check::{check, check_with, keep};

    /// Every word is a token, every mark between words another.
    const WORDS: &str = r#"{
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null, "post_processor": null, "decoder": null,
        "pre_tokenizer": {"type": "Whitespace"},
        "model": {"type": "WordLevel", "vocab": {"[UNK]": 0}, "unk_token": "[UNK]"}
    }"#;

    #[test]
    fn letters_are_weighed_against_tokens() {
        let step = "alphabetic_characters_to_tokens_filter: {tokenizer_name: words.json, max_ratio: 2}";
        let page = |text: &str| format!(r#"{{"text":"{text}"}}"#);
        for (text, is_kept) in [
            ("ab cd", true),
            ("abc d", true),
            ("ab c", false),
            ("12 345", false),
            ("éßx , ab!", false),
            ("日本語 x", true),
        ] {
            let expected =
                if is_kept { keep(&page(text)) } else { "drop: few letters for its tokens".to_owned() };
            check_with(&[("words.json", WORDS)], step, &page(text), expected);
        }
        check_with(&[("words.json", WORDS)], step, &page(""), "drop: no text");
        check_with(&[("words.json", WORDS)], step, &page(" "), "broken: no tokens");
    }

    #[test]
    fn refusals() {
        let step = "alphabetic_characters_to_tokens_filter: {tokenizer_name: x.json}";
        check_with(
            &[("x.json", "[")],
            step,
            "{}",
            "refused: x.json: not JSON: EOF while parsing a list at line 1 column 1",
        );
        check(
            "alphabetic_characters_to_tokens_filter: {tokenizer_name: ''}",
            "{}",
            "refused: tokenizer_name is empty; name a model or a tokenizer.json",
        );
    }

    #[test]
    fn names_of_models_are_files() {
        let candidates = |name: &str| {
            Params { tokenizer_name: name.to_owned(), ..Params::default() }.wanted().candidates.join(" ")
        };
        assert_eq!(candidates("a/b"), "b.json a/b/tokenizer.json b/tokenizer.json");
        assert_eq!(candidates("b"), "b.json b/tokenizer.json");
        assert_eq!(candidates("models/x.json"), "models/x.json");
        assert_eq!(candidates("https://x.example/b#sha256=00"), "https://x.example/b#sha256=00");
    }
}
