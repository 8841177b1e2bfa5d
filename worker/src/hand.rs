//! What an attempt has in hand, seen from outside: by heartbeats, by the watch over documents that take too long, and,
//! where the attempt has a process of its own, by the parent that finds it dead.

use gristmill_job::Place;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the lane wants of the attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Order {
    #[default]
    GoOn,
    /// End between two documents; a checkpoint may be taken first.
    Stop,
    /// The task is not ours any more: end, and write nothing.
    Drop,
}

/// What an attempt has in hand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Held {
    /// Changes with every document.
    pub(crate) turn: u64,
    /// The document in hand, or the rest of a file that is being read. None: nothing of the input is to blame.
    pub(crate) place: Option<Place>,
    /// The document's identity, once it is known.
    pub(crate) id: String,
    pub(crate) doing: Doing,
    pub(crate) seen: u64,
    pub(crate) kept: u64,
    /// The task has a checkpoint, of this attempt or of one before it.
    pub(crate) checkpoint: bool,
}

/// What is being done; it decides which limits hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Doing {
    #[default]
    Other,
    /// Waiting for bytes may take any time; using the processor may not.
    Reading,
    /// Steps wait for nothing.
    Steps,
}

/// Shared by an attempt and those who look after it.
#[derive(Debug, Default)]
pub(crate) struct Hand {
    held: Mutex<Held>,
    order: Mutex<Order>,
    /// The thread that works, once it does.
    thread: Mutex<Option<u32>>,
    /// Where every change is noted for a parent process.
    slot: Option<Slot>,
}

impl Hand {
    pub(crate) fn noting(slot: Slot) -> Self {
        Self { slot: Some(slot), ..Self::default() }
    }

    /// Called by the thread that will do the work.
    pub(crate) fn enter(&self) {
        *lock(&self.thread) = thread_id();
    }

    pub(crate) fn thread(&self) -> Option<u32> {
        *lock(&self.thread)
    }

    /// The next record is being read; `rest` is what is lost if it cannot be.
    pub(crate) fn reading(&self, rest: Place, seen: u64, kept: u64) {
        self.change(|held| {
            held.turn += 1;
            held.id.clear();
            (held.place, held.doing, held.seen, held.kept) = (Some(rest), Doing::Reading, seen, kept);
        });
    }

    /// A document was read and goes through the steps.
    pub(crate) fn takes(&self, place: Place) {
        {
            let held = lock(&self.held);
            if held.place == Some(place) && held.doing == Doing::Steps {
                return;
            }
        }
        self.change(|held| {
            held.turn += 1;
            held.id.clear();
            (held.place, held.doing) = (Some(place), Doing::Steps);
        });
    }

    pub(crate) fn named(&self, id: &str) {
        self.change(|held| {
            id.get(..id.floor_char_boundary(ID_MAX)).unwrap_or_default().clone_into(&mut held.id)
        });
    }

    /// The document in hand is being written: that may wait for the store.
    pub(crate) fn writing(&self) {
        // A parent process blames the document all the same: its slot needs no change.
        lock(&self.held).doing = Doing::Other;
    }

    /// Nothing of the input is in hand.
    pub(crate) fn empty(&self, seen: u64, kept: u64) {
        self.change(|held| {
            held.turn += 1;
            held.id.clear();
            (held.place, held.doing, held.seen, held.kept) = (None, Doing::Other, seen, kept);
        });
    }

    pub(crate) fn has_checkpoint(&self) {
        self.change(|held| held.checkpoint = true);
    }

    pub(crate) fn look(&self) -> Held {
        lock(&self.held).clone()
    }

    pub(crate) fn order(&self) -> Order {
        *lock(&self.order)
    }

    /// Orders only grow.
    pub(crate) fn tell(&self, order: Order) {
        let mut present = lock(&self.order);
        *present = order.max(*present);
    }

    fn change(&self, f: impl FnOnce(&mut Held)) {
        let mut held = lock(&self.held);
        f(&mut held);
        if let Some(slot) = &self.slot {
            slot.note(&held);
        }
    }
}

/// What is kept of an identity: enough to find the document by.
const ID_MAX: usize = 1024;

/// The part of a file that holds what is in hand.
#[derive(Debug)]
pub(crate) struct Slot(File);

/// Bytes of the slot; an answer may follow it in the same file.
pub(crate) const SLOT_BYTES: u64 = 16 << 10;

impl Slot {
    pub(crate) fn new(file: File) -> Self {
        Self(file)
    }

    /// Best effort: what is not noted is not blamed on a document.
    fn note(&self, held: &Held) {
        // A plain struct: this cannot fail.
        let json = serde_json::to_vec(held).unwrap_or_default();
        let mut note = (json.len() as u32).to_le_bytes().to_vec();
        note.extend_from_slice(&json);
        if note.len() as u64 <= SLOT_BYTES {
            let _ = self.0.write_all_at(&note, 0);
        }
    }

    /// What was noted last; none if nothing was.
    pub(crate) fn read(file: &File) -> io::Result<Option<Held>> {
        let mut note = vec![0; SLOT_BYTES as usize];
        let read = read_up_to(file, &mut note)?;
        let Some((length, rest)) = note.get(..read).and_then(|note| note.split_first_chunk::<4>()) else {
            return Ok(None);
        };
        let json = rest.get(..u32::from_le_bytes(*length) as usize);
        Ok(json.and_then(|json| serde_json::from_slice(json).ok()))
    }
}

fn read_up_to(file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read_at(&mut buffer[read..], read as u64)? {
            0 => break,
            n => read += n,
        }
    }
    Ok(read)
}

/// Everything in a file from `offset` on, up to a bound.
pub(crate) fn read_from(file: &File, offset: u64, most: u64) -> io::Result<Vec<u8>> {
    use std::io::Seek;
    let mut file = file.try_clone()?;
    file.seek(io::SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is whole at every moment.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(target_os = "linux")]
#[allow(clippy::unnecessary_wraps, reason = "other systems have none")]
fn thread_id() -> Option<u32> {
    Some(rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs())
}

#[cfg(not(target_os = "linux"))]
fn thread_id() -> Option<u32> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_sees_what_was_in_hand_last() {
        let file = tempfile::tempfile().expect("file");
        assert_eq!(Slot::read(&file).expect("reads"), None);
        let hand = Hand::noting(Slot::new(file.try_clone().expect("clones")));
        hand.takes(Place::Document { number: 7 });
        hand.named(&"é".repeat(4000));
        hand.writing();
        let held = Slot::read(&file).expect("reads").expect("noted");
        assert_eq!((held.place, held.id.len()), (Some(Place::Document { number: 7 }), ID_MAX));
        hand.empty(8, 3);
        let held = Slot::read(&file).expect("reads").expect("noted");
        assert_eq!((held.place, held.id.as_str(), held.seen, held.kept), (None, "", 8, 3));
    }

    #[test]
    fn orders_only_grow() {
        let hand = Hand::default();
        hand.tell(Order::Drop);
        hand.tell(Order::Stop);
        assert_eq!(hand.order(), Order::Drop);
    }
}
