//! `ellipsis_count_filter`

use super::shared::check_share;
use crate::step::Context;
use crate::{BuildError, Built, Step, Verdict};
use schemars::JsonSchema;
use serde::Deserialize;

pub struct EllipsisCountFilter;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// The share of such lines, at most.
    max_ellipsis_end_ratio: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self { max_ellipsis_end_ratio: 0.3 }
    }
}

impl Step for EllipsisCountFilter {
    const NAME: &'static str = "ellipsis_count_filter";
    const DOC: &'static str = "Drops pages of which many lines end in an ellipsis.\n\n\
        An ellipsis is `...`, `. . .` or `…`, white space aside; blank lines do not count.";
    const ORIGIN: &'static str =
        "Gopher, arXiv 2112.11446, A.1.1; mlfoundations/dclm, baselines/mappers/filters/content_filters.py";
    const EXAMPLE: &'static str = "{max_ellipsis_end_ratio: 0.3}";
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        check_share("max_ellipsis_end_ratio", params.max_ellipsis_end_ratio)
    }

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let max = params.max_ellipsis_end_ratio;
        Ok(Built::text(move |text, _| {
            let survey = text.survey();
            // A product, as in DCLM: it rounds otherwise than a quotient.
            Verdict::keep_if(survey.ellipsis_lines as f64 <= max * survey.lines as f64, "ellipses")
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn the_share_may_be_reached() {
        let step = "ellipsis_count_filter: {max_ellipsis_end_ratio: 0.5}";
        for (lines, kept) in [("a…\\n b", true), ("a…\\n\\n a…\\nb", false), ("", true)] {
            let page = format!(r#"{{"text":"{lines}"}}"#);
            check(step, &page, if kept { keep(&page) } else { "drop: ellipses".to_owned() });
        }
    }
}
