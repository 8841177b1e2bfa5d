//! `language_filter`

use super::shared::number;
use crate::step::{Context, Needs};
use crate::{BuildError, Built, Step, Verdict};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

pub struct LanguageFilter;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Languages to keep, as the model calls them.
    keep_languages: Vec<String>,
    /// The field with languages and their probabilities.
    #[serde(default = "key")]
    key: String,
    /// The probability must be greater.
    #[serde(default)]
    threshold: f64,
}

fn key() -> String {
    "language_id_whole_page_langdetect".to_owned()
}

impl Step for LanguageFilter {
    const NAME: &'static str = "language_filter";
    const DOC: &'static str = "Keeps pages in one of some languages.\n\n\
        A page stays if one of them has a probability greater than `threshold`; a page without the field is broken.";
    const ORIGIN: &'static str = "mlfoundations/dclm, baselines/mappers/filters/metadata_filters.py";
    const EXAMPLE: &'static str =
        "{key: language_id_whole_page_fasttext, keep_languages: [en], threshold: 0.65}";
    const NEEDS: Needs = Needs::Nothing;
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        if params.keep_languages.is_empty() {
            return Err(BuildError::new("keep_languages is empty; every page would go"));
        }
        Ok(())
    }

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let params = params.clone();
        Ok(Built::map(move |doc| {
            let broken = || Verdict::broken(format!("no languages in field {}", params.key));
            let Some(Value::Object(found)) = doc.fields.value(&params.key) else { return broken() };
            for probability in params.keep_languages.iter().filter_map(|language| found.get(language)) {
                match number(probability) {
                    Some(probability) if probability > params.threshold => return Verdict::Keep,
                    Some(_) => {}
                    None => return broken(),
                }
            }
            Verdict::dropped("other language")
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn the_threshold_must_be_passed() {
        let step = "language_filter: {key: lid, keep_languages: [en, de], threshold: 0.65}";
        for (found, expected) in [
            (r#"{"en":0.66}"#, ""),
            (r#"{"fr":0.9,"de":0.7}"#, ""),
            (r#"{"en":0.65}"#, "drop: other language"),
            ("{}", "drop: other language"),
            (r#"{"fr":0.9,"de":"0.9"}"#, "broken: no languages in field lid"),
            ("\"en\"", "broken: no languages in field lid"),
        ] {
            let page = format!(r#"{{"lid":{found}}}"#);
            check(step, &page, if expected.is_empty() { keep(&page) } else { expected.to_owned() });
        }
        check(step, "{}", "broken: no languages in field lid");
    }
}
