//! Pages of which a step offers several texts: the first of them that is kept by the rest of the chain counts, and the page
//! counts once.
//!
//! The page goes on with the first text. When all that became of it has come to an end and nothing was kept, what was
//! counted and observed of it on the way is forgotten and the page goes on from the same step as it was then, with the
//! next text; the last one counts whatever becomes of it. Once something is kept the other texts are of no interest.
//!
//! The order of pages stays what it was, wherever batches are cut: a page that comes again, where a step works in batches,
//! waits for no page behind it, and takes along those before it that wait there.

use super::{Ended, Walk, Way};
use crate::step::{Alternative, Observed};
use crate::{Document, Fields, Tally};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The pages that are on their way with one of several texts.
pub(super) struct Pages<O> {
    open: BTreeMap<u64, Page<O>>,
    opened: u64,
}

/// Where a chain puts what comes out of it.
pub(super) struct Out<O> {
    pub(super) ended: VecDeque<Ended<O>>,
    pub(super) observed: Vec<(usize, Observed)>,
}

struct Page<O> {
    /// The page as it came out of the step, but for the text, and the link that it goes on to.
    id: String,
    file: Option<Arc<str>>,
    fields: Fields,
    at: usize,
    /// Who made the text that it goes on with, and the texts that are left.
    by: &'static str,
    rest: VecDeque<Alternative>,
    /// Documents on their way that the page has become.
    live: usize,
    /// What came of it with this text, as long as nothing of it was kept.
    held: Option<Held<O>>,
}

struct Held<O> {
    tally: Tally,
    ended: Vec<Ended<O>>,
    observed: Vec<(usize, Observed)>,
}

impl<O> Default for Pages<O> {
    fn default() -> Self {
        Self { open: BTreeMap::new(), opened: 0 }
    }
}

impl<O> Default for Out<O> {
    fn default() -> Self {
        Self { ended: VecDeque::new(), observed: Vec::new() }
    }
}

impl<O> Default for Held<O> {
    fn default() -> Self {
        Self { tally: Tally::default(), ended: Vec::new(), observed: Vec::new() }
    }
}

impl<O: Clone> Pages<O> {
    /// Lets a document go on to the link `at` with the first of several texts. Gives the page's number.
    pub(super) fn open(
        &mut self,
        doc: &mut Document,
        first: Alternative,
        rest: VecDeque<Alternative>,
        at: usize,
    ) -> u64 {
        let by = first.by;
        first.give(doc);
        let fields = if rest.is_empty() { Fields::default() } else { doc.fields.clone() };
        let held = Some(Held::default());
        let (id, file) = (doc.id.clone(), doc.file.clone());
        let page = Page { id, file, fields, at, by, rest, live: 1, held };
        self.opened += 1;
        self.open.insert(self.opened, page);
        self.opened
    }

    /// Where to count what becomes of a document on its way.
    pub(super) fn tally<'a>(&'a mut self, page: Option<u64>, tally: &'a mut Tally) -> &'a mut Tally {
        self.held(page).map_or(tally, |held| &mut held.tally)
    }

    /// Where to note what is observed of it.
    pub(super) fn observed<'a>(
        &'a mut self,
        page: Option<u64>,
        out: &'a mut Out<O>,
    ) -> &'a mut Vec<(usize, Observed)> {
        self.held(page).map_or(&mut out.observed, |held| &mut held.observed)
    }

    fn held(&mut self, page: Option<u64>) -> Option<&mut Held<O>> {
        self.open.get_mut(&page?)?.held.as_mut()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The bytes of the texts that are left of a page.
    pub(super) fn bytes(&self, page: Option<u64>) -> usize {
        let page = page.and_then(|page| self.open.get(&page));
        page.map_or(0, |page| page.rest.iter().map(|alternative| alternative.text.len()).sum())
    }

    /// Notes that a page has become several documents in place of one.
    pub(super) fn became(&mut self, page: Option<u64>, several: usize) {
        if let Some(page) = page.and_then(|page| self.open.get_mut(&page)) {
            page.live += several.saturating_sub(1);
        }
    }

    /// Counts a document that came to its end. If that was the last of a text that came to nothing, gives the page with
    /// the next one.
    pub(super) fn end(
        &mut self,
        ended: Ended<O>,
        page: Option<u64>,
        tally: &mut Tally,
        out: &mut Out<O>,
    ) -> Option<Walk<O>> {
        let Some((number, page)) = page.and_then(|number| Some((number, self.open.get_mut(&number)?))) else {
            tally.ended(ended.step.unwrap_or_default(), &ended.verdict);
            out.ended.push_back(ended);
            return None;
        };
        page.live = page.live.saturating_sub(1);
        if ended.verdict.is_keep() && page.held.is_some() {
            tally.extracted(page.by);
            page.settle(tally, out);
        }
        match &mut page.held {
            None => {
                tally.ended(ended.step.unwrap_or_default(), &ended.verdict);
                out.ended.push_back(ended);
            }
            Some(held) => {
                held.tally.ended(ended.step.unwrap_or_default(), &ended.verdict);
                held.ended.push(ended);
            }
        }
        if page.live > 0 {
            return None;
        }
        if let Some(again) = page.again(number) {
            return Some(again);
        }
        page.settle(tally, out);
        self.open.remove(&number);
        None
    }
}

impl<O: Clone> Page<O> {
    /// Counts for good what came of the page so far, and what is to come.
    fn settle(&mut self, tally: &mut Tally, out: &mut Out<O>) {
        if let Some(held) = self.held.take() {
            tally.add(&held.tally);
            out.ended.extend(held.ended);
            out.observed.extend(held.observed);
        }
    }

    /// The page with its next text, if there is one and nothing was kept of those before.
    fn again(&mut self, number: u64) -> Option<Walk<O>> {
        let held = self.held.as_mut()?;
        let next = self.rest.pop_front()?;
        let mut before = std::mem::take(held).ended;
        // Whatever it was made into, the page's body is with one of them, or of no more use.
        let body = before.iter_mut().find_map(|ended| ended.doc.body.take());
        let origin = before.pop()?.origin;
        let fields =
            if self.rest.is_empty() { std::mem::take(&mut self.fields) } else { self.fields.clone() };
        let (id, file) = (self.id.clone(), self.file.clone());
        let mut doc = Document { id, file, body, text: None, fields };
        (self.by, self.live) = (next.by, 1);
        next.give(&mut doc);
        Some(Walk { doc, at: self.at, way: Way { origin, page: Some(number), again: true } })
    }
}
