//! The extractor `main` on pages made like those of widely used templates: what has to be in the text, and what not.

use gristmill_extract::{Algorithm, Extractor, Format, MainOptions};

const PROSE: [&str; 4] = [
    "The mill had stood by the river for three hundred years, and nobody could remember who had built it first.",
    "When the water was low in summer, the miller repaired the wheel, dressed the stones and oiled the bearings.",
    "Farmers came from as far as the coast, because the flour was finer there than in any of the towns nearby.",
    "After the war the wheel stopped for good; today it drives a small generator, and the house is a museum.",
];

fn extract(options: MainOptions, page: &str) -> String {
    Extractor::with(vec![Algorithm::Main(options)]).expect("options").extract(page).expect("text")
}

fn check(page: &str, wanted: &[&str], unwanted: &[&str]) {
    let text = extract(MainOptions::default(), page);
    for part in wanted {
        assert!(text.contains(part), "without {part:?}:\n{text}");
    }
    for part in unwanted {
        assert!(!text.contains(part), "with {part:?}:\n{text}");
    }
}

fn frame(main: &str) -> String {
    format!(
        "<!doctype html><title>T</title><body class='home with-sidebar'>
        <div id=cookie-banner><p>We use cookies to improve your visit, to measure our audience, and for advertising.</p>
        <button>Accept</button></div>
        <header class=site-header><a href=/>Mill News</a><nav><ul><li><a href=/a>World</a><li><a href=/b>Sport</a></ul></nav></header>
        <div class=breadcrumbs><a href=/>Home</a> » <a href=/m>Mills</a></div>
        {main}
        <div class=sidebar><h3>Popular</h3><ul><li><a href=/1>Ten mills to see before you die</a><li><a href=/2>A day on the river</a></ul></div>
        <footer><p>© 2024 Mill News. All rights reserved. Read our privacy policy.</p></footer>"
    )
}

#[test]
fn article() {
    let [a, b, c, d] = PROSE;
    let page = frame(&format!(
        "<article class='post tag-mills category-news'><h1>The last mill</h1><p class=byline>By Ann Miller, 3 May 2024</p>
        <div class=share-buttons><a href=f>Facebook</a> <a href=t>Twitter</a></div>
        <div class=entry-content><p>{a}</p><figure><img src=i><figcaption>The mill in 1910. Photo: City archive.</figcaption></figure>
        <p>{b}</p><p><strong>Read more: <a href=/x>How stones are dressed</a></strong></p>
        <h2>Decline</h2><p>{c}</p><blockquote class=twitter-tweet><p>What a lovely old mill this is, isn't it?</p></blockquote>
        <ul><li>Built in 1710</li><li>Closed in 1951</li></ul><p>{d}</p>
        <div class=newsletter-signup><h3>Newsletter</h3><p>Get the best of Mill News in your inbox every morning.</p></div></div>
        <section class=related-posts><h2>Related</h2><ul><li><a href=/y>Windmills of the north</a></ul></section>
        <div id=comments><h2>2 comments</h2><p>What a nice article, I have been there many times myself.</p><p>So have I, it is lovely.</p></div>
        </article>"
    ));
    check(
        &page,
        &[a, b, "Decline", c, "What a lovely old mill", "- Built in 1710\n- Closed in 1951", d],
        &[
            "cookies",
            "World",
            "Facebook",
            "Read more",
            "Newsletter",
            "inbox",
            "Related",
            "Windmills of",
            "nice article",
            "Popular",
            "privacy",
            "City archive",
        ],
    );
    let with_comments = extract(MainOptions { comments: true, ..MainOptions::default() }, &page);
    assert!(with_comments.contains("What a nice article"), "{with_comments}");
}

