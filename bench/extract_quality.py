#!/usr/bin/env python3
"""How good extracted text is: ours beside Resiliparse, jusText and Trafilatura, against texts picked by hand.

    cargo build --release -p gristmill-extract --example extract_stream
    bench/extract_quality.py FOLDER [--program target/release/examples/extract_stream] [--other PYTHON] [--pages] [--time ROUNDS]

FOLDER holds `ground-truth.json`, which maps a page's id to its `articleBody`, and `html/ID.html.gz` (the layout of
scrapinghub/article-extraction-benchmark). The measure is that benchmark's: `\\w+` tokens, counted 4-grams; true and false
positives and false negatives as shares of their sum for each page; precision and recall averaged over pages, and the F1 of
the averages. Each half of the pages, odd and even by id, is scored, too: what fits only one of them fits nothing else.

`union` is what `extractor: union` keeps where pages need 50 words, as in `page_length_filter: {length_type: word, min_length: 50}`.

  --other   a Python with another version of Resiliparse, compared as well
  --pages   precision and recall of each page, worst first
  --time    CPU seconds over all pages, ROUNDS rounds, beside Resiliparse's in the same run; pin it: `taskset -c 0 …`

Needs the Python package `resiliparse`; `trafilatura` (with `lxml_html_clean`) and `justext` are compared if they are there.
"""

import argparse
import gzip
import importlib.metadata
import json
import logging
import os
import re
import resource
import struct
import subprocess
import time
from collections import Counter

from resiliparse.extract.html2text import extract_plain_text

OURS = {
    "ours: resiliparse": ["--version", "1"],
    "ours: resiliparse, version 2": ["--version", "2"],
    "ours: main": ["--main"],
    "ours: main, markdown": ["--main", "--markdown"],
    "ours: justext": ["--justext"],
    "ours: justext, any language": ["--justext", "--any-language"],
}
UNION = ["ours: main", "ours: resiliparse", "ours: justext"]
UNION_WORDS = 50
OTHER = """
import importlib.metadata, json, sys
from resiliparse.extract.html2text import extract_plain_text
texts = [extract_plain_text(page, main_content=True) for page in json.load(sys.stdin)]
json.dump([importlib.metadata.version("resiliparse"), texts], sys.stdout)
"""


def grams(text):
    words = re.findall(r"\w+", text or "")
    if len(words) < 4:
        return Counter([tuple(words)] if words else [])
    return Counter(tuple(words[at : at + 4]) for at in range(len(words) - 3))


def precision_recall(found, wanted):
    found, wanted = grams(found), grams(wanted)
    true, extra, missed = (sum(c.values()) for c in (found & wanted, found - wanted, wanted - found))
    precision = true / (true + extra) if true + extra else (0.0 if missed else 1.0)
    recall = true / (true + missed) if true + missed else (0.0 if extra else 1.0)
    # Nothing found is not wrong, only incomplete.
    return (1.0 if not true + extra else precision), recall


def f1(precision, recall):
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def average(scores):
    count = max(len(scores), 1)
    precision, recall = (sum(score[part] for score in scores) / count for part in (0, 1))
    return precision, recall, f1(precision, recall)


