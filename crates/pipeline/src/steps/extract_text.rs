//! `extract_text`

use crate::step::{Context, Needs};
use crate::{Body, BuildError, Built, Step, Verdict};
use gristmill_extract::{
    Algorithm, Extractor, Format, JustextOptions, MainOptions, Options, StopWords, Version, charset,
};
use schemars::JsonSchema;
use serde::Deserialize;

pub struct ExtractText;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// The algorithm. The parameters from `main_content` on are Resiliparse's; of these `main` knows `links` and
    /// `comments`.
    extractor: Name,
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
    fn algorithm(&self) -> Algorithm {
        match self.extractor {
            Name::Main => Algorithm::Main(MainOptions {
                format: match self.format {
                    Layout::Plain => Format::Plain,
                    Layout::Markdown => Format::Markdown,
                },
                comments: self.comments.unwrap_or(false),
                links: self.links,
            }),
            Name::Resiliparse => Algorithm::Resiliparse(self.resiliparse()),
            Name::Justext => Algorithm::Justext(self.justext.options()),
        }
    }

    fn extractor(&self) -> Result<Extractor, BuildError> {
        Extractor::with(vec![self.algorithm()]).map_err(|e| BuildError::new(e.to_string()))
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
        are those without a type whose first bytes are no text. Documents that come out without text are dropped, unless \
        `keep_empty` is set.";
    const ORIGIN: &'static str = "chatnoir-eu/chatnoir-resiliparse, resiliparse/extract/html2text (0.14.7); \
        used by mlfoundations/dclm, tools/commoncrawl/process_common_crawl_w_ray.py; \
        miso-belica/jusText (3.0.2), used by dclm's html_content_extraction_modifier";
    const EXAMPLE: &'static str = "{extractor: main, format: markdown}";
    const NEEDS: Needs = Needs::Body;
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        params.extractor().map(|_| ())
    }

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let mut extractor = params.extractor()?;
        let keep_empty = params.keep_empty;
        let policy = match params.charset {
            Charset::Detect => charset::Charset::Detect,
            Charset::Dclm => charset::Charset::Dclm,
        };
        Ok(Built::map(move |doc| {
            let Some(body) = &doc.body else { return Verdict::broken(crate::step::NO_BODY) };
            let kind = match content(body) {
                Ok(kind) => kind,
                Err(verdict) => return verdict,
            };
            let http_charset = body.content_type.as_deref().and_then(charset_of);
            let Ok((decoded, _)) = charset::decode(&body.bytes, http_charset, policy) else {
                return Verdict::broken("charset");
            };
            let text = match kind {
                Content::Plain => decoded.into_owned(),
                Content::Html => match extractor.extract(&decoded) {
                    Ok(text) => text,
                    Err(error) => return Verdict::broken(error.reason()),
                },
            };
            if text.is_empty() && !keep_empty {
                return Verdict::dropped("no text");
            }
            // The body stays where it is: the reader takes its buffer back, and no later step sees it.
            doc.set_text(text);
            Verdict::Keep
        }))
    }
}

enum Content {
    Html,
    Plain,
}

/// What a body is, by its content type, else by its first bytes.
fn content(body: &Body) -> Result<Content, Verdict> {
    let declared = body.content_type.as_deref().map(|t| t.split(';').next().unwrap_or_default().trim());
    match declared {
        None | Some("") => {
            if is_binary(&body.bytes) {
                Err(Verdict::dropped("not text"))
            } else {
                Ok(Content::Html)
            }
        }
        Some(kind) if ["text/html", "application/xhtml+xml"].iter().any(|k| kind.eq_ignore_ascii_case(k)) => {
            Ok(Content::Html)
        }
        Some(kind) if kind.eq_ignore_ascii_case("text/plain") => Ok(Content::Plain),
        Some(_) => Err(Verdict::dropped("content type")),
    }
}

/// How files begin that are no text, though they may show no NUL for a while (MIME Sniffing Standard, 6 and 7).
const MAGICS: [&[u8]; 11] = [
    b"%PDF-",
    b"GIF8",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"PK\x03\x04",
    b"\x1f\x8b\x08",
    b"Rar!\x1a\x07",
    b"BZh",
    b"ID3",
    b"OggS",
    b"wOF",
];

/// Whether a body of unknown type is plainly no text.
fn is_binary(bytes: &[u8]) -> bool {
    let first = bytes.get(..bytes.len().min(512)).unwrap_or_default();
    // UTF-16 has NULs, and a byte order mark that says so.
    let is_utf16 = first.starts_with(&[0xff, 0xfe]) || first.starts_with(&[0xfe, 0xff]);
    MAGICS.iter().any(|magic| first.starts_with(magic)) || (first.contains(&0) && !is_utf16)
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
    use crate::steps::check::check_page;

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
