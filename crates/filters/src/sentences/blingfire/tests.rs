use super::*;
use flate2::Crc;
use proptest::prelude::*;

/// A model of two rules: `x . y` is an end before `y`, `! $` an end before the text's end. Letters: all others 0, left anchor 1, right anchor 2,
/// `.` 3, `!` 4, `x` 5, `y` 6.
fn model() -> Vec<u8> {
    let number = |number: u32| number.to_le_bytes();
    let settings: Vec<u8> = [
        &number(19)[..],
        &number(1),
        &[[0; 19].as_slice(), &[9]].concat(),
        &number(4),
        &number(8),
        &number(8),
        &number(38),
        &number(3),
        &number(2),
        &number(1),
        &number(16),
        &number(1),
        &number(25),
        &number(2),
    ]
    .concat();
    let actions = [
        &number(1)[..],
        &number(1),
        &[9, 25, 0, 0],
        &number(4),
        &number(3),
        &number(3),
        &number(0),
        &number(1),
        &number(5),
        &number(3),
        &number(0),
        &number(1),
        &number(5),
    ]
    .concat();
    // Characters 0 to 127 in one interval.
    let mut letters = [0; 128];
    for (char, letter) in [(0, 1), (1, 2), (2, 3), (b'.', 4), (b'!', 5), (b'x', 6), (b'y', 7)] {
        letters[usize::from(char)] = letter;
    }
    let map = [&number(1)[..], &number(1), &number(0), &number(127), &number(0), &letters].concat();
    let head = [
        &number(2)[..],
        &number(0),
        &number(0x8000_0002),
        &number(0),
        &number(127),
        &number(map.len() as u32),
        &map,
    ]
    .concat();
    let place = |offset: usize| ((head.len() + offset) as u16).to_be_bytes();
    // From the start: `x` or `!` (two letters, two places).
    let start = [&[4, 1, 4, 5][..], &place(8), &place(8 + 9)].concat();
    // Behind `!`: the right anchor (one letter, the state behind this one), which is final: rule 1.
    let shout = [&[2, 2][..], &[0x80 | 0x20, 1], &[0; 5]].concat();
    // Behind `x`: `.` (a range of one), behind that `y` (a place for each letter from 6 to 6), which is final: rule 0.
    let stop = [&[1, 0, 3, 3][..], &place(8 + 9 + 6)].concat();
    let next = [&[6, 6, 6][..], &place(8 + 9 + 6 + 5), &[0x80 | 0x20, 0]].concat();
    let automaton = [head.as_slice(), &start, &shout, &stop, &next].concat();
    let data = [settings.as_slice(), &automaton, &actions].concat();
    let mut sum = Crc::new();
    sum.update(&data);
    let starts = [20, 20 + settings.len(), 20 + settings.len() + automaton.len(), 20 + data.len()];
    [
        &number(4)[..],
        &starts.map(|start| number(start as u32)).concat(),
        &data,
        &number(0),
        &number(data.len() as u32),
        &number(sum.sum()),
    ]
    .concat()
}

fn split(text: &str) -> String {
    let mut places = Vec::new();
    BlingFire::load(&model()).expect("a model").split(text, &mut places);
    places.into_iter().map(|place| &text[place]).collect::<Vec<_>>().join("|")
}

#[test]
fn rules_end_sentences() {
    for (text, expected) in [
        ("", ""),
        (" \u{200b}\u{3000}", " "),
        ("\u{200b} ", "\u{200b} "),
        ("\u{feff}", ""),
        ("\u{feff}\0", "\u{feff}\0"),
        ("ax.y  b", "ax.|y  b"),
        ("x.yx.x.y", "x.|yx.x.|y"),
        ("a!", "a!"),
        ("a! \0", "a! \0"),
        ("\u{feff}éx.y€", "éx.|y€"),
        ("x\u{1}y x.\u{2}", "x\u{1}y x.\u{2}"),
    ] {
        assert_eq!(split(text), expected, "{text:?}");
    }
}

#[test]
fn a_model_that_is_another_says_so() {
    let error = |bytes: &[u8]| BlingFire::load(bytes).err().expect("an error").to_string();
    assert!(error(b"PK").contains("four parts"));
    assert!(error(&model()[..200]).contains("cut off"));
    let mut bytes = model();
    bytes[300] ^= 1;
    assert!(error(&bytes).contains("checksum"));
}

proptest! {
    #[test]
    fn a_wrong_model_is_refused_or_read(changes in proptest::collection::vec((20_usize..500, 0_u8..=255), 1..4), text in "[xy.! \u{1}é]{0,20}") {
        let mut bytes = model();
        let end = bytes.len() - 12;
        for (at, byte) in changes {
            if at < end {
                bytes[at] = byte;
            }
        }
        // Its checksum is right all the same.
        let mut sum = Crc::new();
        sum.update(&bytes[20..end]);
        bytes[end + 8..].copy_from_slice(&sum.sum().to_le_bytes());
        if let Ok(model) = BlingFire::load(&bytes) {
            model.split(&text, &mut Vec::new());
        }
    }
}
