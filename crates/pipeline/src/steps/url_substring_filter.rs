//! `url_substring_filter`

use super::shared::{OneOrMany, read_list_or_regex};
use crate::resources::Wanted;
use crate::step::{Context, Needs, Semantics};
use crate::{BuildError, Built, Resources, Step, Verdict};
use gristmill_filters::pickle::PickledList;
use gristmill_filters::python;
use gristmill_filters::urls::{Case, StringSet, WordList, bare_host, netloc};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;

pub struct UrlSubstringFilter;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// What to look for.
    banlist: Option<OneOrMany>,
    /// A list of that, one entry a line; wins over `banlist`. From a Python pickle (`.pkl`) comes a collection of strings, or the regex
    /// that Retrie makes of one, which has its own way about word boundaries and case.
    banlist_from_fname: Option<String>,
    /// Deleted from the URL before it is compared, wherever they stand.
    ignore_chars: Option<Vec<String>>,
    /// Drop from this many distinct entries on.
    num_banned_substrs: usize,
    /// Compare the host as a whole.
    exact_domain_match: bool,
    /// Find entries anywhere. False: only between word boundaries.
    match_substrings: bool,
    case_sensitive: bool,
    semantics: Semantics,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            banlist: None,
            banlist_from_fname: None,
            ignore_chars: None,
            num_banned_substrs: 1,
            exact_domain_match: false,
            match_substrings: true,
            case_sensitive: false,
            semantics: Semantics::default(),
        }
    }
}

/// The list, ready for use by all lanes.
enum List {
    Hosts(StringSet),
    Words { words: WordList, whole: bool },
}

impl Params {
    fn list(&self, resources: &Resources) -> Result<List, BuildError> {
        let PickledList { words: mut entries, regex } = match (&self.banlist_from_fname, &self.banlist) {
            (Some(name), _) => read_list_or_regex(resources, name)?,
            (None, Some(list)) => PickledList { words: list.to_vec(), regex: None },
            (None, None) => PickledList::default(),
        };
        if self.exact_domain_match && regex.is_some() {
            return Err(BuildError::new(
                "a pickled regex cannot be used with exact_domain_match; pickle the list",
            ));
        }
        let fixed = self.semantics == Semantics::Fixed;
        if fixed {
            entries.retain(|entry| !python::is_blank(entry));
        } else if entries.is_empty() && !self.exact_domain_match && regex.is_none() {
            // Of no entry Retrie makes a pattern that is found everywhere.
            entries.push(String::new());
        }
        let entries = entries.iter().map(|entry| {
            let entry = if fixed { python::strip(entry) } else { entry };
            let entry = if fixed && self.exact_domain_match { bare_host(entry) } else { entry };
            // A regex is as it is: it may name capitals that no lower-cased URL has.
            if regex.is_some() { Cow::Borrowed(entry) } else { self.cased(entry) }
        });
        Ok(if self.exact_domain_match {
            List::Hosts(StringSet::new(entries))
        } else {
            let ignore_case = regex.map_or(!self.case_sensitive, |regex| regex.ignore_case);
            let case = if ignore_case { Case::Ignore } else { Case::Exact };
            let whole = regex.map_or(!self.match_substrings, |regex| regex.whole_words);
            List::Words { words: WordList::new(entries, case), whole }
        })
    }

    fn cased<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.case_sensitive { Cow::Borrowed(text) } else { python::lower(text) }
    }

    /// What is deleted from the URL; the leading `www.` of a host is a matter of its own where DCLM's slip is mended.
    fn ignored(&self) -> Vec<String> {
        let mut ignored = self.ignore_chars.clone().unwrap_or_default();
        ignored.retain(|part| {
            let www = self.exact_domain_match
                && self.semantics == Semantics::Fixed
                && part.trim_end_matches('.') == "www";
            !part.is_empty() && !www
        });
        ignored
    }
}

