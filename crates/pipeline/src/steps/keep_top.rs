//! `keep_top`

use super::shared::{OneOrMany, check_keys};
use crate::selection::{Missing, Of, Scores};
use crate::step::{Context, Kind, Needs};
use crate::{BuildError, Built, Selection, Step, Verdict};
use gristmill_classify::quantile::{Share, Ties};
use schemars::JsonSchema;
use serde::Deserialize;

pub struct KeepTop;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The field with the score, or a list of such. A dot leads into an object.
    #[serde(default = "quality")]
    key: OneOrMany,
    /// How much stays, rounded up: `10%`, `2.5%`.
    #[schemars(with = "String", regex(pattern = r"^[0-9]+(\.[0-9]{1,7})?%$"))]
    share: Share,
    /// What the share is of: `documents`, `bytes` of text, or `{field: NAME}`, such as the tokens of a document. The best stay until their sum
    /// reaches it.
    #[serde(default)]
    of: Of,
    /// Keep the share of each group by itself: of each `domain` (the host of `url`), `language` (of `language_id_whole_page_fasttext`,
    /// else `language`), or field.
    #[serde(default)]
    by: Option<String>,
    /// Of several scores: keep what one of them has in its share (`union`), or what all have (`intersection`).
    #[serde(default)]
    combine: Combine,
    /// The lowest scores are the best.
    #[serde(default)]
    lower_better: bool,
    /// Of documents with the score at which the share ends: `split` keeps as many as fit, chosen by a hash of their ids (those of one
    /// id stay or go together), `keep` keeps all, `drop` none unless all fit.
    #[serde(default)]
    #[schemars(with = "String", extend("enum" = ["split", "keep", "drop"]))]
    ties: Ties,
    /// What becomes of documents without a number in a field, that of `of` too: `broken`, `drop` or `keep`. They are not among those that the
    /// share is of.
    #[serde(default)]
    missing: Missing,
}

fn quality() -> OneOrMany {
    OneOrMany::One("fasttext_hq_prob".to_owned())
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Combine {
    #[default]
    Union,
    Intersection,
}

impl Step for KeepTop {
    const NAME: &'static str = "keep_top";
    const DOC: &'static str = "Keeps the best share of all documents of the corpus by a score.\n\n\
        The share is exact, of all documents that come here, and the bound is found in the same job: no threshold has to be known. `keep_top: 10%` is \
        short for `keep_top: {share: 10%}`, with the field that `classify_fasttext_hq_prob_enricher` writes. The manifest names the score at \
        which the share ends, in all or for each group; `quality_filter` with that threshold keeps the same of other data, and all documents \
        that have this very score.";
    const ORIGIN: &'static str = "DCLM, arXiv 2406.11794 (the best 10% by a fastText classifier)";
    const EXAMPLE: &'static str = "{key: fasttext_oh_eli5_vs_rw_v2_prob, share: 10%}";
    const KIND: Kind = Kind::Selection;
    const NEEDS: Needs = Needs::Nothing;
    const SHORT: Option<&'static str> = Some("share");
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        check_keys(&params.key.to_vec())
    }

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let combine = params.combine;
        Ok(Built::Selection(Selection {
            scores: Scores {
                keys: params.key.to_vec(),
                lower_better: params.lower_better,
                by: params.by.clone(),
                of: params.of.clone(),
            },
            shares: vec![params.share],
            ties: params.ties,
            missing: params.missing,
            decide: Box::new(move |_, levels| {
                let mut within = levels.iter().map(|level| *level > 0);
                let kept = match combine {
                    Combine::Union => within.any(|within| within),
                    Combine::Intersection => within.all(|within| within),
                };
                Verdict::keep_if(kept, "below the share")
            }),
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::resources::Resources;
    use crate::step::{Context, ParamError};
    use crate::steps::find;
    use crate::{Built, Document, Selection, Verdict};
    use serde_json::{Value, json};

    fn built(params: &Value) -> Result<Selection, ParamError> {
        let parsed = find("keep_top").expect("a step").parse(params)?;
        let cx = Context { resources: &Resources::default(), seed: 0 };
        match parsed.build(&cx).expect("builds") {
            Built::Selection(selection) => Ok(selection),
            _ => panic!("keep_top selects"),
        }
    }

    #[test]
    fn one_share_or_all() {
        let levels = [[0, 0], [0, 1], [1, 0], [1, 1]];
        for (combine, expected) in
            [("union", [false, true, true, true]), ("intersection", [false, false, false, true])]
        {
            let params = json!({"key": ["a", "b"], "share": "10%", "combine": combine});
            let mut selection = built(&params).expect("fits");
            let kept = levels.map(|levels| {
                let verdict = selection.decide(&mut Document::default(), &levels.map(Some));
                assert!(verdict.is_keep() || verdict == Verdict::dropped("below the share"));
                verdict.is_keep()
            });
            assert_eq!(kept, expected, "{combine}");
        }
    }

    #[test]
    fn a_share_alone_is_enough() {
        let short = built(&json!("2.5%")).expect("fits");
        assert_eq!(short.scores.keys, ["fasttext_hq_prob"]);
        assert_eq!(short.shares[0].to_string(), "2.5%");
        for (params, complaint) in [
            (json!("ten"), "\"ten\" is no share"),
            (json!(0.1), "a percentage such as 10%"),
            (json!({}), "missing field `share`"),
            (json!({"share": "10%", "key": []}), "needs a field"),
            (json!({"share": "10%", "key": ["a", "a"]}), "twice"),
            (json!({"share": "10%", "key": "text"}), "choose another key"),
            (json!({"share": "10%", "by": 3}), "expected a string"),
        ] {
            let refused = built(&params).err().expect("a refusal").message;
            assert!(refused.contains(complaint), "{params}: {refused}");
        }
    }
}
