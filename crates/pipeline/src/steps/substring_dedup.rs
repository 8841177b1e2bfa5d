//! `substring_dedup`

use crate::step::{Context, Kind, Spans, Way};
use crate::{BuildError, Built, Document, Step, Verdict};
use gristmill_dedup::substring::{self, Finder};
use schemars::JsonSchema;
use serde::Deserialize;

pub struct SubstringDedup;

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Shorter repetitions stay.
    min_length: usize,
    /// What that is counted in: `tokens` (the pieces between Unicode word bounds that are not white space) or `chars`.
    unit: Unit,
}

impl Default for Params {
    fn default() -> Self {
        Self { min_length: 50, unit: Unit::Tokens }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Unit {
    Tokens,
    Chars,
}

impl Step for SubstringDedup {
    const NAME: &'static str = "substring_dedup";
    const DOC: &'static str = "Takes out every span of text that occurred before, wherever in the corpus, if it is long enough.\n\n\
        Of `min_length` units in a row that occur more than once the first occurrence stays: that in the document with the smallest record \
        id, and there the first. Everything that other occurrences cover is cut out, so that a repeated span goes to its very ends. \
        An occurrence that overlaps with the first one (in a text that repeats itself at once) stays. A cut reaches to the next token, white \
        space included. A document is dropped if nothing is left of it.\n\n\
        The rule is exact, and global: no suffix array is built, and nothing has to fit in memory. The spans are found by sampled anchors, of \
        which two equal windows always have the same, and where those repeat by every window. Tokens are compared byte for byte, white space \
        between them is not; windows are compared by 128 bits of hash, as contents are in `exact_dedup`.";
    const ORIGIN: &'static str =
        "Lee et al., arXiv 2107.06499 (50 tokens, all but one copy); winnowing: Schleimer et al., SIGMOD 2003";
    const EXAMPLE: &'static str = "{min_length: 50, unit: tokens}";
    const KIND: Kind = Kind::Barrier;
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        params.spans(0).finder().map(|_| ())
    }

    fn way(_params: &Params) -> Way {
        Way::Spans
    }

    fn build(params: &Params, cx: &Context) -> Result<Built, BuildError> {
        Ok(Built::Spans(params.spans(cx.seed)))
    }
}

impl Params {
    fn spans(self, seed: u64) -> Spans {
        let unit = match self.unit {
            Unit::Tokens => substring::Unit::Tokens,
            Unit::Chars => substring::Unit::Chars,
        };
        Spans { length: self.min_length, unit, seed }
    }
}

const NOTHING_LEFT: &str = "nothing left";

impl Spans {
    /// Finds what must be found in texts.
    pub fn finder(&self) -> Result<Finder, BuildError> {
        Finder::new(self.length, self.unit, self.seed).map_err(|error| BuildError::new(error.to_string()))
    }

    /// Takes the windows at these places, which are in order, out of a document. Gives also the number of spans that they make.
    pub fn remove(&self, doc: &mut Document, windows: &[u32], finder: &mut Finder) -> (Verdict, u64) {
        let Some(text) = &mut doc.text else { return (Verdict::Keep, 0) };
        let spans = finder.spans(text.as_str(), windows);
        let left = substring::cut(text.as_str(), &spans);
        let verdict = Verdict::keep_if(!left.trim().is_empty(), NOTHING_LEFT);
        text.set(left);
        (verdict, spans.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::find;
    use serde_json::json;

    #[test]
    fn windows_are_taken_out() {
        let spans = Params { min_length: 2, unit: Unit::Tokens }.spans(0);
        let mut finder = spans.finder().expect("possible");
        for (windows, left, verdict, taken) in [
            (&[1][..], "a d e", Verdict::Keep, 1),
            (&[0, 1, 3], "", Verdict::dropped("nothing left"), 1),
            (&[0, 3], "c ", Verdict::Keep, 2),
        ] {
            let mut doc = Document::from_json(r#"{"text":"a b c d e"}"#, String::new).expect("a record");
            assert_eq!(spans.remove(&mut doc, windows, &mut finder), (verdict, taken));
            assert_eq!(doc.text.as_ref().map(crate::Text::as_str), Some(left));
        }
        let parsed = find("substring_dedup").expect("a step").parse(&json!({"min_length": 1}));
        assert!(parsed.is_err_and(|error| error.message.contains("take 2 to 1000")));
    }
}
