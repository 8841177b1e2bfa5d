//! `minhash_dedup`

use super::report::{Duplicates, report};
use super::shared::check_share;
use super::survivors::{MaxDropShare, Prefer, Ranking, Survivor};
use crate::step::{Context, Fuzzy, FuzzySigner, Kind, Similarity, Way};
use crate::{Barrier, BuildError, Built, Document, IndexUse, Signer, Step};
use gristmill_dedup::minhash::{self, PRESETS};
use gristmill_dedup::sets::Measure;
use gristmill_dedup::shingle;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub struct MinhashDedup;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Bands and rows as published: `dclm` 93×15, `refinedweb` 450×20, `fineweb` 14×8, `olmo` 26×11.
    preset: Option<Preset>,
    /// Bands: each gives a key, and two documents that share one are compared. Overrides the preset.
    bands: Option<usize>,
    /// Rows of a band: the more, the more alike two documents must be. Overrides the preset.
    rows: Option<usize>,
    /// Units per shingle.
    ngram: usize,
    /// What a unit is: `words` (runs of letters, digits and `_`, lower-cased), `uax29` (words by Unicode's rules)
    /// or `chars`.
    unit: Unit,
    /// How documents that share a key are compared before they are joined: `jaccard` (what they share, of all that they
    /// have), `containment` (what they share, of the smaller one), or `none`: they are joined without.
    verify: Verify,
    /// The similarity from which they are joined. 0.8 for `dclm`, `refinedweb` and `olmo`, 0.75 for `fineweb`; without a preset it must
    /// be given.
    threshold: Option<f64>,
    /// With `verify: containment`, the share of the larger document's shingles that the smaller one must have for the two to be
    /// joined, 0.5 if not given: a line that stands in two long pages would drop one of them in favour of the other.
    min_size_share: Option<f64>,
    /// Which of the joined documents stays: `first` (the smallest record id), `longest`, or `{newest: FIELD}`,
    /// `{highest: FIELD}`, `{lowest: FIELD}`. Ties go to the smallest record id. Without, it is `first`; with
    /// `verify: containment` it is `longest`, so that the excerpt goes and not the whole.
    survivor: Option<Survivor>,
    /// Sources that stay before others, whatever `survivor` says: `{key: FIELD, order: [the best, the next, ...]}`.
    prefer: Option<Prefer>,
    /// A source of which a greater share would go keeps all its documents, and stands in the manifest:
    /// `{source: domain, share: 0.5}`.
    max_drop_share_per_source: Option<MaxDropShare>,
    /// Components with more documents are left alone and counted: so large a one is a template, or a chain of
    /// loose matches, more often than one text.
    max_component: Option<u64>,
    /// Writes which documents were joined: a row for each of them, in `clusters/` of the dataset, with `id`, the record id
    /// of its `survivor`, their `similarity` (that of the most similar document it was compared with, by `verify`), the `size`
    /// of the component, and whether it was `kept`.
    clusters: bool,
    /// Drops nothing: documents that would go get the field `duplicate_of`, the record id of the one that would stay;
    /// in that one it is null.
    annotate: bool,
    /// What a document that stays says of those that it stays for: `count` (the field `duplicates`, how many others were
    /// joined with it) or `list` (also `duplicate_ids`, the record ids of up to 100 of them, the best first). Documents
    /// that were joined with none have no such field.
    duplicates: Option<Duplicates>,
    /// Documents of earlier jobs that these are compared with, too: those of the index stay, so whatever is joined with one of them
    /// goes. An address, or `{at: ADDRESS, extend: true}`: then this job's documents become the index's next generation.
    index: Option<IndexUse>,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            preset: None,
            bands: None,
            rows: None,
            ngram: 5,
            unit: Unit::Words,
            verify: Verify::Jaccard,
            threshold: None,
            min_size_share: None,
            survivor: None,
            prefer: None,
            max_drop_share_per_source: None,
            max_component: None,
            clusters: false,
            annotate: false,
            duplicates: None,
            index: None,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Preset {
    Dclm,
    Refinedweb,
    Fineweb,
    Olmo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Verify {
    Jaccard,
    Containment,
    None,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Unit {
    Words,
    Uax29,
    Chars,
}

impl Preset {
    fn bands_and_rows(self) -> (usize, usize) {
        let name = match self {
            Self::Dclm => "dclm",
            Self::Refinedweb => "refinedweb",
            Self::Fineweb => "fineweb",
            Self::Olmo => "olmo",
        };
        PRESETS.iter().find(|preset| preset.0 == name).map_or((0, 0), |preset| (preset.1, preset.2))
    }

    /// The similarity that the bands were chosen for, as their papers say.
    fn threshold(self) -> f64 {
        match self {
            Self::Dclm | Self::Refinedweb | Self::Olmo => 0.8,
            Self::Fineweb => 0.75,
        }
    }
}

impl Params {
    fn minhash(&self, seed: u64) -> minhash::Params {
        let (bands, rows) = self.preset.map_or((0, 0), Preset::bands_and_rows);
        minhash::Params {
            ngram: self.ngram,
            unit: match self.unit {
                Unit::Words => shingle::Unit::Words,
                Unit::Uax29 => shingle::Unit::Uax29,
                Unit::Chars => shingle::Unit::Chars,
            },
            bands: self.bands.unwrap_or(bands),
            rows: self.rows.unwrap_or(rows),
            seed,
        }
    }

    fn ranking(&self) -> Ranking {
        let usual = if self.verify == Verify::Containment { Survivor::Longest } else { Survivor::First };
        Ranking { survivor: self.survivor.clone().unwrap_or(usual), prefer: self.prefer.clone() }
    }

    fn similarity(&self) -> Option<Similarity> {
        let measure = match self.verify {
            Verify::Jaccard => Measure::Jaccard,
            Verify::Containment => {
                Measure::Containment { min_size_share: self.min_size_share.unwrap_or(MIN_SIZE_SHARE) }
            }
            Verify::None => return None,
        };
        let threshold = self.threshold.or_else(|| self.preset.map(Preset::threshold))?;
        Some(Similarity { measure, threshold })
    }
}

impl Step for MinhashDedup {
    const NAME: &'static str = "minhash_dedup";
    const DOC: &'static str = "Keeps one of all documents of the corpus whose texts are nearly the same.\n\n\
        Two documents of Jaccard similarity J over their shingles meet with probability 1 - (1 - J^rows)^bands. Those that meet are \
        compared by their whole sets of shingles (`verify`) and joined if they are as similar as `threshold` says; what is joined is joined \
        through others, too. Of a component one document stays, as `prefer` and `survivor` say. Texts without a shingle are kept. Components held \
        back by `max_component` and sources held back by `max_drop_share_per_source` stand in the manifest.\n\n\
        With `index` the documents of earlier jobs take part. They stay, whatever `survivor` says, and what is joined with one of them \
        is dropped as `near duplicate of an index document`.\n\n\
        DCLM, RefinedWeb, FineWeb and OLMo join whatever meets, as does `verify: none`: at a similarity of 0.6, well below their \
        thresholds, that is a pair in 25 with 93×15 and a pair in 5 with 14×8. Of more than 32 documents that share a key each is compared with \
        some 30 others, and linked to the rest through the first of them: copies of one text all come together, as do any two that share a key with fewer.";
    const ORIGIN: &'static str = "Broder 1997; DCLM, arXiv 2406.11794 (93×15, 0.8); RefinedWeb, arXiv 2306.01116 (450×20, 0.8); \
        FineWeb, arXiv 2406.17557, huggingface/datatrove, pipeline/dedup/minhash.py (14×8, 0.75); OLMo, arXiv 2512.13961 (26×11, 0.8)";
    const EXAMPLE: &'static str = "{preset: fineweb, ngram: 5, verify: jaccard, threshold: 0.75}";
    const KIND: Kind = Kind::Barrier;
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        if params.preset.is_none() && (params.bands.is_none() || params.rows.is_none()) {
            return Err(BuildError::new(
                "give a preset (dclm, refinedweb, fineweb, olmo), or bands and rows",
            ));
        }
        minhash::Signer::new(&params.minhash(0)).map_err(|e| BuildError::new(e.to_string()))?;
        params.ranking().check()?;
        params.max_drop_share_per_source.as_ref().map_or(Ok(()), MaxDropShare::check)?;
        if params.annotate && params.max_drop_share_per_source.is_some() {
            return Err(BuildError::new(
                "max_drop_share_per_source holds back what would be dropped, and `annotate` drops nothing: leave one of them out",
            ));
        }
        if let Some(share) = params.min_size_share {
            if params.verify != Verify::Containment {
                return Err(BuildError::new("min_size_share is of `verify: containment`"));
            }
            check_share("min_size_share", share)?;
        }
        let threshold = params.threshold;
        if params.verify == Verify::None && threshold.is_some() {
            return Err(BuildError::new("nothing is compared with the threshold: leave out `verify: none`"));
        }
        if params.verify != Verify::None && params.similarity().is_none() {
            return Err(BuildError::new(
                "give a threshold from which documents are joined, or `verify: none`",
            ));
        }
        if threshold.is_some_and(|threshold| !(threshold > 0.0 && threshold <= 1.0)) {
            return Err(BuildError::new("threshold is a similarity, above 0 and up to 1"));
        }
        Ok(())
    }

    fn build(params: &Params, cx: &Context) -> Result<Built, BuildError> {
        let minhash = params.minhash(cx.seed);
        let signer = minhash::Signer::new(&minhash).map_err(|e| BuildError::new(e.to_string()))?;
        let verify = params.similarity();
        let sources = params.max_drop_share_per_source.clone();
        let guard = sources.as_ref().map(MaxDropShare::guard);
        let shingles = Shingles { signer, ranking: params.ranking(), sources };
        let sets = if verify.is_some() { SET_BYTES } else { 0 };
        Ok(Built::Barrier(Barrier {
            signer: Signer::Fuzzy(Fuzzy { signer: Box::new(shingles), verify, guard }),
            reason: "near duplicate",
            bytes_per_document: minhash.bands as u64 * KEY_BYTES + sets,
            max_component: params.max_component,
            report: report(params.clusters, params.annotate, params.duplicates),
        }))
    }

    fn clusters(params: &Params) -> bool {
        params.clusters
    }

    fn way(params: &Params) -> Way {
        if params.verify == Verify::None { Way::Join } else { Way::VerifyAndJoin }
    }

    fn index(params: &Params) -> Option<&IndexUse> {
        params.index.as_ref()
    }

    fn joins_by(params: &Params, seed: u64) -> Value {
        let (minhash, similarity) = (params.minhash(seed), params.similarity());
        let min_size_share = similarity.and_then(|similarity| match similarity.measure {
            Measure::Containment { min_size_share } => Some(min_size_share),
            Measure::Jaccard => None,
        });
        json!({
            "unit": params.unit,
            "ngram": minhash.ngram,
            "bands": minhash.bands,
            "rows": minhash.rows,
            "seed": seed,
            "verify": params.verify,
            "threshold": similarity.map(|similarity| similarity.threshold),
            "min_size_share": min_size_share,
        })
    }
}

/// What keeps an excerpt from joining the pages that it stands in.
const MIN_SIZE_SHARE: f64 = 0.5;
/// A band's key, and the pair that it may be in.
const KEY_BYTES: u64 = 18;
/// The set of an ordinary page of 600 words, and as much again for the pair that it may be in.
const SET_BYTES: u64 = 5000;

struct Shingles {
    signer: minhash::Signer,
    ranking: Ranking,
    sources: Option<MaxDropShare>,
}

impl FuzzySigner for Shingles {
    fn keys(&mut self, doc: &Document, keys: &mut Vec<u64>) {
        if let Some(text) = &doc.text {
            self.signer.band_keys(text.as_str(), keys);
        }
    }

    fn set(&mut self) -> &[u64] {
        self.signer.shingle_set()
    }

    fn rank(&mut self, doc: &Document, rank: &mut Vec<u8>) {
        self.ranking.rank(doc, rank);
    }

    fn id<'r>(&self, rank: &'r [u8]) -> &'r [u8] {
        self.ranking.id(rank)
    }

    fn source(&mut self, doc: &Document, source: &mut Vec<u8>) {
        if let Some(sources) = &self.sources {
            sources.write(doc, source);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::step::Way;
    use crate::steps::find;
    use serde_json::{Value, json};

    fn parsed(params: &Value) -> Result<bool, String> {
        let step = find("minhash_dedup").expect("a step");
        step.parse(params).map(|parsed| parsed.way() == Way::VerifyAndJoin).map_err(|error| error.message)
    }

    #[test]
    fn what_is_compared_needs_a_threshold() {
        for (params, verifies) in [
            (json!({"preset": "dclm"}), true),
            (json!({"preset": "dclm", "verify": "containment", "threshold": 0.9}), true),
            (json!({"preset": "dclm", "verify": "none"}), false),
            (json!({"bands": 10, "rows": 5, "threshold": 1.0}), true),
            (json!({"bands": 10, "rows": 5, "verify": "none"}), false),
        ] {
            assert_eq!(parsed(&params), Ok(verifies), "{params}");
        }
        for (params, complaint) in [
            (json!({}), "give a preset"),
            (json!({"bands": 10, "rows": 5}), "give a threshold"),
            (json!({"preset": "olmo", "verify": "none", "threshold": 0.8}), "leave out `verify: none`"),
            (json!({"preset": "olmo", "threshold": 0.0}), "above 0 and up to 1"),
            (json!({"preset": "olmo", "min_size_share": 0.2}), "is of `verify: containment`"),
            (json!({"preset": "olmo", "verify": "containment", "min_size_share": 2}), "min_size_share"),
            (json!({"preset": "olmo", "threshold": 1.1}), "above 0 and up to 1"),
            (
                json!({"preset": "olmo", "annotate": true, "max_drop_share_per_source": {"source": "domain", "share": 0.5}}),
                "leave one of them out",
            ),
        ] {
            let refused = parsed(&params).expect_err("a refusal");
            assert!(refused.contains(complaint), "{params}: {refused}");
        }
    }
}
