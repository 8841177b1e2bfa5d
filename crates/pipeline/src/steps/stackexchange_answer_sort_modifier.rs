//! `stackexchange_answer_sort_modifier`

use super::shared::number;
use crate::step::{Context, Needs};
use crate::{BuildError, Built, Step, Verdict};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::cmp::Ordering;

pub struct StackexchangeAnswerSortModifier;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// The best first.
    descending: bool,
}

impl Default for Params {
    fn default() -> Self {
        Self { descending: true }
    }
}

impl Step for StackexchangeAnswerSortModifier {
    const NAME: &'static str = "stackexchange_answer_sort_modifier";
    const DOC: &'static str = "Sorts answers by their score.\n\n\
        Answers without a score have 0; equal ones keep their order. A record without answers stays as it is.";
    const ORIGIN: &'static str =
        "RedPajama-Data v1, stack_exchange; mlfoundations/dclm, baselines/mappers/modifiers.py";
    const EXAMPLE: &'static str = "{descending: true}";
    const NEEDS: Needs = Needs::Nothing;
    type Params = Params;

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let descending = params.descending;
        Ok(Built::map(move |doc| {
            let Some(Value::Array(answers)) = doc.fields.value("answers") else { return Verdict::Keep };
            // One answer is compared with nothing: its score may be of any kind.
            if answers.len() < 2 && answers.iter().all(Value::is_object) {
                return Verdict::Keep;
            }
            let score = |answer: &Value| match answer.as_object()?.get("score") {
                None => Some(Score::Number(0.0)),
                Some(Value::String(text)) => Some(Score::Text(text.clone())),
                Some(score) => number(score).map(Score::Number),
            };
            let Some(mut scored) = answers
                .iter()
                .map(|answer| Some((score(answer)?, answer.clone())))
                .collect::<Option<Vec<_>>>()
            else {
                return Verdict::broken("a score is no number");
            };
            if scored.windows(2).any(|two| two[0].0.partial_cmp(&two[1].0).is_none()) {
                return Verdict::broken("scores of several kinds");
            }
            scored.sort_by(|(a, _), (b, _)| {
                let (first, second) = if descending { (b, a) } else { (a, b) };
                first.partial_cmp(second).unwrap_or(Ordering::Equal)
            });
            let answers: Vec<Value> = scored.into_iter().map(|(_, answer)| answer).collect();
            doc.fields.set("answers", answers);
            Verdict::Keep
        }))
    }
}

/// What answers are sorted by: numbers among themselves, or texts by their characters.
#[derive(PartialEq)]
enum Score {
    Number(f64),
    Text(String),
}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.partial_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.partial_cmp(b),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn the_best_come_first() {
        let page = r#"{"answers":[{"n":1,"score":1},{"n":2},{"n":3,"score":5},{"n":4,"score":1}]}"#;
        check(
            "stackexchange_answer_sort_modifier",
            page,
            keep(r#"{"answers":[{"n":3,"score":5},{"n":1,"score":1},{"n":4,"score":1},{"n":2}]}"#),
        );
        check(
            "stackexchange_answer_sort_modifier: {descending: false}",
            page,
            keep(r#"{"answers":[{"n":2},{"n":1,"score":1},{"n":4,"score":1},{"n":3,"score":5}]}"#),
        );
        check("stackexchange_answer_sort_modifier", "{}", keep("{}"));
        for (answers, expected) in [
            (r#"[{"score":[1]}]"#, ""),
            (r#"[{"score":"b"},{"score":"a"}]"#, ""),
            (r#"[{"score":true},{"score":-0.0},{"score":0}]"#, ""),
            (r#"[{"score":"1"},{}]"#, "broken: scores of several kinds"),
            (r#"[{"score":null},{}]"#, "broken: a score is no number"),
            (r#"["score"]"#, "broken: a score is no number"),
        ] {
            let page = format!(r#"{{"answers":{answers}}}"#);
            check(
                "stackexchange_answer_sort_modifier",
                &page,
                if expected.is_empty() { keep(&page) } else { expected.to_owned() },
            );
        }
    }
}
