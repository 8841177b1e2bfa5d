//! `aggregate`

use crate::step::{Context, Kind as StepKind, Needs, Observed};
use crate::{BuildError, Built, Step};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub struct Aggregate;

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The field.
    pub key: String,
    #[serde(rename = "type")]
    pub kind: Kind,
    /// What is taken of the field's value, in place of the value itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform: Option<Transform>,
    /// For `threshold_transform`: the weight that a key must have at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// For `threshold_transform`: what is taken where no key has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}

/// What the values are summed up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Of numbers: min, p25, median, p75, p90, p95, p99, max (each a value that is there, the nearest one) and mean.
    Percentiles,
    /// Of texts: how often each occurs. Of numbers: how many lie in each of ten equal ranges from the least to the greatest.
    Histogram,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transform {
    /// Of a field `{key: weight}`: the key with the greatest weight.
    ThresholdTransform,
}

impl Step for Aggregate {
    const NAME: &'static str = "aggregate";
    const DOC: &'static str = "Sums up a field over all documents that come here; the sums stand in the manifest.\n\n\
        DCLM's `_aggregate`, whose percentiles and histograms are of one shard each; here they are exact over the whole corpus. Documents whose \
        field is absent, or has no such value, are counted as `without`. No document is dropped.";
    const ORIGIN: &'static str =
        "mlfoundations/dclm, baselines/aggregators.py and baselines/core/processor.py";
    const EXAMPLE: &'static str = "{key: previous_word_count, type: percentiles}";
    const KIND: StepKind = StepKind::Observe;
    const NEEDS: Needs = Needs::Nothing;
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        match (params.transform, params.threshold, &params.default) {
            (None, None, None) | (Some(Transform::ThresholdTransform), Some(_), _) => Ok(()),
            (None, ..) => {
                Err(BuildError::new("threshold and default are for transform: threshold_transform"))
            }
            (Some(_), None, _) => Err(BuildError::new("threshold_transform needs a threshold")),
        }
    }

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let params = params.clone();
        Ok(Built::observe(move |doc| {
            if params.key == "text" {
                return doc.text.as_ref().and_then(|text| params.observe(&Value::from(text.as_str())));
            }
            params.observe(doc.fields.value(&params.key)?)
        }))
    }
}

/// What counts of a text: longer ones that begin alike are one.
const TEXT_BYTES: usize = 256;

impl Params {
    fn observe(&self, value: &Value) -> Option<Observed> {
        let value = match self.transform {
            None => value,
            Some(Transform::ThresholdTransform) => return self.heaviest(value).map(Observed::Text),
        };
        match (value, self.kind) {
            (Value::Number(number), _) => number.as_f64().filter(|n| n.is_finite()).map(Observed::Number),
            (Value::String(text), Kind::Histogram) => {
                let text = text.get(..text.floor_char_boundary(TEXT_BYTES)).unwrap_or_default();
                Some(Observed::Text(text.to_owned()))
            }
            (Value::Bool(yes), Kind::Histogram) => Some(Observed::Text(yes.to_string())),
            _ => None,
        }
    }

    /// The key with the greatest weight, the first of those that have it.
    fn heaviest(&self, weights: &Value) -> Option<String> {
        let threshold = self.threshold.unwrap_or_default();
        let mut best: Option<(&str, f64)> = None;
        for (key, weight) in weights.as_object()? {
            let weight = weight.as_f64()?;
            if weight >= threshold && best.is_none_or(|(_, most)| weight > most) {
                best = Some((key, weight));
            }
        }
        let default = || self.default.clone().unwrap_or_else(|| "unknown".to_owned());
        Some(best.map_or_else(default, |(key, _)| key.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::check::{check, keep};
    use serde_json::json;

    #[test]
    fn values_are_numbers_and_texts() {
        let observe = |params: Value, value: Value| {
            let params: Params = serde_json::from_value(params).expect("params");
            params.observe(&value)
        };
        let number = |n: f64| Some(Observed::Number(n));
        let text = |text: &str| Some(Observed::Text(text.to_owned()));
        let histogram = json!({"key": "k", "type": "histogram"});
        let percentiles = json!({"key": "k", "type": "percentiles"});
        let language =
            json!({"key": "k", "type": "histogram", "transform": "threshold_transform", "threshold": 0.5});
        for (params, value, expected) in [
            (&histogram, json!(1.5), number(1.5)),
            (&histogram, json!("en"), text("en")),
            (&histogram, json!(null), None),
            (&percentiles, json!(7), number(7.0)),
            (&percentiles, json!("7"), None),
            (&language, json!({"en": 0.5, "de": 0.5, "fr": 0.4}), text("en")),
            (&language, json!({"en": 0.4}), text("unknown")),
            (&language, json!({}), text("unknown")),
            (&language, json!("en"), None),
        ] {
            assert_eq!(observe(params.clone(), value.clone()), expected, "{params} {value}");
        }
    }

    #[test]
    fn nothing_is_dropped() {
        check("aggregate: {key: n, type: percentiles}", r#"{"n":1}"#, keep(r#"{"n":1}"#));
        check("aggregate: {key: n, type: percentiles}", "{}", keep("{}"));
        check(
            "aggregate: {key: n, type: histogram, transform: threshold_transform}",
            "{}",
            "refused: threshold_transform needs a threshold",
        );
    }
}
