//! `counter_line_modifier`

use super::NoParams;
use super::shared::apply;
use crate::step::Context;
use crate::{BuildError, Built, Step};
use gristmill_filters::lines::{Ends, is_counter, retain};

pub struct CounterLineModifier;

impl Step for CounterLineModifier {
    const NAME: &'static str = "counter_line_modifier";
    const DOC: &'static str = "Takes out lines such as `3 likes` or `1.2K followers`.\n\n\
        A number, K, M or B if any, and one of likes, shares, comments, retweets, reposts, quotes, bookmarks, upvotes, downvotes, \
        downloads, views, followers; no other word. White space at both ends of the text goes, and a text of nothing else is dropped.";
    const ORIGIN: &'static str =
        "RefinedWeb, arXiv 2306.01116, appendix G.2; mlfoundations/dclm, baselines/mappers/modifiers.py";
    const EXAMPLE: &'static str = "{}";
    type Params = NoParams;

    fn build(_: &NoParams, _: &Context) -> Result<Built, BuildError> {
        Ok(Built::text(|text, _| {
            let edit = retain(text.as_str(), Ends::Strip, |line| !is_counter(line));
            apply(text, edit)
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn counters_go() {
        let step = "counter_line_modifier";
        check(step, r#"{"text":"a\n3 likes\n* 1.2K Followers!\nI have 3 likes"}"#, keep(r#"{"text":"a\nI have 3 likes"}"#));
        check(step, r#"{"text":"7 views"}"#, "drop: nothing left");
    }
}
