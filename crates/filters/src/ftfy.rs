//! Repairs text that other programs broke, as ftfy does ("fixes text for you", Robyn Speer, Apache-2.0; version 6.3.1).
//!
//! The commonest break is mojibake: UTF-8 that was read as another encoding, so that `é` became `Ã©`. Reading order: [`badness`]
//! (does a text look like mojibake), [`codepages`] (the encodings it may have been read as), [`encoding`] (undoing it), [`clues`] (mojibake
//! amid sound text), [`entities`] (`&amp;`), [`characters`] (ligatures, widths, quotes, line ends, controls).
//!
//! The heuristic's tables are ftfy's; so are the names of the options and what they do by default. Tests hold the whole against ftfy itself.
//! Where they differ, and why:
//!
//! - ftfy repeats its repairs until nothing changes, which a crafted line can draw out to the square of its length. Here a segment
//!   costs at most [`WORK`] times its length: what is broken more often than that (`&amp;amp;…`) stays broken.
//! - ftfy's reading of Java's UTF-8 takes `À` and the newline behind it, at the end of a line, for a NUL. Here the newline stays.
//! - Normal forms are those of Unicode 17.0, where Python 3.11 has 14.0.
//! - Given options one by one, ftfy's `fix_text` forgets four of them (`restore_byte_a0` to `fix_c1_controls`) within `fix_encoding`; given as a
//!   `TextFixerConfig` they hold, as they do here.

mod badness;
mod characters;
mod clues;
mod codepages;
mod encoding;
mod entities;

use encoding::Detector;
use std::borrow::Cow;
use unicode_normalization::UnicodeNormalization;

/// What is repaired. The names and defaults are those of ftfy's `TextFixerConfig`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub unescape_html: UnescapeHtml,
    pub remove_terminal_escapes: bool,
    pub fix_encoding: bool,
    pub restore_byte_a0: bool,
    pub replace_lossy_sequences: bool,
    pub decode_inconsistent_utf8: bool,
    pub fix_c1_controls: bool,
    pub fix_latin_ligatures: bool,
    pub fix_character_width: bool,
    pub uncurl_quotes: bool,
    pub fix_line_breaks: bool,
    pub remove_control_chars: bool,
    pub normalization: Option<Normalization>,
    /// Characters of a line that are repaired as one; the rest of it is another line.
    pub max_decode_length: usize,
}

/// Whether character references such as `&amp;` are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnescapeHtml {
    Always,
    Never,
    /// Until the first line with a `<`: what follows may be HTML, and is meant as it stands.
    Auto,
}

/// Unicode's normal forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normalization {
    Nfc,
    Nfd,
    Nfkc,
    Nfkd,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            unescape_html: UnescapeHtml::Auto,
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

/// How often a segment may be gone through.
const WORK: usize = 64;

/// Bytes that may still be gone through for the segment at hand.
struct Budget(usize);

impl Budget {
    fn of(segment: &str) -> Self {
        Self(segment.len().saturating_mul(WORK))
    }

    /// Whether a text can still be gone through once.
    fn spend(&mut self, text: &str) -> bool {
        let left = self.0.checked_sub(text.len());
        self.0 = left.unwrap_or(0);
        left.is_some()
    }
}

/// Repairs texts.
#[derive(Clone, Debug)]
pub struct Ftfy {
    options: Options,
    detector: Detector,
}

impl Ftfy {
    /// Fails only if a pattern of ours is wrong, which a test rules out.
    pub fn new(options: Options) -> Result<Self, regex::Error> {
        Ok(Self { options, detector: Detector::new()? })
    }

