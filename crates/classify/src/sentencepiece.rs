//! SentencePiece: cuts a text into the pieces of a `.model` file that google/sentencepiece trained.
//!
//! Unigram models (the best path through all pieces) and BPE models (merging pairs of pieces), with the normaliser that the model brings, user-
//! defined pieces and byte fallback. What comes out are the pieces of Python's `SentencePieceProcessor.encode_as_pieces`, ties and rounding
//! included; tests hold us against it (`tests/golden/kenlm.rs`).
//!
//! Reading order: here the file and the course of an encoding, `proto` (its format), `normalizer` (the text before it is cut), `trie` (looking pieces
//! up), `unigram` and `bpe` (cutting). Rules from google/sentencepiece (Apache-2.0), file by file as the modules say.

mod bpe;
mod normalizer;
mod proto;
#[cfg(test)]
mod tests;
mod trie;
mod unigram;

use std::ops::Range;

use normalizer::Normalizer;
use proto::{Kind, ModelProto};
use trie::Trie;

/// A model that cuts texts into pieces.
pub struct SentencePiece {
    normalizer: Normalizer,
    method: Method,
    pieces: Pieces,
    byte_fallback: bool,
}

/// Why a model file cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a SentencePiece model that can be used: {0}")]
pub struct LoadError(String);

/// Buffers that one thread keeps from text to text.
#[derive(Debug, Default)]
pub struct Scratch {
    normalized: Vec<u8>,
    cuts: Vec<Cut>,
    unigram: unigram::Scratch,
    bpe: bpe::Scratch,
}

#[derive(Clone, Copy, Debug)]
enum Method {
    Unigram,
    Bpe,
}

/// The pieces that a text may be cut into.
struct Pieces {
    /// From a piece to its number.
    trie: Trie,
    /// By number.
    scores: Vec<f32>,
    kinds: Vec<Kind>,
    /// Of the normal ones.
    least_score: f32,
    /// Of the normal ones, but never less than the smallest positive number, which therefore it nearly always is.
    greatest_score: f32,
    /// Those of them that users defined, which are never cut.
    user_defined: Option<Trie>,
}

/// A part of the normalised text.
#[derive(Clone, Debug)]
struct Cut {
    range: Range<usize>,
    is_known: bool,
}

impl SentencePiece {
    /// Reads a `.model` file.
    pub fn load(file: &[u8]) -> Result<Self, LoadError> {
        let model = ModelProto::read(file)?;
        let method = match model.trainer.model_type {
            1 => Method::Unigram,
            2 => Method::Bpe,
            3 => return Err(LoadError::new("it cuts into words; only unigram and BPE models are read")),
            4 => return Err(LoadError::new("it cuts into characters; only unigram and BPE models are read")),
            other => return Err(LoadError::new(format!("its type has the unknown number {other}"))),
        };
        let byte_fallback = model.trainer.byte_fallback;
        let pieces = Pieces::new(&model, method)?;
        let normalizer = Normalizer::new(&model)?;
        Ok(Self { normalizer, method, pieces, byte_fallback })
    }

    /// Cuts a text and calls `piece` for each part in order. A blank in front of a word is `▁`, as in the model. Runs of what the model does not
    /// know are one piece, or, with byte fallback, a piece such as `<0x0A>` for each byte.
    pub fn encode(&self, scratch: &mut Scratch, text: &str, mut piece: impl FnMut(&[u8])) {
        let Scratch { normalized, cuts, unigram, bpe } = scratch;
        self.normalizer.normalize(text, self.pieces.user_defined.as_ref(), normalized);
        cuts.clear();
        match self.method {
            Method::Unigram => unigram::encode(&self.pieces, normalized, unigram, cuts),
            Method::Bpe => bpe::encode(&self.pieces, normalized, bpe, cuts),
        }
        let mut unknown = 0..0;
        for Cut { range, is_known } in cuts.drain(..) {
            if !is_known && !self.byte_fallback {
                unknown = if unknown.is_empty() { range } else { unknown.start..range.end };
                continue;
            }
            if !unknown.is_empty() {
                piece(normalized.get(std::mem::take(&mut unknown)).unwrap_or_default());
            }
            let bytes = normalized.get(range).unwrap_or_default();
            if is_known {
                piece(bytes);
            } else {
                for byte in bytes {
                    piece(&byte_piece(*byte));
                }
            }
        }
        if !unknown.is_empty() {
            piece(normalized.get(unknown).unwrap_or_default());
        }
    }
}

