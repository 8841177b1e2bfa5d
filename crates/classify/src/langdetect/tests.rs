use super::*;
use flate2::{Compression, GzBuilder};
use proptest::prelude::*;
use std::io::Write;

const PROFILES: [(&str, &str); 3] = [
    (
        "xb",
        r#"{"name":"xb","freq":{"a":1,"b":6," b":3,"bb":2,"ab":1,"\u0430":4,"long":9},"n_words":[10,8,4]}"#,
    ),
    (
        "xa",
        r#"{"name":"xa","freq":{"a":6,"b":2," a":3,"aa":2," aa":2,"aaa":1,"\u4e9c":1},"n_words":[10,8,4]}"#,
    ),
    (".hidden", "not JSON"),
];
const TABLES: &str = r"NGram.CJK_KANJI_EXCLUDE=\u0020
NGram.LATIN1_EXCLUDE=\u00AB\u00BB
NGram.KANJI_1_0=\u4E9C\u4E9D
TO_NORMALIZE_VI_CHARS=Aa
DMARK_CLASS=\u0300\u0301\u0303\u0309\u0323
NORMALIZED_VI_CHARS_0300=\u00C0\u00E0
NORMALIZED_VI_CHARS_0301=\u00C1\u00E1
NORMALIZED_VI_CHARS_0303=\u00C3\u00E3
NORMALIZED_VI_CHARS_0309=\u1EA2\u1EA3
NORMALIZED_VI_CHARS_0323=\u1EA0\u1EA1
";

/// A `.tar.gz` of files.
fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (path, contents) in files {
        let mut header = [0; 512];
        header[..path.len()].copy_from_slice(path.as_bytes());
        header[124..135].copy_from_slice(format!("{:011o}", contents.len()).as_bytes());
        header[156] = b'0';
        tar.extend(header);
        tar.extend(contents.as_bytes());
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    let mut out = GzBuilder::new().write(Vec::new(), Compression::fast());
    out.write_all(&tar).expect("a vector takes all");
    out.finish().expect("a vector takes all")
}

fn whole() -> Vec<u8> {
    let named: Vec<(String, &str)> = PROFILES
        .map(|(name, json)| (format!("langdetect-1.0.9/langdetect/profiles/{name}"), json))
        .into_iter()
        .chain([
            ("langdetect-1.0.9/langdetect/utils/messages.properties".to_owned(), TABLES),
            ("langdetect-1.0.9/setup.py".to_owned(), "print()"),
        ])
        .collect();
    archive(&named.iter().map(|(path, contents)| (&**path, *contents)).collect::<Vec<_>>())
}

fn profiles() -> Arc<Profiles> {
    Arc::new(Profiles::load(&whole()).expect("sound"))
}

fn cleaned(text: &str) -> String {
    let mut chars = Vec::new();
    text::clean(text, &profiles().tables, &mut Default::default(), &mut chars);
    chars.into_iter().collect()
}

#[test]
fn addresses_are_blanks() {
    // What langdetect 1.0.9 has after `append` and `cleaning_text`.
    let long = |n: usize| "a".repeat(n);
    for (text, expected) in [
        ("see https://x.example/a?b=(c) or http://é", "see (c) or http://é".to_owned()),
        ("httphttps://a http:// https:/a", "http http:// https:/a".to_owned()),
        ("mail a.b-c@d.example, a@b c@d. @e f@.g h@ij", "mail , a@b @e f@.g ".to_owned()),
        ("é@bc éa@bc@de", "é@bc é @de".to_owned()),
        (&format!("{}@bc", long(70)), format!("{} ", long(6))),
        (&format!("a@{}", long(600)), format!(" {}", long(90))),
        ("two  blanks \n  three", "two blanks \n three".to_owned()),
        ("ha\u{300} A\u{323} b\u{300}", "hà Ạ b\u{300}".to_owned()),
        ("a[ \u{430}\u{430}\u{430}\u{430}\u{430} {}", " \u{430}\u{430}\u{430}\u{430}\u{430} {}".to_owned()),
        (
            "abc \u{430}\u{430}\u{430}\u{430}\u{430}\u{430}",
            "abc \u{430}\u{430}\u{430}\u{430}\u{430}\u{430}".to_owned(),
        ),
    ] {
        assert_eq!(cleaned(text), expected, "{text}");
    }
    assert_eq!(cleaned(&format!("{} {}", "é ".repeat(5000), long(9))).chars().count(), 10_000);
}

