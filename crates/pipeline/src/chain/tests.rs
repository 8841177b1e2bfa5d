mod alternatives;

use super::*;
use crate::recipe::{parse_steps, tree};
use crate::step::Program;
use std::sync::Mutex;

/// Drops what holds `x`, doubles what holds `2`, panics never; notes the sizes of its batches.
struct Fake(Arc<Mutex<Vec<usize>>>, usize);

impl Programs for Fake {
    fn start(&self, program: Program) -> Result<Box<dyn BatchStep>, BuildError> {
        Ok(Box::new(Fake(Arc::clone(&self.0), program.batch)))
    }
}

impl BatchStep for Fake {
    fn size(&self) -> usize {
        self.1
    }

    fn apply(&mut self, docs: &mut [Document]) -> Result<Vec<Answer>, StepError> {
        self.0.lock().expect("lock").push(docs.len());
        let answer = |doc: &mut Document| match doc.text.as_ref().map_or("", |text| text.as_str()) {
            text if text.contains('x') => Answer::Verdict(Verdict::dropped("x")),
            text if text.contains('2') => Answer::Documents(vec![text_of("id", "a"), text_of("id", "b")]),
            _ => Answer::Verdict(Verdict::Keep),
        };
        Ok(docs.iter_mut().map(answer).collect())
    }
}

fn text_of(id: &str, text: &str) -> Document {
    let record = serde_json::json!({"id": id, "text": text});
    Document::from_json(&record.to_string(), String::new).expect("a record")
}

#[test]
fn batches_and_parts_keep_their_order() {
    let steps = "[{external: {command: [a], batch: 3}}, {external: {command: [b], batch: 2}}, {page_length_filter: {length_type: char}}]";
    let specs = parse_steps(&tree::parse(steps).expect("YAML"), &mut Vec::new());
    let sizes = Arc::default();
    let programs: Arc<dyn Programs> = Arc::new(Fake(Arc::clone(&sizes), 0));
    let mut chain = Chain::with_programs(&specs, Arc::default(), 0, Some(programs)).expect("a chain");
    let mut tally = Tally::default();
    let mut kept = Vec::new();
    let mut drain = |chain: &mut Chain<usize>, tally: &mut Tally| {
        while chain.upcoming().is_some() {
            chain.go(tally).expect("goes");
        }
        while let Some(ended) = chain.next_ended() {
            if ended.verdict.is_keep() {
                kept.push(format!("{} {}", ended.doc.id, ended.origin));
            }
        }
    };
    for (origin, text) in ["p", "2", "x", "q", "", "r", "x", "s"].iter().enumerate() {
        chain.put(text_of(&format!("d{origin}"), text), origin, &mut tally);
        drain(&mut chain, &mut tally);
    }
    while chain.flush(&mut tally).expect("flushes") {
        drain(&mut chain, &mut tally);
    }
    assert_eq!(kept, ["d0 0", "d1#0 1", "d1#1 1", "d3 3", "d5 5", "d7 7"]);
    assert_eq!(*sizes.lock().expect("lock"), [3, 2, 3, 2, 2, 2, 1]);
    assert_eq!(tally.balance(), Ok(()));
    assert_eq!((tally.seen, tally.made, tally.kept), (8, 1, 6));
    assert_eq!((tally.steps[&0].seen, tally.steps[&0].out), (8, 7));
    let loads: Vec<_> = chain.take_loads().map(|(step, load)| (step, load.documents)).collect();
    assert_eq!(loads, [("external", 8), ("external", 7), ("page_length_filter", 7)]);
    assert_eq!([0, 1, 2].map(|step| tally.steps[&step].seen), [8, 7, 7]);
    assert_eq!(chain.take_loads().count(), 0, "taken");
    assert!(chain.next_ended().is_none());
}

#[test]
fn programs_run_only_where_they_may() {
    let specs = parse_steps(&tree::parse("[{external: {command: [a]}}]").expect("YAML"), &mut Vec::new());
    assert!(Chain::<()>::new(&specs, Arc::default(), 0).is_err());
}
