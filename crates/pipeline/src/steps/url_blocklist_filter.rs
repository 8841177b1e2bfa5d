//! `url_blocklist_filter`

use super::shared::{OneOrMany, read_list};
use crate::resources::Wanted;
use crate::step::{Context, Needs};
use crate::{BuildError, Built, Step, Verdict};
use gristmill_filters::urls::{Blocked, Blocklist};
use schemars::JsonSchema;
use serde::Deserialize;

pub struct UrlBlocklistFilter;

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Lists of domains, one a line; each stands for all hosts below it.
    domains: Option<OneOrMany>,
    /// Lists of URLs without a scheme, one a line; each stands for all pages below it.
    urls: Option<OneOrMany>,
}

impl Params {
    fn domains(&self) -> Vec<String> {
        self.domains.as_ref().map(OneOrMany::to_vec).unwrap_or_default()
    }

    fn urls(&self) -> Vec<String> {
        self.urls.as_ref().map(OneOrMany::to_vec).unwrap_or_default()
    }
}

impl Step for UrlBlocklistFilter {
    const NAME: &'static str = "url_blocklist_filter";
    const DOC: &'static str = "Drops pages of blocked domains and URLs: the lists of UT1, by category.\n\n\
        A domain blocks all hosts below it, a URL all pages below it; `www.`, port, case and query do not count. Name the files `domains` and \
        `urls` of as many categories as you like.";
    const ORIGIN: &'static str = "RefinedWeb, arXiv 2306.01116, appendix G.1; Université Toulouse Capitole, https://dsi.ut-capitole.fr/blacklists/";
    const EXAMPLE: &'static str = "{domains: [ut1/adult/domains, ut1/gambling/domains], urls: ut1/adult/urls}";
    const NEEDS: Needs = Needs::Nothing;
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        if params.domains().is_empty() && params.urls().is_empty() {
            return Err(BuildError::new("give lists of domains or of urls"));
        }
        Ok(())
    }

    fn resources(params: &Params) -> Vec<Wanted> {
        params.domains().iter().chain(&params.urls()).map(|name| Wanted::named(name)).collect()
    }

    fn build(params: &Params, cx: &Context) -> Result<Built, BuildError> {
        let list = cx.resources.shared(&format!("url_blocklist_filter {params:?}"), || {
            let read = |names: Vec<String>| -> Result<Vec<String>, BuildError> {
                let lists = names.iter().map(|name| read_list(cx.resources, name));
                Ok(lists.collect::<Result<Vec<_>, _>>()?.concat())
            };
            let (domains, urls) = (read(params.domains())?, read(params.urls())?);
            Ok(Blocklist::new(domains.iter().map(String::as_str), urls.iter().map(String::as_str)))
        })?;
        Ok(Built::map(move |doc| {
            let Some(url) = doc.fields.str("url") else { return Verdict::broken("no url") };
            match list.judge(&url) {
                Ok(None) => Verdict::Keep,
                Ok(Some(Blocked::Domain)) => Verdict::dropped("blocked domain"),
                Ok(Some(Blocked::Url)) => Verdict::dropped("blocked url"),
                Err(_) => Verdict::broken("bad url"),
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check_with, keep};

    #[test]
    fn lists_block_what_lies_below() {
        let lists = [("a", "bad.example\n"), ("b", "worse.example\n"), ("u", "fine.example/bad\n")];
        let step = "url_blocklist_filter: {domains: [a, b], urls: u}";
        for (url, expected) in [
            ("http://www.x.bad.example/", "drop: blocked domain"),
            ("http://worse.example", "drop: blocked domain"),
            ("http://fine.example/bad/x", "drop: blocked url"),
            ("http://fine.example/", ""),
            ("http://[x/", "broken: bad url"),
        ] {
            let page = format!(r#"{{"url":"{url}"}}"#);
            check_with(&lists, step, &page, if expected.is_empty() { keep(&page) } else { expected.to_owned() });
        }
        check_with(&lists, step, "{}", "broken: no url");
        check_with(&[], "url_blocklist_filter", "{}", "refused: give lists of domains or of urls");
    }
}
