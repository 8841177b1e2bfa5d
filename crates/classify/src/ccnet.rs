//! The perplexity of a text as CCNet measures it and DCLM's `ken_lm_perplexity_enricher` writes it down: how surprised a language model of
//! Wikipedia is by the text's pieces.
//!
//! Rules from mlfoundations/dclm, baselines/mappers/enrichers/quality_prediction_enrichers_kenlm_model.py, which has them from
//! facebookresearch/cc_net (`text_normalizer.py`, `perplexity.py`) by way of the model card of edugp/kenlm.

use crate::kenlm;
use crate::sentencepiece::{self, SentencePiece};

/// Buffers that one thread keeps from text to text.
#[derive(Debug, Default)]
pub struct Scratch {
    normalized: String,
    pieces: sentencepiece::Scratch,
}

/// The perplexity of a text by a language model over pieces, rounded to one decimal. An empty text has that of a sentence that ends where it
/// begins. Infinite, or not a number, only by models that hold something for impossible.
#[must_use]
pub fn perplexity(pieces: &SentencePiece, model: &kenlm::Model, scratch: &mut Scratch, text: &str) -> f64 {
    normalize(text, &mut scratch.normalized);
    let mut sum = Sum::new(model);
    pieces.encode(&mut scratch.pieces, &scratch.normalized, |piece| sum.add(piece));
    sum.end_line();
    round(10_f64.powf(-sum.score / sum.words as f64))
}

/// The score of pieces joined by blanks, line by line.
struct Sum<'m> {
    model: &'m kenlm::Model,
    state: kenlm::State,
    /// Of the line so far, in the precision of the library.
    line: f32,
    /// Of all lines before.
    score: f64,
    /// Words by Python's rules, and one for the end of each line.
    words: u64,
}

impl<'m> Sum<'m> {
    fn new(model: &'m kenlm::Model) -> Self {
        Self { model, state: model.begin_sentence(), line: 0.0, score: 0.0, words: 0 }
    }

    /// Normalising takes line ends away, so a piece has one only if the model's table puts one in.
    fn add(&mut self, piece: &[u8]) {
        for (at, part) in piece.split(|byte| *byte == b'\n').enumerate() {
            if at > 0 {
                self.end_line();
            }
            for word in kenlm::words(part) {
                self.line += self.model.next_word(&mut self.state, word);
            }
            // The library separates words by ASCII white space, Python by any.
            let words = match std::str::from_utf8(part) {
                Ok(part) => part.split(is_python_space).filter(|word| !word.is_empty()).count(),
                Err(_) => 1,
            };
            self.words += words as u64;
        }
    }

    fn end_line(&mut self) {
        self.score += f64::from(self.line + self.model.end_sentence(&self.state));
        self.words += 1;
        self.line = 0.0;
        self.state = self.model.begin_sentence();
    }
}

/// CCNet's normalisation as DCLM has it: blanks at both ends go, every decimal digit becomes `0`, punctuation is that of ASCII, and control
/// characters go, line ends among them. Case and accents stay.
pub fn normalize(text: &str, out: &mut String) {
    out.clear();
    for char in text.trim_matches(is_python_space).chars() {
        match char {
            '\0'..='\x1f' | '\x7f'..='\u{9f}' => {}
            '0'..='9' => out.push('0'),
            ' '..='\x7e' => out.push(char),
            _ if is_decimal(char) => out.push('0'),
            _ => match punctuation(char) {
                Some(ascii) => out.push_str(ascii),
                None => out.push(char),
            },
        }
    }
}

fn punctuation(char: char) -> Option<&'static str> {
    Some(match char {
        '，' | '、' => ",",
        '。' => ".",
        '„' | '”' | '“' | '«' | '»' | '」' | '「' | '《' | '》' => "\"",
        '´' | '’' => "'",
        '∶' | '：' => ":",
        '？' => "?",
        '！' => "!",
        '（' => "(",
        '）' => ")",
        '；' => ";",
        '–' | '━' | '►' => "-",
        '—' => " - ",
        '．' => ". ",
        '～' => "~",
        '…' => "...",
        '〈' => "<",
        '〉' => ">",
        '【' => "[",
        '】' => "]",
        '％' => "%",
        _ => return None,
    })
}

/// The zeros of all scripts whose digits are decimal, in Unicode 14.0, that of Python 3.11; nine digits follow each.
const ZEROS: [u32; 66] = [
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50,
    0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40,
    0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x11066,
    0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950,
    0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0, 0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6,
    0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
];

/// `\d` of Python's regexes.
fn is_decimal(char: char) -> bool {
    let following = ZEROS.partition_point(|zero| *zero <= u32::from(char));
    following.checked_sub(1).and_then(|at| ZEROS.get(at)).is_some_and(|zero| u32::from(char) - zero < 10)
}

/// What Python's `str.strip()` and `str.split()` take for white space: Unicode's and four ASCII separators.
fn is_python_space(char: char) -> bool {
    char.is_whitespace() || matches!(char, '\x1c'..='\x1f')
}

/// Python's `round(value, 1)`: by the exact value, halves to the even digit.
fn round(value: f64) -> f64 {
    if value.is_finite() { format!("{value:.1}").parse().unwrap_or(value) } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_normalised_as_in_dclm() {
        let cases = [
            ("", ""),
            (" \u{1c}\u{3000}\n", ""),
            (" Ünï Çode ", "Ünï Çode"),
            ("in 1984, ٣ or ７ or १ or 𝟗; ² ① stay", "in 0000, 0 or 0 or 0 or 0; ² ① stay"),
            ("a\nb\tc\u{7f}\u{85}d\u{a0}e\u{ad}", "abcd\u{a0}e\u{ad}"),
            ("“He said — ‘no’…”", "\"He said  -  ‘no'...\""),
            ("，。、？【x】％►～（．）", ",.,?[x]%-~(. )"),
        ];
        let mut out = "old".to_owned();
        for (text, expected) in cases {
            normalize(text, &mut out);
            assert_eq!(out, expected, "{text:?}");
        }
    }

    #[test]
    fn decimals_are_tens_in_order() {
        assert!(ZEROS.array_windows().all(|[a, b]| a + 10 <= *b));
        assert!(ZEROS.iter().all(|zero| char::from_u32(*zero).is_some_and(char::is_numeric)));
    }

    #[test]
    fn halves_are_rounded_as_python_rounds_them() {
        for (value, expected) in [(0.25, 0.2), (0.75, 0.8), (0.35, 0.3), (1e300, 1e300), (46793.46, 46793.5)]
        {
            assert_eq!(round(value).to_bits(), f64::to_bits(expected), "{value}");
        }
        assert!(round(f64::INFINITY).is_infinite());
    }
}
