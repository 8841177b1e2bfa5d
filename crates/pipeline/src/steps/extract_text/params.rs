//! The parameters of `extract_text`, and what they make of an extractor.

use crate::BuildError;
use gristmill_extract::{
    Algorithm, Format, JustextOptions, MainOptions, Options, StopWords, Version, charset,
};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// The algorithm. The parameters from `main_content` to `skip_elements` are Resiliparse's; of these `main` knows `links`
    /// and `comments`. What the extractor does not know is refused.
    pub(super) extractor: Name,
    /// Those that `union` tries, the preferred one first; `[main, resiliparse, justext]` if not given.
    of: Option<Vec<Member>>,
    /// Which version of Resiliparse to answer as: 0.14.7, of the generation that DCLM was made with, or 2.0.1; 1 and 2 for
    /// short.
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
    pub(super) keep_empty: bool,
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
pub(super) enum Name {
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
pub(super) enum Member {
    Main,
    Resiliparse,
    Justext,
}

/// In the paper resiliparse, trafilatura and jusText; `main` stands where trafilatura does.
const UNION: [Member; 3] = [Member::Main, Member::Resiliparse, Member::Justext];

impl Member {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Resiliparse => "resiliparse",
            Self::Justext => "justext",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Layout {
    /// Lines and paragraphs.
    Plain,
    /// Headings, lists, tables, emphasis and code marked.
    Markdown,
}

/// Parameters by their names in jusText.
#[derive(PartialEq, Debug, Deserialize, JsonSchema)]
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

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
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

/// A version of Resiliparse, or its generation: 1 or 2.
#[derive(Clone, Copy, PartialEq, Eq, Debug, JsonSchema)]
#[schemars(with = "VersionText")]
enum ResiliparseVersion {
    V0_14_7,
    V2_0_1,
}

#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "it only says how a version is written")]
enum VersionText {
    Name(#[schemars(extend("enum" = ["0.14.7", "2.0.1"]))] String),
    Generation(#[schemars(range(min = 1, max = 2))] u32),
}

impl<'de> Deserialize<'de> for ResiliparseVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = ResiliparseVersion;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("0.14.7 (or 1) or 2.0.1 (or 2)")
            }
            fn visit_u64<E: serde::de::Error>(self, generation: u64) -> Result<ResiliparseVersion, E> {
                self.visit_str(&generation.to_string())
            }
            fn visit_i64<E: serde::de::Error>(self, generation: i64) -> Result<ResiliparseVersion, E> {
                self.visit_str(&generation.to_string())
            }
            fn visit_str<E: serde::de::Error>(self, version: &str) -> Result<ResiliparseVersion, E> {
                match version {
                    "0.14.7" | "1" => Ok(ResiliparseVersion::V0_14_7),
                    "2.0.1" | "2" => Ok(ResiliparseVersion::V2_0_1),
                    other => Err(E::custom(format!(
                        "there is no version {other} to answer as; write 0.14.7 (or 1) or 2.0.1 (or 2)"
                    ))),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Charset {
    Detect,
    Dclm,
}

impl Params {
    /// What is tried on a page, in that order.
    pub(super) fn members(&self) -> Result<Vec<Member>, BuildError> {
        let members = self.named()?;
        match self.idle(&members) {
            None => Ok(members),
            Some((name, whose)) => Err(BuildError::new(format!("`{name}` is for `extractor: {whose}`"))),
        }
    }

    fn named(&self) -> Result<Vec<Member>, BuildError> {
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

    /// A parameter that is set and that none of the members knows, and whose it is. Whoever sets it expects something of it.
    fn idle(&self, members: &[Member]) -> Option<(&'static str, &'static str)> {
        use Member::{Justext, Main, Resiliparse};
        let other = Self::default();
        let both = "main` or `extractor: resiliparse";
        [
            ("version", self.version != other.version, &[Resiliparse][..], "resiliparse"),
            ("format", self.format != other.format, &[Main], "main"),
            ("justext", self.justext != other.justext, &[Justext], "justext"),
            ("main_content", self.main_content != other.main_content, &[Resiliparse], "resiliparse"),
            (
                "preserve_formatting",
                self.preserve_formatting != other.preserve_formatting,
                &[Resiliparse],
                "resiliparse",
            ),
            ("list_bullets", self.list_bullets != other.list_bullets, &[Resiliparse], "resiliparse"),
            ("alt_texts", self.alt_texts != other.alt_texts, &[Resiliparse], "resiliparse"),
            ("links", self.links != other.links, &[Main, Resiliparse], both),
            ("form_fields", self.form_fields != other.form_fields, &[Resiliparse], "resiliparse"),
            ("noscript", self.noscript != other.noscript, &[Resiliparse], "resiliparse"),
            ("comments", self.comments.is_some(), &[Main, Resiliparse], both),
            ("post_meta", self.post_meta != other.post_meta, &[Resiliparse], "resiliparse"),
            ("hidden_elements", self.hidden_elements != other.hidden_elements, &[Resiliparse], "resiliparse"),
            ("skip_elements", !self.skip_elements.is_empty(), &[Resiliparse], "resiliparse"),
        ]
        .into_iter()
        .find(|(_, set, known_by, _)| *set && !members.iter().any(|member| known_by.contains(member)))
        .map(|(name, _, _, whose)| (name, whose))
    }

    pub(super) fn algorithm(&self, member: Member) -> Algorithm {
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

    /// How bytes become text.
    pub(super) fn charset(&self) -> charset::Charset {
        match self.charset {
            Charset::Detect => charset::Charset::Detect,
            Charset::Dclm => charset::Charset::Dclm,
        }
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
