//! `extract_text`

use crate::step::{Alternative, Context, Needs};
use crate::{BuildError, Built, Document, Step, Verdict};
use gristmill_extract::{
    Algorithm, Extractor, Format, JustextOptions, MainOptions, Options, StopWords, Version, charset,
    media::{self, Media},
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::borrow::Cow;

pub struct ExtractText;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// The algorithm. The parameters from `main_content` on are Resiliparse's; of these `main` knows `links` and
    /// `comments`.
    extractor: Name,
    /// Those that `union` tries, the preferred one first; `[main, resiliparse, justext]` if not given.
    of: Option<Vec<Member>>,
    /// Which version of Resiliparse to answer as. DCLM was made with the generation of 0.14.7.
    version: ResiliparseVersion,
    /// How `main` writes the text.
    format: Layout,
    /// The parameters of `justext`.
    justext: Justext,
    /// `detect` tells the encoding from byte order mark, HTTP header, meta element and content; `dclm` takes every page
    /// for strict UTF-8, and those that are not as broken.
    charset: Charset,
    /// Only the main content; otherwise all text of the page.
    main_content: bool,
    /// Line breaks, list bullets and indentation; otherwise one line.
    preserve_formatting: bool,
    /// A bullet or the number in front of list items.
    list_bullets: bool,
    /// The `alt` texts of images.
    alt_texts: bool,
    /// Addresses behind links.
    links: bool,
    /// Form fields and their values.
    form_fields: bool,
    /// What pages show without scripting.
    noscript: bool,
    /// Whether comment sections count as main content. If not given, they do in `resiliparse` and do not in `main`, where
    /// postings in a forum always do.
    comments: Option<bool>,
    /// Whether bylines and dates do (version 2.0.1 only).
    post_meta: bool,
    /// Whether elements with a class like `hidden` do (version 2.0.1 only).
    hidden_elements: bool,
    /// Elements to leave out, as CSS selectors.
    skip_elements: Vec<String>,
    /// Keep documents without any text; otherwise they are dropped.
    keep_empty: bool,
}

