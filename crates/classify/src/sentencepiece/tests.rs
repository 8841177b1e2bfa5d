//! Models made here, cut by hand, and damaged files. That real models cut as in the C++ library is shown in `tests/golden/kenlm.rs`.

use proptest::prelude::*;

use super::*;

const NORMAL: u8 = 1;
const UNKNOWN: u8 = 2;
const CONTROL: u8 = 3;
const USER_DEFINED: u8 = 4;
const UNUSED: u8 = 5;
const BYTE: u8 = 6;

/// A model file in the making.
#[derive(Clone, Default)]
struct Made {
    pieces: Vec<(String, f32, u8)>,
    /// Field and value.
    trainer: Vec<(u8, u8)>,
    normalizer: Vec<(u8, u8)>,
    charsmap: Vec<u8>,
}

fn made(pieces: &[(&str, f32)]) -> Made {
    let unknown = ("<unk>".to_owned(), 0.0, UNKNOWN);
    let normal = pieces.iter().map(|(piece, score)| ((*piece).to_owned(), *score, NORMAL));
    Made { pieces: std::iter::once(unknown).chain(normal).collect(), ..Made::default() }
}

impl Made {
    fn and(mut self, piece: &str, kind: u8) -> Self {
        self.pieces.push((piece.to_owned(), 0.0, kind));
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut file = Vec::new();
        for (piece, score, kind) in &self.pieces {
            let mut message = field(1, piece.as_bytes());
            message.push(2 << 3 | 5);
            message.extend(score.to_le_bytes());
            message.extend([3 << 3, *kind]);
            file.extend(field(1, &message));
        }
        let flags = |flags: &[(u8, u8)]| {
            let flag = |(number, value): &(u8, u8)| [varint(u64::from(*number) << 3), vec![*value]].concat();
            flags.iter().flat_map(flag).collect::<Vec<u8>>()
        };
        file.extend(field(2, &flags(&self.trainer)));
        file.extend(field(3, &[field(2, &self.charsmap), flags(&self.normalizer)].concat()));
        // A message that encoding does not need, and a field of eight bytes.
        file.extend(field(4, b"\x0a\x03abc"));
        file.extend([&[15 << 3 | 1][..], &[7; 8]].concat());
        file
    }

    fn load(&self) -> SentencePiece {
        SentencePiece::load(&self.bytes()).unwrap()
    }

    #[track_caller]
    fn refused(&self) -> String {
        SentencePiece::load(&self.bytes()).err().unwrap().to_string()
    }
}

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2][..], &varint(bytes.len() as u64), bytes].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn pieces(model: &SentencePiece, text: &str) -> Vec<String> {
    let mut scratch = Scratch::default();
    let mut all = Vec::new();
    // Twice, since the second time the buffers are full.
    for _ in 0..2 {
        all.clear();
        model.encode(&mut scratch, text, |piece| all.push(String::from_utf8_lossy(piece).into_owned()));
    }
    all
}

/// The type of the model, in the trainer.
const BPE: (u8, u8) = (3, 2);
const SUFFIX: u8 = 24;
const BYTE_FALLBACK: u8 = 35;
const DUMMY_PREFIX: u8 = 3;
const REMOVE_BLANKS: u8 = 4;
const ESCAPE_BLANKS: u8 = 5;

/// One entry, `A` → `[a]`; and one more, `B` → nothing.
fn charsmap() -> Vec<u8> {
    let mut units = [0_u32; 256];
    units[0] = 0x80 << 10;
    for (byte, value) in [(b'A', 0), (b'B', 4)] {
        let node = 0x80 ^ usize::from(byte);
        units[node] = u32::from(byte) | 1 << 8 | 0x10 << 10;
        units[node ^ 0x10] = 1 << 31 | value;
    }
    let array = units.iter().flat_map(|unit| unit.to_le_bytes());
    1024_u32.to_le_bytes().into_iter().chain(array).chain(*b"[a]\0\0").collect()
}

fn letters() -> Made {
    made(&[("▁", -3.0), ("a", -2.0), ("b", -2.5), ("ab", -4.0), ("▁a", -4.5), ("ba", -4.6), ("▁ab", -9.0)])
}