def ours(program, flags, pages):
    process = subprocess.Popen([program, *flags], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    texts = []
    for page in pages:
        body = page.encode()
        process.stdin.write(struct.pack("<I", len(body)) + body)
        process.stdin.flush()
        (length,) = struct.unpack("<I", process.stdout.read(4))
        failed = length == 0xFFFFFFFF
        if failed:
            (length,) = struct.unpack("<I", process.stdout.read(4))
        text = process.stdout.read(length).decode()
        texts.append("" if failed else text)
    return texts


def peers():
    """Name and function of each peer that is installed."""
    yield f"resiliparse {importlib.metadata.version('resiliparse')}", lambda page: extract_plain_text(page, main_content=True)
    logging.disable(logging.CRITICAL)
    try:
        import trafilatura

        name = f"trafilatura {importlib.metadata.version('trafilatura')}"
        yield name, lambda page: trafilatura.extract(page) or ""
        yield name + ", no comments", lambda page: trafilatura.extract(page, include_comments=False) or ""
    except ImportError:
        pass
    try:
        import justext

        words = justext.get_stoplist("English")

        def good(page):
            paragraphs = justext.justext(page.encode(), words, encoding="utf-8")
            return "\n".join(paragraph.text for paragraph in paragraphs if not paragraph.is_boilerplate)

        yield f"justext {importlib.metadata.version('justext')}", good
    except ImportError:
        pass


def other(python, pages):
    """What the Resiliparse of another Python makes of the pages."""
    answer = subprocess.run([python, "-c", OTHER], input=json.dumps(pages).encode(), stdout=subprocess.PIPE, check=True)
    version, texts = json.loads(answer.stdout)
    return {f"resiliparse {version}": texts}


def union(alternatives):
    """The first text that is long enough, else the last."""
    return next((text for text in alternatives if len(re.findall(r"\w+", text)) >= UNION_WORDS), alternatives[-1])


def our_seconds(program, flags, pages, rounds):
    """CPU seconds of the program from start to end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [program, *flags, "--repeat", str(rounds)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    for page in pages:
        body = page.encode()
        process.stdin.write(struct.pack("<I", len(body)) + body)
    process.stdin.close()
    process.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(program, pages, rounds):
    size = sum(len(page.encode()) for page in pages)
    for _ in range(rounds):
        start = time.process_time()
        for page in pages:
            extract_plain_text(page, main_content=True)
        theirs = time.process_time() - start
        print(f"resiliparse {importlib.metadata.version('resiliparse')}: {theirs:.3f} CPU s, {size / theirs / 1e6:.0f} MB/s")
        for name, flags in OURS.items():
            # What reading the pages costs is taken off.
            seconds = (our_seconds(program, flags, pages, 10) - our_seconds(program, flags, pages, 0)) / 10
            print(f"{name}: {seconds:.3f} CPU s, {size / seconds / 1e6:.0f} MB/s, {theirs / seconds:.2f} times as fast")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--program", default="target/release/examples/extract_stream")
    parser.add_argument("--other")
    parser.add_argument("--pages", action="store_true")
    parser.add_argument("--time", type=int, default=0)
    args = parser.parse_args()
    with open(os.path.join(args.folder, "ground-truth.json"), encoding="utf-8") as file:
        truth = {name: entry["articleBody"] for name, entry in json.load(file).items()}
    names = sorted(truth)
    pages = []
    for name in names:
        with gzip.open(os.path.join(args.folder, "html", name + ".html.gz")) as file:
            pages.append(file.read().decode("utf-8", "replace"))
    if args.time:
        measure(args.program, pages, args.time)
        return
    texts = {name: [extract(page) for page in pages] for name, extract in peers()}
    if args.other:
        texts |= other(args.other, pages)
    texts |= {name: ours(args.program, flags, pages) for name, flags in OURS.items()}
    texts["ours: union"] = [union(alternatives) for alternatives in zip(*(texts[who] for who in UNION))]
    scores = {
        who: [precision_recall(text, truth[name]) for text, name in zip(found, names)] for who, found in texts.items()
    }
    # What a filter that always prefers the right one would get.
    scores["ours: union, the best of each page"] = [
        max((scores[who][at] for who in UNION), key=lambda score: f1(*score)) for at in range(len(names))
    ]
    if args.pages:
        order = sorted(range(len(names)), key=lambda at: f1(*scores["ours: main"][at]))
        for at in order:
            print(names[at][:16], *(f"{who}: {scores[who][at][0]:.3f}/{scores[who][at][1]:.3f}" for who in ("ours: main", "ours: resiliparse")))
    print("| extractor | precision | recall | F1 | F1 of the halves |\n|---|---|---|---|---|")
    for who, of_pages in scores.items():
        precision, recall, score = average(of_pages)
        halves = " / ".join(f"{average(of_pages[half::2])[2]:.3f}" for half in (0, 1))
        print(f"| {who} | {precision:.3f} | {recall:.3f} | {score:.3f} | {halves} |")


if __name__ == "__main__":
    main()
