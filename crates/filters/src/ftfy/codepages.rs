//! The encodings that UTF-8 is most often read as.
//!
//! Windows' are "sloppy", as in browsers: a byte without a character of its own stands for the control character of its number. For
//! ftfy's sake they also have U+FFFD, what a stricter program put in such a byte's place, as byte 1A.

use rustc_hash::FxBuildHasher;
use std::collections::HashMap;
use std::sync::LazyLock;

/// An encoding of one byte a character, ASCII in its lower half.
pub(super) struct CodePage {
    upper: LazyLock<Upper>,
    /// Whether U+FFFD stands for byte 1A.
    pub(super) sloppy: bool,
}

/// The characters of bytes 80 to FF.
struct Upper {
    chars: Vec<char>,
    bytes: HashMap<char, u8, FxBuildHasher>,
}

impl Upper {
    fn of(chars: &str) -> Self {
        Self { chars: chars.chars().collect(), bytes: chars.chars().zip(0x80..=0xff).collect() }
    }
}

/// In the order in which they are tried.
pub(super) const ALL: [&CodePage; 10] = [
    &LATIN_1,
    &WINDOWS_1252,
    &WINDOWS_1251,
    &WINDOWS_1250,
    &WINDOWS_1253,
    &WINDOWS_1254,
    &WINDOWS_1257,
    &ISO_8859_2,
    &MACROMAN,
    &CP437,
];

/// The byte that stands for one that was lost.
const SUBSTITUTE: u8 = 0x1a;

impl CodePage {
    /// The bytes of a text, if this encoding has all its characters.
    pub(super) fn encode(&self, text: &str) -> Option<Vec<u8>> {
        text.chars().map(|char| self.byte(char)).collect()
    }

    fn byte(&self, char: char) -> Option<u8> {
        match char {
            '\u{1a}' if self.sloppy => None,
            '\u{fffd}' if self.sloppy => Some(SUBSTITUTE),
            '\0'..='\x7f' => u8::try_from(char).ok(),
            _ => self.upper.bytes.get(&char).copied(),
        }
    }

    /// The character of a byte.
    pub(super) fn char(&self, byte: u8) -> char {
        let upper = byte.checked_sub(0x80).and_then(|at| self.upper.chars.get(usize::from(at)));
        upper.copied().unwrap_or(char::from(byte))
    }

    pub(super) fn is(&self, other: &CodePage) -> bool {
        std::ptr::eq(self, other)
    }
}

pub(super) static LATIN_1: CodePage = CodePage {
    sloppy: false,
    upper: LazyLock::new(|| {
        Upper::of(concat!(
            "\u{80}\u{81}\u{82}\u{83}\u{84}\u{85}\u{86}\u{87}\u{88}\u{89}\u{8a}\u{8b}\u{8c}\u{8d}\u{8e}\u{8f}\u{90}\u{91}\u{92}\u{93}\u{94}\u{95}\u{96}\u{97}\u{98}\u{99}\u{9a}\u{9b}\u{9c}\u{9d}\u{9e}\u{9f}",
            "\u{a0}¡¢£¤¥¦§¨©ª«¬\u{ad}®¯°±²³´µ¶·¸¹º»¼½¾¿",
            "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖ×ØÙÚÛÜÝÞß",
            "àáâãäåæçèéêëìíîïðñòóôõö÷øùúûüýþÿ",
        ))
    }),
};

pub(super) static WINDOWS_1252: CodePage = CodePage {
    sloppy: true,
    upper: LazyLock::new(|| {
        Upper::of(concat!(
            "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8d}Ž\u{8f}\u{90}‘’“”•–—˜™š›œ\u{9d}žŸ",
            "\u{a0}¡¢£¤¥¦§¨©ª«¬\u{ad}®¯°±²³´µ¶·¸¹º»¼½¾¿",
            "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖ×ØÙÚÛÜÝÞß",
            "àáâãäåæçèéêëìíîïðñòóôõö÷øùúûüýþÿ",
        ))
    }),
};

pub(super) static WINDOWS_1251: CodePage = CodePage {
    sloppy: true,
    upper: LazyLock::new(|| {
        Upper::of(concat!(
            "ЂЃ‚ѓ„…†‡€‰Љ‹ЊЌЋЏђ‘’“”•–—\u{98}™љ›њќћџ",
            "\u{a0}ЎўЈ¤Ґ¦§Ё©Є«¬\u{ad}®Ї°±Ііґµ¶·ё№є»јЅѕї",
            "АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ",
            "абвгдежзийклмнопрстуфхцчшщъыьэюя",
        ))
    }),
};

pub(super) static WINDOWS_1250: CodePage = CodePage {
    sloppy: true,
    upper: LazyLock::new(|| {
        Upper::of(concat!(
            "€\u{81}‚\u{83}„…†‡\u{88}‰Š‹ŚŤŽŹ\u{90}‘’“”•–—\u{98}™š›śťžź",
            "\u{a0}ˇ˘Ł¤Ą¦§¨©Ş«¬\u{ad}®Ż°±˛ł´µ¶·¸ąş»Ľ˝ľż",
            "ŔÁÂĂÄĹĆÇČÉĘËĚÍÎĎĐŃŇÓÔŐÖ×ŘŮÚŰÜÝŢß",
            "ŕáâăäĺćçčéęëěíîďđńňóôőö÷řůúűüýţ˙",
        ))
    }),
};