impl Step for UrlSubstringFilter {
    const NAME: &'static str = "url_substring_filter";
    const DOC: &'static str = "Drops pages by their URL: banned domains or banned words.\n\n\
        With `exact_domain_match` the host is looked up in the list. Otherwise entries are looked for in the whole URL, the longest at \
        each place, without overlap; `num_banned_substrs` distinct ones drop the page.\n\n\
        `semantics: dclm`: `ignore_chars` such as `www` are deleted wherever they stand, so that `www.xxx.com` becomes `.xxx.com` and \
        is no entry `xxx.com`; the host keeps its port and user; an empty line in the list matches every page, and so does an empty \
        list of words. `fixed`: hosts are compared without user, port and a leading `www.`; empty lines are passed over.";
    const ORIGIN: &'static str =
        "mlfoundations/dclm, baselines/mappers/filters/metadata_filters.py; ddelange/retrie";
    const EXAMPLE: &'static str =
        "{banlist: [casino, poker], match_substrings: false, num_banned_substrs: 2}";
    const NEEDS: Needs = Needs::Nothing;
    const HAS_SEMANTICS: bool = true;
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        if params.banlist.is_none() && params.banlist_from_fname.is_none() {
            return Err(BuildError::new("give a banlist, or a file of one as banlist_from_fname"));
        }
        if params.num_banned_substrs == 0 {
            return Err(BuildError::new("num_banned_substrs is 1 or more; with 0 every page would go"));
        }
        Ok(())
    }

    fn resources(params: &Params) -> Vec<Wanted> {
        params.banlist_from_fname.iter().map(|name| Wanted::named(name)).collect()
    }

    fn build(params: &Params, cx: &Context) -> Result<Built, BuildError> {
        let key = format!("url_substring_filter {params:?}");
        let list = cx.resources.shared(&key, || params.list(cx.resources))?;
        let (params, ignored) = (params.clone(), params.ignored());
        let fixed = params.semantics == Semantics::Fixed;
        Ok(Built::map(move |doc| {
            let url = match doc.fields.str("url") {
                Some(url) => url,
                // To DCLM null has an empty host, of bytes, which is in no list; but no letters can be deleted from it.
                None if params.exact_domain_match
                    && !fixed
                    && ignored.is_empty()
                    && doc.fields.value("url").is_some_and(Value::is_null) =>
                {
                    return Verdict::Keep;
                }
                None => return Verdict::broken("no url"),
            };
            let mut part = if params.exact_domain_match {
                match netloc(&url) {
                    Ok(host) => host,
                    Err(_) => return Verdict::broken("bad url"),
                }
            } else {
                Cow::Borrowed(&*url)
            };
            if !params.case_sensitive {
                part = match part {
                    Cow::Borrowed(part) => python::lower(part),
                    Cow::Owned(part) => Cow::Owned(python::lower(&part).into_owned()),
                };
            }
            for ignored in &ignored {
                if part.contains(&**ignored) {
                    part = Cow::Owned(part.replace(&**ignored, ""));
                }
            }
            match &*list {
                List::Hosts(hosts) => {
                    let host = if fixed { bare_host(&part) } else { &part };
                    Verdict::keep_if(!hosts.contains(host), "banned domain")
                }
                List::Words { words, whole } => {
                    let limit = params.num_banned_substrs;
                    let found = words.count_distinct(&part, *whole, limit);
                    Verdict::keep_if(found < limit, "banned words")
                }
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, check_with, keep};

    fn url(url: &str) -> String {
        format!(r#"{{"url":"{url}","text":"t"}}"#)
    }

    #[test]
    fn words_count_once_and_longest_first() {
        let step = "url_substring_filter: {banlist: [ass, asshole, Sex], num_banned_substrs: 2, match_substrings: false}";
        for (page, expected) in [
            ("http://a.example/sex/ass", "drop"),
            ("http://a.example/sex/SEX", "keep"),
            ("http://a.example/sexass", "keep"),
            ("http://a.example/sex-asshole", "drop"),
        ] {
            let expected =
                if expected == "keep" { keep(&url(page)) } else { "drop: banned words".to_owned() };
            check(step, &url(page), expected);
        }
        check(step, r#"{"text":"t"}"#, "broken: no url");
        let null = r#"{"url":null}"#;
        let exact = |rest: &str| {
            format!("url_substring_filter: {{banlist: [x.com], exact_domain_match: true{rest}}}")
        };
        check(&exact(", semantics: dclm"), null, keep(null));
        check(&exact(", semantics: dclm, ignore_chars: [www]"), null, "broken: no url");
        check(&exact(""), null, "broken: no url");
        for (semantics, expected) in [("dclm", "drop: banned words".to_owned()), ("fixed", keep(&url("a")))] {
            check(
                &format!("url_substring_filter: {{banlist: [], semantics: {semantics}}}"),
                &url("a"),
                expected,
            );
        }
    }

    #[test]
    fn trap_t2_www_is_cut_as_letters() {
        let step = |semantics: &str| {
            format!(
                "url_substring_filter: {{banlist: [xxx.com], exact_domain_match: true, ignore_chars: [www], semantics: {semantics}}}"
            )
        };
        for (host, dclm, fixed) in [
            ("xxx.com", true, true),
            ("www.xxx.com", false, true),
            ("wwwxxx.com", true, false),
            ("xxx.com:80", false, true),
            ("XXX.com", true, true),
            ("a.xxx.com", false, false),
        ] {
            let page = url(&format!("https://{host}/p"));
            for (semantics, dropped) in [("dclm", dclm), ("fixed", fixed)] {
                let expected = if dropped { "drop: banned domain".to_owned() } else { keep(&page) };
                check(&step(semantics), &page, expected);
            }
        }
        check(&step("fixed"), &url("http://[x/"), "broken: bad url");
    }

    #[test]
    fn trap_t8_words_are_found_as_by_retrie() {
        // The longest entry wins, in any case (U+017F is an s), whole words only where asked; a shorter one is tried at a boundary.
        let step = |whole: bool, limit: usize| {
            format!(
                "url_substring_filter: {{banlist: [ab, abc, s], match_substrings: {}, num_banned_substrs: {limit}}}",
                !whole
            )
        };
        for (page, whole, distinct) in [
            ("abcd", false, 1),
            ("abcd", true, 0),
            ("ab.cd", true, 1),
            ("abcab", false, 2),
            ("s/\u{17f}", true, 2),
            ("s/S", true, 1),
        ] {
            for limit in 1..=3 {
                let expected =
                    if distinct >= limit { "drop: banned words".to_owned() } else { keep(&url(page)) };
                check(&step(whole, limit), &url(page), expected);
            }
        }
    }

    #[test]
    fn trap_t11_a_short_entry_hides_no_longer_one() {
        let step = "url_substring_filter: {banlist: [ass, asshole], match_substrings: false}";
        check(step, &url("a.example/asshole"), "drop: banned words");
        // Lists are lower-cased unless case counts, and distinct entries are counted, not hits.
        let step = "url_substring_filter: {banlist: [Casino], num_banned_substrs: 2}";
        check(step, &url("casino/casino"), keep(&url("casino/casino")));
    }

    #[test]
    fn lists_come_from_files() {
        let lists = [("bad.txt", "one.example\r\n\r\nTwo.example\n")];
        let step = "url_substring_filter: {banlist_from_fname: bad.txt, exact_domain_match: true}";
        check_with(&lists, step, &url("//two.example/"), "drop: banned domain");
        check_with(&lists, step, &url("mailto:x"), keep(&url("mailto:x")));
        let step =
            "url_substring_filter: {banlist_from_fname: bad.txt, exact_domain_match: true, semantics: dclm}";
        check_with(&lists, step, &url("mailto:x"), "drop: banned domain");
    }

    #[test]
    fn lists_come_from_pickles() {
        let lists = [
            ("list.pkl", "(lp0\nVone.example\naVbad\na."),
            ("regex.pkl", "cre\n_compile\n(V\\b(?:bad|sex)\\b\nI34\ntR."),
            ("cased.pkl", "cre\n_compile\n(VBad\nI32\ntR."),
            ("call.pkl", "cos\nsystem\n(Vtrue\ntR."),
        ];
        for (params, page, is_dropped) in [
            ("list.pkl", "badly", true),
            ("list.pkl, exact_domain_match: true", "http://one.example", true),
            ("regex.pkl", "badly", false),
            ("regex.pkl", "x.BAD", true),
            ("regex.pkl, num_banned_substrs: 2", "sex-bad", true),
            // The URL is lower-cased by the parameter, the case of the regex is its own.
            ("cased.pkl", "Bad", false),
            ("cased.pkl, case_sensitive: true", "Bad", true),
        ] {
            let step = format!("url_substring_filter: {{banlist_from_fname: {params}}}");
            let reason = if params.contains("exact") { "drop: banned domain" } else { "drop: banned words" };
            let expected = if is_dropped { reason.to_owned() } else { keep(&url(page)) };
            check_with(&lists, &step, &url(page), expected);
        }
        let step = "url_substring_filter: {banlist_from_fname: regex.pkl, exact_domain_match: true}";
        let refusal = "refused: a pickled regex cannot be used with exact_domain_match; pickle the list";
        check_with(&lists, step, &url(""), refusal);
        let refusal = "refused: call.pkl is no list: it calls os.system at byte 19; nothing in a pickle is run, only set, \
            frozenset and re._compile are known";
        check_with(&lists, "url_substring_filter: {banlist_from_fname: call.pkl}", &url(""), refusal);
    }
}