impl Default for Params {
    fn default() -> Self {
        let options = Options::default();
        Self {
            extractor: Name::Main,
            of: None,
            version: ResiliparseVersion::V0_14_7,
            format: Layout::Plain,
            justext: Justext::default(),
            charset: Charset::Detect,
            main_content: options.main_content,
            preserve_formatting: options.preserve_formatting,
            list_bullets: options.list_bullets,
            alt_texts: options.alt_texts,
            links: options.links,
            form_fields: options.form_fields,
            noscript: options.noscript,
            comments: None,
            post_meta: options.post_meta,
            hidden_elements: options.hidden_elements,
            skip_elements: options.skip_elements,
            keep_empty: false,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Name {
    /// Our own, for quality.
    Main,
    /// Resiliparse's rules, byte for byte.
    Resiliparse,
    /// jusText's rules.
    Justext,
    /// The first of several whose text is kept by the steps that follow.
    Union,
}

/// What `union` may try.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Member {
    Main,
    Resiliparse,
    Justext,
}

/// In the paper resiliparse, trafilatura and jusText; `main` stands where trafilatura does.
const UNION: [Member; 3] = [Member::Main, Member::Resiliparse, Member::Justext];

impl Member {
    fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Resiliparse => "resiliparse",
            Self::Justext => "justext",
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Layout {
    /// Lines and paragraphs.
    Plain,
    /// Headings, lists, tables, emphasis and code marked.
    Markdown,
}

/// Parameters by their names in jusText.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Justext {
    /// Which words are function words: English ones, or none for texts of any language.
    stop_words: Words,
    /// Shorter paragraphs are judged by their neighbours, in characters.
    length_low: usize,
    /// Longer ones with enough function words are good by themselves, in characters.
    length_high: usize,
    /// Share of function words below which a paragraph is boilerplate.
    stopwords_low: f64,
    /// Share of function words from which on it is good.
    stopwords_high: f64,
    /// Share of characters in links above which it is boilerplate.
    max_link_density: f64,
    /// How far before a good paragraph a heading may stand, in characters.
    max_heading_distance: usize,
    /// Headings are paragraphs like others.
    no_headings: bool,
    /// All paragraphs, boilerplate included, as DCLM's `html_content_extraction_modifier` has it.
    all_paragraphs: bool,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Words {
    English,
    Any,
}

impl Default for Justext {
    fn default() -> Self {
        let options = JustextOptions::default();
        Self {
            stop_words: Words::English,
            length_low: options.length_low,
            length_high: options.length_high,
            stopwords_low: options.stopwords_low,
            stopwords_high: options.stopwords_high,
            max_link_density: options.max_link_density,
            max_heading_distance: options.max_heading_distance,
            no_headings: options.no_headings,
            all_paragraphs: options.all_paragraphs,
        }
    }
}

impl Justext {
    fn options(&self) -> JustextOptions {
        JustextOptions {
            stop_words: match self.stop_words {
                Words::English => StopWords::English,
                Words::Any => StopWords::Any,
            },
            length_low: self.length_low,
            length_high: self.length_high,
            stopwords_low: self.stopwords_low,
            stopwords_high: self.stopwords_high,
            max_link_density: self.max_link_density,
            max_heading_distance: self.max_heading_distance,
            no_headings: self.no_headings,
            all_paragraphs: self.all_paragraphs,
            ..JustextOptions::default()
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
enum ResiliparseVersion {
    #[serde(rename = "0.14.7")]
    V0_14_7,
    #[serde(rename = "2.0.1")]
    V2_0_1,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Charset {
    Detect,
    Dclm,
}

impl Params {
    /// What is tried on a page, in that order.
    fn members(&self) -> Result<Vec<Member>, BuildError> {
        let one = match (self.extractor, &self.of) {
            (Name::Union, None) => return Ok(UNION.to_vec()),
            (Name::Union, Some(of)) => {
                let twice = of.iter().enumerate().any(|(at, name)| of.iter().take(at).any(|n| n == name));
                if of.is_empty() || twice {
                    return Err(BuildError::new("`of` names at least one extractor, each once"));
                }
                return Ok(of.clone());
            }
            (_, Some(_)) => return Err(BuildError::new("`of` is for `extractor: union`")),
            (Name::Main, None) => Member::Main,
            (Name::Resiliparse, None) => Member::Resiliparse,
            (Name::Justext, None) => Member::Justext,
        };
        Ok(vec![one])
    }

    fn algorithm(&self, member: Member) -> Algorithm {
        match member {
            Member::Main => Algorithm::Main(MainOptions {
                format: match self.format {
                    Layout::Plain => Format::Plain,
                    Layout::Markdown => Format::Markdown,
                },
                comments: self.comments.unwrap_or(false),
                links: self.links,
            }),
            Member::Resiliparse => Algorithm::Resiliparse(self.resiliparse()),
            Member::Justext => Algorithm::Justext(self.justext.options()),
        }
    }

    fn pages(&self) -> Result<Pages, BuildError> {
        let members = self.members()?;
        let algorithms = members.iter().map(|member| self.algorithm(*member)).collect();
        Ok(Pages {
            extractor: Extractor::with(algorithms).map_err(|e| BuildError::new(e.to_string()))?,
            names: members.into_iter().map(Member::name).collect(),
            charset: match self.charset {
                Charset::Detect => charset::Charset::Detect,
                Charset::Dclm => charset::Charset::Dclm,
            },
            keep_empty: self.keep_empty,
        })
    }

    fn resiliparse(&self) -> Options {
        Options {
            version: match self.version {
                ResiliparseVersion::V0_14_7 => Version::V0_14_7,
                ResiliparseVersion::V2_0_1 => Version::V2_0_1,
            },
            main_content: self.main_content,
            preserve_formatting: self.preserve_formatting,
            list_bullets: self.list_bullets,
            alt_texts: self.alt_texts,
            links: self.links,
            form_fields: self.form_fields,
            noscript: self.noscript,
            comments: self.comments.unwrap_or(Options::default().comments),
            post_meta: self.post_meta,
            hidden_elements: self.hidden_elements,
            skip_elements: self.skip_elements.clone(),
            ..Options::default()
        }
    }
}

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
        params.pages().map(|_| ())
    }

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let mut pages = params.pages()?;
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
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches(['"', '\'']);
        (name.trim().eq_ignore_ascii_case("charset") && !value.is_empty()).then_some(value)
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
        check("extractor: resiliparse, version: 2.0.1, hidden_elements: true", "keep: a\n\nc");
        check("extractor: resiliparse, skip_elements: [.spinner]", "keep: a");
        check("extractor: justext, justext: {all_paragraphs: true}", "keep: a\nb\nc");
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
        assert_eq!(charset_of("text/html; charset="), None);
        assert_eq!(charset_of("text/html"), None);
    }
}
