//! `stackexchange_answer_sort_modifier`

use crate::step::{Context, Needs};
use crate::{BuildError, Built, Step, Verdict};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

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
    const ORIGIN: &'static str = "RedPajama-Data v1, stack_exchange; mlfoundations/dclm, baselines/mappers/modifiers.py";
    const EXAMPLE: &'static str = "{descending: true}";
    const NEEDS: Needs = Needs::Nothing;
    type Params = Params;

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let descending = params.descending;
        Ok(Built::map(move |doc| {
            let Some(Value::Array(answers)) = doc.fields.value("answers") else { return Verdict::Keep };
            let score = |answer: &Value| match answer.get("score") {
                None => Some(0.0),
                Some(score) => score.as_f64(),
            };
            let Some(mut scored) =
                answers.iter().map(|answer| Some((score(answer)?, answer.clone()))).collect::<Option<Vec<_>>>()
            else {
                return Verdict::broken("a score is no number");
            };
            scored.sort_by(|a, b| if descending { b.0.total_cmp(&a.0) } else { a.0.total_cmp(&b.0) });
            let answers: Vec<Value> = scored.into_iter().map(|(_, answer)| answer).collect();
            doc.fields.set("answers", answers);
            Verdict::Keep
        }))
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
        check("stackexchange_answer_sort_modifier", r#"{"answers":[{"score":"1"}]}"#, "broken: a score is no number");
    }
}
