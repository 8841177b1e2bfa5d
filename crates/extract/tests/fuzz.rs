//! Pages nobody would write, for as long as one likes: seeds cut up, spliced, repeated and peppered with what parsers and
//! rules find hard, through every algorithm and through charset detection. Run by `make soak`, a minute long:
//!
//! ```text
//! cargo test --release -p gristmill-extract --test fuzz -- --ignored --nocapture
//! ```
//!
//! `FUZZ_SECONDS` makes it longer. It says which page it was that failed; `FUZZ_CASE` with that number does it again, alone.

use std::time::{Duration, Instant};

use gristmill_extract::charset::{self, Charset};
use gristmill_extract::{Extractor, media};

mod bombs;

/// Pages to begin with: those of the tests of trees and of Resiliparse's oddities, and small bombs.
fn seeds() -> Vec<String> {
    let trees = [
        include_str!("trees/blocks.txt"),
        include_str!("trees/foreign.txt"),
        include_str!("trees/formatting.txt"),
        include_str!("trees/select.txt"),
        include_str!("trees/structure.txt"),
        include_str!("trees/tables.txt"),
        include_str!("trees/tokens.txt"),
    ];
    let trees = trees.iter().flat_map(|file| file.lines()).filter(|line| !line.starts_with([' ', '#']));
    let oddities = include_str!("surprises.jsonl").lines().map(|line| {
        let case: serde_json::Value = serde_json::from_str(line).expect("a case a line");
        case["html"].as_str().expect("a page").to_owned()
    });
    let bombs = bombs::all().map(|(_, make)| make(20));
    trees.map(str::to_owned).chain(oddities).chain(bombs).collect()
}

/// What is thrown in: names and values that parsers, rules and layout look for.
const PIECES: [&str; 58] = [
    "<div class='nav'>",
    "<div class='entry-content' id=main>",
    "<div role=main>",
    "<div class=\"post-content l-sidebar_box\">",
    "<p class=byline>",
    "<li class=next>",
    "<footer>",
    "<article>",
    "<aside>",
    "<ul><li>",
    "</ul>",
    "<ol start=7>",
    "<table><tr><td>",
    "</table>",
    "<th>",
    "<pre>\n",
    "</pre>",
    "<code>",
    "</code>",
    "<textarea>",
    "<select><option>",
    "</select>",
    "<b k=1>",
    "</b>",
    "<a href=x>",
    "</a>",
    "<i><u><s>",
    "</i></p>",
    "<svg><desc>",
    "<math><annotation-xml encoding=text/html>",
    "</svg>",
    "<template>",
    "</template>",
    "<script><!--",
    "</script>",
    "<style>",
    "</style>",
    "<title>",
    "<body>",
    "</body></html>",
    "<frameset>",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<img alt='x  y'>",
    "<br>",
    "<input type=text value=v>",
    "&amp",
    "&#0;",
    "&NotEqualTilde;",
    "\0",
    "\r\n",
    "\u{feff}",
    "\u{17f}\u{212a}中é",
    " style='display:none'",
    "<p>Some words, and some more of them, as many as a sentence has.</p>",
    "<h1>x</h1>",
];

/// Numbers that follow from the first one (splitmix64, Steele and others 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// The longest page; larger ones are `growth.rs`'s.
const MAX_BYTES: usize = 1 << 16;

/// The page of that number.
fn page(case: u64, seeds: &[String]) -> Vec<u8> {
    let mut random = Random(case);
    let mut page = random.pick(seeds).clone().into_bytes();
    for _ in 0..=random.below(12) {
        // Most cuts are at tags, where they mean something.
        let mut cut = |page: &[u8]| {
            let at = random.below(page.len() + 1);
            match page[at..].iter().position(|byte| *byte == b'<') {
                Some(tag) if random.below(4) > 0 => at + tag,
                _ => at,
            }
        };
        let (from, to) = (cut(&page), cut(&page));
        let (from, to) = (from.min(to), from.max(to));
        match random.below(8) {
            0 => drop(page.drain(from..to)),
            1 => {
                let other = random.pick(seeds).as_bytes();
                let piece = &other[random.below(other.len() + 1)..];
                page.splice(from..from, piece.iter().copied());
            }
            2 => {
                let most = *random.pick(&[4, 40, 400]);
                let times = (1 + random.below(most)).min(MAX_BYTES / (to - from).max(1));
                let piece = page[from..to].repeat(times);
                page.splice(from..from, piece);
            }
            3 => {
                let piece = page[from..to].to_vec();
                let at = random.below(page.len() + 1);
                page.splice(at..at, piece);
            }
            4 if !page.is_empty() => {
                let at = random.below(page.len());
                page[at] ^= 1 << random.below(8);
            }
            5 => page[from..to].make_ascii_uppercase(),
            _ => {
                for _ in 0..=random.below(4) {
                    let at = from.min(page.len());
                    page.splice(at..at, random.pick(&PIECES).bytes());
                }
            }
        }
        page.truncate(MAX_BYTES);
    }
    page
}

