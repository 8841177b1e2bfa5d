//! How much text there is, and how much of it reads as sentences.

/// Of a piece of text.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(super) struct Measure {
    /// Bytes that are no ASCII white space.
    pub(super) bytes: u32,
    /// Marks that end a sentence or part one, in the scripts of the world.
    pub(super) sentences: u32,
}

impl Measure {
    pub(super) fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.sentences += other.sentences;
    }
}

/// Measures a text.
pub(super) fn measure(text: &str) -> Measure {
    let bytes = text.as_bytes();
    let mut solid = 0u32;
    let mut marks = 0u32;
    for chunk in bytes.chunks(128) {
        // Without branches, for vector instructions.
        let (mut here, mut dots) = (0u8, 0u8);
        for &byte in chunk {
            here += u8::from(byte > b' ');
            dots +=
                u8::from((byte == b'.') | (byte == b'!') | (byte == b'?') | (byte == b',') | (byte == b';'));
        }
        solid += u32::from(here);
        marks += u32::from(dots);
    }
    if marks == 0 && !text.is_ascii() {
        // 。、！？，；…؟،।॥።
        marks = text
            .chars()
            .filter(|char| {
                matches!(
                    char,
                    '。' | '、'
                        | '！'
                        | '？'
                        | '，'
                        | '；'
                        | '…'
                        | '؟'
                        | '،'
                        | '۔'
                        | '।'
                        | '॥'
                        | '።'
                        | '．'
                        | '｡'
                )
            })
            .count() as u32;
    }
    Measure { bytes: solid, sentences: marks }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures() {
        let check =
            |text: &str, bytes, sentences| assert_eq!(measure(text), Measure { bytes, sentences }, "{text}");
        check("", 0, 0);
        check(" a\n b. ", 3, 1);
        check(&"x, ".repeat(300), 600, 300);
        check("水车。", 9, 1);
    }
}