pub(super) static WINDOWS_1253: CodePage = CodePage {
    sloppy: true,
    upper: LazyLock::new(|| {
        Upper::of(concat!(
            "€\u{81}‚ƒ„…†‡\u{88}‰\u{8a}‹\u{8c}\u{8d}\u{8e}\u{8f}\u{90}‘’“”•–—\u{98}™\u{9a}›\u{9c}\u{9d}\u{9e}\u{9f}",
            "\u{a0}΅Ά£¤¥¦§¨©ª«¬\u{ad}®―°±²³΄µ¶·ΈΉΊ»Ό½ΎΏ",
            "ΐΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡÒΣΤΥΦΧΨΩΪΫάέήί",
            "ΰαβγδεζηθικλμνξοπρςστυφχψωϊϋόύώÿ",
        ))
    }),
};

pub(super) static WINDOWS_1254: CodePage = CodePage {
    sloppy: true,
    upper: LazyLock::new(|| {
        Upper::of(concat!(
            "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8d}\u{8e}\u{8f}\u{90}‘’“”•–—˜™š›œ\u{9d}\u{9e}Ÿ",
            "\u{a0}¡¢£¤¥¦§¨©ª«¬\u{ad}®¯°±²³´µ¶·¸¹º»¼½¾¿",
            "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏĞÑÒÓÔÕÖ×ØÙÚÛÜİŞß",
            "àáâãäåæçèéêëìíîïğñòóôõö÷øùúûüışÿ",
        ))
    }),
};

pub(super) static WINDOWS_1257: CodePage = CodePage {
    sloppy: true,
    upper: LazyLock::new(|| {
        Upper::of(concat!(
            "€\u{81}‚\u{83}„…†‡\u{88}‰\u{8a}‹\u{8c}¨ˇ¸\u{90}‘’“”•–—\u{98}™\u{9a}›\u{9c}¯˛\u{9f}",
            "\u{a0}¡¢£¤¥¦§Ø©Ŗ«¬\u{ad}®Æ°±²³´µ¶·ø¹ŗ»¼½¾æ",
            "ĄĮĀĆÄÅĘĒČÉŹĖĢĶĪĻŠŃŅÓŌÕÖ×ŲŁŚŪÜŻŽß",
            "ąįāćäåęēčéźėģķīļšńņóōõö÷ųłśūüżž˙",
        ))
    }),
};

pub(super) static ISO_8859_2: CodePage = CodePage {
    sloppy: false,
    upper: LazyLock::new(|| {
        Upper::of(concat!(
            "\u{80}\u{81}\u{82}\u{83}\u{84}\u{85}\u{86}\u{87}\u{88}\u{89}\u{8a}\u{8b}\u{8c}\u{8d}\u{8e}\u{8f}\u{90}\u{91}\u{92}\u{93}\u{94}\u{95}\u{96}\u{97}\u{98}\u{99}\u{9a}\u{9b}\u{9c}\u{9d}\u{9e}\u{9f}",
            "\u{a0}Ą˘Ł¤ĽŚ§¨ŠŞŤŹ\u{ad}ŽŻ°ą˛ł´ľśˇ¸šşťź˝žż",
            "ŔÁÂĂÄĹĆÇČÉĘËĚÍÎĎĐŃŇÓÔŐÖ×ŘŮÚŰÜÝŢß",
            "ŕáâăäĺćçčéęëěíîďđńňóôőö÷řůúűüýţ˙",
        ))
    }),
};

pub(super) static MACROMAN: CodePage = CodePage {
    sloppy: false,
    upper: LazyLock::new(|| {
        Upper::of(concat!(
            "ÄÅÇÉÑÖÜáàâäãåçéèêëíìîïñóòôöõúùûü",
            "†°¢£§•¶ß®©™´¨≠ÆØ∞±≤≥¥µ∂∑∏π∫ªºΩæø",
            "¿¡¬√ƒ≈∆«»…\u{a0}ÀÃÕŒœ–—“”‘’÷◊ÿŸ⁄€‹›ﬁﬂ",
            "‡·‚„‰ÂÊÁËÈÍÎÏÌÓÔ\u{f8ff}ÒÚÛÙıˆ˜¯˘˙˚¸˝˛ˇ",
        ))
    }),
};

pub(super) static CP437: CodePage = CodePage {
    sloppy: false,
    upper: LazyLock::new(|| {
        Upper::of(concat!(
            "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒ",
            "áíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐",
            "└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀",
            "αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}",
        ))
    }),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        for page in ALL {
            assert_eq!((page.upper.chars.len(), page.upper.bytes.len()), (128, 128));
            for byte in 0x80..=0xff {
                assert_eq!(page.byte(page.char(byte)), Some(byte), "{byte:x}");
            }
            assert_eq!(page.encode("a\n"), Some(b"a\n".to_vec()));
            assert_eq!(page.encode("\u{1a}").is_none(), page.sloppy);
            assert_eq!(page.encode("東"), None);
        }
        assert_eq!(WINDOWS_1252.encode("€\u{81}\u{fffd}"), Some(vec![0x80, 0x81, 0x1a]));
        assert_eq!(LATIN_1.encode("€"), None);
    }
}
