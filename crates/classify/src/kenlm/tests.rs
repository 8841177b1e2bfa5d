//! One small model in every format. The binaries were written by KenLM's own library, and so were the scores; more is held against it in
//! `tests/golden/kenlm.rs`. Here are also the files that are damaged.

use std::io::Write;

use proptest::prelude::*;

use super::*;

const ARPA: &str = include_str!("tests/four.arpa");

/// The kinds of `build_binary`. `array` was written without the words at its end, the others with them.
const BINARIES: [(&str, &[u8]); 6] = [
    ("probing", include_bytes!("tests/probing.bin")),
    ("rest", include_bytes!("tests/rest.bin")),
    ("trie", include_bytes!("tests/trie.bin")),
    ("array", include_bytes!("tests/array.bin")),
    ("quant", include_bytes!("tests/quant.bin")),
    ("quant_array", include_bytes!("tests/quant_array.bin")),
];

const SENTENCES: [&str; 9] =
    ["", "a b c", "a b c d", "b c a b", "x", "a x b c", "é 学 b", " a\tb  c\n", "学 学 </s> a"];

const EXACT: [u32; 9] = [
    3_212_408_138,
    3_205_810_461,
    3_227_787_870,
    3_221_046_671,
    3_223_942_802,
    3_230_329_348,
    3_222_169_733,
    3_205_810_461,
    3_231_825_884,
];
/// With probabilities in 3 bits and backoffs in 2, and the other way round.
const QUANTISED: [(&str, [u32; 9]); 2] = [
    (
        "quant",
        [
            3_212_408_138,
            3_206_079_172,
            3_226_298_981,
            3_221_274_710,
            3_223_942_802,
            3_229_998_160,
            3_222_190_946,
            3_206_079_172,
            3_231_874_907,
        ],
    ),
    (
        "quant_array",
        [
            3_212_408_138,
            3_205_916_190,
            3_227_157_188,
            3_218_700_253,
            3_223_942_802,
            3_230_042_285,
            3_221_923_751,
            3_205_916_190,
            3_231_520_118,
        ],
    ),
];

fn load(file: impl Into<Vec<u8>>) -> Result<Model, LoadError> {
    Model::load(Arc::new(file.into()))
}

