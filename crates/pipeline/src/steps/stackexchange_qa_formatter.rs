//! `stackexchange_qa_formatter`

use crate::step::{Context, Needs, Semantics};
use crate::{BuildError, Built, Step, Verdict};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

pub struct StackexchangeQaFormatter;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Take out the fields `question` and `answers` afterwards.
    remove_qa: bool,
    semantics: Semantics,
}

impl Step for StackexchangeQaFormatter {
    const NAME: &'static str = "stackexchange_qa_formatter";
    const DOC: &'static str = "Makes a text of question and answers: `Q: …`, `A: …`, each on a line of its own.\n\n\
        A record without a question is dropped.\n\n\
        `semantics: dclm`: an empty list of answers gives a last line `A: ` with nothing on it. `fixed`: it gives none.";
    const ORIGIN: &'static str =
        "RedPajama-Data v1, stack_exchange; mlfoundations/dclm, baselines/mappers/modifiers.py";
    const EXAMPLE: &'static str = "{remove_qa: true}";
    const NEEDS: Needs = Needs::Nothing;
    const HAS_SEMANTICS: bool = true;
    type Params = Params;

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let (remove, fixed) = (params.remove_qa, params.semantics == Semantics::Fixed);
        Ok(Built::map(move |doc| {
            let post = |post: &Value| post.get("text").and_then(Value::as_str).map(str::to_owned);
            let Some(question) = doc.fields.value("question") else { return Verdict::dropped("no question") };
            let Some(question) = post(question) else { return Verdict::broken("a post without text") };
            let mut text = format!("Q: {question}");
            if let Some(answers) = doc.fields.value("answers") {
                let answers =
                    answers.as_array().and_then(|all| all.iter().map(post).collect::<Option<Vec<_>>>());
                let Some(answers) = answers else { return Verdict::broken("a post without text") };
                if !fixed || !answers.is_empty() {
                    text.push_str("\nA: ");
                    text.push_str(&answers.join("\nA: "));
                }
            }
            doc.set_text(text);
            if remove {
                doc.fields.remove("question");
                doc.fields.remove("answers");
            }
            Verdict::Keep
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn posts_become_a_text() {
        let page = r#"{"question":{"text":"a?"},"answers":[{"text":"b"},{"text":"c"}]}"#;
        check("stackexchange_qa_formatter: {remove_qa: true}", page, keep(r#"{"text":"Q: a?\nA: b\nA: c"}"#));
        let page = r#"{"question":{"text":"a?"}}"#;
        check("stackexchange_qa_formatter", page, keep(r#"{"question":{"text":"a?"},"text":"Q: a?"}"#));
        let page = |text: &str| format!(r#"{{"question":{{"text":"a?"}},"answers":[]{text}}}"#);
        check("stackexchange_qa_formatter", &page(""), keep(&page(r#","text":"Q: a?""#)));
        check(
            "stackexchange_qa_formatter: {semantics: dclm}",
            &page(""),
            keep(&page(r#","text":"Q: a?\nA: ""#)),
        );
        check("stackexchange_qa_formatter", "{}", "drop: no question");
        check("stackexchange_qa_formatter", r#"{"question":{}}"#, "broken: a post without text");
    }
}
