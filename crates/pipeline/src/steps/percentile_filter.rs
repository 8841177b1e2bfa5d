//! `percentile_filter`

use super::shared::check_keys;
use crate::selection::{Missing, Of, Scores};
use crate::step::{Context, Kind, Needs};
use crate::{BuildError, Built, Selection, Step, Verdict};
use gristmill_classify::quantile::{Share, Ties};
use schemars::JsonSchema;
use serde::Deserialize;

pub struct PercentileFilter;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The field with the score. A dot leads into an object.
    key: String,
    /// Where the range begins: of all documents so many have lower scores and go.
    #[serde(default = "none")]
    #[schemars(with = "String", regex(pattern = r"^[0-9]+(\.[0-9]{1,7})?%$"))]
    from: Share,
    /// Where it ends: the documents above go.
    #[serde(default = "all")]
    #[schemars(with = "String", regex(pattern = r"^[0-9]+(\.[0-9]{1,7})?%$"))]
    to: Share,
    /// What percentiles are of: `documents`, `bytes` of text, or `{field: NAME}`.
    #[serde(default)]
    of: Of,
    /// Look at each group by itself: each `domain`, `language`, or what a field says.
    #[serde(default)]
    by: Option<String>,
    /// Of documents with the score at which the range begins or ends: `split` divides them by a hash of their ids, `keep` lets all of them be above
    /// that place, `drop` all below.
    #[serde(default)]
    #[schemars(with = "String", extend("enum" = ["split", "keep", "drop"]))]
    ties: Ties,
    /// What becomes of documents without a number in the field, or in that of `of`: `broken`, `drop` or `keep`. They have no percentile.
    #[serde(default)]
    missing: Missing,
}

fn none() -> Share {
    Share::parts(0, 1)
}

fn all() -> Share {
    Share::parts(1, 1)
}

impl Step for PercentileFilter {
    const NAME: &'static str = "percentile_filter";
    const DOC: &'static str = "Keeps documents whose score lies between two percentiles of the corpus.\n\n\
        Percentiles are exact ranks among all documents that come here, from the lowest score (0%) to the highest (100%). The manifest names the \
        scores at which the range begins and ends, in all or for each group.";
    const ORIGIN: &'static str =
        "CCNet, arXiv 1911.00359 (head, middle and tail by percentiles of perplexity, of each language)";
    const EXAMPLE: &'static str = "{key: perplexity, to: 30%, by: language}";
    const KIND: Kind = Kind::Selection;
    const NEEDS: Needs = Needs::Nothing;
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        check_keys(std::slice::from_ref(&params.key))?;
        if params.from >= params.to {
            return Err(BuildError::new(format!("nothing lies from {} to {}", params.from, params.to)));
        }
        if params.from == none() && params.to.is_whole() {
            return Err(BuildError::new("everything lies from 0% to 100%; give from, to or both"));
        }
        Ok(())
    }

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        Ok(Built::Selection(Selection {
            scores: Scores {
                keys: vec![params.key.clone()],
                lower_better: false,
                by: params.by.clone(),
                of: params.of.clone(),
            },
            // What lies above where the range begins, and above where it ends.
            shares: vec![params.from.complement(), params.to.complement()],
            ties: params.ties,
            missing: params.missing,
            decide: Box::new(|_, levels| match levels {
                [0] => Verdict::dropped("below the range"),
                [1] => Verdict::Keep,
                _ => Verdict::dropped("above the range"),
            }),
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::resources::Resources;
    use crate::step::Context;
    use crate::steps::find;
    use crate::{Built, Document};
    use serde_json::json;

    #[test]
    fn the_range_is_between_two_shares() {
        let step = find("percentile_filter").expect("a step");
        let parsed = step.parse(&json!({"key": "q", "from": "50%", "to": "90%"})).expect("fits");
        let cx = Context { resources: &Resources::default(), seed: 0 };
        let Ok(Built::Selection(mut selection)) = parsed.build(&cx) else { panic!("it selects") };
        assert_eq!(selection.shares.iter().map(ToString::to_string).collect::<Vec<_>>(), ["50%", "10%"]);
        let kept =
            [0, 1, 2].map(|level| selection.decide(&mut Document::default(), &[Some(level)]).is_keep());
        assert_eq!(kept, [false, true, false]);
        for (from, to, complaint) in [
            ("50%", "50%", "nothing lies"),
            ("90%", "10%", "nothing lies"),
            ("0%", "100%", "everything lies"),
            ("0%", "x", "no share"),
        ] {
            let refused = step.parse(&json!({"key": "q", "from": from, "to": to})).err().expect("a refusal");
            assert!(refused.message.contains(complaint), "{from} {to}: {}", refused.message);
        }
    }
}