#[test]
fn forum_thread() {
    let posts: String = PROSE
        .iter()
        .enumerate()
        .map(|(at, text)| {
            format!(
                "<div class='post bg1' id=p{at}><dl class=postprofile><dt><a href=/u{at}>user{at}</a></dt><dd>Posts: 12</dd><dd>Joined: 2019</dd></dl>
                <div class=postbody><h3><a href=#p{at}>Re: Old mills</a></h3><p class=author>by <a href=/u{at}>user{at}</a> » 3 May 2024</p>
                <div class=content>{text}<br><br>It says so here.</div><div class=signature>Life is a mill</div></div></div>"
            )
        })
        .collect();
    let page = frame(&format!(
        "<div id=page-body><h2><a href=/t>Old mills</a></h2><div class=pagination>Page 1 of 3 <a href=2>2</a> <a href=3>3</a></div>{posts}</div>"
    ));
    check(&page, &PROSE, &["Posts: 12", "Page 1 of", "Popular", "Life is a mill"]);
}

#[test]
fn comments_that_are_the_page() {
    let comments: String = PROSE
        .iter()
        .map(|text| format!("<tr class=comment><td><span class=commtext>{text}</span></td></tr>"))
        .collect();
    check(&frame(&format!("<table class=comment-tree>{comments}</table>")), &PROSE, &["Popular", "World"]);
}

#[test]
fn question_with_answers() {
    let [a, b, c, _] = PROSE;
    let page = frame(&format!(
        "<main id=content><div itemscope itemtype='https://schema.org/QAPage'><h1>How do I dress a millstone?</h1>
        <div class=question><div class=votecell><span class=vote-count>12</span></div><div class='s-prose js-post-body'><p>{a}</p><pre><code>fn main() {{\n    grind();\n}}</code></pre></div>
        <div class='post-taglist'><a href=/t1>mill</a> <a href=/t2>stone</a></div></div>
        <h2>2 Answers</h2>
        <div class=answer itemtype='https://schema.org/Answer' itemscope><div class='s-prose'><p>{b}</p></div><div class=user-info>answered May 3 by <a href=/u>Ann</a></div></div>
        <div class=answer itemtype='https://schema.org/Answer' itemscope><div class='s-prose'><p>{c}</p></div></div></div></main>"
    ));
    check(&page, &["How do I dress", a, b, c, "fn main() {\n    grind();\n}"], &["Popular", "stone\n"]);
}

#[test]
fn product() {
    let [a, b, ..] = PROSE;
    let page = frame(&format!(
        "<main><div class=product><h1 class=product-title>Hand mill M1</h1><p class=price>€ 249.00</p>
        <div class=product-short-description><p>{a}</p></div><form class=cart><input type=number value=1><button>Add to cart</button></form>
        <div class=tabs><h2>Description</h2><p>{b}</p><ul><li>Steel burrs</li><li>Weight 2.4 kg</li></ul>
        <table><tr><th>Height</th><td>30 cm</td></tr><tr><th>Colour</th><td>black</td></tr></table></div></div>
        <section class='related products'><h2>You may also like</h2><ul><li><a href=/m2><h3>Hand mill M2</h3><span>€ 299.00</span></a></ul></section></main>"
    ));
    check(
        &page,
        &["Hand mill M1", a, b, "- Steel burrs\n- Weight 2.4 kg", "Height | 30 cm\nColour | black"],
        &["Add to cart", "You may also like", "Hand mill M2", "Popular"],
    );
}

#[test]
fn listing() {
    let cards: String = (1..9)
        .map(|at| {
            format!(
                "<li class=product-card><a href=/p{at}><h3>Hand mill number {at}</h3></a><p>Grinds up to {at} kilos an hour.</p><span class=price>€ {at}99</span></li>"
            )
        })
        .collect();
    let page = frame(&format!(
        "<main><h1>Hand mills</h1><p>All our hand mills at a glance.</p><ul class=products>{cards}</ul><nav class=pagination><a href=2>Next</a></nav></main>"
    ));
    check(
        &page,
        &["Hand mills", "All our hand mills", "Hand mill number 1", "Grinds up to 8 kilos", "€ 899"],
        &["Next", "Popular", "World"],
    );
}

