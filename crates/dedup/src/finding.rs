//! What a dedup found out about a document that is one of several, as the note of its entry in a
//! [drop list](crate::droplist).
//!
//! ```text
//! u8 1 if it stays, + 2 if it has a similarity | varint size | [f64 similarity] | varint length, survivor's id
//! then to the end of the note: varint length, id | …   others, of the survivor
//! ```

use crate::block::{get_varint, put_varint};

/// A document of a component of more than one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finding<'a> {
    /// Whether it stays: it survives, or is held back.
    pub stays: bool,
    /// Documents of its component.
    pub size: u64,
    /// How similar the one is that is the most similar of those it was compared with.
    pub similarity: Option<f64>,
    /// The record id of the one that survives.
    pub survivor: &'a [u8],
    /// The record ids of the others, where they are told: [`ids`].
    pub others: &'a [u8],
}

const STAYS: u8 = 1;
const SIMILARITY: u8 = 2;

impl<'a> Finding<'a> {
    /// Appends it to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mark = |mark: u8, is: bool| if is { mark } else { 0 };
        out.push(mark(STAYS, self.stays) | mark(SIMILARITY, self.similarity.is_some()));
        put_varint(out, self.size);
        if let Some(similarity) = self.similarity {
            out.extend_from_slice(&similarity.to_le_bytes());
        }
        push_id(out, self.survivor);
        out.extend_from_slice(self.others);
    }

    /// What [`encode`](Self::encode) wrote; `None` if `note` is not that.
    #[must_use]
    pub fn decode(note: &'a [u8]) -> Option<Self> {
        let (&marks, _) = note.split_first().filter(|(marks, _)| **marks <= STAYS + SIMILARITY)?;
        let mut at = 1;
        let size = get_varint(note, &mut at)?;
        let similarity = if marks & SIMILARITY == 0 {
            None
        } else {
            let bytes = note.get(at..)?.first_chunk::<8>()?;
            at += 8;
            Some(f64::from_le_bytes(*bytes)).filter(|similarity| similarity.is_finite())
        };
        let (survivor, others) = split_id(note.get(at..)?)?;
        Some(Self { stays: marks & STAYS != 0, size, similarity, survivor, others })
    }
}

/// Appends an id to a list of them.
pub fn push_id(list: &mut Vec<u8>, id: &[u8]) {
    put_varint(list, id.len() as u64);
    list.extend_from_slice(id);
}

/// The ids of a list. What does not decode ends it.
pub fn ids(mut list: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (id, rest) = split_id(list)?;
        list = rest;
        Some(id)
    })
}

fn split_id(list: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    let length = usize::try_from(get_varint(list, &mut at)?).ok()?;
    list.get(at..)?.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn findings_come_back(
            stays in any::<bool>(),
            size in any::<u64>(),
            similarity in proptest::option::of(0.0_f64..=1.0),
            survivor in proptest::collection::vec(any::<u8>(), 0..300),
            others in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..4),
        ) {
            let mut list = Vec::new();
            for id in &others {
                push_id(&mut list, id);
            }
            let finding = Finding { stays, size, similarity, survivor: &survivor, others: &list };
            let mut note = Vec::new();
            finding.encode(&mut note);
            prop_assert_eq!(Finding::decode(&note), Some(finding));
            let back: Vec<&[u8]> = ids(&list).collect();
            prop_assert_eq!(back, others);
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            if let Some(finding) = Finding::decode(&bytes) {
                prop_assert!(ids(finding.others).count() <= bytes.len());
            }
        }
    }
}
