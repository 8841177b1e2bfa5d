//! The main content of a page: our own extractor, made for quality at a speed near that of Resiliparse's rules.
//!
//! A page goes through five passes, each linear in it and none recursive: [`outline`] lists what is visible with its
//! measures, [`prune`] takes out what markup and names call boilerplate unless its text says otherwise, [`root`] finds
//! the element the content is in, [`clean`] takes out lists of links and scraps inside it, and [`render`] makes text or
//! Markdown. If what comes out is next to nothing beside what the page shows, a more lenient reading is tried, as
//! Trafilatura (Barbaresi 2021) does.

mod clean;
mod code;
mod formula;
mod measure;
mod outline;
mod prune;
mod render;
mod root;
mod vocabulary;
mod writer;

use self::formula::Forms;
use self::outline::Outline;
use self::render::{Renderer, Source};
use self::vocabulary::Vocabulary;
use crate::ExtractError;
use crate::html::Wanted;
use crate::html::dom::{Dom, NONE};
use crate::html::names::{Attr, Names};

/// How the text is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Format {
    /// Lines and paragraphs.
    #[default]
    Plain,
    /// With headings, lists, tables, emphasis and code marked.
    Markdown,
}

/// Options of the extractor `main`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MainOptions {
    pub format: Format,
    /// Whether readers' comments count as main content. Postings in a forum always do.
    pub comments: bool,
    /// Addresses behind links.
    pub links: bool,
}

/// How much text a page may have, beside its size.
const TEXT_FLOOR_BYTES: usize = 1 << 20;
const TEXT_PER_BYTE: usize = 16;

/// Less prose than this is no article.
const ARTICLE_BYTES: u32 = 300;
/// A text shorter than this is doubted if the page shows much more.
const DOUBTFUL_BYTES: usize = 250;

/// The extractor and its buffers.
pub(crate) struct Engine {
    options: MainOptions,
    vocabulary: Vocabulary,
    forms: Forms,
    outline: Outline,
}

impl Engine {
    pub(crate) fn new(options: MainOptions, wanted: &mut Wanted, names: &mut Names) -> Self {
        if options.links {
            wanted.attributes |= Attr::HREF.bit();
        }
        if options.format == Format::Markdown {
            wanted.attributes |= Attr::COLSPAN.bit();
        }
        let (vocabulary, forms) = (Vocabulary::new(wanted), Forms::new(names));
        Self { options, vocabulary, forms, outline: Outline::default() }
    }

    /// The text of a parsed page.
    pub(crate) fn extract(&mut self, dom: &Dom, page: &str) -> Result<String, ExtractError> {
        if dom.body == NONE {
            return Ok(String::new());
        }
        self.outline.build(dom, page, &mut self.vocabulary);
        let shown = self.outline.items.first().map_or(0, outline::Item::plain) as usize;
        prune::prune(&mut self.outline, self.options.comments);
        let root = root::find(&mut self.outline, self.options.comments);
        let item = self.outline.items[root as usize];
        let strict = item.prose >= ARTICLE_BYTES && item.prose * 3 >= item.plain();
        clean::clean(&mut self.outline, dom, page, root, strict);
        let text = self.render(dom, page, root)?;
        if text.len() >= DOUBTFUL_BYTES || shown < 3 * text.len() {
            return Ok(text);
        }
        // Next to nothing: everything visible, but for what markup and names call boilerplate; then everything.
        self.outline.restore();
        prune::prune(&mut self.outline, true);
        clean::clean(&mut self.outline, dom, page, 0, false);
        let lenient = self.render(dom, page, 0)?;
        Ok(if lenient.len() > 2 * text.len() { lenient } else { text })
    }

    fn render(&self, dom: &Dom, page: &str, root: u32) -> Result<String, ExtractError> {
        let limit = TEXT_FLOOR_BYTES + TEXT_PER_BYTE * page.len();
        let source = Source { dom, page, outline: &self.outline, forms: &self.forms };
        Renderer::new(source, &self.options, limit).render(root)
    }
}