#[test]
fn blog_index() {
    let posts: String = PROSE
        .iter()
        .enumerate()
        .map(|(at, text)| {
            format!("<article class=post><h2 class=entry-title><a href=/{at}>Post number {at}</a></h2><div class=entry-summary><p>{text}</p><a class=more-link href=/{at}>Continue reading</a></div></article>")
        })
        .collect();
    let page = frame(&format!("<main class=site-main>{posts}</main>"));
    check(&page, &[PROSE[0], PROSE[3], "Post number 0", "Post number 3"], &["Popular", "World"]);
}

#[test]
fn documentation() {
    let [a, b, ..] = PROSE;
    let page = frame(&format!(
        "<div class=document><div class=sphinxsidebar><ul><li><a href=a>Intro</a><li><a href=b>API</a></ul></div><div class=body role=main>
        <section id=mill><h1>mill<a class=headerlink href=#mill>¶</a></h1><p>{a}</p>
        <div class='highlight-python notranslate'><div class=highlight><table><tr><td class=linenos><div class=linenodiv><pre>1\n2</pre></div></td><td class=code><pre><span>def</span> grind(x):\n    <span>return</span> x\n</pre></td></tr></table></div></div>
        <div class='admonition note'><p class=admonition-title>Note</p><p>{b}</p></div>
        <dl><dt><code>grind</code>(<em>x</em>)</dt><dd><p>Grinds x.</p></dd></dl>
        <p>See also <a class='reference internal' href=x><code>functools.partial()</code></a>, which is of use here, too.</p></section></div></div>"
    ));
    check(
        &page,
        &[
            "mill\n",
            a,
            "def grind(x):\n    return x",
            "Note",
            b,
            "grind(x)\nGrinds x.",
            "functools.partial()",
        ],
        &["Intro", "¶", "1\n2"],
    );
}

#[test]
fn old_layout_in_tables() {
    let [a, b, c, d] = PROSE;
    let page = format!(
        "<html><body bgcolor=white><table width=100%><tr><td colspan=2><a href=/>Home</a> | <a href=/a>About</a> | <a href=/b>Links</a></td></tr>
        <tr><td width=120><font size=1><a href=1>One</a><br><a href=2>Two</a><br><a href=3>Three</a></font></td>
        <td><font size=4><b>The mill</b></font><br><br>{a}<br><br>{b}<br><br>{c} {d}</td></tr></table>"
    );
    check(&page, &[a, b, c, d], &["About", "Three", " | "]);
}

#[test]
fn other_scripts() {
    let text = "水车是一种古老的机械，利用水流的力量来磨面。几百年来，它一直是村庄里最重要的建筑，人们从很远的地方赶来。";
    let page = frame(&format!("<div class=article><h1>水车</h1><p>{text}</p><p>{text}夏天。</p></div>"));
    check(&page, &[text, "夏天。"], &["Popular", "World"]);
    let text = "كانت الطاحونة تقف بجانب النهر منذ ثلاثمئة عام، ولم يكن أحد يتذكر من بناها؟ واليوم هي متحف صغير يزوره الناس.";
    check(
        &frame(&format!("<div class=article dir=rtl><p>{text}</p><p>{text} نعم.</p></div>")),
        &[text],
        &["Popular"],
    );
}

