//! `bullet_count_filter`

use super::shared::check_share;
use crate::step::Context;
use crate::{BuildError, Built, Step, Verdict};
use schemars::JsonSchema;
use serde::Deserialize;

pub struct BulletCountFilter;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// The share of such lines, at most.
    max_bullet_start_ratio: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self { max_bullet_start_ratio: 0.9 }
    }
}

impl Step for BulletCountFilter {
    const NAME: &'static str = "bullet_count_filter";
    const DOC: &'static str = "Drops pages whose lines nearly all are bullets.\n\n\
        A bullet is a line that starts with `●`, `•`, `*` or `-`, white space aside; blank lines do not count.";
    const ORIGIN: &'static str =
        "Gopher, arXiv 2112.11446, A.1.1; mlfoundations/dclm, baselines/mappers/filters/content_filters.py";
    const EXAMPLE: &'static str = "{max_bullet_start_ratio: 0.9}";
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        check_share("max_bullet_start_ratio", params.max_bullet_start_ratio)
    }

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let max = params.max_bullet_start_ratio;
        Ok(Built::text(move |text, _| {
            let survey = text.survey();
            // A product, as in DCLM: it rounds otherwise than a quotient.
            Verdict::keep_if(survey.bullet_lines as f64 <= max * survey.lines as f64, "bullets")
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn the_share_may_be_reached() {
        let step = "bullet_count_filter: {max_bullet_start_ratio: 0.5}";
        for (lines, kept) in [("- a\\n b", true), ("- a\\n\\n - a\\nb", false), ("", true)] {
            let page = format!(r#"{{"text":"{lines}"}}"#);
            check(step, &page, if kept { keep(&page) } else { "drop: bullets".to_owned() });
        }
    }
}
