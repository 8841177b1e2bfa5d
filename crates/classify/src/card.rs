//! What is known of a trained model, to be kept beside it: where its examples came from, how it was trained, how good it is.
//!
//! Nothing in it depends on when or where training ran: the same data and settings give the same card. It is JSON for programs, and
//! [Markdown](ModelCard::to_markdown) for people.

mod markdown;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::evaluate::Evaluation;
use crate::train::{Settings, TextSummary};

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    /// The version of the program that trained it.
    pub version: String,
    /// The label whose probability is the score.
    pub positive: String,
    /// Where the examples of each label came from.
    pub sources: Vec<Source>,
    /// The seed under which examples were drawn and mixed.
    pub sample_seed: u64,
    /// What was done to a text before training and must be done before predicting.
    pub preprocess: String,
    /// The examples that were learned from.
    pub training: TextSummary,
    /// The examples that were held out.
    pub held_out: TextSummary,
    /// How it was trained.
    pub settings: Settings,
    /// The mean loss over training.
    pub loss: f64,
    /// The model.
    pub model: FileSummary,
    /// How the model does on the examples that were held out.
    pub evaluation: Evaluation,
}

/// Inputs of a label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The label, without prefix.
    pub label: String,
    /// Where the records are, as the user named it.
    pub inputs: Vec<String>,
    /// The fields whose texts, joined, are an example.
    pub fields: Vec<String>,
    /// Files there.
    pub files: u64,
    /// Records there.
    pub seen: u64,
    /// Of these, records that could not be examples, by reason.
    pub unusable: BTreeMap<String, u64>,
    /// Examples drawn from the others, the held-out ones among them.
    pub drawn: u64,
}

/// A file, and a hash to know it by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSummary {
    /// Its length.
    pub bytes: u64,
    /// SHA-256, in hexadecimal digits.
    pub sha256: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::{Scored, evaluate};

    pub(super) fn card() -> ModelCard {
        let text = TextSummary {
            examples: BTreeMap::from([("hq".into(), 2), ("cc".into(), 2)]),
            words: 9,
            bytes: 99,
            sha256: String::new(),
        };
        ModelCard {
            version: "1.2.3".into(),
            positive: "hq".into(),
            sources: vec![Source {
                label: "hq".into(),
                inputs: vec!["good/*.jsonl".into(), "a|b/".into()],
                fields: vec!["question".into(), "answer".into()],
                files: 3,
                seen: 10,
                unusable: BTreeMap::from([("no text in field answer".into(), 2)]),
                drawn: 4,
            }],
            sample_seed: u64::MAX,
            preprocess: "quality".into(),
            training: text.clone(),
            held_out: text,
            settings: Settings::default(),
            loss: 0.1 + 0.2,
            model: FileSummary { bytes: 3, sha256: "ba78".into() },
            evaluation: evaluate(
                vec![
                    Scored { score: 0.7, is_positive: true },
                    Scored { score: f64::NAN, is_positive: false },
                ],
                0.5,
            ),
        }
    }

    #[test]
    fn a_card_survives_json() {
        let card = card();
        let json = serde_json::to_string_pretty(&card).unwrap();
        assert_eq!(serde_json::from_str::<ModelCard>(&json).unwrap(), card);
    }
}
