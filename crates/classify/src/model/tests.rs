//! Files that are cut off or damaged, and the forms of a matrix held against each other. That predictions are right is shown by the C++
//! library itself, in `tests/golden/lid.rs`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use proptest::prelude::*;

use super::*;

mod made;
use made::{Made, Quantising};

const TEXTS: [&str; 6] = [
    "",
    "kari mote",
    "kari kari unknown ñandú 学校",
    "__label__a x",
    "a </s> b",
    "mote\tsula zzz \0 kari . ! (",
];

fn load(bytes: Vec<u8>) -> Result<Model, ModelError> {
    Model::load(Arc::new(bytes))
}

/// All predictions for all texts, as bits.
fn answers(model: &Model) -> Vec<Vec<(u32, u32)>> {
    let mut scratch = Scratch::default();
    let mut all = Vec::new();
    // Twice, since the second time words are remembered.
    for text in TEXTS.iter().chain(&TEXTS) {
        for k in [1, 2, 100] {
            let got = model.predict(&mut scratch, text, k);
            all.push(got.iter().map(|best| (best.label, best.probability.to_bits())).collect());
        }
    }
    all
}

fn kinds() -> Vec<Made> {
    let plain = Made::default();
    let quantised = Quantising { part_columns: 2, norms: true, output: true };
    vec![
        Made { word_ngrams: 2, ..plain.clone() },
        Made { loss: HIERARCHICAL, minn: 2, maxn: 4, ..plain.clone() },
        Made {
            loss: ONE_VS_ALL,
            minn: 1,
            maxn: 3,
            word_ngrams: 3,
            quantising: Some(quantised),
            ..plain.clone()
        },
        Made {
            kept: Some(vec![(3, 0), (17, 2), (63, 1), (4, 3)]),
            maxn: 3,
            quantising: Some(quantised),
            ..plain.clone()
        },
        Made {
            kept: Some(Vec::new()),
            loss: HIERARCHICAL,
            quantising: Some(Quantising { part_columns: 3, norms: false, output: false }),
            ..plain
        },
    ]
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    for made in kinds() {
        let whole = made.bytes();
        assert!(load(whole.clone()).is_ok());
        for length in 0..whole.len() {
            // Floats are many and all alike.
            if length > made.matrices_at() + 64 && length % 61 != 0 && length + 64 < whole.len() {
                continue;
            }
            match load(whole[..length].to_vec()) {
                Err(ModelError::Truncated { at, wanted, left, .. }) => {
                    assert_eq!(at + left, length);
                    assert!(wanted > left as u64);
                }
                Err(other) => panic!("cut at {length} of {}: {other}", whole.len()),
                Ok(_) => panic!("cut at {length} of {} and still loaded", whole.len()),
            }
        }
        let longer = [whole, vec![1, 2, 3]].concat();
        assert!(load(longer).is_ok(), "what follows is ignored, as in C++");
    }
}

#[test]
fn values_that_contradict_each_other_are_named() {
    let check = |change: &dyn Fn(&mut Vec<u8>), message: &str| {
        let mut bytes = Made::default().bytes();
        change(&mut bytes);
        let error = load(bytes).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(message), "{error:?} does not say {message:?}");
    };
    fn set(at: usize, value: i32) -> impl Fn(&mut Vec<u8>) {
        move |bytes| bytes[at..at + 4].copy_from_slice(&value.to_le_bytes())
    }
    check(&set(0, 0x0403_4b50), "not a fastText model: the first four bytes are 0x04034b50");
    check(&set(4, 13), "format is 13, newer than 12");
    check(&set(8, -1), "dim is -1");
    check(&set(8, 0), "no dimension");
    check(&set(8, 9), "of 9 are needed");
    check(&set(28, 100_000), "wordNgrams is 100000");
    check(&set(32, 7), "loss number 7");
    check(&set(36, 1), "word vectors");
    check(&set(40, i32::MAX), "are needed for words and n-grams");
    check(&set(48, -5), "maxn is -5");
    check(&set(64, i32::MAX), "entries");
    check(&set(64, -1), "its size is -1");
    check(&set(72, 0), "entries");
    // A huge count that agrees with itself is found out by the length of the file.
    check(
        &|bytes| {
            set(64, 2_000_000_003)(bytes);
            set(68, 2_000_000_000)(bytes);
        },
        "cut off: the dictionary needs 20000000030 bytes",
    );
    check(
        &|bytes| {
            let at = Made::default().matrices_at();
            bytes[at] = 7;
        },
        "7 where only 0 and 1 may be",
    );
    check(
        &|bytes| {
            let at = Made::default().matrices_at() + 1;
            bytes[at..at + 8].copy_from_slice(&i64::MAX.to_le_bytes());
        },
        "cut off: the input matrix",
    );
}

