//! Lists of words out of Python's pickles, since some of DCLM's ban lists come as such.
//!
//! A pickle is a program for a small stack machine (`Lib/pickletools.py` describes it), which in Python may call anything. Here nothing is
//! ever called: [`read`] knows the opcodes of protocols 0 to 5 that strings and collections of them are made of, and understands
//! two calls without making them: of `set` or `frozenset` on a list, and of `re._compile`, which is what a pickled regex is. DCLM's
//! `url_substring_filter` takes the regex that Retrie makes of a ban list; its words are read out of it again.
//!
//! **Failure.** [`PickleError`] names what is wrong and where. **Cost.** Linear in the pickle, in time and in memory.

mod machine;
mod trie;

use std::collections::HashSet;

use self::machine::{Machine, Object};

/// A list of words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PickledList {
    pub words: Vec<String>,
    /// How a regex of these words says that they are to be looked for.
    pub regex: Option<RegexKind>,
}

/// What a regex says besides its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegexKind {
    /// Between word boundaries only.
    pub whole_words: bool,
    pub ignore_case: bool,
}

/// Why a pickle is no list of words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PickleError {
    #[error("it ends at byte {at}, within an opcode or before the one that ends it")]
    Truncated { at: usize },
    #[error("opcode {name} at byte {at} has no place in a list of strings, and nothing in a pickle is run")]
    Opcode { name: String, at: usize },
    #[error(
        "it calls {name} at byte {at}; nothing in a pickle is run, only set, frozenset and re._compile are known"
    )]
    Call { name: String, at: usize },
    #[error("opcode {name} at byte {at} finds something else than it needs")]
    Malformed { name: String, at: usize },
    #[error("a string at byte {at} is no text")]
    NotText { at: usize },
    #[error("it is {found}, not a list, set, tuple or dictionary of strings or a regex of such a list")]
    NotAList { found: &'static str },
    #[error("entry {index} is {found}, not a string")]
    NotAString { index: usize, found: &'static str },
    #[error(
        "its regex is not one that Retrie makes of a list of words: unexpected {found} at character {at}"
    )]
    Regex { found: String, at: usize },
    #[error("the words of its regex are more than {limit} bytes")]
    TooLarge { limit: usize },
}