#[test]
fn formulas() {
    let [a, ..] = PROSE;
    let page = frame(&format!(
        "<article><p>{a} The energy is <span class=katex><span class=katex-mathml><math><semantics><mrow><mi>E</mi></mrow><annotation encoding='application/x-tex'>E = mc^2</annotation></semantics></math></span><span class=katex-html aria-hidden=true>E=mc2</span></span>, that is
        <script type='math/tex; mode=display'>\\int_0^1 x\\,dx</script><span class=mwe-math-element><span style='display: none;'><math alttext='{{\\displaystyle a^{{2}}}}'><mi>a</mi></math></span><img class=mwe-math-fallback-image-inline alt='{{\\displaystyle a^{{2}}}}'></span>
        or 10<sup>6</sup> times <img class=latex alt='x_1'> and <math><mi>y</mi><mo>=</mo><mn>1</mn></math>.<sup class=reference><a href=#1>[1]</a></sup></p></article>"
    ));
    check(
        &page,
        &["$E = mc^2$", "$$\\int_0^1 x\\,dx$$", "$a^{2}$", "10^6 times", "$x_1$", "$y = 1$"],
        &["mc2", "[1]", "displaystyle"],
    );
}

#[test]
fn markdown() {
    let [a, b, c, _] = PROSE;
    let page = frame(&format!(
        "<article><h1>Mills</h1><p>{a} <b>Bold <i>and italic</i></b> and <code>code</code>, a <a href='/x'>link</a>.</p><h2>List</h2><p>{b}</p>
        <ol start=3><li>Three<ul><li>Inner</li></ul></li><li><p>Four</p><p>More</p></li></ol><blockquote><p>{c}</p></blockquote>
        <pre class='lang-rust'>let a = \"```\";\n  b</pre><table><caption>C</caption><tr><th>A</th><th>B</th></tr><tr><td>1|2</td><td></td></tr><tr><td>3</td><td><b>4</b></td></tr></table></article>"
    ));
    let markdown = MainOptions { format: Format::Markdown, ..MainOptions::default() };
    let expected = format!(
        "# Mills\n\n{a} **Bold *and italic*** and `code`, a link.\n\n## List\n\n{b}\n\n3. Three\n   - Inner\n4. Four\n   More\n\n> {c}\n\n````rust\nlet a = \"```\";\n  b\n````\n\nC\n\n| A | B |\n| --- | --- |\n| 1\\|2 | |\n| 3 | **4** |"
    );
    assert_eq!(extract(markdown.clone(), &page), expected);
    assert!(extract(MainOptions { links: true, ..markdown }, &page).contains("a [link](/x)."));
}

/// Markdown that means what the page does, however awkward that is.
#[test]
fn markdown_reads_back() {
    let [a, b, ..] = PROSE;
    let markdown = |links, body: &str| {
        let page = frame(&format!("<article><h1>Mills</h1><p>{a}</p>{body}<p>{b}</p></article>"));
        let text = extract(MainOptions { format: Format::Markdown, links, ..MainOptions::default() }, &page);
        let text = text.strip_prefix(&format!("# Mills\n\n{a}\n\n")).expect("the beginning").to_owned();
        text.strip_suffix(&format!("\n\n{b}")).expect("the end").to_owned()
    };
    for (body, expected) in [
        // Backticks in code.
        (
            "<p>Use <code>a `b` c</code> or <code>`</code> or <code>x``</code>.",
            "Use ``a `b` c`` or `` ` `` or ``` x`` ```.",
        ),
        ("<p>In <code>one <tt>two</tt> three</code> here.", "In `one two three` here."),
        // Brackets in links, and blanks and parentheses in addresses.
        (
            "<p>A <a href='/w/Mill_(grinding) x'>mill [1] of <code>a[0]</code></a> there.",
            "A [mill \\[1\\] of `a[0]`](/w/Mill_%28grinding%29%20x) there.",
        ),
        // As many columns in the head as in the longest row, and cells that are wider than one.
        (
            "<table><tr><th>A</th></tr><tr><td>1</td><td>2</td></tr><tr><td>3</td><td>4</td></tr></table>",
            "| A | |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |",
        ),
        (
            "<table><tr><th colspan=2>A</th><th>B</th></tr><tr><td>1</td><td>2</td><td>3</td></tr><tr><td>4</td><td>5</td><td>6</td></tr></table>",
            "| A | | B |\n| --- | --- | --- |\n| 1 | 2 | 3 |\n| 4 | 5 | 6 |",
        ),
        ("<blockquote><cite>Ann wrote:</cite>It grinds.</blockquote>", "> Ann wrote:\n> It grinds."),
        // Lists in items stand below the item's text, and what follows them apart.
        (
            "<ol start=10><li>Ten<ul><li>Inner<li>Other</ul>and on<li>Eleven<ol><li>One</ol></ol>",
            "10. Ten\n    - Inner\n    - Other\n\n    and on\n11. Eleven\n    1. One",
        ),
    ] {
        assert_eq!(markdown(true, body), expected, "{body}");
    }
}

