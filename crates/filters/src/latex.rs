//! What RedPajama does to arXiv's LaTeX: cut appendices and preambles, drop comments, expand macros.
//!
//! Rules from mlfoundations/dclm 361714b, `baselines/mappers/modifiers.py`, after togethercomputer/RedPajama-Data (rp_v1),
//! `data_prep/arxiv/arxiv_cleaner.py`.

use crate::lines::Edit;
use regex::{NoExpand, Regex};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write;

/// The patterns, compiled.
#[derive(Clone, Debug)]
pub struct Latex {
    appendix: Regex,
    line_comment: Regex,
    inline_comment: Regex,
    comment_block: Regex,
    macros: [Regex; 2],
    section: Regex,
    section_fixed: Regex,
}

/// Texts that macros grow beyond so many times their size are a bomb.
const MAX_GROWTH: usize = 16;

/// Bytes looked at for all macros together: each is a pass over the text.
const MAX_WORK: usize = 1 << 30;

/// Why macros were not expanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MacroError {
    #[error("macros grow the text without bound")]
    Growth,
    #[error("too many macros for the length of the text")]
    TooMany,
    /// DCLM escapes the value and takes it for a template, in which the escape of such a character is an error.
    #[error("a macro's value is not plain ASCII")]
    NotAscii,
}

impl Latex {
    /// Fails only if a pattern of ours is wrong, which a test rules out.
    pub fn new() -> Result<Self, regex::Error> {
        let header = |name: &str| format!(r"\\{name}\b\*?(?:\[(?:.*?)\])?\{{(?:.*?)\}}");
        let first = ["chapter", "part", "section", "subsection", "subsubsection"].map(header).join("|");
        let (paragraph, subparagraph) = (header("paragraph"), header("subparagraph"));
        Ok(Self {
            appendix: Regex::new(
                r"(?s)\\appendix|\\begin\{references\}|\\begin\{REFERENCES\}|\\begin\{thebibliography\}|\\bibliography\{.*?\}",
            )?,
            line_comment: Regex::new(r"(?m)^%.*\n?")?,
            inline_comment: Regex::new(r"(?m)([^\\])%.+$")?,
            comment_block: Regex::new(r"(?s)\\begin\{comment\}.*?\\end\{comment\}")?,
            macros: [
                Regex::new(r"(?m)\\newcommand\b\*?\{(\\[a-zA-Z0-9]+?)\}\{(.*?)\}$")?,
                Regex::new(r"(?m)\\def\s*(\\[a-zA-Z0-9]+?)\s*\{(.*?)\}$")?,
            ],
            // DCLM lacks the bar between the last two, so that they count only as a pair.
            section: Regex::new(&format!("(?s){first}|{paragraph}{subparagraph}"))?,
            section_fixed: Regex::new(&format!("(?s){first}|{paragraph}|{subparagraph}"))?,
        })
    }

    /// Cuts the text at the first appendix or bibliography.
    #[must_use]
    pub fn without_appendix(&self, text: &str) -> Edit {
        let end = self.appendix.find(text).map_or(text.len(), |found| found.start());
        Edit::of(text, Cow::Borrowed(text.get(..end).unwrap_or_default()))
    }

    /// Takes out comments; `blocks`: also those between `\begin{comment}` and `\end{comment}`. `fixed`: the character before a comment
    /// stays.
    #[must_use]
    pub fn without_comments(&self, text: &str, blocks: bool, fixed: bool) -> Edit {
        let new = self.line_comment.replace_all(text, NoExpand(""));
        let mut new = self.inline_comment.replace_all(&new, if fixed { "$1" } else { "" }).into_owned();
        if blocks {
            new = self.comment_block.replace_all(&new, NoExpand("")).into_owned();
        }
        Edit::of(text, Cow::Owned(new))
    }

    /// Cuts what stands before the first section, chapter or the like. None if there is none. `fixed`: a paragraph counts, too.
    #[must_use]
    pub fn from_first_section(&self, text: &str, fixed: bool) -> Option<Edit> {
        let found = if fixed { &self.section_fixed } else { &self.section }.find(text)?;
        Some(Edit::of(text, Cow::Borrowed(text.get(found.start()..).unwrap_or_default())))
    }

