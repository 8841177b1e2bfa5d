"""Writes what langdetect 1.0.9 says of texts, and the archive that gristmill reads.

    python tests/oracles/langdetect.py FOLDER [DOCS.jsonl.zst]

needs langdetect, zstandard. FOLDER gets langdetect-1.0.9.tar.gz, made of what is installed, and expected.jsonl, whose lines are
{"text", "seed", "langs"}: pairs of language and probability, or null where langdetect raises. Texts are those of DOCS and pieces of them put
together with what langdetect treats apart. Profiles are loaded in the order of their names, so that the last bits are those of every machine.
tests/golden/langdetect.rs compares.
"""

import io
import json
import os
import random
import sys
import tarfile
from pathlib import Path

# This script bears the package's name and its folder comes first.
sys.path = [entry for entry in sys.path if entry and Path(entry).resolve() != Path(__file__).resolve().parent]
import langdetect  # noqa: E402
import zstandard  # noqa: E402

APART = [
    "http://a.example/b?c=d ", "https://x", "https:// ", "foo.bar@baz-q.example ", "a@b", "@", "a@b. c@d.e", "x" * 70 + "@host.example",
    "  ", "\n", "\u00ab\u00bb\u00b0\u00a0", "ẠẢa\u0300e\u0301 o\u0323", "Vie\u0323\u0302t", "ĐẶNG", "日本語の文", "漢字簡体字", "臺灣國語", "한국어", "\u1112\u1161",
    "ﾊﾝｶｸ", "Ѐѝ", "\u0219\u021b\u015f\u0163", "\u06cc\u064a", "ǅ", "Ⅷ", "ⅷ", "ABC def", "USA", "\u3105\u31a0", "\ud7a4", "ไทย", "हिन्दी", "ქართული",
    "\u2019", "\u2060", "😀", "\U0001d400", "[]^_`", "0123", "\x00\x7f\x80",
]


def texts(docs):
    pages = []
    if docs:
        with open(docs, "rb") as raw:
            lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(raw), encoding="utf-8")
            pages = list(dict.fromkeys(json.loads(line)["text"] for line in lines))
    rng = random.Random(5)
    pool = "".join(pages) or "Every text is made of pieces. " * 100
    mixed = []
    for _ in range(1500):
        parts = []
        for _ in range(rng.randint(1, 6)):
            start = rng.randrange(len(pool))
            parts.append(pool[start : start + rng.randint(1, 60)])
            parts.extend(rng.choices(APART, k=rng.randint(0, 2)))
        mixed.append("".join(parts))
    return pages + mixed + APART + ["", " ", "x" * 20000, "é " * 9000, "http://a.example/" + "b" * 3000]


def main(folder, docs=None):
    package = Path(langdetect.__file__).parent
    with tarfile.open(folder / "langdetect-1.0.9.tar.gz", "w:gz") as archive:
        archive.add(package, "langdetect-1.0.9/langdetect")
    listdir = os.listdir
    os.listdir = lambda path: sorted(listdir(path))
    with open(folder / "expected.jsonl", "w", encoding="utf-8") as out:
        for number, text in enumerate(texts(docs)):
            seed = number % 5 * (7919 if number % 2 else -104729) + (2**40 if number % 7 == 0 else 0)
            langdetect.DetectorFactory.seed = seed
            try:
                langs = [(found.lang, found.prob) for found in langdetect.detect_langs(text)]
            except langdetect.LangDetectException:
                langs = None
            out.write(json.dumps({"text": text, "seed": seed, "langs": langs}) + "\n")


main(Path(sys.argv[1]), *sys.argv[2:])