#[test]
fn next_to_nothing() {
    check("<p>Short.", &["Short."], &[]);
    check("", &[], &[]);
    check("<frameset><frame>", &[], &[]);
    check(
        "<div class=sidebar><p>All that this page has to say is in a box that is called sidebar.",
        &["All that this page"],
        &[],
    );
    check(
        "<div style='display:none'><p>Everything here is shown by a script, they say, and it is the whole page.",
        &["Everything here"],
        &[],
    );
}

#[test]
fn several_algorithms_from_one_parse() {
    let [a, b, ..] = PROSE;
    let page = frame(&format!("<article><p>{a}</p><p>{b}</p></article>"));
    let algorithms = || {
        vec![
            Algorithm::Main(MainOptions::default()),
            Algorithm::Resiliparse(gristmill_extract::Options::default()),
            Algorithm::Justext(gristmill_extract::JustextOptions::default()),
        ]
    };
    let together = Extractor::with(algorithms()).expect("options").extract_all(&page).expect("a page");
    let together: Vec<String> = together.into_iter().map(|text| text.expect("text")).collect();
    let alone: Vec<String> = algorithms()
        .into_iter()
        .map(|algorithm| Extractor::with(vec![algorithm]).expect("options").extract(&page).expect("text"))
        .collect();
    assert_eq!(together, alone);
    assert_eq!(together[0], format!("{a}\n\n{b}"));
}

#[test]
fn teasers_are_no_article() {
    let [a, b, c, d] = PROSE;
    let teasers: String = PROSE
        .iter()
        .map(|text| format!("<li><a href=x>On mills</a> {}...</li>", &text[..text.len() - 1]))
        .collect();
    let page = frame(&format!(
        "<div class=news><ul>{teasers}</ul></div><div class=text><p>{a}</p><p>{b}</p><p>{c}</p><p>{d}</p></div>"
    ));
    check(&page, &[a, b, c, d], &["On mills"]);
}

#[test]
fn code_in_other_clothes() {
    let [a, b, ..] = PROSE;
    let page = frame(&format!(
        "<article><p>{a}</p><table class=highlight><tr><td class=blob-num data-line=1></td><td class=blob-code><span>def</span> grind(x):</td></tr>
        <tr><td class=blob-num data-line=2></td><td class=blob-code>    return x</td></tr></table>
        <div class=codeblock><pre><code><span class=line>let a = 1;</span>\n<span class=line>let b = 2;</span></code></pre><button>Copy</button></div>
        <div style='display: none' class=tab><div><pre>for windows</pre></div></div>
        <div class=crayon-syntax><table><tr><td class=crayon-nums><div>17</div></td><td><div>one line</div></td></tr></table></div><p>{b}</p></article>"
    ));
    check(
        &page,
        &[a, "def grind(x):\n    return x\n", "let a = 1;\nlet b = 2;\n", "for windows", "one line", b],
        &["Copy", "17", "| "],
    );
}