const LABELS: [Option<&str>; 8] = [
    None,
    Some("utf-8"),
    Some("windows-1252"),
    Some("gb18030"),
    Some("shift_jis"),
    Some("iso-2022-jp"),
    Some("utf-16le"),
    Some("no such"),
];

/// Far more than any page of that size takes, in a release build on a busy machine.
fn patience(bytes: usize) -> Duration {
    Duration::from_secs(10) + Duration::from_micros(20) * bytes as u32
}

/// Every algorithm twice.
type Pairs = Vec<((&'static str, Extractor), (&'static str, Extractor))>;

fn pairs() -> Pairs {
    bombs::extractors().into_iter().zip(bombs::extractors()).collect()
}

/// Puts one page through everything.
fn check(case: u64, body: &[u8], extractors: &mut Pairs) {
    let mut random = Random(!case);
    let label = *random.pick(&LABELS);
    let (html, encoding) = charset::decode(body, label, Charset::Detect).expect("detection never fails");
    assert!(html.len() <= 4 + 3 * body.len(), "{} bytes of {encoding}", html.len());
    assert_eq!(charset::decode(body, None, Charset::Dclm).is_ok(), std::str::from_utf8(body).is_ok());
    let _ = media::of(label, body);
    for ((name, extractor), (_, other)) in extractors.iter_mut() {
        let start = Instant::now();
        let text = extractor.extract(&html);
        assert!(start.elapsed() < patience(html.len()), "{name} takes {:?}", start.elapsed());
        if let Ok(text) = &text {
            assert!(text.len() <= (1 << 20) + 17 * html.len(), "{name}: {} bytes of text", text.len());
        }
        // What an extractor has seen before does not matter: the others have seen a quarter of it.
        if case.is_multiple_of(4) {
            assert_eq!(text, other.extract(&html), "{name} remembers");
        }
    }
}

#[test]
#[ignore = "a minute; run by make soak"]
#[allow(clippy::print_stderr)]
fn pages_nobody_would_write() {
    let variable = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().expect("a number"));
    let seeds = seeds();
    let mut extractors = pairs();
    let mut fails = |case: u64| {
        let body = page(case, &seeds);
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            check(case, &body, &mut extractors);
        }));
        if checked.is_err() {
            eprintln!("FUZZ_CASE={case}: {}", body.escape_ascii());
        }
        checked.is_err()
    };
    if let Some(case) = variable("FUZZ_CASE") {
        assert!(!fails(case), "case {case}");
        return;
    }
    let first = variable("FUZZ_FIRST").unwrap_or(1);
    let until = Instant::now() + Duration::from_secs(variable("FUZZ_SECONDS").unwrap_or(60));
    let mut case = first;
    while Instant::now() < until {
        assert!(!fails(case), "case {case}");
        case += 1;
    }
    eprintln!("cases {first} to {}: nothing found", case - 1);
}

/// The fuzzer sees what goes wrong, and makes the same page of the same number.
#[test]
fn pages_are_what_their_numbers_say() {
    let seeds = seeds();
    let pages: Vec<Vec<u8>> = (0..200).map(|case| page(case, &seeds)).collect();
    assert!((0..200).all(|case| page(case, &seeds) == pages[case as usize]));
    let different: std::collections::BTreeSet<&Vec<u8>> = pages.iter().collect();
    assert!(different.len() > 190, "{}", different.len());
    // Some are cut within characters, some are large, and none is beyond measure.
    assert!(pages.iter().any(|page| std::str::from_utf8(page).is_err()));
    assert!(pages.iter().any(|page| page.len() > MAX_BYTES / 2));
    let mut extractors = pairs();
    for (case, page) in pages.iter().enumerate().take(20) {
        check(case as u64, page, &mut extractors);
    }
}
