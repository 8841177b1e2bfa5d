//! `ftfy_modifier`

use crate::step::Context;
use crate::{BuildError, Built, Step, Verdict};
use gristmill_filters::ftfy::{self, Ftfy, Options};
use schemars::JsonSchema;
use serde::Deserialize;
use std::borrow::Cow;

pub struct FtfyModifier;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Decode `&amp;` and other references; `auto`: until the first line with a `<`.
    unescape_html: UnescapeHtml,
    /// Take out what colours text in a terminal.
    remove_terminal_escapes: bool,
    /// Undo mojibake: UTF-8 that was read as another encoding.
    fix_encoding: bool,
    /// Within `fix_encoding`: a blank may have been a byte A0.
    restore_byte_a0: bool,
    /// Within `fix_encoding`: put U+FFFD for characters of which bytes were lost.
    replace_lossy_sequences: bool,
    /// Within `fix_encoding`: undo mojibake amid sound text.
    decode_inconsistent_utf8: bool,
    /// Read C1 controls as Windows-1252, as browsers do.
    fix_c1_controls: bool,
    /// Take ligatures of Latin letters apart.
    fix_latin_ligatures: bool,
    /// Put characters of the usual width for wide Latin and narrow Katakana.
    fix_character_width: bool,
    /// Put straight quotes for curly ones.
    uncurl_quotes: bool,
    /// Put `\n` for all other ends of lines.
    fix_line_breaks: bool,
    /// Take out control characters that show nothing.
    remove_control_chars: bool,
    /// Unicode's normal form; `null`: as it is.
    normalization: Option<Normalization>,
    /// Characters of a line that are repaired as one.
    max_decode_length: usize,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum UnescapeHtml {
    Always(bool),
    Auto(Auto),
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Auto {
    Auto,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum Normalization {
    Nfc,
    Nfd,
    Nfkc,
    Nfkd,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            unescape_html: UnescapeHtml::Auto(Auto::Auto),
            remove_terminal_escapes: true,
            fix_encoding: true,
            restore_byte_a0: true,
            replace_lossy_sequences: true,
            decode_inconsistent_utf8: true,
            fix_c1_controls: true,
            fix_latin_ligatures: true,
            fix_character_width: true,
            uncurl_quotes: true,
            fix_line_breaks: true,
            remove_control_chars: true,
            normalization: Some(Normalization::Nfc),
            max_decode_length: 1_000_000,
        }
    }
}

impl From<&Params> for Options {
    fn from(params: &Params) -> Self {
        Self {
            unescape_html: match params.unescape_html {
                UnescapeHtml::Auto(Auto::Auto) => ftfy::UnescapeHtml::Auto,
                UnescapeHtml::Always(true) => ftfy::UnescapeHtml::Always,
                UnescapeHtml::Always(false) => ftfy::UnescapeHtml::Never,
            },
            remove_terminal_escapes: params.remove_terminal_escapes,
            fix_encoding: params.fix_encoding,
            restore_byte_a0: params.restore_byte_a0,
            replace_lossy_sequences: params.replace_lossy_sequences,
            decode_inconsistent_utf8: params.decode_inconsistent_utf8,
            fix_c1_controls: params.fix_c1_controls,
            fix_latin_ligatures: params.fix_latin_ligatures,
            fix_character_width: params.fix_character_width,
            uncurl_quotes: params.uncurl_quotes,
            fix_line_breaks: params.fix_line_breaks,
            remove_control_chars: params.remove_control_chars,
            normalization: params.normalization.map(|form| match form {
                Normalization::Nfc => ftfy::Normalization::Nfc,
                Normalization::Nfd => ftfy::Normalization::Nfd,
                Normalization::Nfkc => ftfy::Normalization::Nfkc,
                Normalization::Nfkd => ftfy::Normalization::Nfkd,
            }),
            max_decode_length: params.max_decode_length,
        }
    }
}

impl Step for FtfyModifier {
    const NAME: &'static str = "ftfy_modifier";
    const DOC: &'static str = "Repairs text that other programs broke: mojibake, character references, ligatures, curly quotes, control characters.\n\n\
        Does as ftfy's `fix_text` does, with its options and their defaults: `schÃ¶n` becomes `schön`. By default it also straightens quotes; \
        for text that is to keep its typography set `uncurl_quotes: false`. `fix_surrogates` is not among the options: text here is UTF-8, which has none. \
        A line that is broken more than some sixty times over (`&amp;amp;…`) is repaired so far and no further, and a line that ends in `À` keeps \
        its newline, which ftfy may take for a part of a NUL.";
    const ORIGIN: &'static str = "rspeer/python-ftfy 6.3.1, fix_text";
    const EXAMPLE: &'static str = "{uncurl_quotes: false, normalization: NFC}";
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        if params.max_decode_length == 0 {
            return Err(BuildError::new("max_decode_length is 1 at least"));
        }
        Ok(())
    }

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let ftfy = Ftfy::new(params.into()).map_err(|error| BuildError::new(error.to_string()))?;
        Ok(Built::text(move |text, _| {
            if let Cow::Owned(fixed) = ftfy.fix(text.as_str()) {
                text.set(fixed);
            }
            Verdict::Keep
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn text_is_repaired() {
        let page = r#"{"text":"schÃ¶n &amp; “gut”"}"#;
        check("ftfy_modifier", page, keep(r#"{"text":"schön & \"gut\""}"#));
        check(
            "ftfy_modifier: {uncurl_quotes: false, unescape_html: false}",
            page,
            keep(r#"{"text":"schön &amp; “gut”"}"#),
        );
        let page = r#"{"text":"<é&amp;"}"#;
        check("ftfy_modifier: {unescape_html: auto}", page, keep(page));
        check(
            "ftfy_modifier: {unescape_html: true, normalization: NFD}",
            page,
            keep("{\"text\":\"<e\u{301}&\"}"),
        );
        check(
            "ftfy_modifier: {normalization: null}",
            "{\"text\":\"e\u{301}\"}",
            keep("{\"text\":\"e\u{301}\"}"),
        );
        check("ftfy_modifier: {max_decode_length: 0}", page, "refused: max_decode_length is 1 at least");
    }
}
