//! Pages made to hurt: bombs must cost time and memory in proportion to their size, and nothing may panic.

use std::time::{Duration, Instant};

use gristmill_extract::{
    Algorithm, ExtractError, Extractor, Format, JustextOptions, MainOptions, Options, Version, charset,
};
use proptest::prelude::*;

/// No bomb below takes a tenth of this on a slow machine; what is quadratic takes minutes.
const PATIENCE: Duration = Duration::from_secs(20);

fn extractors() -> Vec<Extractor> {
    let all = Options {
        main_content: false,
        links: true,
        form_fields: true,
        noscript: true,
        skip_elements: vec!["x > y z".to_owned()],
        ..Options::default()
    };
    let mut extractors = Vec::new();
    for version in [Version::V0_14_7, Version::V2_0_1] {
        for options in [Options::default(), all.clone()] {
            extractors.push(Extractor::new(Options { version, ..options }).expect("options"));
        }
    }
    let markdown = MainOptions { format: Format::Markdown, comments: true, links: true };
    for algorithm in [
        Algorithm::Main(MainOptions::default()),
        Algorithm::Main(markdown),
        Algorithm::Justext(JustextOptions::default()),
        Algorithm::Justext(JustextOptions { all_paragraphs: true, ..JustextOptions::default() }),
        Algorithm::Justext(JustextOptions { all_paragraphs: true, lxml: true, ..JustextOptions::default() }),
        Algorithm::BeautifulSoup,
    ] {
        extractors.push(Extractor::with(vec![algorithm]).expect("options"));
    }
    extractors
}