#[test]
fn the_likeliest_cut_is_taken() {
    let model = letters().load();
    for (text, expected) in [
        ("", &[][..]),
        (" \u{20}", &[]),
        ("a", &["▁a"]),
        ("ab", &["▁", "ab"]),
        ("bab", &["▁", "b", "ab"]),
        ("aba", &["▁", "ab", "a"]),
        ("  b   a ", &["▁", "b", "▁a"]),
        ("xyz", &["▁", "xyz"]),
        ("xaéy z", &["▁", "x", "a", "éy", "▁", "z"]),
    ] {
        assert_eq!(pieces(&model, text), expected, "{text:?}");
    }
}

#[test]
fn of_equal_cuts_the_first_that_is_found_stays() {
    let model = made(&[("▁", -1.0), ("a", -2.0), ("aa", -3.0)]).load();
    // ▁ a aa and ▁ aa a cost the same.
    assert_eq!(pieces(&model, "aaa"), ["▁", "a", "aa"]);
}

#[test]
fn kinds_of_pieces_differ() {
    let model = letters().and("xa", USER_DEFINED).and("<s>", CONTROL).and("zz", UNUSED).load();
    for (text, expected) in [
        ("xab", &["▁", "xa", "b"][..]),
        ("<s>", &["▁", "<s>"]),
        ("zz", &["▁", "zz"]),
        ("b xa", &["▁", "b", "▁", "xa"]),
    ] {
        assert_eq!(pieces(&model, text), expected, "{text:?}");
    }
}

fn with_bytes() -> Made {
    let bytes = (0..=255).fold(letters(), |made, byte| made.and(&format!("<0x{byte:02X}>"), BYTE));
    Made { trainer: vec![(BYTE_FALLBACK, 1)], ..bytes }
}

#[test]
fn bytes_stand_for_what_is_unknown() {
    let model = with_bytes().load();
    assert_eq!(
        pieces(&model, "aé<0x41>"),
        ["▁a", "<0xC3>", "<0xA9>", "<0x3C>", "<0x30>", "<0x78>", "<0x34>", "<0x31>", "<0x3E>"]
    );
}

#[test]
fn pairs_are_merged_best_first() {
    let scores =
        [("▁", -9.0), ("a", -9.0), ("b", -9.0), ("ab", -0.0), ("▁a", -1.0), ("abab", -2.0), ("ba", -3.0)];
    let model = Made { trainer: vec![BPE], ..made(&scores) }.load();
    for (text, expected) in [
        ("ab", &["▁", "ab"][..]),
        ("abab", &["▁", "abab"]),
        ("ababab", &["▁", "abab", "ab"]),
        ("aa", &["▁a", "a"]),
        ("baxyb", &["▁", "ba", "xy", "b"]),
    ] {
        assert_eq!(pieces(&model, text), expected, "{text:?}");
    }
    let frozen = Made { trainer: vec![BPE], ..made(&scores) }.and("b", USER_DEFINED);
    assert!(frozen.refused().contains("\"b\" twice"));
    let frozen = Made { trainer: vec![BPE], ..made(&scores) }.and("xa", USER_DEFINED).load();
    assert_eq!(pieces(&frozen, "xabab"), ["▁", "xa", "b", "ab"]);
}

#[test]
fn blanks_are_treated_as_the_model_says() {
    let of = |trainer: &[(u8, u8)], normalizer: &[(u8, u8)], text: &str| {
        let made = Made { trainer: trainer.to_vec(), normalizer: normalizer.to_vec(), ..letters() };
        pieces(&made.load(), text).concat()
    };
    assert_eq!(of(&[], &[], "  a  b "), "▁a▁b");
    assert_eq!(of(&[], &[(DUMMY_PREFIX, 0)], "  a  b "), "a▁b");
    assert_eq!(of(&[], &[(REMOVE_BLANKS, 0)], " a  b "), "▁▁a▁▁b▁");
    assert_eq!(of(&[], &[(ESCAPE_BLANKS, 0)], "  a  b "), " a b");
    assert_eq!(of(&[(SUFFIX, 1)], &[], "  a  b "), "a▁b▁");
    assert_eq!(of(&[], &[(REMOVE_BLANKS, 0)], " "), "▁▁");
}