    /// The text repaired, line by line; borrowed if nothing was broken.
    #[must_use]
    pub fn fix<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut unescape = self.options.unescape_html != UnescapeHtml::Never;
        let mut out: Option<String> = None;
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let (segment, _) = rest.split_at(end_of_segment(rest, self.options.max_decode_length));
            if self.options.unescape_html == UnescapeHtml::Auto && unescape {
                unescape = memchr::memchr(b'<', segment.as_bytes()).is_none();
            }
            match (self.fix_segment(segment, unescape), &mut out) {
                (Cow::Borrowed(same), Some(out)) => out.push_str(same),
                (Cow::Borrowed(_), None) => {}
                (Cow::Owned(fixed), Some(out)) => out.push_str(&fixed),
                (Cow::Owned(fixed), None) => {
                    let mut start = String::with_capacity(text.len());
                    start.push_str(text.get(..at).unwrap_or_default());
                    start.push_str(&fixed);
                    out = Some(start);
                }
            }
            at += segment.len();
        }
        out.map_or(Cow::Borrowed(text), Cow::Owned)
    }

    /// Repairs until nothing changes, since one repair may uncover the next.
    fn fix_segment<'t>(&self, segment: &'t str, unescape: bool) -> Cow<'t, str> {
        let mut budget = Budget::of(segment);
        let mut text = Cow::Borrowed(segment);
        while budget.spend(&text) {
            let Some(fixed) = self.fix_once(&text, unescape, &mut budget) else { break };
            text = Cow::Owned(fixed);
        }
        text
    }

    /// Every repair once, in ftfy's order; none if nothing changed.
    fn fix_once(&self, text: &str, unescape: bool, budget: &mut Budget) -> Option<String> {
        let options = &self.options;
        let mut now = Cow::Borrowed(text);
        if unescape {
            then(&mut now, entities::unescape);
        }
        if options.fix_encoding {
            then(&mut now, |text| self.detector.fix_encoding(text, options, budget));
        }
        then(&mut now, |text| characters::replace(text, options));
        if options.remove_terminal_escapes {
            then(&mut now, characters::without_terminal_escapes);
        }
        if options.remove_control_chars {
            then(&mut now, characters::without_controls);
        }
        if let Some(form) = options.normalization {
            then(&mut now, |text| normalize(text, form));
        }
        match now {
            Cow::Owned(fixed) if fixed != text => Some(fixed),
            _ => None,
        }
    }
}

/// Puts what a repair made of a text in its place.
fn then(text: &mut Cow<'_, str>, repair: impl FnOnce(&str) -> Option<String>) {
    if let Some(fixed) = repair(text) {
        *text = Cow::Owned(fixed);
    }
}

/// Where the first line of a text ends, newline included, or its first `max` characters.
fn end_of_segment(text: &str, max: usize) -> usize {
    let end = memchr::memchr(b'\n', text.as_bytes()).map_or(text.len(), |newline| newline + 1);
    if end <= max {
        return end;
    }
    let line = text.get(..end).unwrap_or_default();
    line.char_indices().nth(max.max(1)).map_or(end, |(at, _)| at)
}

