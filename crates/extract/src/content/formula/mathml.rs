//! MathML as TeX: fractions, roots, what stands above and below, and the signs as they are.

use super::Source;
use crate::content::outline::TEXT;
use crate::html::names::{Names, Tag};

/// How an element is written: what comes before each of its parts, and what after the last.
struct Form {
    name: &'static str,
    before: &'static [&'static str],
    after: &'static str,
}

const FORMS: [Form; 12] = [
    Form { name: "mfrac", before: &["\\frac{", "}{"], after: "}" },
    Form { name: "msqrt", before: &["\\sqrt{"], after: "}" },
    // The degree comes last.
    Form { name: "mroot", before: &["{", "}^{1/"], after: "}" },
    Form { name: "msup", before: &["", "^{"], after: "}" },
    Form { name: "mover", before: &["", "^{"], after: "}" },
    Form { name: "msub", before: &["", "_{"], after: "}" },
    Form { name: "munder", before: &["", "_{"], after: "}" },
    Form { name: "msubsup", before: &["", "_{", "}^{"], after: "}" },
    Form { name: "munderover", before: &["", "_{", "}^{"], after: "}" },
    Form { name: "mfenced", before: &["(", ", ", ", ", ", "], after: ")" },
    Form { name: "mtd", before: &[], after: " & " },
    Form { name: "mtr", before: &[], after: "\\\\ " },
];

/// The numbers of the elements that have a form.
pub(in crate::content) struct Forms([Tag; FORMS.len()]);

impl Forms {
    pub(in crate::content) fn new(names: &mut Names) -> Self {
        Self(FORMS.each_ref().map(|form| names.keep(form.name)))
    }

    fn of(&self, tag: Tag) -> Option<&'static Form> {
        FORMS.get(self.0.iter().position(|known| *known == tag)?)
    }
}

/// An element whose end is still to come.
struct Open {
    item: u32,
    end: u32,
    form: &'static Form,
    part: usize,
}

/// Appends what stands in a `math` element.
pub(super) fn push(source: &Source<'_>, at: u32, out: &mut String) {
    let items = &source.outline.items;
    let last = items[at as usize].end;
    let mut open: Vec<Open> = Vec::new();
    let mut below = at + 1;
    while below < last {
        let here = items[below as usize];
        while let Some(top) = open.pop_if(|top| top.end <= below) {
            out.push_str(top.form.after);
        }
        if here.tag == TEXT {
            push_sign(source.dom.text(source.page, here.node), out);
            below += 1;
            continue;
        }
        if matches!(here.tag, Tag::ANNOTATION | Tag::ANNOTATION_XML) {
            below = here.end;
            continue;
        }
        if let Some(top) = open.last_mut().filter(|top| top.item == here.parent) {
            out.push_str(top.form.before.get(top.part).copied().unwrap_or_default());
            top.part += 1;
        }
        if let Some(form) = source.forms.of(here.tag) {
            if form.before.first().is_some_and(|first| !first.is_empty()) {
                part(out);
            }
            open.push(Open { item: below, end: here.end, form, part: 0 });
        }
        below += 1;
    }
    while let Some(top) = open.pop() {
        out.push_str(top.form.after);
    }
    out.truncate(out.trim_end_matches(['&', '\\', ' ']).len());
}

/// Signs stand apart, but not from what encloses them.
fn push_sign(text: &str, out: &mut String) {
    for word in text.split_whitespace() {
        // Operators that nobody sees, such as the one between a function and its argument.
        let word = word.trim_matches(|char| ('\u{2061}'..='\u{2064}').contains(&char));
        if !word.is_empty() {
            part(out);
            out.push_str(word);
        }
    }
}

fn part(out: &mut String) {
    if !out.is_empty() && !out.ends_with(['{', '(', '/', ' ']) {
        out.push(' ');
    }
}
