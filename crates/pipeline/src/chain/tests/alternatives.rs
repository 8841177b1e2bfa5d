//! Pages with several texts, held against the plain reading of the rule: text after text, page after page, nothing in batches.

use super::*;
use crate::{Body, MapStep};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// The steps that come after the texts, by name, since names and places are counted. The texts say what they do.
const STEPS: &str = "[{page_length_filter: {length_type: char}}, {extract_text: {extractor: union}}, {line_length_modifier: {min_length: 1}}, \
    {external: {command: [a]}}, {aggregate: {key: text, type: histogram}}, {external: {command: [b]}}]";
const FIRST: usize = 2;

/// What the step at `place` does with a text: the letter there says keep, drop, break or split.
fn act(place: usize, text: &str) -> Answer {
    match text.as_bytes().get(place - FIRST) {
        Some(b'd') => Answer::Verdict(Verdict::dropped("d")),
        Some(b'b') => Answer::Verdict(Verdict::broken("b")),
        Some(b's') => {
            // The second part goes the other way round.
            let back: String = text.replace('s', "k").chars().rev().collect();
            Answer::Documents(vec![text_of("", &text.replacen('s', "k", 1)), text_of("", &back)])
        }
        Some(b'n') => Answer::Documents(Vec::new()),
        _ => Answer::Verdict(Verdict::Keep),
    }
}

fn text_in(doc: &Document) -> &str {
    doc.text.as_ref().map_or("", |text| text.as_str())
}

struct At(usize, usize);

impl BatchStep for At {
    fn size(&self) -> usize {
        self.1
    }

    fn apply(&mut self, docs: &mut [Document]) -> Result<Vec<Answer>, StepError> {
        Ok(docs.iter().map(|doc| act(self.0, text_in(doc))).collect())
    }
}

impl SplitStep for At {
    fn split(&mut self, doc: &mut Document) -> Result<Vec<Document>, Verdict> {
        match act(self.0, text_in(doc)) {
            Answer::Verdict(Verdict::Keep) => {
                let part = std::mem::take(doc);
                doc.id.clone_from(&part.id);
                Ok(vec![part])
            }
            Answer::Verdict(verdict) => Err(verdict),
            Answer::Documents(parts) => Ok(parts),
        }
    }
}

impl ObserveStep for At {
    fn observe(&mut self, doc: &Document) -> Option<Observed> {
        Some(Observed::Text(text_in(doc).to_owned()))
    }
}

impl MapStep for At {
    fn apply(&mut self, doc: &mut Document) -> Verdict {
        Verdict::keep_if(!text_in(doc).starts_with('-'), "early")
    }
}

/// The texts of a page stand in its body.
impl AlternativesStep for At {
    fn alternatives(&mut self, doc: &mut Document) -> Result<Vec<Alternative>, Verdict> {
        let body = doc.body.as_ref().map(|body| String::from_utf8_lossy(&body.bytes).into_owned());
        let texts = body.unwrap_or_default();
        let by = ["one", "two", "three"];
        Ok(by
            .iter()
            .zip(texts.split(' '))
            .map(|(by, text)| Alternative { by, text: text.to_owned() })
            .collect())
    }
}

fn chain(sizes: [usize; 2]) -> Chain<usize> {
    let specs = parse_steps(&tree::parse(STEPS).expect("YAML"), &mut Vec::new());
    // What the recipe's steps do is of no interest, only their names and places.
    let works = [
        Work::Map(Box::new(At(0, 0))),
        Work::Alternatives(Box::new(At(1, 0))),
        Work::Split(Box::new(At(2, 0))),
        Work::Batch(Batch::new(Box::new(At(3, sizes[0])))),
        Work::Observe(Box::new(At(4, 0))),
        Work::Batch(Batch::new(Box::new(At(5, sizes[1])))),
    ];
    assert_eq!(specs.len(), works.len());
    let links = specs
        .into_iter()
        .zip(works)
        .map(|(spec, work)| Link { spec, work, load: crate::chain::Load::default() })
        .collect();
    let tools = Tools { resources: Arc::default(), seed: 0, programs: None };
    Chain { links, tools, todo: Vec::new(), pages: Pages::default(), out: Out::default() }
}

fn page(number: usize, texts: &[String], early: bool) -> Document {
    let record =
        serde_json::json!({"id": format!("p{number}"), "text": if early { "-" } else { "" }, "x": 1});
    let mut doc = Document::from_json(&record.to_string(), String::new).expect("a record");
    doc.body = Some(Body { bytes: texts.join(" ").into_bytes(), content_type: None });
    doc
}

/// What came out: documents kept with their extractors, what was counted, what was observed.
#[derive(Debug, PartialEq, Default)]
struct Outcome {
    kept: Vec<String>,
    tally: Tally,
    observed: BTreeMap<String, usize>,
}

impl Outcome {
    fn keep(&mut self, id: &str, text: &str, by: &str) {
        self.kept.push(format!("{id} {text} {by}"));
    }

    fn observe(&mut self, value: &Observed) {
        *self.observed.entry(format!("{value:?}")).or_default() += 1;
    }