#[test]
fn characters_stand_for_others() {
    let profiles = profiles();
    let mut found = Vec::new();
    let mut grams = |text: &str| {
        text::grams(&text.chars().collect::<Vec<_>>(), &profiles, &mut found);
        found.len()
    };
    // `a`, ` a`; `a`, `aa`, ` aa`; `a`, `aa`, `aaa`.
    assert_eq!(grams("aaa"), 8);
    assert_eq!(grams("a a"), 4);
    assert_eq!(grams("a«a»"), 4);
    // No n-gram goes past a blank, though one may end in it; capitals in a row do not count.
    assert_eq!(grams("b1b"), 4);
    assert_eq!(grams("BBb"), 1);
    assert_eq!(grams("\u{4e9d}\u{4e9c}"), 2);
    assert_eq!(grams("123 !?"), 0);
}

#[test]
fn languages_are_told_by_their_letters() {
    let profiles = profiles();
    assert_eq!(profiles.languages(), ["xa", "xb"]);
    let mut detector = Detector::new(profiles, 0);
    let mut told = |text: &str| {
        let guesses = detector.detect(text)?;
        Some(guesses.iter().map(|guess| (guess.language, guess.probability > 0.99)).collect::<Vec<_>>())
    };
    assert_eq!(told("aaa aa"), Some(vec![(0, true)]));
    assert_eq!(told("b bb b"), Some(vec![(1, true)]));
    assert_eq!(told("123"), None);
    assert_eq!(told(""), None);
}

#[test]
fn an_archive_that_is_another_says_so() {
    let error = |files: &[(&str, &str)]| Profiles::load(&archive(files)).err().map(|error| error.to_string());
    let tables = ("x/langdetect/utils/messages.properties", TABLES);
    let cases: [(&[(&str, &str)], &str); 6] = [
        (&[], "it has no langdetect/utils/messages.properties"),
        (&[tables], "0 files in langdetect/profiles"),
        (&[tables, ("x/langdetect/profiles/a", "{")], "profiles/a: EOF"),
        (
            &[tables, ("x/langdetect/profiles/a", r#"{"name":"a","freq":{"b":1},"n_words":[0,0,0]}"#)],
            "none are as long as \"b\"",
        ),
        (
            &[
                tables,
                ("x/langdetect/profiles/a", r#"{"name":"a","freq":{},"n_words":[0,0,0]}"#),
                ("x/langdetect/profiles/b", r#"{"name":"a","freq":{},"n_words":[0,0,0]}"#),
            ],
            "a is there twice",
        ),
        (
            &[("x/langdetect/utils/messages.properties", "a=\\x"), ("x/langdetect/profiles/a", "{}")],
            "cannot be read",
        ),
    ];
    for (files, expected) in cases {
        assert!(error(files).is_some_and(|error| error.contains(expected)), "{expected}");
    }
    assert!(Profiles::load(b"PK").is_err());
}

proptest! {
    #[test]
    fn a_damaged_archive_is_refused_or_read(at in 0_usize..2000, bits in 1_u8..=255, cut in 0_usize..2000) {
        let mut bytes = whole();
        let length = bytes.len();
        bytes[at % length] ^= bits;
        bytes.truncate(length - cut % length);
        if let Ok(profiles) = Profiles::load(&bytes) {
            let _ = Detector::new(Arc::new(profiles), 1).detect("aab \u{430}");
        }
    }

    #[test]
    fn any_text_has_languages_or_none(text in "(\\PC|[aAbB @.:/]|https?://|\u{300}|\u{4e9c}|\u{430}){0,40}") {
        let mut detector = Detector::new(profiles(), 7);
        let first = detector.detect(&text).map(<[Guess]>::to_vec);
        let again = detector.detect(&text).map(<[Guess]>::to_vec);
        prop_assert_eq!(&first, &again);
        let sum: f64 = first.iter().flatten().map(|guess| guess.probability).sum();
        prop_assert!(sum <= 1.000_001);
    }
}
