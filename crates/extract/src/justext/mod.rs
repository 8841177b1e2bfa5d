//! jusText: paragraphs by length, link density and the share of function words, then by their neighbours.
//!
//! The algorithm is that of Jan Pomikálek, "Removing Boilerplate and Duplicate Content from Web Corpora" (2011), with the
//! parameters and the behaviour of the Python package jusText 3.0.2, which DCLM's `html_content_extraction_modifier` and
//! Trafilatura call. What its code does is followed where it differs from the paper: white space between two inline
//! elements is lost, line feeds of the source stay in paragraphs, and of its two rules for headings only the second
//! takes effect. Pages are parsed as the HTML standard has it, or as lxml does if the answers are to be jusText's own.
//!
//! Everything is one pass over the page and a few over its paragraphs.

mod classify;
mod english;
mod lxml;
mod paragraphs;

use self::classify::classify;
use self::paragraphs::Paragraphs;
use crate::html::Wanted;
use crate::html::dom::Dom;
use crate::html::names::Attr;
use rustc_hash::FxHashSet;

/// Which words are function words.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum StopWords {
    /// A list of English ones that is built in.
    #[default]
    English,
    /// None: texts of any language, judged by length and links only.
    Any,
    /// These, in lower case.
    List(Vec<String>),
}

/// Parameters by their names in jusText, with its defaults.
#[derive(Clone, PartialEq, Debug)]
pub struct JustextOptions {
    pub stop_words: StopWords,
    /// Shorter paragraphs are judged by their neighbours, in characters.
    pub length_low: usize,
    /// Longer paragraphs are good by themselves if they have enough function words, in characters.
    pub length_high: usize,
    /// Of the words of a paragraph, the share of function words below which it is boilerplate.
    pub stopwords_low: f64,
    /// The share from which on it is good.
    pub stopwords_high: f64,
    /// Of the characters of a paragraph, the share in links above which it is boilerplate.
    pub max_link_density: f64,
    /// How many characters before a good paragraph a short heading is still its heading.
    pub max_heading_distance: usize,
    /// Headings are paragraphs like others.
    pub no_headings: bool,
    /// All paragraphs, boilerplate included: the page's text as DCLM's modifier has it.
    pub all_paragraphs: bool,
    /// Parse and clean pages as lxml does. Other algorithms cannot share such a parse.
    pub lxml: bool,
    /// What stands between two paragraphs.
    pub separator: String,
}

impl Default for JustextOptions {
    fn default() -> Self {
        Self {
            stop_words: StopWords::English,
            length_low: 70,
            length_high: 200,
            stopwords_low: 0.30,
            stopwords_high: 0.32,
            max_link_density: 0.2,
            max_heading_distance: 200,
            no_headings: false,
            all_paragraphs: false,
            lxml: false,
            separator: "\n".to_owned(),
        }
    }
}

/// The extractor and its buffers.
pub(crate) struct Engine {
    options: JustextOptions,
    stop_words: FxHashSet<Box<str>>,
    paragraphs: Paragraphs,
}

impl Engine {
    pub(crate) fn new(mut options: JustextOptions, wanted: &mut Wanted) -> Self {
        wanted.attributes |= Attr::REL.bit();
        let stop_words = match &options.stop_words {
            StopWords::English => english::STOP_WORDS.split_ascii_whitespace().map(Into::into).collect(),
            StopWords::Any => {
                // Without a list every share is high enough.
                (options.stopwords_low, options.stopwords_high) = (0.0, 0.0);
                FxHashSet::default()
            }
            StopWords::List(words) => words.iter().map(|word| word.to_lowercase().into()).collect(),
        };
        let paragraphs = Paragraphs::new(options.lxml);
        Self { options, stop_words, paragraphs }
    }

    /// The good paragraphs of a parsed page.
    pub(crate) fn extract(&mut self, dom: &Dom, page: &str) -> String {
        let mut out = String::new();
        self.paragraphs.read(dom, page);
        let good = classify(&self.paragraphs, &self.options, &self.stop_words);
        for (paragraph, is_good) in self.paragraphs.list.iter().zip(good) {
            if is_good || self.options.all_paragraphs {
                if !out.is_empty() {
                    out.push_str(&self.options.separator);
                }
                out.push_str(self.paragraphs.text(paragraph));
            }
        }
        out
    }
}