fn normalize(text: &str, form: Normalization) -> Option<String> {
    use unicode_normalization::{is_nfc, is_nfd, is_nfkc, is_nfkd};
    // ASCII is the same in every form.
    if text.is_ascii() {
        return None;
    }
    match form {
        Normalization::Nfc => (!is_nfc(text)).then(|| text.nfc().collect()),
        Normalization::Nfd => (!is_nfd(text)).then(|| text.nfd().collect()),
        Normalization::Nfkc => (!is_nfkc(text)).then(|| text.nfkc().collect()),
        Normalization::Nfkd => (!is_nfkd(text)).then(|| text.nfkd().collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fixed(text: &str, change: impl FnOnce(&mut Options)) -> String {
        let mut options = Options::default();
        change(&mut options);
        Ftfy::new(options).expect("patterns").fix(text).into_owned()
    }

    #[test]
    fn broken_text_is_repaired() {
        for (text, expected) in [
            ("schÃ¶n", "schön"),
            ("sch\u{c3}\u{83}\u{c2}\u{b6}n", "schön"),
            ("l\u{e2}\u{80}\u{99}Ã©tÃ©", "l'été"),
            ("Ð¼Ð¸Ñ€ Ð±ÐµÐ·", "мир без"),
            ("voilÃ le travail", "voilà le travail"),
            ("â€œlikeâ€\u{fffd} this", "\"like\u{fffd} this"),
            ("plain Ã© et l’été", "plain é et l'été"),
            ("it&hellip; &lt;b&gt; P&EACUTE;REZ", "it… <b> PÉREZ"),
            ("a < b\nit&hellip;", "a < b\nit&hellip;"),
            ("ﬂuﬃeﬆ ŉ ＬＯＵＤ　Ｕﾀｰﾝ", "fluffiest 'n LOUD Uターン"),
            ("\u{1b}[36;44mblue\u{1b}[0m\u{feff}\u{7}", "blue"),
            ("one\r\ntwo\rthree\u{2028}four", "one\ntwo\nthree\nfour"),
            ("e\u{301}", "é"),
            ("Déjà vu à 3 ° — “oui”, Ærø, 東京", "Déjà vu à 3 ° — \"oui\", Ærø, 東京"),
            ("", ""),
        ] {
            assert_eq!(fixed(text, |_| {}), expected, "{text:?}");
        }
    }

    #[test]
    fn each_repair_can_be_off() {
        type Change = fn(&mut Options);
        let off: [(&str, Change); 13] = [
            ("&amp;", |o| o.unescape_html = UnescapeHtml::Never),
            ("\u{1b}[0m", |o| (o.remove_terminal_escapes, o.remove_control_chars) = (false, false)),
            ("schÃ¶n", |o| o.fix_encoding = false),
            ("voilÃ le travail", |o| (o.restore_byte_a0, o.decode_inconsistent_utf8) = (false, false)),
            ("â€\u{fffd}x", |o| (o.replace_lossy_sequences, o.decode_inconsistent_utf8) = (false, false)),
            ("œuvre Ã© Ω", |o| o.decode_inconsistent_utf8 = false),
            ("Ω \u{93}", |o| o.fix_c1_controls = false),
            ("ﬁ", |o| o.fix_latin_ligatures = false),
            ("Ａ", |o| o.fix_character_width = false),
            ("’", |o| o.uncurl_quotes = false),
            ("a\r\nb", |o| o.fix_line_breaks = false),
            ("\u{feff}", |o| o.remove_control_chars = false),
            ("e\u{301}", |o| o.normalization = None),
        ];
        for (text, change) in off {
            assert_ne!(fixed(text, |_| {}), text, "{text:?}");
            assert_eq!(fixed(text, change), text, "{text:?}");
        }
        assert_eq!(fixed("<a> &amp;", |o| o.unescape_html = UnescapeHtml::Always), "<a> &");
        assert_eq!(fixed("ﬁé10³", |o| o.normalization = Some(Normalization::Nfkd)), "fie\u{301}103");
        assert_eq!(fixed("é", |o| o.normalization = Some(Normalization::Nfd)), "e\u{301}");
        assert_eq!(fixed("³", |o| o.normalization = Some(Normalization::Nfkc)), "3");
        // A line cut within its mojibake is not recognised.
        assert_eq!(fixed("schÃ¶n", |o| o.max_decode_length = 4), "schÃ¶n");
    }

    #[test]
    fn work_is_bounded() {
        let nested = format!("&{}lt;", "amp;".repeat(10_000));
        assert!(fixed(&nested, |_| {}).len() > 30_000);
        let drawn_out = format!("Ã{} Ω", "\u{83}".repeat(100_000));
        let _ = fixed(&drawn_out, |_| {});
    }

    #[test]
    fn clean_text_is_borrowed() {
        let ftfy = Ftfy::new(Options::default()).expect("patterns");
        for text in ["plain & simple\n\nText", "Größe, naïve, 東京, мир\n", "a < b"] {
            assert!(matches!(ftfy.fix(text), Cow::Borrowed(_)), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]
        #[test]
        fn what_is_repaired_stays(text in r"([ÃÂâ€œ\x80-\xbfа-яВЂÐÑ&;#a-z \n<’ﬁÀ]|\PC){0,24}") {
            let ftfy = Ftfy::new(Options { unescape_html: UnescapeHtml::Always, ..Options::default() }).expect("patterns");
            let once = ftfy.fix(&text).into_owned();
            // Line ends are new borders of lines, so lines are repaired again on their own.
            if !once.contains(['\n']) {
                prop_assert_eq!(ftfy.fix(&once), once.as_str());
            }
        }
    }
}
