//! `url_blocklist_filter`

use super::shared::{OneOrMany, read_list};
use crate::resources::Wanted;
use crate::step::{Context, Needs};
use crate::{BuildError, Built, Reason, Resources, Step, Verdict};
use gristmill_filters::urls::ut1::{self, Wishes};
use gristmill_filters::urls::{Address, Blocked, Blocklist};
use schemars::JsonSchema;
use serde::Deserialize;

pub struct UrlBlocklistFilter;

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Archives of UT1: `blacklists.tar.gz`, which has all categories, or those of single ones such as `adult.tar.gz`.
    ut1: Option<OneOrMany>,
    /// The categories to take out of them; all if none is named.
    categories: Vec<String>,
    /// Take the regular expressions of the archives, too. They block much that is harmless.
    expressions: bool,
    /// Lists of domains, one a line; each stands for all hosts below it.
    domains: Option<OneOrMany>,
    /// Lists of URLs without a scheme, one a line; each stands for all pages below it.
    urls: Option<OneOrMany>,
}

/// A list, and the reason that is given for what it blocks where that does not depend on how.
struct Reasoned {
    list: Blocklist,
    category: Option<Reason>,
}

fn names(names: Option<&OneOrMany>) -> Vec<String> {
    names.map(OneOrMany::to_vec).unwrap_or_default()
}

impl Params {
    fn lists(&self, resources: &Resources) -> Result<Vec<Reasoned>, BuildError> {
        let mut own = Blocklist::default();
        for name in names(self.domains.as_ref()) {
            read_list(resources, &name)?.iter().for_each(|line| own.add_domain(line));
        }
        for name in names(self.urls.as_ref()) {
            read_list(resources, &name)?.iter().for_each(|line| own.add_url(line));
        }
        own.shrink_to_fit();
        let mut lists = Vec::new();
        if !own.is_empty() {
            lists.push(Reasoned { list: own, category: None });
        }
        lists.extend(self.categories(resources)?);
        Ok(lists)
    }

    /// The categories of the archives. Each must be in one of them.
    fn categories(&self, resources: &Resources) -> Result<Vec<Reasoned>, BuildError> {
        let mut lists = Vec::new();
        let (mut missing, mut there) = (self.categories.clone(), Vec::new());
        for name in names(self.ut1.as_ref()) {
            let resource = resources.get(&name)?;
            let wishes = Wishes { categories: &self.categories, expressions: self.expressions };
            let archive = ut1::read((*resource.bytes).as_ref(), wishes)
                .map_err(|error| BuildError::new(format!("{}: {error}", resource.found)))?;
            missing.retain(|category| archive.missing.contains(category));
            there.extend(archive.there);
            lists.extend(archive.lists.into_iter().map(|(category, list)| Reasoned {
                list,
                category: Some(format!("blocked {category}").into()),
            }));
        }
        match missing.first() {
            None => Ok(lists),
            Some(category) => Err(BuildError::new(format!(
                "no archive has a category {category}; there are {}",
                there.join(", ")
            ))),
        }
    }
}

