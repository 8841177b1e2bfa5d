#!/usr/bin/env python3
"""Holds our extraction against Resiliparse's: same pages, same options, byte for byte, and the time both take.

Needs Python packages `resiliparse` (0.14.7 or 2.0.1: its version decides which of ours is asked) and `fastwarc`, and the
program that answers for us:

    cargo build --release -p gristmill-extract --example extract_stream

Then, pages being WARC files, folders of .html or .html.gz files, or such files themselves:

    bench/extract_parity.py PAGES… [--program target/release/examples/extract_stream] [--limit N]
        [--options links,no_alt_texts,…] [--sets] [--misses DIR] [--time ROUNDS] [--beside main,justext]

  --options   options to switch away from the default of main_content=True: all_text, no_formatting, no_bullets,
              no_alt_texts, links, form_fields, noscript, no_comments, and for 2.0.1 no_post_meta, hidden_elements
  --sets      compare with six sets of options that together use them all
  --misses    write the page and both texts of each miss there
  --fuzz N    instead of pages, N random small documents made of what parsers and rules find hard, from --seed
  --time      instead of comparing, time ROUNDS rounds of each over the same pages, in turns; pin it: `taskset -c 0 …`
  --beside    and our other extractors, by name, against the same Resiliparse

Bodies are decoded as UTF-8 with U+FFFD for what is malformed, on both sides. Ends with 1 below 99.5 % equal texts.
"""

import argparse
import gzip
import importlib.metadata
import os
import random
import resource
import struct
import subprocess
import sys
import time

from resiliparse.extract.html2text import extract_plain_text

VERSION = importlib.metadata.version("resiliparse")
OURS = "2" if VERSION.startswith("2") else "1"

# Option: (Resiliparse's argument, value, our flag).
OPTIONS = {
    "all_text": ("main_content", False, "--all-text"),
    "no_formatting": ("preserve_formatting", False, "--no-formatting"),
    "no_bullets": ("list_bullets", False, "--no-bullets"),
    "no_alt_texts": ("alt_texts", False, "--no-alt"),
    "links": ("links", True, "--links"),
    "form_fields": ("form_fields", True, "--forms"),
    "noscript": ("noscript", True, "--noscript"),
    "no_comments": ("comments", False, "--no-comments"),
    "no_post_meta": ("post_meta", False, "--no-post-meta"),
    "hidden_elements": ("hidden_elements", True, "--hidden"),
}
V2_ONLY = {"no_post_meta", "hidden_elements"}
SETS = [
    [],
    ["all_text"],
    ["no_comments", "links", "no_bullets", "no_post_meta"],
    ["no_formatting", "no_alt_texts", "hidden_elements"],
    ["all_text", "form_fields", "links", "noscript"],
    ["all_text", "no_bullets", "no_alt_texts"],
]


def usable(names):
    return [name for name in names if OURS == "2" or name not in V2_ONLY]


def pages(paths):
    """(name, text) of each page."""
    for path in paths:
        if os.path.isdir(path):
            files = sorted(os.path.join(path, name) for name in os.listdir(path))
            yield from pages(f for f in files if f.endswith((".html", ".html.gz", ".warc.gz", ".warc")))
        elif ".warc" in os.path.basename(path):
            from fastwarc.warc import ArchiveIterator, WarcRecordType

            with open(path, "rb") as stream:
                for record in ArchiveIterator(stream, record_types=WarcRecordType.response, parse_http=True):
                    kind = (record.http_content_type or "").lower()
                    if "html" in kind:
                        yield record.record_id, record.reader.read().decode("utf-8", "replace")
        else:
            opener = gzip.open if path.endswith(".gz") else open
            with opener(path, "rb") as stream:
                yield os.path.basename(path), stream.read().decode("utf-8", "replace")


PIECES = """
<p> </p> <div> </div> <span> </span> <b> </b> <i> </i> <a> <a#href=x#class=nav> </a> <nobr> </nobr> <em> </em> <font#color=red>
<table> </table> <tr> </tr> <td> </td> <th> <tbody> </tbody> <thead> <caption> </caption> <col> <colgroup> </colgroup>
<ul> </ul> <ol> </ol> <li> </li> <dl> <dt> <dd> </dd> </dl> <h1> </h1> <h2> </h2> <h5> <pre> </pre> <br> </br> <hr>
<select> </select> <option> </option> <optgroup> <input> <input#type=hidden> <input#value=v#type=text> <textarea> </textarea>
<button> </button> <label> </label> <form> </form> <fieldset> <legend> <img#alt='i##j'> <image#alt=k> <area#alt=l>
<svg> </svg> <math> </math> <mi> </mi> <desc> </desc> <foreignObject> </foreignObject> <title> </title> <annotation-xml>
<annotation-xml#encoding=text/html> <![CDATA[x]]> <g> </g> <svg/> <path/> <mtext> </mtext> <a#xlink:href=y> <mglyph>
<script> </script> <style> </style> <noscript> </noscript> <template> </template> <iframe> </iframe> <xmp> </xmp>
<noembed> </noembed> <noframes> </noframes> <object> </object> <applet> <marquee> </marquee> <video> </video> <audio>
<html> </html> <head> </head> <body> </body> <frameset> <frame> <!--c--> <!doctype#html> <?pi> </nonsense> <custom-x> </custom-x>
<article> </article> <section> </section> <main> </main> <nav> </nav> <aside> </aside> <header> </header> <footer> </footer>
<details> <summary> </summary> <figure> <figcaption> </figcaption> <ruby> <rt> <rp> <rb> </ruby> <center> <dialog> <search>
</search> <menu> </menu> <hgroup> <blockquote> </blockquote> <address> <listing> <plaintext-not> <time> </time> <keygen> <wbr>
<div#class=nav> <div#class=main-content> <div#role=main> <div#id=header> <div#class=sidebar> <div#class='entry-content##nav'>
<div#style='display:none'> <div#class=hidden> <li#class=next> <p#class=byline> <p#class=comments> <div#class=spinner>
<div#hidden> <p#aria-hidden=true> <span#class=logo> <td#class=menu> <ul#class=links-list> <div#id=footer#class=x> <a#rel=tag>
<p#itemprop=author> <div#role=navigation#class=x> <div#class=visually-hidden> <p#data-ad#id=q> <footer#class=a> <p#class=text-date>
""".split()
TEXTS = ["a", "b ", " c", " ", "\n", "  d  e ", "\t", "&amp;", "&nbsp;", "&#0;", "&copy2", "\0", "\x0b", "\x0c", "中", "•",
         "é", "¶", "x" * 40, "0123456789 " * 12, "<", "</", "<!", "&", "\r\n", "\r", "\ufeff", "&#13;", "]]>"]