/// White space as Python's `str.isspace` has it.
fn is_space(char: char) -> bool {
    char.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&char)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Algorithm, Extractor};

    const LONG: &str = "It was the best of times and it was the worst of times, and we had all of it before us as if \
        there were nothing else to be had in the world, so we went on and on with it until there was no more of it \
        left for any of us to have.";

    fn check(options: JustextOptions, page: &str, expected: &str) {
        let mut extractor = Extractor::with(vec![Algorithm::Justext(options)]).expect("options");
        assert_eq!(extractor.extract(page).as_deref(), Ok(expected), "{page}");
    }

    #[test]
    fn by_paragraph_and_neighbours() {
        let options = JustextOptions::default;
        check(options(), &format!("<p>{LONG}"), LONG);
        check(
            options(),
            &format!("<ul><li><a href=x>Home</a></ul><p>{LONG}<p>Short.<p>{LONG}<p>© 2024 all of us"),
            &format!("{LONG}\nShort.\n{LONG}"),
        );
        check(options(), &format!("<p>Menu<p>{LONG}"), LONG);
        check(options(), &format!("<h1>On times</h1><p>{LONG}"), &format!("On times\n{LONG}"));
        check(
            JustextOptions { no_headings: true, ..options() },
            &format!("<h1>On times</h1><p>{LONG}"),
            LONG,
        );
        check(options(), &format!("<p><a href=x>{LONG}</a>"), "");
        check(JustextOptions { length_high: 1000, ..options() }, &format!("<p>{LONG}"), "");
    }

    #[test]
    fn languages() {
        let german = "Ein Wasserrad treibt Mahlwerke an, deren Steine Getreide zerreiben; Müller regeln Zulauf, Abstand \
            und Drehzahl, damit Mehl fein genug gerät. Moderne Walzenstühle mahlen schneller, brauchen jedoch Strom \
            statt Wasserkraft.";
        check(JustextOptions::default(), &format!("<p>{german}"), "");
        check(
            JustextOptions { stop_words: StopWords::Any, ..JustextOptions::default() },
            &format!("<p>{german}"),
            german,
        );
        let list =
            StopWords::List(["ein", "an", "deren", "und", "damit", "statt"].map(str::to_owned).to_vec());
        let lenient = JustextOptions {
            stop_words: list,
            stopwords_low: 0.1,
            stopwords_high: 0.15,
            ..JustextOptions::default()
        };
        check(lenient, &format!("<p>{german}"), german);
    }

    #[test]
    fn all_paragraphs() {
        let all = JustextOptions { all_paragraphs: true, ..JustextOptions::default() };
        check(
            all.clone(),
            "<title>T</title><nav>a</nav><p>b<br>c<br><br>d<select><option>e</select>",
            "a\nb c\nd",
        );
        // White space between elements is lost, line feeds are not.
        check(all.clone(), "<p>a <b>b</b><!-- --> c", "a b c");
        check(all, "<p>a <b>b</b> <i>c</i>\n d", "a bc\nd");
    }

    /// What jusText 3.0.2 answers over lxml 6.1 (libxml2 2.14).
    #[test]
    fn as_lxml_parses() {
        let lxml = JustextOptions {
            all_paragraphs: true,
            lxml: true,
            separator: "|".to_owned(),
            ..JustextOptions::default()
        };
        for (page, expected) in [
            ("<title>T</title><nav>a</nav><p>b<br>c<br><br>d<select><option>e</select>", "b c|d"),
            ("<p>a<template>b</template> c<iframe><b>d</b></iframe>", "ab c<b>d</b>"),
            ("<p>a<form>b</form>c<object>d</object>", "a|bcd"),
            ("<table><tr>x<td>y</table>z", "x|y|z"),
            ("<p>a <b>b<p>c</b>d", "a b|cd"),
            ("a<wbr>b<hr>c", "abc"),
            ("x<div/>y", "x|y"),
            ("<b><div>a</b>b</div>c", "ab|c"),
            ("a<link rel=stylesheet> b<link rel=next> c", "a b c"),
            // Text behind the body of a fragment goes with it if it holds more than one element.
            ("a</body>b", "ab"),
            ("<p>a</p>b</body>c", "a|b|c"),
            ("<p>a</p></body>b", "a"),
            ("<html><p>a</p></body>b</html>c", "a|b"),
            ("<!-- a -->", ""),
        ] {
            check(lxml.clone(), page, expected);
        }
        let deep = format!("{}x</p>y", "<div>".repeat(253));
        check(lxml.clone(), &format!("{deep}<p>z"), "xy|z");
        check(lxml, &format!("{deep}<p><b>z"), "xy");
    }
}
