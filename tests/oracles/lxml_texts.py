"""Writes what jusText and Beautiful Soup make of pages that lxml parses.

    python tests/oracles/lxml_texts.py FOLDER [PAGES]

needs justext 3.0.2, beautifulsoup4 4.15, lxml 6.1 (libxml2 2.14), lxml_html_clean. PAGES is a folder of `.html.gz` files; to them come pages put
together at random from tags and texts that are closed in the wrong order, or not at all. FOLDER gets expected.jsonl: the first line is
{"stop_words"}, jusText's English list, every other one {"html", "soup", "justext"}, texts by the names of PARAMETERS; tests/golden/lxml.rs
compares.
"""

import gzip
import json
import logging
import random
import sys
import warnings
from pathlib import Path

import justext
import lxml.etree
from bs4 import BeautifulSoup

SENTENCES = [
    "It was the best of times and it was the worst of times, and we had all of it before us as if there were nothing else to be had in the world. ",
    "A short one. ", "Home", "Mühlen an der Elbe, 水车是一种古老的机械", "x", " ", "\n", "\t\n  ", " a ", "1.5 &lt; 2 &amp; 3 &nbsp; &copy &notit; &#8212; &#x41;",
    "The mill had stood by the river for three hundred years and nobody could remember who had built it first, or why it had been built at all. ",
]  # fmt: skip
VOID = ["br", "hr", "img src=x alt='an image'", "input value=v", "wbr", "meta charset=utf-8", "link rel=x", "base href=/", "col", "embed", "param"]
TAGS = [
    "p", "div", "div class=x", "span", "a href=/x", "b", "i", "em", "h1", "h2", "h6", "ul", "ol", "li", "dl", "dt", "dd", "table", "tr", "td", "th", "tbody",
    "thead", "caption", "form", "select", "option", "button", "label", "textarea", "pre", "code", "blockquote", "q", "section", "article", "nav", "footer",
    "center", "font size=1", "html", "head", "body", "title", "script", "style", "noscript", "iframe", "object", "ruby", "rt", "template", "svg", "math",
    "u", "s", "strike", "fieldset", "legend", "address", "map", "ins", "del", "sup", "x-own", "a", "main", "figure", "figcaption", "video", "details",
]  # fmt: skip
ODD = ["<!-- c -->", "<!doctype html>", "<![CDATA[x]]>", "</", "<", "<>", "</ p>", "<p/>", "<br/><br/>", "<a href='", "<?php x ?>", "</br>", "</p>", "<div a=1 a=2 b>", "<!x>"]

PARAMETERS = {
    "default": {},
    "short": {"length_low": 20, "length_high": 60, "stopwords_low": 0.1, "stopwords_high": 0.2, "max_link_density": 0.5},
    "far": {"max_heading_distance": 20, "length_low": 10, "length_high": 100, "stopwords_low": 0.2, "stopwords_high": 0.3},
    "no_headings": {"no_headings": True, "length_low": 10, "length_high": 50},
}


def mixed(count):
    rng = random.Random(7)
    for _ in range(count):
        parts, opened = [], []
        for _ in range(rng.randint(1, 30)):
            kind = rng.random()
            if kind < 0.4:
                tag = rng.choice(TAGS)
                opened.append(tag.split(" ")[0])
                parts.append(f"<{tag}>")
            elif kind < 0.65 and opened:
                # Mostly the last one, now and then any.
                at = -1 if rng.random() < 0.7 else rng.randrange(len(opened))
                parts.append(f"</{opened.pop(at)}>")
            elif kind < 0.7:
                parts.append(f"<{rng.choice(VOID)}>")
            elif kind < 0.73:
                parts.append(rng.choice(ODD))
            else:
                parts.append(rng.choice(SENTENCES))
        yield "".join(parts)
    yield "".join(f"<div>{number}" for number in range(300)) + "<p>behind"


def paragraphs(html, words, parameters):
    try:
        return justext.justext(html, words, **parameters)
    except (lxml.etree.ParserError, AssertionError):
        # A page without anything in it, and one whose only element is to be taken out: neither has paragraphs.
        return []


def texts(found, boilerplate=False):
    return "\n".join(paragraph.text for paragraph in found if boilerplate or not paragraph.is_boilerplate)


def main(folder, pages=None):
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    words = justext.get_stoplist("English")
    files = sorted(Path(pages).glob("*.html.gz")) if pages else []
    read = (gzip.decompress(file.read_bytes()).decode("utf-8", "replace").replace("\0", "") for file in files)
    with open(folder / "expected.jsonl", "w", encoding="utf-8") as out:
        out.write(json.dumps({"stop_words": sorted(words)}) + "\n")
        for html in [*read, *mixed(2000)]:
            theirs = {name: texts(paragraphs(html, words, parameters)) for name, parameters in PARAMETERS.items()}
            anything = {"stopwords_low": 0, "stopwords_high": 0}
            theirs["any_language"] = texts(paragraphs(html, frozenset(), anything))
            theirs["all"] = texts(paragraphs(html, frozenset(), {}), boilerplate=True)
            row = {"html": html, "soup": BeautifulSoup(html, "lxml").get_text(), "justext": theirs}
            out.write(json.dumps(row) + "\n")


main(Path(sys.argv[1]), *sys.argv[2:])