impl Step for UrlBlocklistFilter {
    const NAME: &'static str = "url_blocklist_filter";
    const DOC: &'static str = "Drops pages of blocked domains and URLs: the lists of UT1 by category, or lists of your own.\n\n\
        A domain blocks all hosts below it, a URL all pages below it; `www.`, port, case and query do not count. The reason names the \
        category; a page in several counts for the first.";
    const ORIGIN: &'static str = "RefinedWeb, arXiv 2306.01116, appendix G.1; Université Toulouse Capitole, https://dsi.ut-capitole.fr/blacklists/";
    const EXAMPLE: &'static str = "{ut1: blacklists.tar.gz, categories: [adult, gambling, phishing]}";
    const NEEDS: Needs = Needs::Nothing;
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        if params.ut1.is_none() && (params.expressions || !params.categories.is_empty()) {
            return Err(BuildError::new("categories and expressions are those of archives; name one as ut1"));
        }
        if Self::resources(params).is_empty() {
            return Err(BuildError::new("name an archive as ut1, or give lists of domains or of urls"));
        }
        Ok(())
    }

    fn resources(params: &Params) -> Vec<Wanted> {
        let all = [&params.ut1, &params.domains, &params.urls];
        all.into_iter().flat_map(|list| names(list.as_ref())).map(|name| Wanted::named(&name)).collect()
    }

    fn build(params: &Params, cx: &Context) -> Result<Built, BuildError> {
        let key = format!("url_blocklist_filter {params:?}");
        let lists = cx.resources.shared(&key, || params.lists(cx.resources))?;
        Ok(Built::map(move |doc| {
            let Some(url) = doc.fields.str("url") else { return Verdict::broken("no url") };
            let address = match Address::of(&url) {
                Ok(Some(address)) => address,
                Ok(None) => return Verdict::Keep,
                Err(_) => return Verdict::broken("bad url"),
            };
            for Reasoned { list, category } in &*lists {
                if let Some(blocked) = list.judge(&address) {
                    let reason = category.clone().unwrap_or(Reason::Borrowed(match blocked {
                        Blocked::Domain => "blocked domain",
                        Blocked::Url => "blocked url",
                        Blocked::Expression => "blocked expression",
                    }));
                    return Verdict::Drop(reason);
                }
            }
            Verdict::Keep
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, check_with, keep};

    #[test]
    fn lists_block_what_lies_below() {
        let lists = [("a", "bad.example\n"), ("b", "worse.example\n"), ("u", "fine.example/bad\n")];
        let step = "url_blocklist_filter: {domains: [a, b], urls: u}";
        for (url, expected) in [
            ("http://www.x.bad.example/", "drop: blocked domain"),
            ("http://worse.example", "drop: blocked domain"),
            ("http://fine.example/bad/x", "drop: blocked url"),
            ("http://fine.example/", ""),
            ("mailto:x@bad.example", ""),
            ("http://[x/", "broken: bad url"),
        ] {
            let page = format!(r#"{{"url":"{url}"}}"#);
            check_with(
                &lists,
                step,
                &page,
                if expected.is_empty() { keep(&page) } else { expected.to_owned() },
            );
        }
        check_with(&lists, step, "{}", "broken: no url");
        check(
            "url_blocklist_filter",
            "{}",
            "refused: name an archive as ut1, or give lists of domains or of urls",
        );
    }

    /// A tar archive of files, uncompressed.
    fn archive(files: &[(&str, &str)]) -> String {
        let mut tar = String::new();
        for (path, content) in files {
            let header = |sum: &str| {
                let size = format!("{:011o}", content.len());
                format!(
                    "{path:\0<100}{:\0<24}{size}\0{:\0<12}{sum:<8}0{:\0<100}ustar{:\0<250}",
                    "", "", "", ""
                )
            };
            let sum: u32 = header("").bytes().map(u32::from).sum();
            tar.push_str(&header(&format!("{sum:06o}\0 ")));
            tar.push_str(content);
            tar.extend(std::iter::repeat_n('\0', tar.len().next_multiple_of(512) - tar.len()));
        }
        tar.extend(std::iter::repeat_n('\0', 1024));
        tar
    }

    #[test]
    fn archives_block_by_category() {
        let archive = archive(&[
            ("blacklists/adult/domains", "bad.example\n"),
            ("blacklists/adult/expressions", "rude"),
            ("blacklists/games/urls", "fine.example/games\nbad.example/"),
        ]);
        let lists = [("ut1.tar", archive.as_str()), ("own", "own.example")];
        let page = |url: &str| format!(r#"{{"url":"http://{url}"}}"#);
        for (params, url, expected) in [
            ("", "a.bad.example", "drop: blocked adult"),
            ("", "fine.example/games", "drop: blocked games"),
            (", categories: [games, adult]", "bad.example", "drop: blocked games"),
            (", categories: [games]", "bad.example/x", "drop: blocked games"),
            (", domains: own", "own.example", "drop: blocked domain"),
            (", expressions: true", "x.example/rude", "drop: blocked adult"),
            ("", "x.example/rude", ""),
        ] {
            let step = format!("url_blocklist_filter: {{ut1: ut1.tar{params}}}");
            let expected = if expected.is_empty() { keep(&page(url)) } else { expected.to_owned() };
            check_with(&lists, &step, &page(url), expected);
        }
        let step = "url_blocklist_filter: {ut1: ut1.tar, categories: [games, adults]}";
        check_with(&lists, step, "{}", "refused: no archive has a category adults; there are adult, games");
        let step = "url_blocklist_filter: {ut1: own}";
        check_with(&lists, step, "{}", "refused: own: ends in the midst, at byte 0 of its contents or behind it");
        let refusal = "refused: categories and expressions are those of archives; name one as ut1";
        check("url_blocklist_filter: {domains: own, categories: [a]}", "{}", refusal);
    }
}
