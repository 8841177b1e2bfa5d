//! Does a text look like mojibake? Sequences of characters that nobody writes, and that UTF-8 read as something else is full of.
//!
//! The classes of characters and the sequences are facts of ftfy 6.3.1, `ftfy/badness.py`, which explains how each came about.

use regex::Regex;

/// Characters that occur in mojibake, by what they are outside of it; each class as in a regex, between its brackets.
const CLASSES: [(&str, &str); 18] = [
    ("common", "\u{a0}\u{ad}·´–—―…’"),
    ("c1", r"\x80-\x9f"),
    ("bad", "¦¤¨¬¯¸ƒˆˇ˘˛˜†‡‰⌐◊\u{fffd}ªº"),
    ("law", "¶§"),
    ("currency", "¢£¥₧€"),
    ("start", "¡«¿©΄΅‘‚“„•‹\u{f8ff}"),
    ("end", "®»˝”›™"),
    ("numeric", "²³¹±¼½¾×µ÷⁄∂∆∏∑√∞∩∫≈≠≡≤≥№"),
    // Letters that faces are made of.
    ("kaomoji", "Ò-ÖÙ-Üò-öø-üŐŌŪŲ°"),
    ("upper", "À-ÑØÜÝĂĀĄĆČĎĐĘĚĒĖĞĢİĪĶĹĽŁĻŃŇŅŒŘŚŞŠŢŤŮŰŸŹŻŽҐ"),
    ("lower", "ßà-ñăąāćčďđęěēėğģįīķĺľłļœŕśşšťüźżžґﬁﬂ"),
    // Letters that may stand anywhere.
    ("upper_common", "ÞΑ-ΩΆΈΉΊΌΎΏΪΫЁ-Я"),
    ("lower_common", "α-ωάέήίΰа-џ"),
    ("box", "│┌┐┘├┤┬┼═-╬▀▄█▌▐░▒▓"),
    ("latin", "a-zA-Z"),
    ("small", "a-z"),
    // Python's `\s` and `\w`.
    ("space", r"\s\x1c-\x1f"),
    ("word", r"\p{L}\p{N}_"),
];

/// One sequence a line. A place is the names of classes, `+` between them, or, behind `=`, the characters themselves; `!` is none of them.
const SEQUENCES: &str = r"
c1
bad+lower+upper+box+start+end+currency+numeric+law bad
latin lower_common+upper_common bad
bad lower+upper+box+start+end+currency+numeric+law
lower+lower_common+box+end+currency+numeric upper
box+end+currency+numeric lower
lower+box+end currency
space upper currency
upper+box numeric+law
lower+upper+box+currency+end start numeric
lower+upper+currency+numeric+box+law end start
currency+numeric+box start
small upper start+currency
box kaomoji
lower+upper+currency+numeric+start+end+law box
box end
lower+upper start+end word
=Œœ !latin
upper =°
=ÂÃÎÐ start+end+=€œŠš¢£Ÿž\xa0\xad®©°·»–—´
=× =²³
=ØÙ common+currency+bad+numeric+start+=ŸŠ®°µ» =ØÙ common+currency+bad+numeric+start+=ŸŠ®°µ»
=à =²µ¹¼½¾
=√ =±∂†≠®™´≤≥¥µø
=≈ =°¢
=‚ =Ä =ìîïòôúùû†°¢π
=‚ =âó =àä°ê
=в =Ђ
=ВГРС c1+bad+start+end+currency+=°µ =ВГРС
=Г =ў =В =Ђ =В any latin+=\x20
=Ã =\xa0¡
small space? =ÃÂ =\x20
begin =ÃÂ =\x20
small+end+=.,?! =Â start+end+=\x20
=β =€ =™\xa0Ά\xad®°
=ΒΓΞΟ c1+bad+start+end+currency+=° =ΒΓΞΟ
=ā =€
";

/// All sequences as one pattern.
pub(super) fn pattern() -> Result<Regex, regex::Error> {
    let sequences: Vec<String> = SEQUENCES
        .trim()
        .lines()
        .map(|sequence| sequence.split(' ').map(place).collect::<Vec<_>>().concat())
        .collect();
    Regex::new(&sequences.join("|"))
}

fn place(place: &str) -> String {
    match place {
        "begin" => return "^".to_owned(),
        "any" => return ".".to_owned(),
        _ => {}
    }
    let (place, times) =
        place.strip_suffix('?').filter(|rest| !rest.contains('=')).map_or((place, ""), |rest| (rest, "?"));
    let (place, not) = place.strip_prefix('!').map_or((place, ""), |rest| (rest, "^"));
    let set = place.split('+').map(|name| match name.strip_prefix('=') {
        Some(characters) => characters,
        None => CLASSES.iter().find(|(known, _)| *known == name).map_or("", |(_, class)| class),
    });
    format!("[{not}{}]{times}", set.collect::<Vec<_>>().concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_class() {
        for name in
            SEQUENCES.split([' ', '\n', '+']).filter(|name| !name.is_empty() && !name.starts_with('='))
        {
            let name = name.trim_start_matches('!').trim_end_matches('?');
            assert!(
                ["begin", "any"].contains(&name) || CLASSES.iter().any(|(known, _)| *known == name),
                "{name}"
            );
        }
    }

    #[test]
    fn mojibake_is_bad() {
        let pattern = pattern().expect("a pattern");
        for (text, expected) in [
            ("Ã©", true),
            ("вЂ™", true),
            ("œ", false),
            ("œ1", true),
            ("ГўВЂВ\u{93} a", true),
            ("Â x", true),
            ("x Â x", true),
            ("X  Â x", false),
            ("what?Â ", true),
            ("\u{85}", true),
            ("Größe «ça» 3 × 4 → 5 €", false),
            ("мир, Ελλάδα, 東京", false),
        ] {
            assert_eq!(pattern.is_match(text), expected, "{text:?}");
        }
    }
}
