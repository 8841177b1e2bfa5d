//! Pages made to hurt, each by the number of its parts, and every way of extracting them.

#![allow(dead_code, reason = "each test uses its share")]

use gristmill_extract::{Algorithm, Extractor, Format, JustextOptions, MainOptions, Options, Version};

/// All algorithms, with the options that cost least and most.
pub(crate) fn extractors() -> Vec<(&'static str, Extractor)> {
    let all = Options {
        main_content: false,
        links: true,
        form_fields: true,
        noscript: true,
        skip_elements: vec!["x > y z".to_owned(), ".q > b, [style*=q], p .r [id~=s] i".to_owned()],
        ..Options::default()
    };
    let resiliparse =
        |version, options: &Options| Algorithm::Resiliparse(Options { version, ..options.clone() });
    let markdown = MainOptions { format: Format::Markdown, comments: true, links: true };
    let paragraphs = JustextOptions { all_paragraphs: true, ..JustextOptions::default() };
    [
        ("resiliparse 0.14.7", resiliparse(Version::V0_14_7, &Options::default())),
        ("resiliparse 0.14.7, all text", resiliparse(Version::V0_14_7, &all)),
        ("resiliparse 2.0.1", resiliparse(Version::V2_0_1, &Options::default())),
        ("resiliparse 2.0.1, all text", resiliparse(Version::V2_0_1, &all)),
        ("main", Algorithm::Main(MainOptions::default())),
        ("main, markdown", Algorithm::Main(markdown)),
        ("justext", Algorithm::Justext(JustextOptions::default())),
        ("justext, all paragraphs", Algorithm::Justext(paragraphs.clone())),
        ("justext, lxml", Algorithm::Justext(JustextOptions { lxml: true, ..paragraphs })),
        ("Beautiful Soup", Algorithm::BeautifulSoup),
    ]
    .map(|(name, algorithm)| (name, Extractor::with(vec![algorithm]).expect("options")))
    .into()
}