#[test]
fn characters_are_replaced_as_the_model_says() {
    let model = Made { charsmap: charsmap(), ..letters() }.and("[", NORMAL).and("]", NORMAL);
    assert_eq!(pieces(&model.load(), "bABA"), ["▁", "b", "[", "a", "]", "[", "a", "]"]);
    assert_eq!(pieces(&model.load(), "B"), Vec::<String>::new());
    // What a user defined is not.
    assert_eq!(pieces(&model.and("bA", USER_DEFINED).load(), "bAA"), ["▁", "bA", "[", "a", "]"]);
}

#[test]
fn what_is_wrong_with_a_model_is_said() {
    let twice = letters().and("a", USER_DEFINED);
    assert_eq!(twice.refused(), "not a SentencePiece model that can be used: it has the piece \"a\" twice");
    assert!(letters().and("", NORMAL).refused().contains("empty piece"));
    assert!(letters().and("<u>", UNKNOWN).refused().contains("or several"));
    assert!(Made::default().refused().contains("no piece for what is unknown"));
    assert!(made(&[]).refused().contains("no pieces"));
    assert!(letters().and("<0x41>", BYTE).refused().contains("a byte that is none"));
    assert!(Made { trainer: vec![(BYTE_FALLBACK, 1)], ..letters() }.refused().contains("for all of them"));
    assert!(Made { trainer: vec![(3, 3)], ..letters() }.refused().contains("into words"));
    assert!(Made { trainer: vec![(3, 4)], ..letters() }.refused().contains("into characters"));
    assert!(Made { trainer: vec![(3, 9)], ..letters() }.refused().contains("number 9"));
    let unused = Made { trainer: vec![BPE], ..letters() }.and("z", UNUSED);
    assert!(unused.refused().contains("unused pieces"));
    for length in [1, 4, 100, 1027] {
        let cut = Made { charsmap: charsmap()[..length].to_vec(), ..letters() };
        assert!(cut.refused().contains("table of characters"), "{length}");
    }
    assert!(SentencePiece::load(b"{\"model\": 1}").err().unwrap().to_string().contains("protocol buffer"));
}

/// What a damaged model makes of texts need not be right; there must be an end to it.
fn survives(file: &[u8]) {
    if let Ok(model) = SentencePiece::load(file) {
        for text in ["", " ", "ab aB A", "xé \u{10ffff}", "ABABAB ba\0ab▁"] {
            pieces(&model, text);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1500) })]

    #[test]
    fn a_damaged_file_is_refused_or_cuts_somehow(
        which in 0_usize..4,
        changes in prop::collection::vec((any::<u32>(), prop_oneof![any::<u8>(), Just(0), Just(0xff)]), 0..5),
        length in prop::option::of(any::<u32>()),
    ) {
        let made = match which {
            0 => Made { charsmap: charsmap(), ..letters() },
            1 => letters().and("xa", USER_DEFINED).and("<s>", CONTROL).and("zz", UNUSED),
            2 => Made { trainer: vec![BPE], ..letters() },
            _ => with_bytes(),
        };
        let mut file = made.bytes();
        for (at, value) in changes {
            let at = at as usize % file.len();
            file[at] = value;
        }
        if let Some(length) = length {
            file.truncate(length as usize % file.len());
        }
        survives(&file);
    }

    #[test]
    fn pieces_are_the_normalised_text(text in "[ab xé▁ ]{0,60}|\\PC{0,30}", bpe in any::<bool>()) {
        let made = Made { normalizer: vec![(REMOVE_BLANKS, 0), (DUMMY_PREFIX, 0)], ..letters() };
        let made = Made { trainer: if bpe { vec![BPE] } else { Vec::new() }, ..made };
        prop_assert_eq!(pieces(&made.load(), &text).concat(), text.replace(' ', "▁"));
    }
}
