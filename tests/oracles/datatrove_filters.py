"""Writes what datatrove says of documents: `python datatrove_filters.py IN OUT`.

IN has JSON lines {"text", "words", "sentences": {text: ends}}: words and sentences as gristmill finds them take the place of datatrove's own
tokeniser, so that only the rules are compared. OUT has for each a JSON object: label → true or false (kept), for C4 and PII the text, or
the error's name.
"""

import json
import sys

import datatrove.utils.word_tokenizers as word_tokenizers
from datatrove.data import Document
from datatrove.pipeline.filters import C4QualityFilter, FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter
from datatrove.pipeline.filters.c4_filters import C4BadWordsFilter, C4ParagraphFilter
from datatrove.pipeline.formatters.pii import PIIFormatter
from datatrove.utils.text import split_into_parts

CLASSES = {
    "gopher_quality_filter": GopherQualityFilter,
    "gopher_repetition_filter": GopherRepetitionFilter,
    "fineweb_quality_filter": FineWebQualityFilter,
    "c4_quality_filter": C4QualityFilter,
    "c4_paragraph_filter": C4ParagraphFilter,
}


class Told:
    """A tokeniser that was told the answers."""

    row = None

    def word_tokenize(self, text):
        assert text == self.row["text"]
        return self.row["words"]

    def span_tokenize(self, text):
        return [(0, end) for end in self.row["sentences"][text]]


TOLD = Told()
word_tokenizers.load_word_tokenizer = lambda language: TOLD


class BadWords(C4BadWordsFilter):
    """The lists come from the test and not from the network."""

    def __init__(self, lists, **params):
        super().__init__(**params)
        import datatrove.pipeline.filters.c4_filters as c4

        c4.cached_asset_path_or_download = lambda url, **_: lists[url.rsplit("/", 1)[-1]]


def judge(step, params, text):
    params = dict(params)
    if step == "pii_masking_modifier":
        # Each text has replacements of its own.
        return PIIFormatter(**{key: tuple(value) if isinstance(value, list) else value for key, value in params.items()}).format(text)
    document = Document(text=text, id="id")
    if step == "c4_badwords_filter":
        document.metadata["language"] = params.pop("language")
        return BadWords(params.pop("lists"), **params).filter(document) is True
    if "stop_chars" in params:
        params["stop_chars"] = tuple(params["stop_chars"])
    verdict = CLASSES[step](**params).filter(document) is True
    return document.text if verdict and step == "c4_quality_filter" else verdict


def main():
    with open(sys.argv[1], encoding="utf-8") as rows, open(sys.argv[2], "w", encoding="utf-8") as out:
        operators = json.loads(next(rows))
        for line in rows:
            Told.row = json.loads(line)
            said = {}
            for label, (step, params) in operators.items():
                split_into_parts.cache_clear()
                try:
                    said[label] = judge(step, params, Told.row["text"])
                except (ZeroDivisionError, IndexError) as error:
                    said[label] = {"error": type(error).__name__}
            print(json.dumps(said), file=out)


main()
