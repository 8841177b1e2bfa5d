use super::*;
use crate::sentences::SentenceSplitter;
use flate2::{Compression, Crc, write::DeflateEncoder};
use proptest::prelude::*;
use std::io::Write;
use std::sync::Arc;

/// A `.zip` of files; the first is stored, the others are packed.
pub(in crate::sentences) fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (number, (path, text)) in files.iter().enumerate() {
        let mut sum = Crc::new();
        sum.update(text.as_bytes());
        let mut packer = DeflateEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(text.as_bytes()).expect("a vector takes all");
        let packed =
            if number == 0 { text.as_bytes().to_vec() } else { packer.finish().expect("a vector takes all") };
        let at = archive.len() as u32;
        let mut head = vec![20, 0, 0, 0, if number == 0 { 0 } else { 8 }, 0, 0, 0, 0, 0];
        for long in [sum.sum(), packed.len() as u32, text.len() as u32] {
            head.extend(long.to_le_bytes());
        }
        head.extend((path.len() as u16).to_le_bytes());
        head.extend([0, 0]);
        archive.extend(b"PK\x03\x04");
        archive.extend(&head);
        archive.extend(path.as_bytes());
        archive.extend(packed);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&head);
        directory.extend([0; 10]);
        directory.extend(at.to_le_bytes());
        directory.extend(path.as_bytes());
    }
    let start = archive.len() as u32;
    archive.extend(&directory);
    archive.extend(b"PK\x05\x06\0\0\0\0\0\0");
    archive.extend((files.len() as u16).to_le_bytes());
    archive.extend((directory.len() as u32).to_le_bytes());
    archive.extend(start.to_le_bytes());
    archive.extend([0, 0]);
    archive
}

const MODEL: [(&str, &str); 5] = [
    ("punkt_tab/README", "a model"),
    ("punkt_tab/english/abbrev_types.txt", "dr\netc\nu.s\np.m\nfig"),
    ("punkt_tab/english/sent_starters.txt", "however\nthe"),
    ("punkt_tab/english/collocations.tab", "##number##\tmarch\nst\tjohn"),
    ("punkt_tab/english/ortho_context.tab", "when\t50\nbach\t4\nhis\t112\n"),
];

fn split(punkt: Punkt, text: &str) -> String {
    SentenceSplitter::Punkt(Arc::new(punkt)).split(text).join("|")
}

#[test]
fn an_untrained_tokenizer_splits_at_marks() {
    // What NLTK 3.10.4 says.
    for (text, expected) in [
        ("", ""),
        (" \n ", ""),
        ("No end\nhere. But\nhere! a? b", "No end\nhere.|But\nhere!|a?|b"),
        ("Mr. Smith is 3.14. years old.", "Mr.|Smith is 3.14. years old."),
        ("J. R. R. Tolkien. he", "J. R. R. Tolkien.|he"),
        ("Wait... what?! \"Yes.\" (No.) Done.", "Wait...|what?!|\"Yes.\"|(No.)|Done."),
        ("One.” Two.» «Three.'--four. five", "One.”|Two.»|«Three.'--four.|five"),
        ("So. . . and so. . . . On", "So.|.|.|and so.|.|.|.|On"),
        ("1. First 2. second. - third", "1.|First 2. second.|- third"),
        ("a!b?c.d (e!)f", "a!b?c.d (e!|)f"),
        ("Go\u{1c}there.\u{1c}Now on", "Go\u{1c}there.\u{1c}Now on"),
    ] {
        assert_eq!(split(Punkt::untrained(Nltk::From3_10), text), expected, "{text}");
    }
    // NLTK 3.9.1.
    for (text, expected) in [
        ("One.” Two.» «Three.", "One.” Two.» «Three."),
        ("One. Two.\" Three.", "One.|Two.\"|Three."),
        ("Go\u{1c}there.\u{1c}Now on", "Go\u{1c}there.|Now on"),
    ] {
        assert_eq!(split(Punkt::untrained(Nltk::Before3_10), text), expected, "{text}");
    }
}

#[test]
fn a_trained_one_knows_words() {
    for (text, expected) in [
        ("Dr. Smith came. He left at 5 p.m. yesterday.", "Dr. Smith came.|He left at 5 p.m. yesterday."),
        ("He left at 5 p.m. The end. At 5 p.m. When?", "He left at 5 p.m.|The end.|At 5 p.m.|When?"),
        ("On 2. March. On 2. May. St. John. St. Mary.", "On 2. March.|On 2.|May.|St. John.|St.|Mary."),
        ("By J. Bach. By J. When. by J. his.", "By J. Bach.|By J.|When.|by J.|his."),
        ("See non-U.S. things etc. However, see Fig. 2.", "See non-U.S. things etc.|However, see Fig. 2."),
        ("It is 5. his is 6.", "It is 5.|his is 6."),
    ] {
        let punkt = Punkt::load(&zip(&MODEL), "english", Nltk::From3_10).expect("a model");
        assert_eq!(split(punkt, text), expected, "{text}");
    }
}

#[test]
fn an_archive_that_is_another_says_so() {
    let error = |files: &[(&str, &str)], language: &str| {
        Punkt::load(&zip(files), language, Nltk::default()).expect_err(language).to_string()
    };
    assert!(error(&MODEL, "klingon").contains("it has no punkt_tab/klingon/abbrev_types.txt"));
    let mut other = MODEL;
    other[4].1 = "when 50\n";
    assert!(error(&other, "english").contains("\"when 50\" is not what belongs there"));
    let bare = Punkt::load(b"PK", "english", Nltk::default()).expect_err("no zip").to_string();
    assert_eq!(bare, "this zip archive cannot be used: it has no directory");
}

proptest! {
    #[test]
    fn a_damaged_archive_is_refused_or_read(at in 0_usize..2000, bits in 1_u8..=255, cut in 0_usize..2000) {
        let mut bytes = zip(&MODEL);
        let length = bytes.len();
        bytes[at % length] ^= bits;
        bytes.truncate(length - cut % length);
        let _ = Punkt::load(&bytes, "english", Nltk::default());
    }

    #[test]
    fn sentences_are_what_the_text_says(text in "([aB1 .?!,;'\"()\\-\n\u{1c}\u{3000}“»_é]|\\PC|Dr\\. |\\. \\. \\.){0,30}") {
        for nltk in [Nltk::From3_10, Nltk::Before3_10] {
            let punkt = Punkt::load(&zip(&MODEL), "english", nltk).expect("a model");
            let splitter = SentenceSplitter::Punkt(Arc::new(punkt));
            // In order, apart, and with all but white space in them.
            let mut rest = &text[..];
            for sentence in splitter.split(&text) {
                let at = rest.find(sentence).expect("in order");
                prop_assert!(rest[..at].chars().all(python::is_space), "{:?}", &rest[..at]);
                rest = &rest[at + sentence.len()..];
            }
            prop_assert!(rest.chars().all(python::is_space), "{:?}", rest);
        }
    }
}
