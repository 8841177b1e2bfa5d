//! HTML to text: Resiliparse's answers several times as fast, our own extractor for quality, and jusText's.
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
//! [`Extractor::with`] takes any [`Algorithm`]s and [`Extractor::extract_all`] answers with all their texts from one parse.
//!
//! Nothing here fails on account of a page being malformed: the HTML standard gives every input a tree. It fails on bombs
//! ([`ExtractError`]), in time and memory proportional to the page.

pub mod charset;
mod content;
mod html;
mod justext;
pub mod media;
mod memo;
mod options;
mod resiliparse;
mod soup;

pub use content::{Format, MainOptions};
pub use justext::{JustextOptions, StopWords};
pub use options::{Algorithm, ExtractError, Options, OptionsError, Version};

use html::dom::Dom;
use html::{Buffers, Config, Dialect, GaveUp, Wanted};

/// Turns pages into text, one after the other.
pub struct Extractor {
    algorithms: Vec<Algorithm>,
    engines: Vec<Engine>,
    config: Config,
    dom: Dom,
    buffers: Buffers,
    /// The page with its line ends normalised, where that changed anything.
    normalised: String,
}

/// An algorithm made ready, with its buffers and its memory.
enum Engine {
    Resiliparse(Options, Box<resiliparse::Engine>),
    Main(Box<content::Engine>),
    Justext(Box<justext::Engine>),
    BeautifulSoup,
}

impl std::fmt::Debug for Extractor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Extractor").field("algorithms", &self.algorithms).finish_non_exhaustive()
    }
}

impl Extractor {
    /// Resiliparse's extraction with these options; fails on selectors it cannot read.
    pub fn new(options: Options) -> Result<Self, OptionsError> {
        Self::with(vec![Algorithm::Resiliparse(options)])
    }

    /// Several algorithms over one parse of each page.
    pub fn with(algorithms: Vec<Algorithm>) -> Result<Self, OptionsError> {
        let mut wanted = Wanted::default();
        // What tree construction looks at.
        wanted.attributes |= html::names::Attr::TYPE.bit() | html::names::Attr::ENCODING.bit();
        let mut dom = Dom::default();
        // The first that is particular about the parser has its way.
        let dialect = algorithms.iter().find_map(dialect).unwrap_or(Dialect::Standard2025);
        let max_nodes = algorithms.iter().map(Algorithm::max_nodes).min().unwrap_or(0);
        let mut engines = Vec::with_capacity(algorithms.len());
        for algorithm in &algorithms {
            engines.push(match algorithm {
                Algorithm::Resiliparse(options) => Engine::Resiliparse(
                    options.clone(),
                    Box::new(resiliparse::Engine::new(options, &mut wanted, &mut dom.names)?),
                ),
                Algorithm::Main(options) => {
                    Engine::Main(Box::new(content::Engine::new(options.clone(), &mut wanted, &mut dom.names)))
                }
                Algorithm::Justext(options) => {
                    Engine::Justext(Box::new(justext::Engine::new(options.clone(), &mut wanted)))
                }
                Algorithm::BeautifulSoup => Engine::BeautifulSoup,
            });
        }
        let config = Config { dialect, wanted, max_nodes };
        Ok(Self { algorithms, engines, config, dom, buffers: Buffers::default(), normalised: String::new() })
    }

    /// The page's text by the first algorithm. A leading U+FEFF is text like any other, as in Resiliparse;
    /// [`charset::decode`] leaves none.
    pub fn extract(&mut self, html: &str) -> Result<String, ExtractError> {
        self.texts(html, 1)?.pop().unwrap_or_else(|| Ok(String::new()))
    }

    /// The page's text by each algorithm, in their order. Where one gives up on a page, others may not.
    pub fn extract_all(&mut self, html: &str) -> Result<Vec<Result<String, ExtractError>>, ExtractError> {
        self.texts(html, usize::MAX)
    }

    fn texts(&mut self, html: &str, count: usize) -> Result<Vec<Result<String, ExtractError>>, ExtractError> {
        if html.len() > ExtractError::MAX_BYTES {
            return Err(ExtractError::TooLarge { bytes: html.len() });
        }
        let page = normalise_line_ends(html, &mut self.normalised);
        html::parse(page, &self.config, &mut self.dom, &mut self.buffers).map_err(|why| match why {
            GaveUp::TooManyNodes => ExtractError::TooManyNodes { limit: self.config.max_nodes },
            GaveUp::TooTangled => ExtractError::TooTangled,
        })?;
        let dom = &self.dom;
        let texts = self.engines.iter_mut().take(count).map(|engine| match engine {
            Engine::Resiliparse(options, engine) => engine.extract(dom, page, options),
            Engine::Main(engine) => engine.extract(dom, page),
            Engine::Justext(engine) => Ok(engine.extract(dom, page)),
            Engine::BeautifulSoup => Ok(soup::text(dom, page)),
        });
        Ok(texts.collect())
    }
}

/// How an algorithm wants pages parsed, if it matters to it.
fn dialect(algorithm: &Algorithm) -> Option<Dialect> {
    match algorithm {
        Algorithm::Resiliparse(options) => Some(resiliparse::dialect(options.version)),
        Algorithm::Justext(options) if options.lxml => Some(Dialect::Libxml2 { events: false }),
        Algorithm::BeautifulSoup => Some(Dialect::Libxml2 { events: true }),
        Algorithm::Main(_) | Algorithm::Justext(_) => None,
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
