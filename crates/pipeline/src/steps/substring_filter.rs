//! `substring_filter`

use super::shared::{Location, OneOrMany, read_list};
use crate::resources::Wanted;
use crate::step::{Context, Semantics};
use crate::{BuildError, Built, Resources, Step, Verdict};
use gristmill_filters::phrases::{PagePhrases, Syntax};
use gristmill_filters::python;
use schemars::JsonSchema;
use serde::Deserialize;

pub struct SubstringFilter;

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// The phrases.
    banlist: Option<OneOrMany>,
    /// A list of them, one a line; wins over `banlist`.
    banlist_from_fname: Option<String>,
    /// Where in the text they stand.
    location: Location,
    case_sensitive: bool,
    /// Only between word boundaries.
    exact_word: bool,
    semantics: Semantics,
}

impl Params {
    fn phrases(&self, resources: &Resources) -> Result<PagePhrases, BuildError> {
        let mut list = match (&self.banlist_from_fname, &self.banlist) {
            (Some(name), _) => read_list(resources, name)?,
            (None, Some(list)) => list.to_vec(),
            (None, None) => Vec::new(),
        };
        let syntax = match self.semantics {
            Semantics::Dclm => {
                // Of no phrase DCLM makes a pattern that is found everywhere.
                if list.is_empty() {
                    list.push(String::new());
                }
                Syntax::Pattern
            }
            Semantics::Fixed => {
                list.retain(|phrase| !python::is_blank(phrase));
                Syntax::Literal
            }
        };
        PagePhrases::new(&list, self.location.into(), syntax, !self.case_sensitive, self.exact_word)
            .map_err(|error| BuildError::new(error.to_string()))
    }
}

impl Step for SubstringFilter {
    const NAME: &'static str = "substring_filter";
    const DOC: &'static str = "Drops pages with a phrase.\n\n\
        `semantics: dclm`: phrases are patterns, since DCLM does not escape them: a full stop is any character, and an empty line in the \
        list matches every page, and so does a list without a phrase. `fixed`: they are what they say, and blank ones are passed over.";
    const ORIGIN: &'static str = "mlfoundations/dclm, baselines/mappers/filters/content_filters.py";
    const EXAMPLE: &'static str = "{banlist: [lorem ipsum]}";
    const HAS_SEMANTICS: bool = true;
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        if params.banlist.is_none() && params.banlist_from_fname.is_none() {
            return Err(BuildError::new("give a banlist, or a file of one as banlist_from_fname"));
        }
        if params.banlist_from_fname.is_none() {
            params.phrases(&Resources::default())?;
        }
        Ok(())
    }

    fn resources(params: &Params) -> Vec<Wanted> {
        params.banlist_from_fname.iter().map(|name| Wanted::named(name)).collect()
    }

    fn build(params: &Params, cx: &Context) -> Result<Built, BuildError> {
        let phrases =
            cx.resources.shared(&format!("substring_filter {params:?}"), || params.phrases(cx.resources))?;
        Ok(Built::text(move |text, _| Verdict::keep_if(!phrases.is_match(text.as_str()), "banned phrase")))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, check_with, keep};

    #[test]
    fn phrases_drop_the_page() {
        for (params, text, kept) in [
            ("banlist: lorem ipsum", "a Lorem IPSUM b", false),
            ("banlist: lorem ipsum, case_sensitive: true", "a Lorem IPSUM b", true),
            ("banlist: [the], location: prefix, exact_word: true", "The a", false),
            ("banlist: [the], location: prefix, exact_word: true", "Then", true),
            ("banlist: [the], location: suffix", "at the", false),
            ("banlist: [the], location: suffix", "the a", true),
        ] {
            let page = format!(r#"{{"text":"{text}"}}"#);
            let expected = if kept { keep(&page) } else { "drop: banned phrase".to_owned() };
            check(&format!("substring_filter: {{{params}}}"), &page, expected);
        }
    }

    #[test]
    fn trap_t3_a_brace_and_a_full_stop() {
        let page = r#"{"text":"a b { c"}"#;
        for (phrase, dclm, fixed) in [("'{'", false, false), ("a.b", false, true), ("b...c", false, true)] {
            for (semantics, kept) in [("dclm", dclm), ("fixed", fixed)] {
                let expected = if kept { keep(page) } else { "drop: banned phrase".to_owned() };
                check(
                    &format!("substring_filter: {{banlist: [{phrase}], semantics: {semantics}}}"),
                    page,
                    expected,
                );
            }
        }
        let lists = [("words.txt", "nothing\n\nhere\n")];
        check_with(&lists, "substring_filter: {banlist_from_fname: words.txt}", page, keep(page));
        let step = "substring_filter: {banlist_from_fname: words.txt, semantics: dclm}";
        check_with(&lists, step, page, "drop: banned phrase");
        check("substring_filter: {banlist: []}", page, keep(page));
        check("substring_filter: {banlist: [], semantics: dclm}", page, "drop: banned phrase");
    }
}