#[test]
fn bombs() {
    let n = 20_000;
    let numbered = |make: &dyn Fn(usize) -> String| (0..n).map(make).collect::<String>();
    let bombs = [
        ("deep div", "<div>".repeat(n)),
        ("deep div, li each", "<div>".repeat(n) + &"<li></li>".repeat(n)),
        ("deep span, stray ends", "<x><div>".to_owned() + &"<span>".repeat(n) + &"</x></y></p>".repeat(n)),
        ("deep foreign, stray ends", "<svg>".to_owned() + &"<g>".repeat(n) + &"</x>".repeat(n)),
        ("deep tables", "<table><tr><td>".repeat(n)),
        ("deep lists with text", "<ul><li>x".repeat(n)),
        ("deep footers", "<div><div>".to_owned() + &"<footer>a".repeat(n) + "</div>x"),
        ("deep links", "<svg>".to_owned() + &"<a>x".repeat(n)),
        ("resets", "<div>".repeat(n) + &"<table></table><select></select>".repeat(n)),
        ("formatting", numbered(&|i| format!("<b a={i}>x"))),
        ("formatting in blocks", numbered(&|i| format!("<b a={i}>")) + &"<p>x</p></div>".repeat(n)),
        ("adoption", "<a><b><i><u><s>".to_owned() + &"<div>".repeat(n) + &"</a></b></i></u></s>".repeat(n)),
        ("adoption out of scope", "<b><svg><desc>".to_owned() + &"<i>".repeat(n) + &"</b>".repeat(n)),
        ("nobr and marquee", "<nobr><marquee><table>".repeat(n)),
        ("attributes", "<p ".to_owned() + &numbered(&|i| format!("a{i}=x ")) + ">x"),
        ("equal attributes", "<a ".to_owned() + &"class=x id=y ".repeat(n) + ">x"),
        ("open quote", "<a href='".to_owned() + &"x\">".repeat(n)),
        ("open tags", "<a ".repeat(n)),
        ("less-than", "<".repeat(n)),
        ("ampersands", "&".repeat(n)),
        ("long reference", "&".to_owned() + &"a".repeat(n) + "; &#" + &"9".repeat(n)),
        ("open comments", "<!--".repeat(n)),
        ("dashes", "<!-".to_owned() + &"-".repeat(n)),
        ("open CDATA", "<svg>".to_owned() + &"<![CDATA[".repeat(n)),
        ("open scripts", "<script><!--<script>".repeat(n)),
        ("raw ends", "<style>".to_owned() + &"</styl".repeat(n)),
        ("NULs", "\0".repeat(n) + &"<p>\0x\0".repeat(n)),
        ("foster", "<table>".to_owned() + &"x<tr>y<b>".repeat(n)),
        ("text in pieces", "<table>".to_owned() + &"x</>".repeat(n)),
        ("templates", "<template>".repeat(n) + "x"),
        ("unknown names", numbered(&|i| format!("<x-{i}>"))),
        ("one long class", format!("<div class='{}'>x", "nav-x ".repeat(n))),
        ("doctype", "<!doctype ".to_owned() + &"html public \"".repeat(n)),
        ("deep comments", "<div class=comment>x, y. ".repeat(n)),
        ("links side by side", "<div><a href=x>long enough to count</a></div>".repeat(n)),
        ("breaks in deep spans", "<span>".repeat(n) + &"x<br><br>".repeat(n)),
        ("formulas", "<math><mi>x<annotation encoding=application/x-tex>y</annotation>".repeat(n)),
        ("formulas in formulas", "<math><semantics>".repeat(n) + "x"),
        ("code in code", "<code>`x".repeat(n)),
        ("code side by side", "<pre class='language-x'>x</pre>".repeat(n)),
        ("emphasis over lines", "<b><i>".repeat(20) + &"<p>x, y".repeat(n)),
        ("quotations", "<blockquote>x".repeat(n)),
        ("rows without end", "<table><tr>".to_owned() + &"<td>x".repeat(n)),
        ("definitions", "<dl><dt>x<dd>".repeat(n)),
        ("leads", "<div class=summary><p>Some words, and more of them here.</p></div>".repeat(n)),
        ("headings", "<h2>x</h2>".repeat(n)),
        ("deep articles", "<article class=entry-content>".repeat(n) + "<p>x"),
        ("figures", "<figure>".repeat(n) + "x"),
        ("hidden", "<div hidden>".repeat(n) + "x"),
        ("titles in banners", "<div class=banner><h1>x</h1>".repeat(n)),
        ("long addresses reopened", format!("<p><a href='{}'>", "x".repeat(n)) + &"<p>y</p>".repeat(n)),
    ];
    let mut extractors = extractors();
    for (name, page) in &bombs {
        for extractor in &mut extractors {
            let start = Instant::now();
            let text = extractor.extract(page).map_or(0, |text| text.len());
            assert!(start.elapsed() < PATIENCE, "{name}: {:?}, {extractor:?}", start.elapsed());
            assert!(text <= (1 << 20) + 17 * page.len(), "{name}: {text} bytes");
        }
    }
}

#[test]
fn limits() {
    let mut few = Extractor::new(Options { max_nodes: 100, ..Options::default() }).expect("options");
    assert_eq!(few.extract(&"<p>x".repeat(100)), Err(ExtractError::TooManyNodes { limit: 100 }));
    // A page that was given up leaves nothing behind.
    assert_eq!(few.extract("<p>x"), Ok("x".to_owned()));
    let links = Options { links: true, main_content: false, ..Options::default() };
    let page = format!("<p><a href='{}'>", "x".repeat(100_000)) + &"<p>y</p>".repeat(1000);
    let text = Extractor::new(links).expect("options").extract(&page).map(|text| text.len());
    assert_eq!(text, Err(ExtractError::TooMuchText));
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
        for mut extractor in extractors() {
            let first = extractor.extract(&page);
            prop_assert!(first.is_ok(), "{:?}", first);
            prop_assert_eq!(&first, &extractor.extract(&page));
        }
    }

    #[test]
    fn any_bytes(body in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let (page, _) = charset::decode(&body, None, charset::Charset::Detect).expect("detection never fails");
        for mut extractor in extractors() {
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
                None if ticks >= 3 => open = Some(ticks),
                Some(opened) if ticks >= opened && line.len() == ticks => open = None,
                _ => {}
            }
        }
        prop_assert_eq!(open, None, "{}", text);
    }
}
