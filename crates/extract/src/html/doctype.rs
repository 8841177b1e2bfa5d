//! Which doctypes ask for quirks mode (HTML standard 13.2.6.4.1), where a table may stay inside a paragraph.

/// Public identifiers that ask for quirks mode by how they start, without regard to case.
const QUIRKS_PREFIXES: [&str; 55] = [
    "+//Silmaril//dtd html Pro v0r11 19970101//",
    "-//AS//DTD HTML 3.0 asWedit + extensions//",
    "-//AdvaSoft Ltd//DTD HTML 3.0 asWedit + extensions//",
    "-//IETF//DTD HTML 2.0 Level 1//",
    "-//IETF//DTD HTML 2.0 Level 2//",
    "-//IETF//DTD HTML 2.0 Strict Level 1//",
    "-//IETF//DTD HTML 2.0 Strict Level 2//",
    "-//IETF//DTD HTML 2.0 Strict//",
    "-//IETF//DTD HTML 2.0//",
    "-//IETF//DTD HTML 2.1E//",
    "-//IETF//DTD HTML 3.0//",
    "-//IETF//DTD HTML 3.2 Final//",
    "-//IETF//DTD HTML 3.2//",
    "-//IETF//DTD HTML 3//",
    "-//IETF//DTD HTML Level 0//",
    "-//IETF//DTD HTML Level 1//",
    "-//IETF//DTD HTML Level 2//",
    "-//IETF//DTD HTML Level 3//",
    "-//IETF//DTD HTML Strict Level 0//",
    "-//IETF//DTD HTML Strict Level 1//",
    "-//IETF//DTD HTML Strict Level 2//",
    "-//IETF//DTD HTML Strict Level 3//",
    "-//IETF//DTD HTML Strict//",
    "-//IETF//DTD HTML//",
    "-//Metrius//DTD Metrius Presentational//",
    "-//Microsoft//DTD Internet Explorer 2.0 HTML Strict//",
    "-//Microsoft//DTD Internet Explorer 2.0 HTML//",
    "-//Microsoft//DTD Internet Explorer 2.0 Tables//",
    "-//Microsoft//DTD Internet Explorer 3.0 HTML Strict//",
    "-//Microsoft//DTD Internet Explorer 3.0 HTML//",
    "-//Microsoft//DTD Internet Explorer 3.0 Tables//",
    "-//Netscape Comm. Corp.//DTD HTML//",
    "-//Netscape Comm. Corp.//DTD Strict HTML//",
    "-//O'Reilly and Associates//DTD HTML 2.0//",
    "-//O'Reilly and Associates//DTD HTML Extended 1.0//",
    "-//O'Reilly and Associates//DTD HTML Extended Relaxed 1.0//",
    "-//SQ//DTD HTML 2.0 HoTMetaL + extensions//",
    "-//SoftQuad Software//DTD HoTMetaL PRO 6.0::19990601::extensions to HTML 4.0//",
    "-//SoftQuad//DTD HoTMetaL PRO 4.0::19971010::extensions to HTML 4.0//",
    "-//Spyglass//DTD HTML 2.0 Extended//",
    "-//Sun Microsystems Corp.//DTD HotJava HTML//",
    "-//Sun Microsystems Corp.//DTD HotJava Strict HTML//",
    "-//W3C//DTD HTML 3 1995-03-24//",
    "-//W3C//DTD HTML 3.2 Draft//",
    "-//W3C//DTD HTML 3.2 Final//",
    "-//W3C//DTD HTML 3.2//",
    "-//W3C//DTD HTML 3.2S Draft//",
    "-//W3C//DTD HTML 4.0 Frameset//",
    "-//W3C//DTD HTML 4.0 Transitional//",
    "-//W3C//DTD HTML Experimental 19960712//",
    "-//W3C//DTD HTML Experimental 970421//",
    "-//W3C//DTD W3 HTML//",
    "-//W3O//DTD W3 HTML 3.0//",
    "-//WebTechs//DTD Mozilla HTML 2.0//",
    "-//WebTechs//DTD Mozilla HTML//",
];

/// Public identifiers that do so as a whole.
const QUIRKS_WHOLE: [&str; 3] =
    ["-//W3O//DTD W3 HTML Strict 3.0//EN//", "-/W3C/DTD HTML 4.0 Transitional/EN", "HTML"];

/// Public identifiers that do so where no system identifier follows.
const QUIRKS_ALONE: [&str; 2] = ["-//W3C//DTD HTML 4.01 Frameset//", "-//W3C//DTD HTML 4.01 Transitional//"];

const QUIRKS_SYSTEM: &str = "http://www.ibm.com/data/dtd/v11/ibmxhtml1-transitional.dtd";

fn starts_with(text: &str, prefix: &str) -> bool {
    text.as_bytes().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

fn trim_start(text: &str) -> &str {
    text.trim_start_matches(['\t', '\n', '\u{c}', ' '])
}

/// Splits a quoted identifier off. None if there is none, or its quote stays open.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    text[1..].split_once(quote)
}

/// Whether the doctype whose content (between `<!doctype` and `>`) this is asks for quirks mode.
pub(crate) fn asks_for_quirks(content: &str) -> bool {
    let content = trim_start(content);
    let name_end = content.find(['\t', '\n', '\u{c}', ' ']).unwrap_or(content.len());
    let (name, rest) = content.split_at(name_end);
    if !name.eq_ignore_ascii_case("html") {
        return true;
    }
    let rest = trim_start(rest);
    if rest.is_empty() {
        return false;
    }
    if starts_with(rest, "system") {
        return quoted(trim_start(&rest[6..]))
            .is_none_or(|(system, _)| system.eq_ignore_ascii_case(QUIRKS_SYSTEM));
    }
    if !starts_with(rest, "public") {
        return true;
    }
    let Some((public, rest)) = quoted(trim_start(&rest[6..])) else { return true };
    let rest = trim_start(rest);
    if rest.is_empty() {
        if QUIRKS_ALONE.iter().any(|prefix| starts_with(public, prefix)) {
            return true;
        }
    } else if quoted(rest).is_none_or(|(system, _)| system.eq_ignore_ascii_case(QUIRKS_SYSTEM)) {
        return true;
    }
    QUIRKS_PREFIXES.iter().any(|prefix| starts_with(public, prefix))
        || QUIRKS_WHOLE.iter().any(|whole| public.eq_ignore_ascii_case(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        for (content, quirks) in [
            (" html", false),
            ("html", false),
            ("", true),
            (" HTML ", false),
            (" svg", true),
            (" html PUBLIC \"-//W3C//DTD HTML 4.01//EN\" \"http://www.w3.org/TR/html4/strict.dtd\"", false),
            (" html PUBLIC \"-//W3C//DTD HTML 4.01 Transitional//EN\"", true),
            (
                " html public '-//W3C//DTD HTML 4.01 Transitional//EN''http://www.w3.org/TR/html4/loose.dtd'",
                false,
            ),
            (" HTML PUBLIC \"-//W3C//DTD HTML 3.2 Final//EN\"", true),
            (" html SYSTEM \"about:legacy-compat\"", false),
            (" html SYSTEM 'http://www.ibm.com/data/dtd/v11/ibmxhtml1-transitional.dtd'", true),
            (" html PUBLIC \"x", true),
            (" html nonsense", true),
        ] {
            assert_eq!(asks_for_quirks(content), quirks, "{content}");
        }
    }
}