def random_page(rng):
    start = rng.choice(["", "<!doctype html>", "<!doctype html><body>", "<!DOCTYPE html PUBLIC '-//W3C//DTD HTML 3.2//'>"])
    picked = rng.sample(PIECES, 12) if rng.random() < 0.5 else PIECES
    parts = []
    for _ in range(rng.randrange(2, 40)):
        if rng.random() < 0.45:
            parts.append(rng.choice(TEXTS))
        else:
            parts.append(rng.choice(picked).replace("##", "  ").replace("#", " "))
    return start + "".join(parts)


class Ours:
    def __init__(self, program, options, extra=()):
        flags = [OPTIONS[name][2] for name in options]
        command = [program, "--version", OURS, *flags, *extra]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def send(self, page):
        body = page.encode("utf-8")
        self.process.stdin.write(struct.pack("<I", len(body)) + body)
        self.process.stdin.flush()

    def receive(self):
        (length,) = struct.unpack("<I", self.process.stdout.read(4))
        if length == 0xFFFFFFFF:
            return "ERROR " + self.receive()
        return self.process.stdout.read(length).decode("utf-8")


def theirs(page, options):
    arguments = {"main_content": True}
    arguments.update({OPTIONS[name][0]: OPTIONS[name][1] for name in options})
    return extract_plain_text(page, **arguments)


def compare(args, options):
    ours = Ours(args.program, options)
    total = equal = 0
    if args.fuzz:
        rng = random.Random(args.seed)
        source = ((f"random {at}", random_page(rng)) for at in range(args.fuzz))
    else:
        source = pages(args.pages)
    for name, page in source:
        if args.limit and total >= args.limit:
            break
        ours.send(page)
        expected = theirs(page, options)
        found = ours.receive()
        total += 1
        if found == expected:
            equal += 1
            continue
        print(f"differs: {name}", file=sys.stderr)
        if args.fuzz:
            print(f"  {page!r}\n  theirs {expected!r}\n  ours   {found!r}", file=sys.stderr)
        if args.misses:
            os.makedirs(args.misses, exist_ok=True)
            stem = os.path.join(args.misses, "".join(c if c.isalnum() else "_" for c in name))
            for suffix, text in ((".html", page), (".theirs.txt", expected), (".ours.txt", found)):
                with open(stem + suffix, "w", encoding="utf-8", newline="") as out:
                    out.write(text)
    share = 100 * equal / max(total, 1)
    print(f"{','.join(options) or 'default'}: {equal} of {total} texts equal to Resiliparse {VERSION} ({share:.3f} %)", flush=True)
    return share


def our_seconds(program, options, loaded, rounds, extra):
    """CPU seconds of the program from start to end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ours = Ours(program, options, ["--repeat", str(rounds), *extra])
    for page in loaded:
        ours.send(page)
    ours.process.stdin.close()
    ours.process.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(args, options):
    loaded = []
    for _, page in pages(args.pages):
        if args.limit and len(loaded) >= args.limit:
            break
        loaded.append(page)
    size = sum(len(page.encode()) for page in loaded)
    flags = {"resiliparse": []} | {name: [f"--{name}"] for name in args.beside.split(",") if name}
    ratios = {name: [] for name in flags}
    for _ in range(args.time):
        start = time.process_time()
        for page in loaded:
            theirs(page, options)
        theirs_took = time.process_time() - start
        took = {}
        for name, extra in flags.items():
            # What reading the pages costs is taken off; three rounds even out what is left of starting.
            rounds = [our_seconds(args.program, options, loaded, repeat, extra) for repeat in (3, 0)]
            took[f"ours, {name}"] = (rounds[0] - rounds[1]) / 3
            ratios[name].append(theirs_took / took[f"ours, {name}"])
        for who, seconds in {f"Resiliparse {VERSION}": theirs_took, **took}.items():
            print(f"{who}: {seconds:.3f} CPU s, {len(loaded) / seconds:.0f} pages/s, {size / seconds / 1e6:.1f} MB/s")
    for name, found in ratios.items():
        print(f"{name}, {len(loaded)} pages, {size} bytes of HTML: {min(found):.2f} to {max(found):.2f} times as fast", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*")
    parser.add_argument("--program", default="target/release/examples/extract_stream")
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--options", default="")
    parser.add_argument("--sets", action="store_true")
    parser.add_argument("--misses")
    parser.add_argument("--fuzz", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--time", type=int, default=0)
    parser.add_argument("--beside", default="")
    args = parser.parse_args()
    options = usable([name for name in args.options.split(",") if name])
    if args.time:
        measure(args, options)
        return
    chosen = [usable(names) for names in SETS] if args.sets else [options]
    worst = min(compare(args, names) for names in chosen)
    sys.exit(0 if worst >= 99.5 else 1)


if __name__ == "__main__":
    main()
