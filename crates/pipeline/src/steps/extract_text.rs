//! `extract_text`

use crate::step::{Alternative, Context, Needs};
use crate::{BuildError, Built, Document, Step, Verdict};
use gristmill_extract::{
    Extractor, charset,
    media::{self, Media},
};
use params::Name;
use std::borrow::Cow;

mod params;
pub use params::Params;

pub struct ExtractText;

impl Step for ExtractText {
    const NAME: &'static str = "extract_text";
    const DOC: &'static str = "Makes the text of a page from its HTML.\n\n\
        HTML and XHTML are extracted, plain text is taken as it is; documents of any other content type are dropped, and so \
        are those whose first bytes are those of something else. Where no type is given, or one that says nothing, the first bytes decide. Documents that come out without text are dropped, unless \
        `keep_empty` is set.\n\n\
        With `extractor: union` a page counts if the text of any of several extractors survives the filters. It goes on through \
        the steps with the text of the first one; where those, up to the next dedup or the end of the recipe, keep nothing of it, \
        it comes again with the text of the next one, and so on. It is kept once, with the first text that is kept, and the field \
        `extractor` names whose that is; a page of which no text is kept counts by what became of the last one. The manifest says \
        under `extracted_by` how many pages each extractor gave. (The paper takes the union of the pages that survive by any \
        extractor; one text for each page, and the order, are choices made here.)";
    const ORIGIN: &'static str = "chatnoir-eu/chatnoir-resiliparse, resiliparse/extract/html2text (0.14.7); \
        used by mlfoundations/dclm, tools/commoncrawl/process_common_crawl_w_ray.py; \
        miso-belica/jusText (3.0.2), used by dclm's html_content_extraction_modifier; \
        union: Li et al. 2026, arXiv 2602.19548";
    const EXAMPLE: &'static str = "{extractor: main, format: markdown}";
    const NEEDS: Needs = Needs::Body;
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        Pages::new(params).map(|_| ())
    }

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let mut pages = Pages::new(params)?;
        // The body stays where it is: the reader takes its buffer back, and no later step sees it.
        Ok(match params.extractor {
            Name::Union => Built::alternatives(move |doc| pages.texts(doc)),
            _ => Built::map(move |doc| match pages.text(doc) {
                Ok(text) => {
                    doc.set_text(text);
                    Verdict::Keep
                }
                Err(verdict) => verdict,
            }),
        })
    }
}

/// Makes texts of pages.
struct Pages {
    extractor: Extractor,
    names: Vec<&'static str>,
    charset: charset::Charset,
    keep_empty: bool,
}

/// Who gave the text of a page that is no HTML.
const PLAIN: &str = "none";

impl Pages {
    fn new(params: &Params) -> Result<Self, BuildError> {
        let members = params.members()?;
        let algorithms = members.iter().map(|member| params.algorithm(*member)).collect();
        Ok(Self {
            extractor: Extractor::with(algorithms).map_err(|e| BuildError::new(e.to_string()))?,
            names: members.into_iter().map(params::Member::name).collect(),
            charset: params.charset(),
            keep_empty: params.keep_empty,
        })
    }

    /// The text of a page by the one extractor.
    fn text(&mut self, doc: &Document) -> Result<String, Verdict> {
        let text = match decoded(doc, self.charset)? {
            (Media::Plain, text) => text.into_owned(),
            (Media::Html, html) => {
                self.extractor.extract(&html).map_err(|error| Verdict::broken(error.reason()))?
            }
        };
        if text.is_empty() && !self.keep_empty {
            return Err(Verdict::dropped(crate::step::NO_TEXT));
        }
        Ok(text)
    }

