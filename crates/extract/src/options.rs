//! What an extraction is told, and what can be wrong with that.

use crate::content::MainOptions;
use crate::justext::JustextOptions;

/// A way from a page to its text.
#[derive(Clone, PartialEq, Debug)]
pub enum Algorithm {
    /// Resiliparse's rules, byte for byte.
    Resiliparse(Options),
    /// Our own, for quality.
    Main(MainOptions),
    /// jusText's paragraphs.
    Justext(JustextOptions),
    /// All text, as Beautiful Soup has it where lxml parses. Other algorithms cannot share such a parse.
    BeautifulSoup,
}

impl Algorithm {
    /// A page with more nodes than this is given up.
    pub(crate) fn max_nodes(&self) -> usize {
        match self {
            Self::Resiliparse(options) => options.max_nodes,
            Self::Main(_) | Self::Justext(_) | Self::BeautifulSoup => Options::default().max_nodes,
        }
    }
}

/// Which version's answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Version {
    /// Resiliparse 0.14.7, the generation DCLM was made with.
    #[default]
    V0_14_7,
    /// Resiliparse 2.0.1: other layout of tables and lists, bylines kept, fewer elements mistaken for boilerplate.
    V2_0_1,
}

/// Options of Resiliparse's `extract_plain_text` by their names there. The default is what DCLM used: main content only,
/// the rest as Resiliparse has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    pub version: Version,
    /// Only the main content; otherwise all text of the body.
    pub main_content: bool,
    /// Line breaks, list bullets and indentation; otherwise one line.
    pub preserve_formatting: bool,
    /// `•` or the number in front of list items.
    pub list_bullets: bool,
    /// The `alt` texts of images; without, figures, media and vector graphics go as a whole.
    pub alt_texts: bool,
    /// Addresses behind links, in parentheses.
    pub links: bool,
    /// Form fields and their values, in brackets.
    pub form_fields: bool,
    /// What pages show without scripting.
    pub noscript: bool,
    /// Whether comment sections count as main content.
    pub comments: bool,
    /// Whether bylines and dates do. Version 2 only; 0.14.7 always drops them.
    pub post_meta: bool,
    /// Whether elements with a class like `hidden` do. Version 2 only.
    pub hidden_elements: bool,
    /// Elements to leave out: CSS selectors of types, classes, ids and attributes, with descendant and child combinators.
    pub skip_elements: Vec<String>,
    /// A page with more nodes than this (elements, texts, comments) is given up.
    pub max_nodes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            version: Version::default(),
            main_content: true,
            preserve_formatting: true,
            list_bullets: true,
            alt_texts: true,
            links: false,
            form_fields: false,
            noscript: false,
            comments: true,
            post_meta: true,
            hidden_elements: false,
            skip_elements: Vec::new(),
            max_nodes: 2_000_000,
        }
    }
}

/// Options that no page can be extracted with.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    #[error("skip_elements: cannot use the selector `{selector}`: at byte {at} {problem}")]
    Selector { selector: String, at: usize, problem: &'static str },
    #[error("skip_elements: {found} compound selectors are more than the {limit} supported; leave some out")]
    TooManySelectors { found: usize, limit: usize },
    #[error("a built-in pattern does not compile")]
    Pattern {
        #[source]
        source: regex::Error,
    },
}

/// Why a page has no text. Each is a property of the page: the same page fails again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ExtractError {
    /// Positions in a page are 32 bits wide, with room for decoded text beside it.
    #[error("the page has {bytes} bytes, more than the {} supported", Self::MAX_BYTES)]
    TooLarge { bytes: usize },
    #[error("the page has more than {limit} nodes")]
    TooManyNodes { limit: usize },
    /// Mis-nested elements that make the standard's algorithm take time out of proportion to the page.
    #[error("the page's open elements are nested out of proportion to its size")]
    TooTangled,
    /// Attributes or list indentation repeated until they are many times the page.
    #[error("the page's text is out of proportion to its size")]
    TooMuchText,
}

impl ExtractError {
    /// The largest page.
    pub const MAX_BYTES: usize = 256 << 20;

    /// A short, stable name for counting.
    pub fn reason(self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "page too large",
            Self::TooManyNodes { .. } => "too many nodes",
            Self::TooTangled => "too tangled",
            Self::TooMuchText => "too much text",
        }
    }
}