#[test]
fn a_matrix_written_out_gives_the_same_bits() {
    for made in kinds() {
        let bytes: Blob = Arc::new(made.bytes());
        let decoded = Model::load_decoding(bytes.clone(), u64::MAX).unwrap();
        let in_place = Model::load_decoding(bytes, 0).unwrap();
        assert_eq!(answers(&decoded), answers(&in_place));
    }
}

#[test]
fn a_scratch_does_not_mix_models_up() {
    let models: Vec<Model> = kinds().iter().map(|made| load(made.bytes()).unwrap()).collect();
    let mut scratch = Scratch::default();
    for text in TEXTS {
        for model in &models {
            let shared = model.predict(&mut scratch, text, 100).to_vec();
            assert_eq!(shared, model.predict(&mut Scratch::default(), text, 100));
        }
    }
}

#[test]
fn labels_lose_their_prefix_and_keep_their_bytes() {
    let model = load(Made::default().bytes()).unwrap();
    assert_eq!(model.labels(), ["a", "b\u{fffd}", "other"]);
    assert_eq!(model.label_bytes(1), Some(&b"__label__b\xe9"[..]));
    assert_eq!(model.label_bytes(3), None);
    assert_eq!(model.label("other"), Some(2));
    assert_eq!(model.label("none"), None);
}

#[test]
fn models_and_scratches_cross_threads() {
    fn both<T: Send + Sync>() {}
    fn sent<T: Send>() {}
    both::<Model>();
    sent::<Scratch>();
}

/// Records the largest piece of memory that the running test's thread asks for.
struct Watching;

thread_local! { static LARGEST: Cell<usize> = const { Cell::new(0) }; }

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(layout.size())));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]
    #[test]
    fn a_damaged_file_is_refused_or_predicts_something(
        kind in 0_usize..5,
        changes in prop::collection::vec((any::<u32>(), any::<bool>(), prop_oneof![any::<u8>(), Just(0), Just(0xff), Just(0x7f), Just(1)]), 1..5),
    ) {
        let made = kinds().swap_remove(kind);
        let mut bytes = made.bytes();
        for (at, early, value) in changes {
            // Half of the changes hit what decides on lengths.
            let reach = if early { made.matrices_at() + 40 } else { bytes.len() };
            bytes[at as usize % reach] = value;
        }
        let length = bytes.len();
        LARGEST.set(0);
        if let Ok(model) = load(bytes) {
            answers(&model);
        }
        let largest = LARGEST.get();
        let bound = 4 * length + (2 << 20);
        prop_assert!(largest <= bound, "{largest} bytes at once for a file of {length}");
    }

    #[test]
    fn anything_behind_a_sound_start_is_refused_or_predicts_something(tail in prop::collection::vec(any::<u8>(), 0..400)) {
        let made = Made::default();
        for start in [4, 8, 64, made.matrices_at(), made.matrices_at() + 1] {
            let bytes = [&made.bytes()[..start], &tail[..]].concat();
            if let Ok(model) = load(bytes) {
                answers(&model);
            }
        }
    }

    #[test]
    fn any_text_can_be_predicted(text in "\\PC{0,80}|[a-c </>\u{e9}\u{5b66}\t\n]{0,200}", k in 0_usize..6) {
        for made in kinds() {
            let model = load(made.bytes()).unwrap();
            let mut scratch = Scratch::default();
            let first = model.predict(&mut scratch, &text, k).to_vec();
            prop_assert!(first.len() <= k.min(3));
            prop_assert!(first.is_sorted_by(|a, b| a.probability >= b.probability));
            let tokens: Vec<Token<'_>> = tokens(&text).collect();
            prop_assert_eq!(&first[..], model.predict_tokens(&mut scratch, tokens, k));
        }
    }
}