/// The strings of a pickled list, set, frozenset, tuple or dictionary (its keys), or the words of a pickled regex.
pub fn read(bytes: &[u8]) -> Result<PickledList, PickleError> {
    let machine = Machine::run(bytes)?;
    let entries = match machine.result() {
        Object::Entries { .. } => machine.entries(),
        Object::Regex { pattern, flags } => {
            const IGNORECASE: i64 = 2;
            let (words, whole_words) = trie::words(pattern)?;
            let regex = RegexKind { whole_words, ignore_case: flags & IGNORECASE != 0 };
            return Ok(PickledList { words, regex: Some(regex) });
        }
        other => return Err(PickleError::NotAList { found: other.kind() }),
    };
    // A string that is named more than once is taken once, so that a short pickle makes no long list.
    let mut taken = HashSet::new();
    let mut words = Vec::new();
    for (index, &entry) in entries.iter().enumerate() {
        match machine.object(entry) {
            Object::Text(text) if taken.insert(entry) => words.push(text.clone().into_owned()),
            Object::Text(_) => {}
            other => return Err(PickleError::NotAString { index, found: other.kind() }),
        }
    }
    Ok(PickledList { words, regex: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bytes as `pickle.dumps` of Python 3.11 writes them.
    const SET_4: &[u8] =
        b"\x80\x04\x95\x11\x00\x00\x00\x00\x00\x00\x00\x8f\x94(\x8c\x01a\x94\x8c\x03b\xc3\xa9\x94\x90.";
    const FROZENSET_4: &[u8] = b"\x80\x04\x95\x0a\x00\x00\x00\x00\x00\x00\x00(\x8c\x01a\x94\x91\x94.";
    const SET_2: &[u8] = b"\x80\x02c__builtin__\nset\nq\x00]q\x01(X\x01\x00\x00\x00aq\x02X\x03\x00\x00\x00b\xc3\xa9q\x03e\x85q\x04Rq\x05.";
    const LIST_0: &[u8] = b"(lp0\nVa\np1\naVb\\u00e9\np2\na.";
    const LIST_1: &[u8] = b"]q\x00(X\x01\x00\x00\x00aq\x01h\x01e.";
    const TUPLE_2: &[u8] = b"\x80\x02X\x01\x00\x00\x00aq\x00X\x01\x00\x00\x00bq\x01\x86q\x02.";
    const DICT_4: &[u8] =
        b"\x80\x04\x95\x12\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94K\x01\x8c\x01b\x94Nu.";
    const REGEX_4: &[u8] = b"\x80\x04\x95\x23\x00\x00\x00\x00\x00\x00\x00\x8c\x02re\x94\x8c\x08_compile\x94\x93\x94\x8c\x0c\\bab[\\.s]?\\b\x94K\"\x86\x94R\x94.";
    const REGEX_0: &[u8] = b"cre\n_compile\np0\n(V(?:foo|ab[cs]?)\np1\nI34\ntp2\nRp3\n.";

    fn words(bytes: &[u8]) -> Vec<String> {
        let mut words = read(bytes).unwrap_or_else(|error| panic!("{error}")).words;
        words.sort();
        words
    }

    #[test]
    fn collections_of_every_protocol() {
        assert_eq!(words(SET_4), ["a", "bé"]);
        assert_eq!(words(FROZENSET_4), ["a"]);
        assert_eq!(words(SET_2), ["a", "bé"]);
        assert_eq!(words(LIST_0), ["a", "bé"]);
        assert_eq!(words(LIST_1), ["a"]);
        assert_eq!(words(TUPLE_2), ["a", "b"]);
        assert_eq!(words(DICT_4), ["a", "b"]);
        assert_eq!(words(b"\x80\x03]q\x00."), [""; 0]);
        // Python 2's strings.
        assert_eq!(words(b"(lp0\nS'a\\'b'\np1\naS\"c\"\na."), ["a'b", "c"]);
        assert_eq!(words(b"]U\x01aa."), ["a"]);
    }

    #[test]
    fn regexes_of_lists() {
        let list = read(REGEX_0).expect("a list");
        assert_eq!(list.regex, Some(RegexKind { whole_words: false, ignore_case: true }));
        assert_eq!(words(REGEX_0), ["ab", "abc", "abs", "foo"]);
        let list = read(REGEX_4).expect("a list");
        assert_eq!(list.regex, Some(RegexKind { whole_words: true, ignore_case: true }));
        assert_eq!(words(REGEX_4), ["ab", "ab.", "abs"]);
        let error = read(b"cre\n_compile\n(V[ab]+\nI0\ntR.").expect_err("no list").to_string();
        assert!(error.contains("unexpected `+` at character 5"), "{error}");
    }

    #[test]
    fn what_is_no_list_says_so() {
        for (bytes, expected) in [
            (&b"cos\nsystem\n(S'true'\ntR."[..], "it calls os.system at byte 21"),
            (b"\x80\x04\x8c\x02os\x8c\x06system\x93)R.", "it calls os.system at byte 16"),
            (b"(ios\nsystem\n.", "opcode INST at byte 1"),
            (b"\x80\x02)\x81.", "opcode NEWOBJ at byte 3"),
            (b"P1\n.", "opcode PERSID at byte 0"),
            (b"\xff.", "opcode 0xff at byte 0"),
            (b"]K\x01a.", "entry 0 is a number"),
            (b"X\x01\x00\x00\x00a.", "it is a string, not"),
            (b"N.", "it is None, not"),
            (b"]", "it ends at byte 1"),
            (b"", "it ends at byte 0"),
            (b".", "opcode STOP at byte 0 finds"),
            (b"]e.", "opcode APPENDS at byte 1 finds"),
            (b"h\x00.", "opcode BINGET at byte 0 finds"),
            (b"X\xff\xff\xff\xffa.", "it ends at byte 0"),
            (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffa.", "it ends at byte 0"),
            (b"X\x01\x00\x00\x00\xff.", "a string at byte 0 is no text"),
            (b"cre\n_compile\nN\x85R.", "opcode REDUCE at byte 15 finds"),
            (b"c__builtin__\nset\n.", "it is a name, not"),
        ] {
            let error = read(bytes).expect_err(expected).to_string();
            assert!(error.starts_with(expected), "{error}, expected {expected}");
        }
    }

    #[test]
    fn one_string_is_taken_once() {
        let mut bytes = b"](X\x04\x00\x00\x00longq\x00".to_vec();
        bytes.extend(b"h\x00".repeat(1000));
        bytes.extend(b"e.");
        assert_eq!(words(&bytes), ["long"]);
    }

    proptest! {
        #[test]
        fn damage_is_an_error_or_a_list(which in 0..9_usize, cut in 0..80_usize, at in 0..80_usize, byte: u8) {
            let all = [SET_4, FROZENSET_4, SET_2, LIST_0, LIST_1, TUPLE_2, DICT_4, REGEX_4, REGEX_0];
            let mut bytes = all[which].to_vec();
            let length = bytes.len();
            bytes[at % length] = byte;
            bytes.truncate(bytes.len() - cut % length);
            let _ = read(&bytes);
            let mut whole = all[which].to_vec();
            whole.truncate(cut % length);
            prop_assert!(read(&whole).is_err());
        }

        #[test]
        fn any_bytes_are_an_error_or_a_list(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }
    }
}
