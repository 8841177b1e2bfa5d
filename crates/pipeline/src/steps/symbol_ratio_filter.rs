//! `symbol_ratio_filter`

use crate::step::Context;
use crate::{BuildError, Built, Step, Verdict};
use gristmill_filters::survey::symbols;
use schemars::JsonSchema;
use serde::Deserialize;

pub struct SymbolRatioFilter;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Symbols per word, at most.
    max_symbol_to_word_ratio: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self { max_symbol_to_word_ratio: 0.1 }
    }
}

impl Step for SymbolRatioFilter {
    const NAME: &'static str = "symbol_ratio_filter";
    const DOC: &'static str = "Drops pages with many hashes and ellipses per word.\n\n\
        Symbols are `#`, `...`, `. . .` and `…`; words are what lies between white space. A page without words is dropped.";
    const ORIGIN: &'static str =
        "Gopher, arXiv 2112.11446, A.1.1; mlfoundations/dclm, baselines/mappers/filters/content_filters.py";
    const EXAMPLE: &'static str = "{max_symbol_to_word_ratio: 0.1}";
    type Params = Params;

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let max = params.max_symbol_to_word_ratio;
        Ok(Built::text(move |text, _| {
            let words = text.survey().words;
            let ratio = symbols(text.as_str()) as f64 / words as f64;
            Verdict::keep_if(words > 0 && ratio <= max, "symbols")
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn the_ratio_may_be_reached() {
        let step = "symbol_ratio_filter: {max_symbol_to_word_ratio: 0.5}";
        for (text, kept) in [("# a", true), ("## a", false), ("a... b", true), ("", false), ("a", true)] {
            let page = format!(r#"{{"text":"{text}"}}"#);
            check(step, &page, if kept { keep(&page) } else { "drop: symbols".to_owned() });
        }
    }
}