    /// Puts in the values of macros without arguments, one macro after another in the order of their definitions. `fixed`: values
    /// may have any character.
    pub fn expand_macros(&self, text: &str, fixed: bool) -> Result<Edit, MacroError> {
        let mut macros: Vec<(String, String)> = Vec::new();
        let mut places = HashMap::new();
        for pattern in &self.macros {
            for found in pattern.captures_iter(text) {
                let (Some(name), Some(value)) = (found.get(1), found.get(2)) else { continue };
                // A later definition has the value, the first the place.
                match places.get(name.as_str()).and_then(|place: &usize| macros.get_mut(*place)) {
                    Some((_, present)) => value.as_str().clone_into(present),
                    None => {
                        places.insert(name.as_str(), macros.len());
                        macros.push((name.as_str().to_owned(), value.as_str().to_owned()));
                    }
                }
            }
        }
        let is_plain = |value: &str| value.chars().all(|char| matches!(char, ' '..='~' | '\t' | '\r'));
        if !fixed && macros.iter().any(|(_, value)| !is_plain(value)) {
            return Err(MacroError::NotAscii);
        }
        if macros.len().saturating_mul(text.len()) > MAX_WORK {
            return Err(MacroError::TooMany);
        }
        let mut out = text.to_owned();
        for (name, value) in &macros {
            out = expand(&out, name, value);
            if out.len() > text.len().saturating_mul(MAX_GROWTH) {
                return Err(MacroError::Growth);
            }
        }
        // Expansion may make a text longer: a change is told by comparing.
        Ok(if out.is_empty() {
            Edit::Gone
        } else if out == text {
            Edit::Unchanged
        } else {
            Edit::Changed(out)
        })
    }
}

/// Puts a value in place of a name that is not the start of a longer one, and has a character behind it.
fn expand(text: &str, name: &str, value: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for (at, _) in text.match_indices(name) {
        let end = at + name.len();
        let next = text.get(end..).and_then(|tail| tail.chars().next());
        // The character behind belongs to the match, so that it cannot start the next one.
        if let Some(next) = next
            && at >= copied
            && !next.is_ascii_alphanumeric()
        {
            let _ = write!(out, "{}{value}{next}", text.get(copied..at).unwrap_or_default());
            copied = end + next.len_utf8();
        }
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latex_is_cleaned_as_by_redpajama() {
        let latex = Latex::new().expect("patterns");
        let changed = |text: &str| Edit::Changed(text.to_owned());
        for (text, expected) in [
            ("a\n\\appendix b", changed("a\n")),
            ("a \\bibliography{x\n} c", changed("a ")),
            ("a \\bibliography{x", Edit::Unchanged),
            ("\\begin{references}", Edit::Gone),
        ] {
            assert_eq!(latex.without_appendix(text), expected, "{text}");
        }
        for (text, blocks, expected) in [
            ("%x\na %y\nb\\%c\n5%d", false, changed("a\nb\\%c\n")),
            ("a\\begin{comment}x\ny\\end{comment}b", true, changed("ab")),
            ("a\\begin{comment}x\\end{comment}", false, Edit::Unchanged),
            ("%", false, Edit::Gone),
        ] {
            assert_eq!(latex.without_comments(text, blocks, false), expected, "{text}");
        }
        assert_eq!(latex.without_comments("%x\na %y\n5%d", false, true), changed("a \n5"));
        for (text, dclm, fixed) in [
            (
                "pre\\section*[s]{A} b",
                Some(changed("\\section*[s]{A} b")),
                Some(changed("\\section*[s]{A} b")),
            ),
            ("pre\\paragraph{A} b", None, Some(changed("\\paragraph{A} b"))),
            ("none", None, None),
        ] {
            assert_eq!(latex.from_first_section(text, false), dclm, "{text}");
            assert_eq!(latex.from_first_section(text, true), fixed, "{text}");
        }
    }

    #[test]
    fn macros_are_expanded_within_bounds() {
        let latex = Latex::new().expect("patterns");
        let text = "\\newcommand{\\eps}{\\epsilon}\n\\def\\R {\\mathbb{R}}\n\\eps+\\epsx \\R. \\eps";
        let expected = "\\newcommand{\\epsilon}{\\epsilon}\n\\def\\mathbb{R} {\\mathbb{R}}\n\\epsilon+\\epsx \\mathbb{R}. \\eps";
        assert_eq!(latex.expand_macros(text, false), Ok(Edit::Changed(expected.to_owned())));
        assert_eq!(latex.expand_macros("a", false), Ok(Edit::Unchanged));
        assert_eq!(latex.expand_macros("\\def\\a{é}\n\\a ", false), Err(MacroError::NotAscii));
        assert_eq!(latex.expand_macros("\\def\\a{\x1c}\n", false), Err(MacroError::NotAscii));
        // The last definition counts, and it alone.
        let changed = Edit::Changed("\\defy{é}\n\\defy{y}\n".to_owned());
        assert_eq!(latex.expand_macros("\\def\\a{é}\n\\def\\a{y}\n", false), Ok(changed));
        let mut bomb =
            "\\def\\a{".to_owned() + &"\\b ".repeat(50) + "}\n\\def\\b{" + &"\\c ".repeat(50) + "}\n";
        bomb += &("\\def\\c{".to_owned() + &"x".repeat(50) + "}\n" + &"\\a ".repeat(50));
        assert_eq!(latex.expand_macros(&bomb, true), Err(MacroError::Growth));
        let twice = "\\def\\a{x}\n\\def\\a{y}\n\\a.";
        assert_eq!(
            latex.expand_macros(twice, true),
            Ok(Edit::Changed("\\defy{x}\n\\defy{y}\ny.".to_owned()))
        );
    }
}