impl LoadError {
    fn new(problem: impl Into<String>) -> Self {
        Self(problem.into())
    }
}

impl Pieces {
    /// Checks what google/sentencepiece checks (`InitializePieces` in src/model_interface.cc).
    fn new(model: &ModelProto, method: Method) -> Result<Self, LoadError> {
        let mut in_text = Vec::new();
        let mut reserved = Vec::new();
        let mut user_defined = Vec::new();
        let (mut scores, mut kinds) = (Vec::new(), Vec::new());
        let mut bytes = [false; 256];
        for (number, piece) in (0..).zip(&model.pieces) {
            let entry = (piece.text, number);
            if piece.text.is_empty() {
                return Err(LoadError::new("it has an empty piece"));
            }
            match piece.kind {
                Kind::Normal | Kind::UserDefined | Kind::Unused => in_text.push(entry),
                Kind::Unknown | Kind::Control | Kind::Byte => reserved.push(entry),
            }
            match piece.kind {
                Kind::UserDefined => user_defined.push(entry),
                Kind::Unused if matches!(method, Method::Bpe) => {
                    return Err(LoadError::new("it is a BPE model with unused pieces"));
                }
                Kind::Byte => {
                    let byte = (0..=u8::MAX).find(|byte| byte_piece(*byte) == piece.text);
                    match byte.and_then(|byte| bytes.get_mut(usize::from(byte))) {
                        Some(byte) if model.trainer.byte_fallback => *byte = true,
                        _ => return Err(LoadError::new("it has a piece for a byte that is none")),
                    }
                }
                _ => {}
            }
            scores.push(piece.score);
            kinds.push(piece.kind);
        }
        if kinds.iter().filter(|kind| **kind == Kind::Unknown).count() != 1 {
            return Err(LoadError::new("it has no piece for what is unknown, or several"));
        }
        if model.trainer.byte_fallback && bytes.contains(&false) {
            return Err(LoadError::new("it falls back on bytes and has no pieces for all of them"));
        }
        if in_text.is_empty() {
            return Err(LoadError::new("it has no pieces"));
        }
        // Only to find those that stand there twice.
        Trie::new(reserved)?;
        let normal = model.pieces.iter().filter(|piece| piece.kind == Kind::Normal).map(|piece| piece.score);
        let (least_score, greatest_score) =
            normal.fold((f32::MAX, f32::MIN_POSITIVE), |(least, greatest), score| {
                (if score < least { score } else { least }, if greatest < score { score } else { greatest })
            });
        let user_defined = if user_defined.is_empty() { None } else { Some(Trie::new(user_defined)?) };
        let trie = Trie::new(in_text)?;
        Ok(Self { trie, scores, kinds, least_score, greatest_score, user_defined })
    }

    fn score(&self, piece: u32) -> f32 {
        self.scores.get(piece as usize).copied().unwrap_or_default()
    }

    fn kind(&self, piece: u32) -> Kind {
        self.kinds.get(piece as usize).copied().unwrap_or(Kind::Unused)
    }
}

/// The piece that stands for a byte.
fn byte_piece(byte: u8) -> [u8; 6] {
    let digit = |value: u8| if value < 10 { b'0' + value } else { b'A' + value - 10 };
    [b'<', b'0', b'x', digit(byte >> 4), digit(byte & 15), b'>']
}

/// Bytes of the character that starts with this byte, in UTF-8. What does not start one counts for itself.
fn char_bytes(lead: u8) -> usize {
    match lead {
        0..=0xbf => 1,
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xff => 4,
    }
}