    /// The texts of a page by all extractors, each text once; empty ones only if there is nothing else.
    fn texts(&mut self, doc: &Document) -> Result<Vec<Alternative>, Verdict> {
        let html = match decoded(doc, self.charset)? {
            (Media::Html, html) => html,
            (Media::Plain, text) if text.is_empty() && !self.keep_empty => {
                return Err(Verdict::dropped(crate::step::NO_TEXT));
            }
            (Media::Plain, text) => return Ok(vec![Alternative { by: PLAIN, text: text.into_owned() }]),
        };
        let gave_up = |error: gristmill_extract::ExtractError| Verdict::broken(error.reason());
        let mut texts: Vec<Alternative> = Vec::with_capacity(self.names.len());
        let mut otherwise = None;
        for (by, text) in self.names.iter().zip(self.extractor.extract_all(&html).map_err(gave_up)?) {
            match text {
                Ok(text) if text.is_empty() && self.keep_empty => {
                    otherwise.get_or_insert(Ok(Alternative { by, text }));
                }
                Ok(text) => {
                    if !text.is_empty() && texts.iter().all(|before| before.text != text) {
                        texts.push(Alternative { by, text });
                    }
                }
                Err(error) => {
                    otherwise.get_or_insert(Err(gave_up(error)));
                }
            }
        }
        if texts.is_empty() {
            texts.push(otherwise.unwrap_or_else(|| Err(Verdict::dropped(crate::step::NO_TEXT)))?);
        }
        Ok(texts)
    }
}

/// A body as text, and what that text is.
fn decoded(doc: &Document, policy: charset::Charset) -> Result<(Media, Cow<'_, str>), Verdict> {
    let body = doc.body.as_ref().ok_or_else(|| Verdict::broken(crate::step::NO_BODY))?;
    let kind = media::of(body.content_type.as_deref(), &body.bytes);
    let kind = kind.map_err(|why| Verdict::dropped(why.reason()))?;
    let http_charset = body.content_type.as_deref().and_then(charset_of);
    let (text, _) =
        charset::decode(&body.bytes, http_charset, policy).map_err(|_| Verdict::broken("charset"))?;
    Ok((kind, text))
}