type Bomb = (&'static str, fn(usize) -> String);

fn numbered(n: usize, make: impl Fn(usize) -> String) -> String {
    (0..n).map(make).collect()
}

/// What bursts in the parser.
pub(crate) const SYNTAX: &[Bomb] = &[
    ("attributes", |n| format!("<p {}>x", numbered(n, |i| format!("a{i}=x ")))),
    ("equal attributes", |n| format!("<a {}>x", "class=x id=y ".repeat(n))),
    ("attributes of formatting", |n| numbered(n / 40, |i| format!("<b {}>x", "k= ".repeat(i % 40)))),
    ("attributes of end tags", |n| format!("<p>{}", "</p a='x' b=y>".repeat(n))),
    ("open quote", |n| format!("<a href='{}", "x\">".repeat(n))),
    ("open quotes", |n| "<a b='\"".repeat(n)),
    ("open tags", |n| "<a ".repeat(n)),
    ("open end tags", |n| "</a ".repeat(n)),
    ("slashes", |n| format!("<a {}", "/ ".repeat(n))),
    ("equals signs", |n| format!("<a {}>x", "= ".repeat(n))),
    ("less-than", |n| "<".repeat(n)),
    ("ampersands", |n| "&".repeat(n)),
    ("ampersands in a value", |n| format!("<p class='{}'>x", "&".repeat(n))),
    ("references", |n| "&amp;&copy&#0;&#x110000;&NotEqualTilde;&nosuch;".repeat(n)),
    ("long reference", |n| format!("&{}; &#{}", "a".repeat(n), "9".repeat(n))),
    ("long names", |n| format!("<{0}>x</{0}><a {0}={0}>", "n".repeat(n))),
    ("unknown names", |n| numbered(n, |i| format!("<x-{i}>"))),
    ("comments", |n| "<!---->x".repeat(n)),
    ("open comments", |n| "<!--".repeat(n)),
    ("half closed comments", |n| format!("<!--{}", "--!-".repeat(n))),
    ("dashes", |n| format!("<!-{}", "-".repeat(n))),
    ("bogus comments", |n| "<?x></?><!x>".repeat(n)),
    ("open CDATA", |n| format!("<svg>{}", "<![CDATA[".repeat(n))),
    ("half closed CDATA", |n| format!("<svg><![CDATA[{}", "]]".repeat(n))),
    ("CDATA sections", |n| format!("<svg>{}", "<![CDATA[x]]>".repeat(n))),
    ("open scripts", |n| "<script><!--<script>".repeat(n)),
    ("scripts in comments", |n| format!("<script>{}", "<!--<script></script>".repeat(n))),
    ("raw ends", |n| format!("<style>{}", "</styl".repeat(n))),
    ("raw ends, nearly", |n| format!("<textarea>{}", "</textareas>&amp".repeat(n))),
    ("plaintext", |n| format!("<plaintext>{}", "</plaintext>\0".repeat(n))),
    ("NULs", |n| "\0".repeat(n) + &"<p>\0x\0".repeat(n)),
    ("NULs in names and values", |n| "<p\0 a\0=\0 class='\0x'>".repeat(n)),
    ("NULs in foreign content", |n| format!("<svg>{}", "\0x<g/>".repeat(n))),
    ("carriage returns", |n| "\r\n\rx".repeat(n)),
    ("doctype", |n| format!("<!doctype {}", "html public \"".repeat(n))),
    ("doctypes", |n| "<!doctype html>".repeat(n)),
    ("bases and metas", |n| "<base href=x><meta charset=y>".repeat(n)),
    ("html and body", |n| "<html a=b><body c=d></body></html>x".repeat(n)),
    ("heads", |n| "<head><title>x</title></head>".repeat(n)),
    ("framesets", |n| "<frameset><frame></frameset>".repeat(n)),
];

/// What bursts in the tree.
pub(crate) const TREE: &[Bomb] = &[
    ("deep div", |n| "<div>".repeat(n)),
    ("deep div, li each", |n| "<div>".repeat(n) + &"<li></li>".repeat(n)),
    ("deep span, stray ends", |n| "<x><div>".to_owned() + &"<span>".repeat(n) + &"</x></y></p>".repeat(n)),
    ("deep foreign, stray ends", |n| "<svg>".to_owned() + &"<g>".repeat(n) + &"</x>".repeat(n)),
    ("deep foreign, break out", |n| "<div>".repeat(n) + &"<svg><g><p>x</p>".repeat(n)),
    ("integration points", |n| "<svg><foreignObject><math><mi>x".repeat(n)),
    ("annotations", |n| "<math><annotation-xml encoding=text/html><svg>".repeat(n)),
    ("deep tables", |n| "<table><tr><td>".repeat(n)),
    ("tables in tables", |n| "<table><table>x".repeat(n)),
    ("captions and columns", |n| "<table>".to_owned() + &"<caption>x<col><colgroup>y".repeat(n)),
    ("deep lists with text", |n| "<ul><li>x".repeat(n)),
    ("items in spans", |n| "<li><span>x".repeat(n)),
    ("definitions in spans", |n| "<dd><span><dt><i>x".repeat(n)),
    ("paragraphs in buttons", |n| "<p><button>x".repeat(n)),
    ("headings open", |n| "<h1><h2>x".repeat(n)),
    ("rubies", |n| "<ruby>x<rt>y<rp>z<rtc>".repeat(n)),
    ("forms", |n| "<form><div></form>x".repeat(n)),
    ("resets", |n| "<div>".repeat(n) + &"<table></table><select></select>".repeat(n)),
    ("options", |n| "<select>".to_owned() + &"<option>x<optgroup>".repeat(n)),
    ("selects", |n| "<select><p>x".repeat(n)),
    ("selects in tables", |n| "<table><tr><td><select><tr>x".repeat(n)),
    ("formatting", |n| numbered(n, |i| format!("<b a={i}>x"))),
    ("formatting alike", |n| "<b>x".repeat(n)),
    ("formatting in blocks", |n| numbered(n, |i| format!("<b a={i}>")) + &"<p>x</p></div>".repeat(n)),
    ("formatting of all kinds", |n| "<i><b><u><em><font><code><tt><s>x<p>".repeat(n)),
    ("links open", |n| "<a>x".repeat(n)),
    ("links in paragraphs", |n| "<p><a href=x>y".repeat(n)),
    ("links in tables", |n| "<a>x<table><a>y".repeat(n)),
    ("adoption", |n| "<a><b><i><u><s>".to_owned() + &"<div>".repeat(n) + &"</a></b></i></u></s>".repeat(n)),
    ("adoption, children", |n| "<b><p>".to_owned() + &"x<br>".repeat(n) + &"</b>".repeat(n)),
    ("adoption, again", |n| "<b><div>x</b>".repeat(n)),
    ("adoption out of scope", |n| "<b><svg><desc>".to_owned() + &"<i>".repeat(n) + &"</b>".repeat(n)),
    ("ends in the wrong order", |n| "<b><i><p></b>x</i>y</p>".repeat(n)),
    ("nobr and marquee", |n| "<nobr><marquee><table>".repeat(n)),
    ("markers", |n| "<b><object>".repeat(n) + &"</object>x".repeat(n)),
    ("foster", |n| "<table>".to_owned() + &"x<tr>y<b>".repeat(n)),
    ("foster, links", |n| "<table>".to_owned() + &"<a>x<td>".repeat(n)),
    ("foster, blocks", |n| "<table>".to_owned() + &"<p>x<div>y</table>".repeat(n)),
    ("text in pieces", |n| "<table>".to_owned() + &"x</>".repeat(n)),
    ("text in pieces, decoded", |n| "<b>".to_owned() + &"&amp;x</y>z".repeat(n)),
    ("templates", |n| "<template>".repeat(n) + "x"),
    ("templates and their ends", |n| "<template><tr><td>x</template>".repeat(n)),
    ("template modes", |n| "<template>".to_owned() + &"<col><tr><td><div>x".repeat(n)),
    ("long addresses reopened", |n| format!("<p><a href='{}'>", "x".repeat(n)) + &"<p>y</p>".repeat(n)),
    ("long classes reopened", |n| format!("<p><b class='{}'>", "x ".repeat(n)) + &"<p>y</p>".repeat(n)),
    ("long ids reopened", |n| format!("<p><b id='{}'>", "x-".repeat(n)) + &"<p>y</p>".repeat(n)),
    ("blank values reopened", |n| {
        let blank = " ".repeat(n);
        format!("<p><b rel='{blank}' itemprop='{blank}' style='{blank}' aria-hidden='{blank}' class=c>")
            + &"<p>y</p>".repeat(n)
    }),
];

/// What bursts in an extractor.
pub(crate) const CONTENT: &[Bomb] = &[
    ("one long class", |n| format!("<div class='{}'>x", "nav-x ".repeat(n))),
    ("class without blanks", |n| format!("<div class='{}'>x", "article".repeat(n))),
    ("class of beginnings", |n| {
        format!("<div class='{}'>x", "l-global_page-site-related-user-post_meta-ad_0f wide single-".repeat(n))
    }),
    ("class of dashes", |n| format!("<div class='post{0}links{0}by{0}'>x", "_-".repeat(n))),
    ("class beyond ASCII", |n| format!("<div class='{}'>x", "\u{17f}ocial-\u{212a} ſide中".repeat(n))),
    ("classes all different", |n| numbered(n, |i| format!("<div class='nav-{i} entry-{i}' id={i}>x</div>"))),
    ("classes too long to remember", |n| format!("<p class='{}' id=x>y</p>", "nav-x ".repeat(25)).repeat(n)),
    ("long id", |n| format!("<div id='{}'>x", "wp-_".repeat(n))),
    ("long style", |n| format!("<div class=x style='{}'>x", "display : ; ".repeat(n))),
    ("long role", |n| format!("<div role='{}'>x", "main ".repeat(n))),
    ("deep footers", |n| "<div><div>".to_owned() + &"<footer>a".repeat(n) + "</div>x"),
    ("deep links", |n| "<svg>".to_owned() + &"<a>x".repeat(n)),
    ("deep comments", |n| "<div class=comment>x, y. ".repeat(n)),
    ("links side by side", |n| "<div><a href=x>long enough to count</a></div>".repeat(n)),
    ("breaks in deep spans", |n| "<span>".repeat(n) + &"x<br><br>".repeat(n)),
    ("blanks", |n| "<p> ".repeat(n) + &" x\u{a0} ".repeat(n)),
    ("blanks between", |n| format!("<p>x{}y", " \u{b}\n".repeat(n))),
    ("preformatted", |n| "<pre>\n\n".repeat(n) + &"x\n ".repeat(n)),
    ("items without text", |n| "<ol><li></ol>".repeat(n) + &"<li>".repeat(n)),
    ("marks of content", |n| "<div class='post-content main-content'>x".repeat(n)),
    ("images", |n| "<img alt=' x  y'>".repeat(n)),
    ("fields", |n| "<input value=x><textarea>y</textarea><button>z".repeat(n)),
    ("formulas", |n| "<math><mi>x<annotation encoding=application/x-tex>y</annotation>".repeat(n)),
    ("formulas in formulas", |n| "<math><semantics>".repeat(n) + "x"),
    ("code in code", |n| "<code>`x".repeat(n)),
    ("code side by side", |n| "<pre class='language-x'>x</pre>".repeat(n)),
    ("backticks", |n| format!("<pre>{}", "`".repeat(n)) + &"\n```".repeat(n)),
    ("emphasis over lines", |n| "<b><i>".repeat(20) + &"<p>x, y".repeat(n)),
    ("quotations", |n| "<blockquote>x".repeat(n)),
    ("rows without end", |n| "<table><tr>".to_owned() + &"<td>x".repeat(n)),
    ("rows of all widths", |n| {
        "<table>".to_owned() + &numbered(n / 8, |i| format!("<tr>{}", "<td>x".repeat(i % 16)))
    }),
    ("one wide row", |n| "<table>".to_owned() + &"<tr><td>x".repeat(n) + "<tr>" + &"<td>y".repeat(n)),
    ("definitions", |n| "<dl><dt>x<dd>".repeat(n)),
    ("leads", |n| "<div class=summary><p>Some words, and more of them here.</p></div>".repeat(n)),
    ("headings", |n| "<h2>x</h2>".repeat(n)),
    ("deep articles", |n| "<article class=entry-content>".repeat(n) + "<p>x"),
    ("figures", |n| "<figure>".repeat(n) + "x"),
    ("hidden", |n| "<div hidden>".repeat(n) + "x"),
    ("titles in banners", |n| "<div class=banner><h1>x</h1>".repeat(n)),
    ("words", |n| "<p>".to_owned() + &"the of and ".repeat(n)),
    ("paragraphs", |n| "<p>Some words, and more of them here, as many as a sentence has.</p>".repeat(n)),
    ("paragraphs undecided", |n| {
        "<p>The words of a paragraph that is neither long nor short, and so on, and on, and on.</p>".repeat(n)
    }),
];

pub(crate) fn all() -> impl Iterator<Item = &'static Bomb> {
    SYNTAX.iter().chain(TREE).chain(CONTENT)
}
