#!/usr/bin/env python3
"""Pages per CPU second, WARC to JSONL.zst with the quickstart recipe, beside Resiliparse's extraction alone.

    python3 -m venv .venv && .venv/bin/pip install resiliparse==0.14.7
    make build models/lid.176.ftz
    .venv/bin/python bench/end_to_end.py WARC…

Both read the same files in the same run, each on one core: ours with one lane, whole (reading, extraction, language
identification, filters, both dedups, writing); theirs reading and `extract_plain_text(main_content=True)` only, bodies
decoded as UTF-8 with replacement. CPU seconds (user + system), ours including the program's other threads.
"""

import os
import resource
import subprocess
import sys
import tempfile

from fastwarc.warc import ArchiveIterator, WarcRecordType
from resiliparse.extract.html2text import extract_plain_text


def cpu(who):
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def theirs(paths):
    start, pages = cpu(resource.RUSAGE_SELF), 0
    for path in paths:
        with open(path, "rb") as stream:
            for record in ArchiveIterator(stream, record_types=WarcRecordType.response, parse_http=True):
                extract_plain_text(record.reader.read().decode("utf-8", "replace"), main_content=True)
                pages += 1
    return pages, cpu(resource.RUSAGE_SELF) - start


def ours(paths):
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    program = os.environ.get("GRISTMILL", os.path.join(root, "target/release/gristmill"))
    inputs = [part for path in paths for part in ("--input", os.path.abspath(path))]
    start = cpu(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as output:
        subprocess.run(
            [program, "run", os.path.join(root, "recipes/quickstart.yaml"), *inputs, "--output", output, "--lanes", "1", "-q"],
            check=True,
        )
    return cpu(resource.RUSAGE_CHILDREN) - start


def main():
    paths = sys.argv[1:]
    if not paths:
        sys.exit(__doc__)
    pages, seconds = theirs(paths)
    mine = ours(paths)
    print(f"{pages} pages")
    print(f"Resiliparse, extraction alone   {pages / seconds:8.0f} pages per CPU second")
    print(f"gristmill, the whole recipe     {pages / mine:8.0f} pages per CPU second, {seconds / mine:.2f} times as many")


main()
