//! `line_dedup`

use super::pieces::{self, Params};
use crate::step::{Context, Kind};
use crate::{BuildError, Built, IndexUse, Step};
use gristmill_dedup::pieces::Piece;
use serde_json::Value;

pub struct LineDedup;

/// Lines of an ordinary page of extracted text.
const LINES: u32 = 40;

impl Step for LineDedup {
    const NAME: &'static str = "line_dedup";
    const DOC: &'static str = "Keeps one of all equal lines of the corpus.\n\n\
        Lines are compared by 128 bits of xxh3, after `normalize`, within a document and over the whole corpus. Of equal lines the first of the \
        document with the smallest record id stays; the others are taken out. Blank lines stay. A document is dropped if nothing is left of it. \
        With `index` the lines of documents of earlier jobs take part, and stay.\n\n\
        CCNet compares the lines of web pages, which it calls paragraphs, after its own normalisation (`ccnet_dedup_normalizer`), among some \
        hundred files at a time; here it is the whole corpus.";
    const ORIGIN: &'static str =
        "CCNet, arXiv 1911.00359, facebookresearch/cc_net, cc_net/dedup.py; RefinedWeb, arXiv 2306.01116";
    const EXAMPLE: &'static str = "{normalize: ccnet_dedup_normalizer, min_chars: 20}";
    const KIND: Kind = Kind::Barrier;
    type Params = Params;

    fn build(params: &Params, cx: &Context) -> Result<Built, BuildError> {
        Ok(pieces::build(params, Piece::Line, LINES, cx))
    }

    fn index(params: &Params) -> Option<&IndexUse> {
        params.index.as_ref()
    }

    fn joins_by(params: &Params, seed: u64) -> Value {
        pieces::joins_by(params, seed)
    }
}

#[cfg(test)]
mod tests {
    use crate::resources::Resources;
    use crate::step::{Context, ExactUnits};
    use crate::steps::find;
    use crate::{Barrier, Built, Document, Signer, Verdict};
    use serde_json::{Value, json};

    fn units(step: &str, params: &Value) -> Box<dyn ExactUnits> {
        let parsed = find(step).expect("a step").parse(params).expect("fits");
        let cx = Context { resources: &Resources::default(), seed: 0 };
        match parsed.build(&cx).expect("builds") {
            Built::Barrier(Barrier { signer: Signer::Exact(units), .. }) => units,
            _ => panic!("{step} signs exactly"),
        }
    }

    fn document(text: &str) -> Document {
        Document::from_json(&json!({"id": "d", "text": text}).to_string(), String::new).expect("a record")
    }

    #[test]
    fn lines_and_paragraphs_are_units_as_the_parameters_say() {
        let text = "One 1\n\none 2\n one 1 \n\nab";
        let ccnet = json!({"normalize": "ccnet_dedup_normalizer"});
        // For each unit the first one that it equals; none where it has no key.
        for (step, params, expected) in [
            ("line_dedup", json!({}), vec![Some(0), None, Some(2), Some(0), None, Some(5)]),
            ("line_dedup", ccnet.clone(), vec![Some(0), None, Some(0), Some(0), None, Some(5)]),
            (
                "line_dedup",
                json!({"normalize": "none", "min_chars": 3}),
                vec![Some(0), None, Some(2), Some(3), None, None],
            ),
            ("paragraph_dedup", ccnet, vec![Some(0), Some(1), Some(2)]),
        ] {
            let (mut keys, mut ranks) = (Vec::new(), Vec::new());
            units(step, &params).sign(&document(text), &mut |key, rank| {
                keys.push(key);
                ranks.push(rank.to_vec());
            });
            let first = |key: &u128| keys.iter().position(|other| *other == Some(*key));
            let got: Vec<Option<usize>> = keys.iter().map(|key| key.as_ref().and_then(first)).collect();
            assert_eq!(got, expected, "{step} {params}");
            assert!(ranks.is_sorted_by(|a, b| a < b), "the first of a document comes first");
        }
    }

    #[test]
    fn what_goes_is_taken_out_and_what_stays_is_joined() {
        for (step, gone, verdict, left) in [
            ("line_dedup", vec![0], Verdict::Keep, "\nb\n\nc"),
            ("line_dedup", vec![0, 2, 4], Verdict::dropped("nothing left"), "\n"),
            ("paragraph_dedup", vec![1], Verdict::Keep, "a\n\nc"),
            ("paragraph_dedup", vec![0, 1, 2], Verdict::dropped("nothing left"), ""),
        ] {
            let mut doc = document("a\n\nb\n\nc");
            assert_eq!(units(step, &json!({})).remove(&mut doc, &|place| gone.contains(&place)), verdict);
            assert_eq!(doc.text.expect("a text").as_str(), left, "{step} {gone:?}");
        }
    }
}
