//! `c4_badwords_filter`

use super::shared::{check_share, read_list};
use crate::resources::Wanted;
use crate::step::Context;
use crate::{BuildError, Built, Step, Verdict};
use gristmill_filters::datatrove::BadWords;
use gristmill_filters::sampling::is_sampled;
use schemars::JsonSchema;
use serde::Deserialize;

pub struct C4BadwordsFilter;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The list, one word or phrase a line: C4 takes that of the page's language from LDNOOBW.
    banlist_from_fname: String,
    /// The list's language: in `ja`, `th` and `zh` words are found anywhere, else only whole ones.
    #[serde(default = "english")]
    language: String,
    /// The share of pages with bad words to keep, chosen by their ids.
    #[serde(default)]
    keep_fraction: f64,
}

fn english() -> String {
    "en".to_owned()
}

impl Step for C4BadwordsFilter {
    const NAME: &'static str = "c4_badwords_filter";
    const DOC: &'static str = "Drops pages with a word from a list of dirty, naughty, obscene and otherwise bad words.";
    const ORIGIN: &'static str = "C4, arXiv 1910.10683, 2.2; LDNOOBW/List-of-Dirty-Naughty-Obscene-and-Otherwise-Bad-Words; \
        huggingface/datatrove 0.10.1, pipeline/filters/c4_filters.py";
    const EXAMPLE: &'static str = "{banlist_from_fname: ldnoobw/en, keep_fraction: 0.0}";
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        check_share("keep_fraction", params.keep_fraction)
    }

    fn resources(params: &Params) -> Vec<Wanted> {
        vec![Wanted::named(&params.banlist_from_fname)]
    }

    fn build(params: &Params, cx: &Context) -> Result<Built, BuildError> {
        let words = cx.resources.shared(&format!("c4_badwords_filter {params:?}"), || {
            let list = read_list(cx.resources, &params.banlist_from_fname)?;
            BadWords::new(list.iter().map(String::as_str), &params.language)
                .ok_or_else(|| BuildError::new(format!("{} is too long a list", params.banlist_from_fname)))
        })?;
        let (keep, seed) = (params.keep_fraction, cx.seed);
        Ok(Built::map(move |doc| {
            let bad = doc.text.as_ref().is_some_and(|text| words.is_match(text.as_str()));
            Verdict::keep_if(!bad || is_sampled(&doc.id, seed, keep), "bad words")
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check_with, keep};

    #[test]
    fn bad_words_drop_the_page() {
        let lists = [("en", "bad\nworse one\n")];
        for (text, dropped) in [("so Bad", true), ("badge", false), ("a worse one!", true)] {
            let page = format!(r#"{{"text":"{text}"}}"#);
            let expected = if dropped { "drop: bad words".to_owned() } else { keep(&page) };
            check_with(&lists, "c4_badwords_filter: {banlist_from_fname: en}", &page, expected);
            let all = "c4_badwords_filter: {banlist_from_fname: en, keep_fraction: 1}";
            check_with(&lists, all, &page, keep(&page));
        }
    }
}
