//! What langdetect looks at in a text: no addresses, no Latin letters among others, and each character as what it is taken for.

use super::profiles::{Gram, Profiles, Tables};
use memchr::{memchr, memmem};

/// The characters of a text that count.
const MAX_CHARS: usize = 10_000;

/// Puts into `chars` what is left of a text: URLs and e-mail addresses are blanks, a letter and its Vietnamese mark are one letter, a run of
/// blanks is one, and after that only so many characters count.
pub(super) fn clean(text: &str, tables: &Tables, buffer: &mut [String; 2], chars: &mut Vec<char>) {
    let [without_urls, without_addresses] = buffer;
    remove_urls(text, without_urls);
    remove_addresses(without_urls, without_addresses);
    chars.clear();
    let mut rest = without_addresses.chars().peekable();
    let mut last = None;
    for _ in 0..MAX_CHARS {
        let Some(mut char) = rest.next() else { break };
        if let Some(composed) = rest.peek().and_then(|mark| tables.composed.get(&(char, *mark))) {
            rest.next();
            char = *composed;
        }
        if char != ' ' || last != Some(' ') {
            chars.push(char);
        }
        last = Some(char);
    }
    remove_latin(chars);
}

/// `https?://[-_.?&~;+=/#0-9A-Za-z]{1,2076}` becomes a blank.
fn remove_urls(text: &str, out: &mut String) {
    out.clear();
    let mut from = 0;
    for at in memmem::find_iter(text.as_bytes(), "http") {
        let Some(rest) = text.get(at + 4..).filter(|_| at >= from) else { continue };
        let Some(rest) = rest.strip_prefix('s').unwrap_or(rest).strip_prefix("://") else { continue };
        let length = rest.bytes().take(2076).take_while(|byte| is_of_url(*byte)).count();
        if length > 0 {
            out.push_str(text.get(from..at).unwrap_or_default());
            out.push(' ');
            from = text.len() - rest.len() + length;
        }
    }
    out.push_str(text.get(from..).unwrap_or_default());
}

fn is_of_url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.?&~;+=/#".contains(&byte)
}

/// `[-_.0-9A-Za-z]{1,64}@[-_0-9A-Za-z]{1,255}[-_.0-9A-Za-z]{1,255}` becomes a blank.
fn remove_addresses(text: &str, out: &mut String) {
    out.clear();
    let bytes = text.as_bytes();
    let (mut from, mut looked) = (0, 0);
    while let Some(at) = memchr(b'@', bytes.get(looked..).unwrap_or_default()).map(|at| at + looked) {
        looked = at + 1;
        let before = bytes.get(from..at).unwrap_or_default();
        let name =
            before.iter().rev().take(64).take_while(|byte| **byte == b'.' || is_of_host(**byte)).count();
        let after = bytes.get(looked..).unwrap_or_default();
        let host = after.iter().take(255).take_while(|byte| is_of_host(**byte)).count();
        let more = |from: usize| {
            let rest = after.get(from..).unwrap_or_default();
            rest.iter().take(255).take_while(|byte| **byte == b'.' || is_of_host(**byte)).count()
        };
        // The second part needs a character; if nothing follows the first, it gives its last one away.
        let domain = match (host, more(host)) {
            (0, _) | (1, 0) => continue,
            (host, 0) => host,
            (host, more) => host + more,
        };
        if name > 0 {
            out.push_str(text.get(from..at - name).unwrap_or_default());
            out.push(' ');
            from = looked + domain;
            looked = from;
        }
    }
    out.push_str(text.get(from..).unwrap_or_default());
}

fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// Takes Latin letters out of a text that is mostly of others. langdetect means to count Vietnamese letters for neither, and compares a
/// number with a name: they count for others.
fn remove_latin(chars: &mut Vec<char>) {
    let is_latin = |char: &char| ('A'..='z').contains(char);
    let latin = chars.iter().filter(|char| is_latin(char)).count();
    let other = chars.iter().filter(|char| **char >= '\u{300}').count();
    if latin * 2 < other {
        chars.retain(|char| !is_latin(char));
    }
}

/// Puts into `found` the n-grams of a text that any language has, in the order in which they end.
pub(super) fn grams(chars: &[char], profiles: &Profiles, found: &mut Vec<u32>) {
    found.clear();
    // The last characters, as many as count, at the end of it.
    let (mut window, mut length) = ([' '; 3], 1);
    let mut capitals = false;
    for char in chars {
        let char = normalised(*char, &profiles.tables);
        let [_, before, last] = window;
        if last == ' ' {
            (length, capitals) = (1, false);
        }
        if last != ' ' || char != ' ' {
            window = [before, last, char];
            length = window.len().min(length + 1);
        }
        if !char.is_uppercase() {
            capitals = false;
        } else if last.is_uppercase() {
            // A word in capitals says little.
            capitals = true;
        }
        if capitals {
            continue;
        }
        let mut gram = Gram::default();
        for (number, char) in window.iter().rev().take(length).enumerate() {
            gram = gram.after(*char, number);
            if gram != Gram::BLANK {
                found.extend(profiles.find(gram));
            }
        }
    }
}

/// The character that stands for this one.
fn normalised(char: char, tables: &Tables) -> char {
    match char {
        'A'..='Z' | 'a'..='z' => char,
        '\0'..='\x7f' | '\u{2000}'..='\u{206f}' => ' ',
        '\u{80}'..='\u{ff}' if tables.latin1_blanks.contains(&char) => ' ',
        // Romanian: letters with a comma below are those with a cedilla.
        '\u{219}' => '\u{15f}',
        '\u{21b}' => '\u{163}',
        // The Persian yeh is the Arabic one.
        '\u{6cc}' => '\u{64a}',
        '\u{1ea0}'..='\u{1eff}' => '\u{1ec3}',
        // Each of these scripts is one letter.
        '\u{3040}'..='\u{309f}' => '\u{3042}',
        '\u{30a0}'..='\u{30ff}' => '\u{30a2}',
        '\u{3100}'..='\u{312f}' | '\u{31a0}'..='\u{31bf}' => '\u{3105}',
        '\u{ac00}'..='\u{d7af}' => '\u{ac00}',
        '\u{4e00}'..='\u{9fff}' => tables.ideographs.get(&char).copied().unwrap_or(char),
        _ => char,
    }
}