#[test]
fn tables_with_links_in_a_column() {
    let [a, b, c, _] = PROSE;
    let rows: String = (1..9)
        .map(|at| {
            format!("<tr><td>{at} kB</td><td><a href=/f{at}>a-long-name-of-a-file-{at}.tar.gz</a></td><td>all of it</td></tr>")
        })
        .collect();
    let cells: String = (1..9)
        .map(|at| format!("<div class=col-first><a href=/c{at}>Class{at}</a></div><div class=col-last>Grinds {at} kinds of grain</div>"))
        .collect();
    let page = frame(&format!(
        "<article><p>{a}</p><div><table><tr><th>Size</th><th>File</th><th>What</th></tr>{rows}</table></div><p>{b}</p><div class=grid>{cells}</div><p>{c}</p></article>"
    ));
    check(
        &page,
        &[
            a,
            "Size | File | What\n1 kB | a-long-name-of-a-file-1.tar.gz | all of it",
            "Class8\nGrinds 8 kinds of grain",
        ],
        &["Popular"],
    );
}

#[test]
fn links_in_works_of_reference() {
    let [a, b, c, _] = PROSE;
    let wiki = frame(&format!(
        "<div class=mw-parser-output><p>{a}</p><p>{b}</p><h2>Mills nearby</h2><ul><li><a href=/x>The upper mill</a></li><li><a href=/y>The lower mill</a></li></ul></div>"
    ));
    check(&wiki, &[a, "Mills nearby\n\n- The upper mill\n- The lower mill"], &["Popular"]);
    let documentation = frame(&format!(
        "<article><p>{a} <code>a</code></p><p>Source: <a href=/s>lib/grind.py, with all of its history</a></p><p>{b} <code>b</code></p><p>{c} <code>c</code></p></article>"
    ));
    check(&documentation, &["Source: lib/grind.py"], &["Popular"]);
}

#[test]
fn menus_without_a_name() {
    let [a, b, c, _] = PROSE;
    let page = frame(&format!(
        "<div class=x><div><a href=1>Home</a> | <b><a href=2>Forum</a></b> | <a href=3>Last post</a></div><p>{a}</p><p>{b}</p><p>{c}</p>
        <ul><li><a href=1>1</a><li>2<li><a href=3>3</a><li><a href=4>4</a><li><a href=5>5</a><li><a href=6>6</a></ul></div>"
    ));
    check(&page, &[a, b, c], &["Forum", "- 4"]);
}

#[test]
fn user_boxes() {
    let posts: String = PROSE
        .iter()
        .enumerate()
        .map(|(at, text)| {
            format!(
                "<article class='message message--post'><section class=message-user><h4 class=message-name><a>user{at}</a></h4><h5 class=userTitle>Member</h5>
                <dl><dt>Messages<dd>12</dl></section><div class=message-body><div class=bbWrapper>{text}</div></div></article>"
            )
        })
        .collect();
    check(&frame(&format!("<div class=block>{posts}</div>")), &PROSE, &["Member", "Messages", "user1"]);
}

#[test]
fn formulas_without_their_source() {
    let [a, ..] = PROSE;
    let page = frame(&format!(
        "<article><p>{a} It is <math><mfrac><mi>a</mi><mrow><mi>b</mi><mo>+</mo><mn>1</mn></mrow></mfrac><mo>=</mo><msqrt><mi>x</mi></msqrt></math> and
        <math><msubsup><mi>y</mi><mn>1</mn><mn>2</mn></msubsup><mroot><mi>z</mi><mn>3</mn></mroot></math>, with
        <mjx-container class=MathJax><mjx-math aria-hidden=true><mjx-mi></mjx-mi></mjx-math><mjx-assistive-mml><math><msup><mi>c</mi><mn>2</mn></msup></math></mjx-assistive-mml></mjx-container>,
        <img alt='$p^2$'>, <img alt='\\sqrt{{2}}'> and <span class=MathJax><span>q2</span></span><script type='math/tex'>q^2</script>, not <img alt='a mill'>.</p></article>"
    ));
    check(
        &page,
        &[
            "$\\frac{a}{b + 1} = \\sqrt{x}$",
            "$y_{1}^{2} {z}^{1/3}$",
            "with $c^{2}$,",
            "$p^2$, $\\sqrt{2}$ and $q^2$",
        ],
        &["q2", "a mill"],
    );
}