    /// What the rule says becomes of a page.
    fn plainly(&mut self, number: usize, texts: &[String], early: bool) {
        self.tally.seen += 1;
        if early {
            let verdict = Verdict::dropped("early");
            self.tally.stopped(0, &verdict);
            self.tally.ended("page_length_filter", &verdict);
            return;
        }
        self.tally.passed(0, 1);
        self.tally.passed(1, 1);
        for (at, (text, by)) in texts.iter().zip(["one", "two", "three"]).enumerate() {
            let mut tried = Outcome::default();
            tried.walk(FIRST, &format!("p{number}"), text, by);
            let keeps = !tried.kept.is_empty();
            if keeps || at + 1 == texts.len() {
                if keeps {
                    self.tally.extracted(by);
                }
                self.tally.add(&tried.tally);
                self.kept.extend(tried.kept);
                for (value, n) in tried.observed {
                    *self.observed.entry(value).or_default() += n;
                }
                return;
            }
        }
    }

    fn walk(&mut self, place: usize, id: &str, text: &str, by: &str) {
        let names = ["", "", "line_length_modifier", "external", "aggregate", "external"];
        let Some(name) = names.get(place) else {
            self.tally.ended("", &Verdict::Keep);
            return self.keep(id, text, by);
        };
        if *name == "aggregate" {
            self.observe(&Observed::Text(text.to_owned()));
            self.tally.passed(place, 1);
            return self.walk(place + 1, id, text, by);
        }
        match act(place, text) {
            Answer::Verdict(Verdict::Keep) => {
                self.tally.passed(place, 1);
                self.walk(place + 1, id, text, by);
            }
            Answer::Verdict(verdict) => {
                self.tally.stopped(place, &verdict);
                self.tally.ended(name, &verdict);
            }
            Answer::Documents(parts) => {
                self.tally.passed(place, parts.len() as u64);
                if parts.is_empty() {
                    return self.tally.ended(name, &Verdict::dropped(NOTHING_LEFT));
                }
                self.tally.made += parts.len() as u64 - 1;
                for (number, part) in parts.iter().enumerate() {
                    self.walk(place + 1, &format!("{id}#{number}"), text_in(part), "-");
                }
            }
        }
    }
}

/// The pages through the chain; where `flushes` says so, what waits is led on first, as before a checkpoint.
fn through(chain: &mut Chain<usize>, pages: &[(Vec<String>, bool)], flushes: &[bool]) -> Outcome {
    let mut outcome = Outcome::default();
    let mut tally = Tally::default();
    let mut drain = |chain: &mut Chain<usize>, tally: &mut Tally| {
        while chain.upcoming().is_some() {
            chain.go(tally).expect("goes");
        }
        for (_, value) in chain.take_observed() {
            outcome.observe(&value);
        }
        while let Some(Ended { doc, verdict, .. }) = chain.next_ended() {
            if verdict.is_keep() {
                let by = doc.fields.str(Alternative::FIELD).unwrap_or("-".into());
                outcome.keep(&doc.id, text_in(&doc), &by);
            }
        }
    };
    for (number, (texts, early)) in pages.iter().enumerate() {
        chain.put(page(number, texts, *early), number, &mut tally);
        drain(chain, &mut tally);
        if flushes.get(number).copied().unwrap_or(false) {
            while chain.flush(&mut tally).expect("flushes") {
                drain(chain, &mut tally);
            }
            assert_eq!(tally.balance(), Ok(()), "at a checkpoint");
        }
    }
    while chain.flush(&mut tally).expect("flushes") {
        drain(chain, &mut tally);
    }
    assert!(chain.pages.is_empty(), "no page is left behind");
    Outcome { tally, ..outcome }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

    #[test]
    fn the_first_text_that_is_kept_counts(
        pages in proptest::collection::vec(
            (proptest::collection::vec("[kkkkkdbsn]{4}", 1..4), proptest::bool::weighted(0.1)), 0..12),
        flushes in proptest::collection::vec(proptest::bool::weighted(0.2), 12),
        sizes in [1_usize..5, 1_usize..5],
    ) {
        let mut expected = Outcome::default();
        for (number, (texts, early)) in pages.iter().enumerate() {
            expected.plainly(number, texts, *early);
        }
        let got = through(&mut chain(sizes), &pages, &flushes);
        prop_assert_eq!(got.tally.balance(), Ok(()));
        prop_assert_eq!(got, expected);
    }
}

#[test]
fn what_was_tried_in_vain_leaves_no_trace() {
    let texts = ["ddkk", "kbkk", "kkkk"].map(str::to_owned).to_vec();
    let got = through(&mut chain([2, 2]), &[(texts, false)], &[]);
    assert_eq!(got.kept, ["p0 kkkk three"]);
    assert_eq!((got.tally.seen, got.tally.kept), (1, 1));
    assert_eq!(got.tally.extracted_by, BTreeMap::from([("three".to_owned(), 1)]));
    assert!(got.tally.steps.values().all(|passage| (passage.seen, passage.out) == (1, 1)));
    assert_eq!(got.observed.len(), 1);
}
