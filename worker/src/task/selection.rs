//! What the tasks of a selection exchange: rows of key files.
//!
//! | file | key | node | note |
//! |---|---|---|---|
//! | scores: `Keys` of a pass, `Ranked` of a range | slot (10 bits), group (54), rank's bits (64) | document | tie (8 bytes), which score (1), weight (8, unless it is 1) |
//! | names, among those | the same, all of the rank's bits set, which no number has | none | which score (1), name |
//! | `Counts` | group (54), 10 bits zero | slot | 0 (1), records (8), weight (8) |
//! | names, among those | the same | 1,024 | 1 (1), which score (1), name |
//! | `Bounds` | group (54), 10 bits zero | share | rank's bits (8), tie (8) |
//!
//! Numbers that rows are sorted by are big-endian, the others little-endian.

use gristmill_classify::quantile::{Rank, SLOTS, Slot};
use gristmill_dedup::Error;
use gristmill_pipeline::selection::{GROUP_BITS, Signed};

/// A row of a file of scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScoreRow<'a> {
    Score { group: u64, rank: Rank, key: u8, weight: u64 },
    Name { group: u64, key: u8, name: &'a [u8] },
}

/// A row of a file of counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CountRow<'a> {
    Count(Slot),
    Name { key: u8, name: &'a [u8] },
}

const SLOT_BITS: u32 = SLOTS.ilog2();
const GROUP_MASK: u128 = (1 << GROUP_BITS) - 1;
const NAME: u64 = u64::MAX;

/// The key of a score: its upper half is that of all scores of its group in its slot.
fn score_key(slot: usize, group: u64, bits: u64) -> u128 {
    (slot as u128) << (128 - SLOT_BITS) | u128::from(group) << 64 | u128::from(bits)
}

/// The slot of a key of scores.
pub(super) fn slot_of(key: u128) -> usize {
    (key >> (128 - SLOT_BITS)) as usize
}

/// The key of a group in files of counts and bounds.
pub(super) fn group_key(group: u64) -> u64 {
    group << (64 - GROUP_BITS)
}

fn cut_short() -> Error {
    Error::Invalid("a row of a selection is cut short".to_owned())
}

fn number(bytes: &[u8]) -> Result<([u8; 8], &[u8]), Error> {
    bytes.split_first_chunk::<8>().map(|(number, rest)| (*number, rest)).ok_or_else(cut_short)
}

impl<'a> ScoreRow<'a> {
    /// Writes the note of a score, and gives its key.
    pub(super) fn of_score(signed: &Signed, note: &mut Vec<u8>) -> u128 {
        note.clear();
        note.extend_from_slice(&signed.rank.tie().to_be_bytes());
        note.push(signed.key);
        if signed.weight != 1 {
            note.extend_from_slice(&signed.weight.to_le_bytes());
        }
        score_key(signed.rank.slot(), signed.group, signed.rank.bits())
    }

    /// Writes the note of a group's name, and gives its key. Names are spread over all slots.
    pub(super) fn of_name(signed: &Signed, note: &mut Vec<u8>) -> u128 {
        note.clear();
        note.push(signed.key);
        note.extend_from_slice(signed.name.as_bytes());
        score_key((signed.group >> (GROUP_BITS - SLOT_BITS)) as usize, signed.group, NAME)
    }

    pub(super) fn read(key: u128, note: &'a [u8]) -> Result<Self, Error> {
        let group = (key >> 64 & GROUP_MASK) as u64;
        let bits = key as u64;
        if bits == NAME {
            let (key, name) = note.split_first().ok_or_else(cut_short)?;
            return Ok(Self::Name { group, key: *key, name });
        }
        let (tie, rest) = number(note)?;
        let (key, weight) = rest.split_first().ok_or_else(cut_short)?;
        let weight = if weight.is_empty() { 1 } else { u64::from_le_bytes(number(weight)?.0) };
        Ok(Self::Score { group, rank: Rank::from_parts(bits, u64::from_be_bytes(tie)), key: *key, weight })
    }
}

impl<'a> CountRow<'a> {
    /// The node and the note of the row.
    pub(super) fn write(self, note: &mut Vec<u8>) -> u64 {
        note.clear();
        match self {
            Self::Count(Slot { slot, records, weight }) => {
                note.push(0);
                note.extend_from_slice(&records.to_le_bytes());
                note.extend_from_slice(&weight.to_le_bytes());
                slot as u64
            }
            Self::Name { key, name } => {
                note.extend_from_slice(&[1, key]);
                note.extend_from_slice(name);
                SLOTS as u64
            }
        }
    }

    pub(super) fn read(node: u64, note: &'a [u8]) -> Result<Self, Error> {
        let (kind, rest) = note.split_first().ok_or_else(cut_short)?;
        if *kind == 0 {
            let (records, rest) = number(rest)?;
            let (weight, _) = number(rest)?;
            let (records, weight) = (u64::from_le_bytes(records), u64::from_le_bytes(weight));
            return Ok(Self::Count(Slot { slot: node as usize, records, weight }));
        }
        let (key, name) = rest.split_first().ok_or_else(cut_short)?;
        Ok(Self::Name { key: *key, name })
    }
}

/// A rank as a note, which is sorted as ranks are.
pub(super) fn rank_note(rank: Rank) -> [u8; 16] {
    (u128::from(rank.bits()) << 64 | u128::from(rank.tie())).to_be_bytes()
}

/// The rank that a note begins with, and the rest of the note.
pub(super) fn read_rank(note: &[u8]) -> Result<(Rank, &[u8]), Error> {
    let (bits, rest) = number(note)?;
    let (tie, rest) = number(rest)?;
    Ok((Rank::from_parts(u64::from_be_bytes(bits), u64::from_be_bytes(tie)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back() {
        let mut note = Vec::new();
        let group = (1 << GROUP_BITS) - 5;
        for (score, weight) in [(0.25, 1), (-3.0, 0), (f64::INFINITY, u64::MAX)] {
            let rank = Rank::new(score, "id").expect("a number");
            let signed = Signed { key: 7, group, name: "ü", rank, weight };
            let key = ScoreRow::of_score(&signed, &mut note);
            assert_eq!(slot_of(key), rank.slot());
            assert_eq!(
                ScoreRow::read(key, &note).expect("sound"),
                ScoreRow::Score { group, rank, key: 7, weight }
            );
            assert!(ScoreRow::read(key, &note[..7]).is_err());
            let key = ScoreRow::of_name(&signed, &mut note);
            assert_eq!(
                ScoreRow::read(key, &note).expect("sound"),
                ScoreRow::Name { group, key: 7, name: "ü".as_bytes() }
            );
            assert_eq!(read_rank(&rank_note(rank)).expect("sound"), (rank, &[][..]));
        }
        let count = Slot { slot: 1023, records: 3, weight: u64::MAX };
        for row in [CountRow::Count(count), CountRow::Name { key: 3, name: b"" }] {
            let node = row.write(&mut note);
            assert_eq!(CountRow::read(node, &note).expect("sound"), row);
        }
        assert!(CountRow::read(0, &[]).is_err());
        assert!(CountRow::read(0, &[0, 1]).is_err());
    }

    #[test]
    fn ranks_are_sorted_as_their_notes_are() {
        let ranks = [5.0, 0.5, 0.25, -1.0].map(|score| Rank::new(score, "x").expect("a number"));
        assert!(ranks.map(rank_note).is_sorted());
        assert!(ranks.is_sorted());
    }
}
