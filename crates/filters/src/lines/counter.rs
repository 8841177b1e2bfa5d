//! Lines such as "3 likes" or "1.2k followers".

use crate::python::{self, is_decimal, is_space, is_word};

/// Nouns of social counters (DCLM's guess at RefinedWeb's list).
const NOUNS: [&str; 12] = [
    "likes",
    "shares",
    "comments",
    "retweets",
    "reposts",
    "quotes",
    "bookmarks",
    "upvotes",
    "downvotes",
    "downloads",
    "views",
    "followers",
];

/// Whether a line is a counter and nothing else: a number, K, M or B if any, white space, a noun; no other word around them.
///
/// DCLM's pattern, in lower case: `^\W*\d(?:,|\.|\d)*(?:k|m|b)?\s+(?:likes|…)\W*$`.
#[must_use]
pub fn is_counter(line: &str) -> bool {
    // Lower-casing never makes the first word character a digit, so most lines are told by it.
    let from_word = line.trim_start_matches(|char| !is_word(char));
    if !from_word.starts_with(is_decimal) {
        return false;
    }
    let lower = python::lower(from_word);
    let rest = lower.trim_start_matches(|char| char == ',' || char == '.' || is_decimal(char));
    let rest = rest.strip_prefix(['k', 'm', 'b']).unwrap_or(rest);
    let noun = rest.trim_start_matches(is_space);
    noun.len() < rest.len()
        && NOUNS.iter().any(|name| noun.strip_prefix(name).is_some_and(|tail| !tail.contains(is_word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_anchored_at_both_ends() {
        for (line, expected) in [
            ("3 likes", true),
            ("* 1,234.5K  FOLLOWERS!", true),
            ("12 views · ", true),
            ("٣ views", true),
            ("5\u{212a} Li\u{212a}es", true),
            ("3k. likes", false),
            ("3 likes today", false),
            ("about 3 likes", false),
            ("3likes", false),
            ("3 like", false),
            ("3 likesx", false),
            ("likes", false),
            ("", false),
        ] {
            assert_eq!(is_counter(line), expected, "{line:?}");
        }
    }
}
