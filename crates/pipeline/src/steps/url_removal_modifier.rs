//! `url_removal_modifier`

use super::shared::read_list;
use crate::resources::Wanted;
use crate::step::{Context, Semantics};
use crate::{BuildError, Built, Step, Verdict};
use gristmill_filters::urls::{TOP_LEVEL_DOMAINS, UrlRemover};
use schemars::JsonSchema;
use serde::Deserialize;
use std::borrow::Cow;

pub struct UrlRemovalModifier;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// A list of top-level domains, one a line, in place of the 1,591 built in.
    tlds_filepath: Option<String>,
    semantics: Semantics,
}

/// The path in DCLM's repository under which the built-in list lies.
const BUILT_IN: &str = "baselines/mappers/iana_tlds.txt";

impl Params {
    fn file(&self) -> Option<&str> {
        self.tlds_filepath.as_deref().filter(|path| *path != BUILT_IN)
    }
}

impl Step for UrlRemovalModifier {
    const NAME: &'static str = "url_removal_modifier";
    const DOC: &'static str = "Takes URLs out of the text: by top-level domain, and those that are IPv4 addresses.\n\n\
        Up to ten white spaces before a URL go with it. A text of nothing else is dropped.\n\n\
        `semantics: dclm`: URLs with names are removed only if the text begins, by chance, with the letters of a top-level domain (`The \
        site …` does, by `.th`; `We like …` does not), since the guard is anchored where it was meant to search; and names with a hyphen \
        in a list of yours are not found, since hyphens are escaped twice. `fixed`: they are removed from every text.";
    const ORIGIN: &'static str =
        "mlfoundations/dclm, baselines/mappers/modifiers.py; domains: IANA root zone database";
    const EXAMPLE: &'static str = "{}";
    const HAS_SEMANTICS: bool = true;
    type Params = Params;

    fn resources(params: &Params) -> Vec<Wanted> {
        params.file().into_iter().map(Wanted::named).collect()
    }

    fn build(params: &Params, cx: &Context) -> Result<Built, BuildError> {
        let key = format!("url_removal_modifier {params:?}");
        let remover = cx.resources.shared(&key, || {
            let list = params.file().map(|name| read_list(cx.resources, name)).transpose()?;
            let domains: Vec<&str> = match &list {
                Some(list) => list.iter().map(String::as_str).collect(),
                None => TOP_LEVEL_DOMAINS.lines().collect(),
            };
            Ok(match params.semantics {
                Semantics::Dclm => UrlRemover::as_dclm(domains),
                Semantics::Fixed => UrlRemover::new(domains),
            })
        })?;
        Ok(Built::text(move |text, _| {
            let new = match remover.remove(text.as_str()) {
                Cow::Borrowed(same) => return Verdict::keep_if(!same.is_empty(), "nothing left"),
                Cow::Owned(new) => new,
            };
            let kept = !new.is_empty();
            text.set(new);
            Verdict::keep_if(kept, "nothing left")
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, check_with, keep};

    #[test]
    fn trap_t1_names_go_only_behind_a_domain() {
        let text = |text: &str| format!(r#"{{"text":"{text}"}}"#);
        for (before, dclm, fixed) in [
            ("The site https://x.com now", "The site now", "The site now"),
            ("We like https://x.com now", "We like https://x.com now", "We like now"),
            ("We like http://1.2.3.4/x now", "We like now", "We like now"),
            ("This, at www.a.info/b?c", "This, at", "This, at"),
        ] {
            check("url_removal_modifier: {semantics: dclm}", &text(before), keep(&text(dclm)));
            check("url_removal_modifier: {}", &text(before), keep(&text(fixed)));
        }
        check("url_removal_modifier: {}", &text("https://a.com"), "drop: nothing left");
        check("url_removal_modifier: {}", &text(""), "drop: nothing left");
    }

    #[test]
    fn the_list_may_be_another() {
        let lists = [("tlds.txt", "example\n")];
        let step = "url_removal_modifier: {tlds_filepath: tlds.txt}";
        check_with(&lists, step, r#"{"text":"a.com b.example c"}"#, keep(r#"{"text":"a.com c"}"#));
        let lists = [("tlds.txt", "the\nxn--p1ai\n")];
        let page = r#"{"text":"the b.xn--p1ai c"}"#;
        check_with(&lists, step, page, keep(r#"{"text":"the c"}"#));
        check_with(
            &lists,
            "url_removal_modifier: {tlds_filepath: tlds.txt, semantics: dclm}",
            page,
            keep(page),
        );
    }
}