/// The `charset` parameter of a content type.
fn charset_of(content_type: &str) -> Option<&str> {
    content_type.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        // The semicolon before it may be missing.
        let name = name.trim_end().rsplit(|char: char| char.is_ascii_whitespace()).next()?;
        let value = value.trim().trim_matches(['"', '\'']);
        (name.eq_ignore_ascii_case("charset") && !value.is_empty()).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::check::{check_page, outcome};

    #[test]
    fn pages_by_content_type() {
        let step = "extract_text: {}";
        check_page(step, Some("text/html; charset=utf-8"), b"<h1>A</h1><p>b", "keep: A\n\nb");
        check_page(step, Some("Application/XHTML+xml"), b"<p>a", "keep: a");
        check_page(step, Some("text/plain"), b"a <b>", "keep: a <b>");
        check_page(step, Some("image/png"), b"\x89PNG", "drop: content type");
        check_page(step, None, b"<p>a", "keep: a");
        check_page(step, None, b"a\0b", "drop: not text");
        check_page(step, None, b"%PDF-1.4 x", "drop: not text");
        check_page(step, None, b"\xff\xfea\0", "keep: a");
        check_page(step, Some("text/html"), b"<script>1</script>", "drop: no text");
        check_page("extract_text: {keep_empty: true}", Some("text/html"), b"", "keep: ");
    }

    #[test]
    fn charsets() {
        let latin = b"<p>gr\xfcn";
        check_page("extract_text: {}", Some("text/html; charset=\"ISO-8859-1\""), latin, "keep: gr\u{fc}n");
        check_page(
            "extract_text: {charset: dclm}",
            Some("text/html; charset=ISO-8859-1"),
            latin,
            "broken: charset",
        );
    }

    #[test]
    fn options() {
        let page = b"<div><p>a<p class=spinner>b<p class=hidden>c";
        let check = |params: &str, expected| {
            check_page(&format!("extract_text: {{{params}}}"), Some("text/html"), page, expected);
        };
        check("extractor: resiliparse", "keep: a\n\nb");
        check("extractor: resiliparse, version: 2.0.1", "keep: a");
        for version in ["2", "\"2\"", "\"2.0.1\""] {
            check(&format!("extractor: resiliparse, version: {version}"), "keep: a");
        }
        check("extractor: resiliparse, version: 1", "keep: a\n\nb");
        check("extractor: resiliparse, version: 2.0.1, hidden_elements: true", "keep: a\n\nc");
        check("extractor: resiliparse, skip_elements: [.spinner]", "keep: a");
        check("extractor: justext, justext: {all_paragraphs: true}", "keep: a\nb\nc");
    }

    #[test]
    fn what_an_extractor_does_not_know_is_refused() {
        for (params, expected) in [
            ("skip_elements: [nav]", "refused: `skip_elements` is for `extractor: resiliparse`"),
            ("main_content: false", "refused: `main_content` is for `extractor: resiliparse`"),
            ("version: 2", "refused: `version` is for `extractor: resiliparse`"),
            ("extractor: resiliparse, format: markdown", "refused: `format` is for `extractor: main`"),
            (
                "extractor: resiliparse, justext: {no_headings: true}",
                "refused: `justext` is for `extractor: justext`",
            ),
            (
                "extractor: justext, links: true",
                "refused: `links` is for `extractor: main` or `extractor: resiliparse`",
            ),
        ] {
            assert_eq!(outcome(&[], &format!("extract_text: {{{params}}}"), "{}"), expected);
        }
        for params in [
            "links: true, comments: true, format: markdown, main_content: true",
            "extractor: union, skip_elements: [nav], format: markdown, justext: {no_headings: true}",
        ] {
            check_page(&format!("extract_text: {{{params}}}"), Some("text/html"), b"<p>a", "keep: a");
        }
    }

    #[test]
    fn main_content() {
        let page = b"<nav><a href=x>y</a></nav><article><h1>On mills</h1><p>They grind <b>all</b> day, and all night.";
        let check = |params: &str, expected| {
            check_page(&format!("extract_text: {{{params}}}"), Some("text/html"), page, expected);
        };
        check("extractor: main", "keep: On mills\n\nThey grind all day, and all night.");
        check("format: markdown", "keep: # On mills\n\nThey grind **all** day, and all night.");
    }

    #[test]
    fn union() {
        let page =
            b"<nav><a href=x>y</a></nav><article><p>On mills and millers, and on what they have in common.";
        let check = |params: &str, expected| {
            let step = format!("extract_text: {{extractor: union{params}}}");
            check_page(&step, Some("text/html"), page, expected);
        };
        check("", "keep: On mills and millers, and on what they have in common.");
        check(
            ", of: [justext, main], justext: {all_paragraphs: true}",
            "keep: y\nOn mills and millers, and on what they have in common.",
        );
        // What jusText takes for boilerplate is no text; the next one's is.
        check(", of: [justext, main]", "keep: On mills and millers, and on what they have in common.");
        check(", of: [justext]", "drop: no text");
        check(", of: [justext], keep_empty: true", "keep: ");
        check_page("extract_text: {extractor: union}", Some("text/plain"), b"a", "keep: a");
        for (params, expected) in [
            ("extractor: union, of: []", "refused: `of` names at least one extractor, each once"),
            ("extractor: union, of: [main, main]", "refused: `of` names at least one extractor, each once"),
            ("of: [main]", "refused: `of` is for `extractor: union`"),
        ] {
            assert_eq!(outcome(&[], &format!("extract_text: {{{params}}}"), "{}"), expected);
        }
        let bomb = "<b>".repeat(2_100_000);
        check_page("extract_text: {extractor: union}", None, bomb.as_bytes(), "broken: too many nodes");
    }

    #[test]
    fn bombs_are_broken() {
        let bomb = "<b>".repeat(2_100_000);
        check_page("extract_text: {}", Some("text/html"), bomb.as_bytes(), "broken: too many nodes");
    }

    #[test]
    fn parameters_of_a_content_type() {
        assert_eq!(charset_of("text/html; a=b; Charset = 'x' "), Some("x"));
        assert_eq!(charset_of("text/html charset=x"), Some("x"));
        assert_eq!(charset_of("text/html; charset="), None);
        assert_eq!(charset_of("text/html"), None);
    }
}
