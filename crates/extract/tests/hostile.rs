//! Pages made to hurt: bombs end, their text is bounded, and nothing may panic. That what they cost grows with their size and
//! not faster is `growth.rs`'s.

use std::time::{Duration, Instant};

use gristmill_extract::{Algorithm, ExtractError, Extractor, Format, MainOptions, Options, charset};
use proptest::prelude::*;

mod bombs;

/// No bomb takes a hundredth of this on a slow machine.
const PATIENCE: Duration = Duration::from_mins(2);

#[test]
fn bombs() {
    let mut extractors = bombs::extractors();
    for (name, make) in bombs::all() {
        let page = make(5000);
        for (extractor_name, extractor) in &mut extractors {
            let start = Instant::now();
            let text = extractor.extract(&page).map_or(0, |text| text.len());
            assert!(start.elapsed() < PATIENCE, "{name}: {:?}, {extractor_name}", start.elapsed());
            assert!(text <= (1 << 20) + 17 * page.len(), "{name}: {text} bytes, {extractor_name}");
        }
    }
}

#[test]
fn limits() {
    let mut few = Extractor::new(Options { max_nodes: 100, ..Options::default() }).expect("options");
    assert_eq!(few.extract(&"<p>x".repeat(100)), Err(ExtractError::TooManyNodes { limit: 100 }));
    // A page that was given up leaves nothing behind.
    assert_eq!(few.extract("<p>x"), Ok("x".to_owned()));
    // Addresses of links that are opened again and again: too much to print, and before long too much to read.
    let links = Options { links: true, main_content: false, ..Options::default() };
    let mut links = Extractor::new(links).expect("options");
    let mut reopened = |bytes: usize, times: usize| {
        let page = format!("<p><a href='{}'>", "x".repeat(bytes)) + &"<p>y</p>".repeat(times);
        links.extract(&page).map(|text| text.len())
    };
    assert_eq!(reopened(30_000, 200), Err(ExtractError::TooMuchText));
    assert_eq!(reopened(100_000, 1000), Err(ExtractError::TooTangled));
}

#[test]
fn depth_is_no_limit() {
    let page = "<div>".repeat(60_000) + "<p>deep";
    let options = Options { main_content: false, ..Options::default() };
    assert_eq!(Extractor::new(options).expect("options").extract(&page), Ok("deep".to_owned()));
}

const PIECES: [&str; 94] = [
    "<",
    ">",
    "</",
    "<!",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<?",
    "&",
    "&amp",
    "&#x",
    "&#0;",
    "\0",
    "\r",
    "\n",
    "\t",
    "\u{c}",
    "'",
    "\"",
    "=",
    "/",
    "é",
    "中",
    "<p>",
    "</p>",
    "<b>",
    "</b>",
    "<a href=x>",
    "</a>",
    "<nobr>",
    "<table>",
    "</table>",
    "<tr>",
    "<td>",
    "<caption>",
    "<select>",
    "<option>",
    "</select>",
    "<svg>",
    "</svg>",
    "<math>",
    "<mi>",
    "<foreignObject>",
    "<desc>",
    "<template>",
    "</template>",
    "<script>",
    "</script>",
    "<textarea>",
    "<title>",
    "<li>",
    "<ul>",
    "</ul>",
    "<pre>",
    "<br>",
    "<form>",
    "</form>",
    "<button>",
    "<frameset>",
    "<body>",
    "</body>",
    "<div class=nav id=x>",
    "<footer>",
    "<article>",
    "<div class=entry-content>",
    "<div class=summary>",
    "<div class=comment>",
    "</div>",
    "<main>",
    "<p>Some words, and some more of them, that read as a sentence would.</p>",
    "<p>Other words, as many as it takes, for a paragraph of a page, and then a few.</p>",
    "<h1>",
    "<h2>",
    "</h2>",
    "<code>",
    "</code>",
    "`",
    "~~~",
    "```",
    "<i>",
    "</i>",
    "<blockquote>",
    "</blockquote>",
    "<dl><dd>",
    "<ol start=7>",
    "<sup>2</sup>",
    "<annotation encoding=application/x-tex>",
    "<math alttext=x>",
    "<script type=math/tex>",
    "<figure>",
    "<th>",
    "|",
    "</pre>",
];

/// What a line of Markdown holds inside quotes, lists and definitions.
fn inside(mut line: &str) -> &str {
    loop {
        let before = line;
        line = line.trim_start_matches(' ');
        let digits = line.trim_start_matches(|c: char| c.is_ascii_digit());
        let number = if digits.len() < line.len() { digits.strip_prefix(". ") } else { None };
        let marker =
            line.strip_prefix('>').or_else(|| line.strip_prefix("- ")).or_else(|| line.strip_prefix(": "));
        line = number.or(marker).unwrap_or(line);
        if line == before {
            return line;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Any page has a text, the same again from the same extractor, with nothing in it the page could not give.
    #[test]
    fn any_page(parts in proptest::collection::vec(0..PIECES.len(), 0..60), noise in ".{0,20}") {
        let mut page: String = parts.iter().map(|&at| PIECES[at]).collect();
        page.push_str(&noise);
        for (_, mut extractor) in bombs::extractors() {
            let first = extractor.extract(&page);
            prop_assert!(first.is_ok(), "{:?}", first);
            prop_assert_eq!(&first, &extractor.extract(&page));
        }
    }

    #[test]
    fn any_bytes(body in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let (page, _) = charset::decode(&body, None, charset::Charset::Detect).expect("detection never fails");
        for (_, mut extractor) in bombs::extractors() {
            prop_assert!(extractor.extract(&page).is_ok());
        }
    }

    /// Code fences of Markdown come in pairs whatever the page has in it: no line of text opens or ends one.
    #[test]
    fn fences(parts in proptest::collection::vec(0..PIECES.len(), 0..60)) {
        let page: String = parts.iter().map(|&at| PIECES[at]).collect();
        let markdown = MainOptions { format: Format::Markdown, comments: true, links: true };
        let text = Extractor::with(vec![Algorithm::Main(markdown)]).expect("options").extract(&page).expect("text");
        let mut open: Option<usize> = None;
        for line in text.lines() {
            let line = inside(line);
            let ticks = line.bytes().take_while(|&byte| byte == b'`').count();
            prop_assert!(open.is_some() || !line.starts_with("~~~"), "{}", text);
            match open {
                // With more of them behind the first it is code within a line.
                None if ticks >= 3 && !line[ticks..].contains('`') => open = Some(ticks),
                Some(opened) if ticks >= opened && line.len() == ticks => open = None,
                _ => {}
            }
        }
        prop_assert_eq!(open, None, "{}", text);
    }
}
