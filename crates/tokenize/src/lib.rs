//! Tokens of language models, as a Hugging Face `tokenizer.json` describes them.
//!
//! A thin door to the crate `tokenizers`, so that nobody else depends on it:
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let tokenizer = gristmill_tokenize::Tokenizer::load(&std::fs::read("tokenizer.json")?)?;
//! let mut ids = Vec::new();
//! tokenizer.encode("On mills", &mut ids)?;
//! # Ok(())
//! # }
//! ```
//!
//! **Exactness.** The ids are those of `encode(text, add_special_tokens=False)` in Hugging Face's library. Special tokens that stand in the
//! text are tokens, none is added, nothing is cut off or filled up, whatever the file says of that. **Failure.** Files that cannot be
//! read, and those that ask for chance ([`TokenizeError`]). **Cost.** Linear in the text; a tokenizer is shared by all threads.

use serde_json::Value;
use tokenizers::pipeline::{EncodeOptions, Override, PipelineToken, PipelineTokenizer};
use tokenizers::{canonicalize_value, from_json};

/// Makes tokens of texts.
pub struct Tokenizer {
    pipeline: PipelineTokenizer,
    options: EncodeOptions,
}

/// Why there are no tokens.
#[derive(Debug, thiserror::Error)]
pub enum TokenizeError {
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("not a tokenizer.json that is understood: {0}")]
    Unknown(String),
    #[error(
        "it drops merges by chance (model.dropout is {0}); set that to null for tokens that are the same each time"
    )]
    Dropout(f64),
    #[error("cannot encode: {0}")]
    Encode(String),
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer").finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// Reads a `tokenizer.json` of any version.
    pub fn load(json: &[u8]) -> Result<Self, TokenizeError> {
        let mut description: Value = serde_json::from_slice(json)?;
        let dropout = description.pointer("/model/dropout").and_then(Value::as_f64);
        if let Some(dropout) = dropout.filter(|dropout| *dropout != 0.0) {
            return Err(TokenizeError::Dropout(dropout));
        }
        canonicalize_value(&mut description).map_err(|error| TokenizeError::Unknown(error.to_string()))?;
        let pipeline =
            from_json(&description.to_string()).map_err(|error| TokenizeError::Unknown(error.to_string()))?;
        let options = EncodeOptions {
            padding: Override::Off,
            truncation: Override::Off,
            ..EncodeOptions::no_specials()
        };
        Ok(Self { pipeline, options })
    }

    /// Adds the ids of a text's tokens to `ids`.
    pub fn encode(&self, text: &str, ids: &mut Vec<u32>) -> Result<(), TokenizeError> {
        ids.extend_from_slice(PipelineToken::cast_slice(&self.tokens(text)?));
        Ok(())
    }

    /// How many tokens a text has.
    pub fn count(&self, text: &str) -> Result<usize, TokenizeError> {
        Ok(self.tokens(text)?.len())
    }

    fn tokens(&self, text: &str) -> Result<Vec<PipelineToken>, TokenizeError> {
        let mut tokens = Vec::new();
        self.pipeline
            .encode_into(text, &self.options, &mut tokens)
            .map_err(|error| TokenizeError::Encode(error.to_string()))?;
        Ok(tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// All bytes as letters (a byte's id is its value and one), two merges, a special token, and wishes that are not heard.
    fn small() -> String {
        let is_letter = |byte: u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
        let mut others = 0x100..;
        let letters = (0..=0xff).map(|byte| if is_letter(byte) { Some(byte) } else { others.next() });
        let letters = letters.map(|letter| letter.and_then(char::from_u32).expect("a letter"));
        let mut vocabulary: serde_json::Map<String, Value> =
            letters.zip(1..).map(|(letter, id)| (letter.to_string(), Value::from(id))).collect();
        vocabulary.extend(
            [("<|end|>", 0), ("ab", 257), ("abab", 258)].map(|(t, id)| (t.to_owned(), Value::from(id))),
        );
        json!({
            "version": "1.0",
            "truncation": {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0},
            "padding": null,
            "added_tokens": [{
                "id": 0, "content": "<|end|>", "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true,
            }],
            "normalizer": {"type": "NFC"},
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true},
            "post_processor": null,
            "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true},
            "model": {
                "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": false, "vocab": vocabulary, "merges": ["a b", "ab ab"],
            },
        })
        .to_string()
    }

    #[test]
    fn texts_become_ids() {
        let tokenizer = Tokenizer::load(small().as_bytes()).expect("a tokenizer");
        for (text, expected) in [
            ("abab ab", &[258, 0x21, 257][..]),
            ("ba", &[0x63, 0x62]),
            ("a<|end|>b", &[0x62, 0, 0x63]),
            // Composed first, then bytes.
            ("e\u{301}", &[0xc4, 0xaa]),
            ("", &[]),
        ] {
            let mut ids = vec![9];
            tokenizer.encode(text, &mut ids).expect(text);
            assert_eq!(&ids[1..], expected, "{text}");
            assert_eq!(tokenizer.count(text).expect(text), expected.len());
        }
    }

    #[test]
    fn refusals_say_why() {
        let error = |json: &str| Tokenizer::load(json.as_bytes()).expect_err(json).to_string();
        assert!(error("x").starts_with("not JSON"));
        assert!(error("{}").starts_with("not a tokenizer.json"));
        let chance = small().replace("\"dropout\":null", "\"dropout\":0.1");
        assert!(error(&chance).contains("model.dropout is 0.1"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

        #[test]
        fn damage_is_an_error_or_a_tokenizer(at: prop::sample::Index, byte: u8, text: String) {
            let mut json = small().into_bytes();
            let at = at.index(json.len());
            prop_assert!(Tokenizer::load(&json[..at]).is_err());
            json[at] = byte;
            if let Ok(tokenizer) = Tokenizer::load(&json) {
                let _ = tokenizer.count(&text);
            }
        }
    }
}