fn scores(model: &Model) -> Vec<u32> {
    SENTENCES.iter().map(|sentence| model.score(sentence).to_bits()).collect()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

#[test]
fn every_format_scores_as_kenlm_does() {
    for (name, file) in BINARIES {
        let expected =
            QUANTISED.iter().find(|(quantised, _)| *quantised == name).map_or(EXACT, |(_, bits)| *bits);
        let model = load(file).unwrap();
        assert_eq!(model.order(), 4);
        assert_eq!(scores(&model), expected, "{name}");
    }
    for text in [ARPA.to_owned(), ARPA.replace('\n', "\r\n"), format!("# a comment\n\n{ARPA}\n\n")] {
        assert_eq!(scores(&load(text).unwrap()), EXACT);
    }
    assert_eq!(scores(&load(gzip(ARPA)).unwrap()), EXACT);
}

#[test]
fn a_text_becomes_what_build_binary_makes_of_it() {
    let image = arpa::read(ARPA.as_bytes()).unwrap();
    let (_, probing) = BINARIES[0];
    // Only that the words stand at the end is another matter.
    let mut wordless = probing[..image.len()].to_vec();
    wordless[HAS_WORDS] = 0;
    assert!(image == wordless);
}

/// Where in a header it says that there are words.
const HAS_WORDS: usize = 88 + 12;

#[test]
fn a_state_goes_on_from_word_to_word() {
    let model = load(ARPA).unwrap();
    let mut state = model.begin_sentence();
    let mut sum = 0.0;
    for word in ["a", "b", "c"] {
        sum += model.next_word(&mut state, word.as_bytes());
    }
    assert_eq!((sum + model.end_sentence(&state)).to_bits(), model.score("a b c").to_bits());
    let mut nowhere = State::default();
    assert_eq!(model.next_word(&mut nowhere, "学".as_bytes()).to_bits(), (-1.217_484_f32).to_bits());
}

#[test]
fn a_text_without_unk_gets_one() {
    let text = ARPA.replace("ngram 1=9", "ngram 1=8").replace("-1.673416\t<unk>\t0\n", "");
    let model = load(text).unwrap();
    let mut state = State::default();
    assert_eq!(model.next_word(&mut state, b"x").to_bits(), (-100.0_f32).to_bits());
}

#[test]
fn what_is_wrong_with_a_text_is_said_with_its_line() {
    let refusals = [
        ("ngram 1=9", "ngram 1=10", "line 20 of the ARPA file: no probability at its start"),
        ("ngram 1=9", "ngram 1=8", "line 18 of the ARPA file: not \\2-grams:"),
        ("ngram 2=18", "ngram 3=18", "line 5 of the ARPA file: not the count `ngram 2=…`"),
        (
            "ngram 4=14",
            "ngram 4=14000000000",
            "line 8 of the ARPA file: 14000000000 4-grams do not fit into this file",
        ),
        ("-99\t<s>", "-99\t<t>", "line 18 of the ARPA file: the words end here and <s> was not among them"),
        (
            "-0.2964481\t<s> a\t",
            "-0.2964481\t<s> z\t",
            "line 21 of the ARPA file: \"z\" is not among the words",
        ),
        ("<s> a\t-0.455932", "<s> a\tx", "line 21 of the ARPA file: no backoff at its end"),
        (
            "-0.2964481\t<s> a\t",
            "0.2964481\t<s> a\t",
            "line 21 of the ARPA file: 0.2964481 is the logarithm of no probability",
        ),
        (
            "-0.2964481\t<s> a\t-0.455932",
            "-0.2964481\t<s>",
            "line 21 of the ARPA file: 1 words where more were announced",
        ),
        (
            "-0.2505331\t<s> é 学 </s>",
            "-0.2505331\t<s> é 学 </s>\t-1",
            "line 73 of the ARPA file: a backoff of an n-gram of full length",
        ),
        (
            "<s> d a b\n",
            "<s> d b b\n",
            "line 68 of the ARPA file: its words but the last are no n-gram of this file",
        ),
        (
            "\\end\\",
            "",
            "the language model is cut off or damaged: the ARPA file ends with line 75; fetch it again",
        ),
        ("\\end\\", "\\end\\\nx", "line 76 of the ARPA file: something behind \\end\\"),
        (
            "\\data\\",
            "hello",
            "not a language model: it starts with \"hello\" and not with \\data\\; give an ARPA file or what KenLM's build_binary makes of one",
        ),
    ];
    for (from, to, expected) in refusals {
        let text = ARPA.replacen(from, to, 1);
        assert_ne!(text, ARPA);
        assert_eq!(load(text).err().unwrap().to_string(), expected, "{from:?} → {to:?}");
    }
}

#[test]
fn what_is_wrong_with_a_binary_is_said() {
    let (_, probing) = BINARIES[0];
    let with = |at: usize, bytes: &[u8]| {
        let mut file = probing.to_vec();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        load(file).err().unwrap().to_string()
    };
    assert!(with(9, b"X").starts_with("not a language model"));
    assert!(with(0, b"mmap lm http://kheafield.com/code incomplete\n").contains("did not finish"));
    assert!(with(49, b"4").contains("another version"));
    assert!(with(60, &[1]).contains("another kind of machine"));
    assert!(with(88, &[1]).contains("up to 1 words"));
    assert!(with(88, &[17]).contains("up to 17 words"));
    assert!(with(92, &0.5_f32.to_le_bytes()).contains("multiplier is 0.5"));
    assert!(with(96, &[6]).contains("number 6"));
    assert!(with(104, &[1]).contains("layout has version 1"));
    assert!(with(108, &u64::MAX.to_le_bytes()).contains("more n-grams than would fit"));
    assert!(with(108, &[10]).contains("header speaks of"));
    assert!(with(92, &f32::MAX.to_le_bytes()).contains("buckets"));
}

#[test]
fn files_that_are_cut_off_are_refused() {
    for (name, file) in BINARIES {
        // Behind the first of its words nothing is read.
        let words = file.windows(6).position(|window| window == b"<unk>\0").map_or(file.len(), |at| at + 6);
        for length in 0..words {
            assert!(load(&file[..length]).is_err(), "{name} cut to {length}");
        }
        assert!(load(&file[..words]).is_ok(), "{name}");
    }
    let end = ARPA.trim_end().len();
    for length in (0..end).filter(|length| ARPA.is_char_boundary(*length)) {
        assert!(load(&ARPA[..length]).is_err(), "cut to {length}");
    }
    let packed = gzip(ARPA);
    for length in 0..packed.len() {
        assert!(load(&packed[..length]).is_err(), "gzip cut to {length}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1500) })]

    #[test]
    fn a_damaged_file_is_refused_or_scores_something(
        which in 0_usize..8,
        changes in prop::collection::vec(
            (any::<u32>(), any::<bool>(), prop_oneof![any::<u8>(), Just(0), Just(0xff), Just(0x7f), Just(b'9')]),
            1..5,
        ),
    ) {
        let mut file = match which {
            6 => ARPA.as_bytes().to_vec(),
            7 => gzip(ARPA),
            _ => BINARIES[which].1.to_vec(),
        };
        for (at, early, value) in changes {
            // Half of the changes hit what decides on sizes.
            let (from, to) = if early && which < 7 { (88, 150) } else { (0, file.len()) };
            let from = if which == 6 { 0 } else { from };
            let at = from + at as usize % (to - from);
            file[at] = value;
        }
        if let Ok(model) = load(file) {
            scores(&model);
        }
    }

    #[test]
    fn anything_behind_a_sound_header_is_refused_or_scores_something(
        which in 0_usize..6,
        tail in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        let mut file = BINARIES[which].1[..144].to_vec();
        file.extend(tail);
        if let Ok(model) = load(file) {
            scores(&model);
        }
    }
}
