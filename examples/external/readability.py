#!/usr/bin/env python3
"""A step of one's own, for `external`: scores how long sentences and words are, and drops what nobody would read.

Reads one record a line and answers each by one line, in order:
    {"text": …}   keep the record, as it is given back
    null          drop it
    "reason"      drop it for one of the recipe's `reasons`
    [{…}, {…}]    put several in its place
An empty line ends a batch: by then all lines before it must be answered, and flushed. Standard error is logged.
"""

import json
import re
import sys

SENTENCE = re.compile(r"[.!?]+\s+")


def answer(record):
    words = record.get("text", "").split()
    if not words:
        return None
    sentences = len(SENTENCE.findall(record["text"])) + 1
    # The shape of the Coleman-Liau index: characters and sentences per hundred words.
    score = 5.88 * sum(map(len, words)) / len(words) - 29.6 * sentences / len(words) - 15.8
    if score > 40:
        return "unreadable"
    record["readability"] = round(score, 3)
    return record


for line in sys.stdin:
    if line.strip():
        print(json.dumps(answer(json.loads(line)), ensure_ascii=False))
    else:
        sys.stdout.flush()
