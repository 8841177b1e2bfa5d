//! HTML to text: Resiliparse's answers, several times as fast.
//!
//! [`charset::decode`] makes text of a body, [`Extractor::extract`] the main content of that. An extractor belongs to one
//! thread and keeps its buffers and what it learned about class names, so use one for many pages:
//!
//! ```
//! use gristmill_extract::{Extractor, Options, charset};
//!
//! let body = b"<!doctype html><title>T</title><nav>Home</nav><h1>On mills</h1><p>They gr\xefnd.";
//! let (html, encoding) = charset::decode(body, Some("iso-8859-1"), charset::Charset::Detect)?;
//! let mut extractor = Extractor::new(Options::default())?;
//! assert_eq!(extractor.extract(&html)?, "On mills\n\nThey grïnd.");
//! assert_eq!(encoding, "windows-1252");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Nothing here fails on account of a page being malformed: the HTML standard gives every input a tree. It fails on bombs
//! ([`ExtractError`]), in time and memory proportional to the page.

pub mod charset;
mod html;
mod options;
mod resiliparse;

pub use options::{ExtractError, Options, OptionsError, Version};

use html::dom::Dom;
use html::{Buffers, Config, GaveUp, Wanted};

/// Turns pages into text, one after the other.
pub struct Extractor {
    options: Options,
    config: Config,
    dom: Dom,
    buffers: Buffers,
    engine: resiliparse::Engine,
    /// The page with its line ends normalised, where that changed anything.
    normalised: String,
}

impl std::fmt::Debug for Extractor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Extractor").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Extractor {
    /// An extractor with these options; fails on selectors it cannot read.
    pub fn new(options: Options) -> Result<Self, OptionsError> {
        let mut wanted = Wanted::default();
        // What tree construction looks at.
        wanted.attributes |= html::names::Attr::TYPE.bit() | html::names::Attr::ENCODING.bit();
        let mut dom = Dom::default();
        let engine = resiliparse::Engine::new(&options, &mut wanted, &mut dom.names)?;
        let config =
            Config { dialect: resiliparse::dialect(options.version), wanted, max_nodes: options.max_nodes };
        Ok(Self { options, config, dom, buffers: Buffers::default(), engine, normalised: String::new() })
    }

    /// The page's text. A leading U+FEFF is text like any other, as in Resiliparse; [`charset::decode`] leaves none.
    pub fn extract(&mut self, html: &str) -> Result<String, ExtractError> {
        if html.len() > ExtractError::MAX_BYTES {
            return Err(ExtractError::TooLarge { bytes: html.len() });
        }
        let page = normalise_line_ends(html, &mut self.normalised);
        html::parse(page, &self.config, &mut self.dom, &mut self.buffers).map_err(|why| match why {
            GaveUp::TooManyNodes => ExtractError::TooManyNodes { limit: self.options.max_nodes },
            GaveUp::TooTangled => ExtractError::TooTangled,
        })?;
        self.engine.extract(&self.dom, page, &self.options)
    }
}

/// CR and CRLF become LF, as the standard's input stream has it.
fn normalise_line_ends<'a>(html: &'a str, buffer: &'a mut String) -> &'a str {
    buffer.clear();
    buffer.shrink_to(16 << 20);
    let mut rest = html;
    while let Some(at) = memchr::memchr(b'\r', rest.as_bytes()) {
        buffer.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if !rest.starts_with('\n') {
            buffer.push('\n');
        }
    }
    if rest.len() == html.len() {
        return html;
    }
    buffer.push_str(rest);
    buffer
}
