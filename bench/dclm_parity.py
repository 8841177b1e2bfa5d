#!/usr/bin/env python3
"""Holds our steps against DCLM's own operators: same documents, same parameters, verdicts, texts and fields one by one.

Needs a checkout of mlfoundations/dclm (361714b is what we follow), the Python packages that its mappers import (retrie, uniseg,
nltk, blingfire, unidecode, fasttext-wheel, numpy<2, langdetect, beautifulsoup4, lxml, justext) under Python 3.11, and the binary:

    cargo build --release -p gristmill
    bench/dclm_parity.py DOCS.jsonl… --dclm CHECKOUT [--gristmill target/release/gristmill] [--models models]
        [--ops OPS.json] [--only NAME] [--show N]

  DOCS      records of any kind; those that an operator needs another field in are compared as well: both must refuse them
  --models  a folder with lid.176.bin or lid.176.ftz, which both sides then use
  --ops     a list of DCLM's steps, `[{"func": …, parameters}, …]`, or an object of them by label, in place of the grid below
  --only    operators of this name
  --show    print so many differences of each operator [3]

Prints equal/total for each operator and its parameters. An exception of DCLM's code counts as our `broken`. Ends with 1 if anything
differs. Two kinds of record are set aside and counted as `odd`: `text` that is no string, on which some of DCLM's operators work by
accident (`len()` of a list), and fields of which DCLM writes Python's own notation (`None`, `['a']`) into a text.
"""

import argparse
import collections
import copy
import json
import os
import subprocess
import sys
import tempfile
import types
import warnings

LISTS = "baselines/mappers/banlists/refinedweb_banned_words_{}_reverse_engineered.txt"


def grid():
    """Operators with parameters on both sides of what matters. Counts of words come from fields that the documents may have."""
    yield {"func": "move_url_modifier"}
    yield from ({"func": "key_name_modifier", **p} for p in ({}, {"allow_overwrite": True}, {"old_key": "url", "new_key": "u"}))
    hosts = {"banlist": ["example.com", "docs.example"], "exact_domain_match": True}
    for p in (
        hosts,
        {**hosts, "ignore_chars": ["www"]},
        {"banlist_from_fname": LISTS.format("strict"), "ignore_chars": ["-", "."]},
        {"banlist_from_fname": LISTS.format("hard"), "match_substrings": False},
        {"banlist_from_fname": LISTS.format("soft"), "match_substrings": False, "num_banned_substrs": 2},
        {"banlist": ["a", "ab", "S"], "case_sensitive": True},
    ):
        yield {"func": "url_substring_filter", **p}
    yield {"func": "url_removal_modifier"}
    yield from ({"func": "newline_removal_modifier", "max_consecutive": n} for n in (0, 1, 2))
    yield {"func": "detect_lang_whole_page_enricher", "model": "fasttext"}
    for kind in ("char", "line", "paragraph", "word"):
        yield {"func": "page_length_filter", "length_type": kind, "min_length": 5, "max_length": 200}
    for model in ("fasttext", "uniseg", "split"):
        for flags in ({}, {"ignore_punctuation": False}, {"ignore_whitespace": False}):
            yield {"func": "word_counter_enricher", "model": model, **flags}
        yield {"func": "word_length_modifier", "max_length": 12, "model": model}
        yield {"func": "page_length_filter", "length_type": "word", "min_length": 50, "ignore_punctuation": True, "model": model}
    yield {"func": "word_length_filter", "min_length": 3, "max_length": 10}
    yield from ({"func": "symbol_ratio_filter", "max_symbol_to_word_ratio": r} for r in (0, 0.1, 1))
    yield from ({"func": "bullet_count_filter", "max_bullet_start_ratio": r} for r in (0, 0.5, 0.9))
    yield from ({"func": "ellipsis_count_filter", "max_ellipsis_end_ratio": r} for r in (0, 0.3))
    yield from ({"func": "alphabetic_word_ratio_filter", "max_ratio": r} for r in (0, 0.2, 0.5))
    yield from ({"func": "stop_word_filter", "count_unique": u, "min_stop_word": n} for u in (True, False) for n in (0, 2, 5))
    yield from ({"func": "massive_web_repetition_filters", "skip_paragraph": skip} for skip in (True, False))
    for kind in ("line", "paragraph"):
        for flags in ({}, {"count_characters": False}, {"ignore_case": True}):
            yield {"func": "repetition_filter", "granularity": kind, "max_fraction": 0.1, **flags}
    yield from ({"func": "repetition_filter", "granularity": n, "max_fraction": 0.1} for n in range(2, 11))
    for measure in ("most_common", "all"):
        yield {"func": "repetition_filter", "granularity": 1, "max_fraction": 0.1, "ngram_char_ratio": measure, "ignore_case": True}
    yield from ({"func": "uppercase_ratio_line_modifier", "max_ratio": r} for r in (0, 0.3, 0.5))
    yield from ({"func": "numeric_ratio_line_modifier", "max_ratio": r} for r in (0, 0.5, 0.999999, 1.0))
    yield {"func": "counter_line_modifier"}
    yield from ({"func": "line_length_modifier", **p} for p in ({"min_length": 2}, {"min_length": 3, "max_length": 9}))
    for phrase in ("items in cart", "Read more...", "the", r"\w+ing", r"\bk", "[a-k]{3}", "{"):
        for location in ("any", "prefix", "suffix"):
            p = {"banlist": phrase, "location": location}
            yield {"func": "substring_line_modifier", **p, "max_length": 10, "remove_substring_only": True}
            yield {"func": "substring_line_modifier", **p, "case_sensitive": True}
            yield {"func": "substring_filter", **p, "exact_word": location == "any"}
    yield from ({"func": "line_counter_enricher", "paragraph_end": end, "remove_empty": e} for end in ("\n", "\n\n", r"\W+") for e in (True, False))
    yield from ({"func": "word_removal_ratio_filter", "prev_word_count_key": "word_count", "max_removed_ratio": r} for r in (0.05, 0.5))
    yield {"func": "word_removal_ratio_filter", "prev_word_count_key": "word_count", "new_word_count_key": "new_word_count"}
    yield from ({"func": "punctuation_line_modifier", "remove_ellipses": e} for e in (True, False))
    yield {"func": "citation_removal_modifier"}
    yield from ({"func": "within_page_dedup", "granularity": g, "normalize": n} for g in ("line", "paragraph") for n in (True, False))
    yield from ({"func": f"{what}_lines_modifier", "delimiter": d} for what in ("split", "join") for d in ("\n", "\n\n"))
    yield from ({"func": "line_length_filter", "length_type": kind, "max_length": 80} for kind in ("max", "avg"))
    yield from ({"func": "alphanumeric_char_ratio_filter", "max_alnum_ratio": r} for r in (0.25, 0.8))
    yield {"func": "github_extension_filter"}
    yield {"func": "language_filter", "keep_languages": ["en"], "key": "language_id_whole_page_fasttext", "threshold": 0.65}
    yield from ({"func": "quality_filter", "threshold": 0.018112, "key_must_exist": e} for e in (True, False))
    yield from ({"func": f"arxiv_{what}_modifier"} for what in ("appendix", "comment", "macro", "section_strip"))
    yield {"func": "arxiv_comment_modifier", "remove_multiline": True}
    yield from ({"func": f"stackexchange_{what}"} for what in ("list_modifier", "answer_sort_modifier", "qa_formatter"))
    yield from ({"func": "starcoder_v2_format_modifier", "add_metadata_prob": p, "add_sentinels": s} for p in (0, 1) for s in (True, False))


class Theirs:
    def __init__(self, checkout, models):
        warnings.simplefilter("ignore")
        self.checkout = os.path.abspath(checkout)
        sys.path[:0] = [self.checkout, os.path.join(self.checkout, "baselines")]
        # What only operators outside this comparison need.
        for name, member in (("transformers", "AutoTokenizer"), ("kenlm", "Model"), ("sentencepiece", "SentencePieceProcessor")):
            try:
                __import__(name)
            except ImportError:
                sys.modules[name] = types.ModuleType(name)
                setattr(sys.modules[name], member, None)
        import fasttext

        files = [os.path.join(models, f"lid.176.{end}") for end in ("bin", "ftz")]
        model = next((file for file in files if os.path.exists(file)), None)
        load = fasttext.load_model
        fasttext.load_model = lambda path: load(os.path.abspath(model) if model and path.endswith("lid.176.bin") else path)
        self.make = self.there(lambda: __import__("baselines.core.factories", fromlist=["get_mapper"]).get_mapper)

    def there(self, do):
        """DCLM finds its lists from the root of its repository."""
        here = os.getcwd()
        os.chdir(self.checkout)
        try:
            return do()
        finally:
            os.chdir(here)

    def run(self, operator, records):
        mapper = self.there(lambda: self.make(**operator, _safe=True))
        for record in records:
            page = copy.deepcopy(record)
            got = mapper(page)
            if isinstance(got, str):
                yield "broken", None
            else:
                yield ("keep", got[0]) if got else ("drop", None)


def ours(args, operator, path):
    """What `gristmill try` says, the operator being a config of DCLM's."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
        json.dump([{"source": "all", "steps": [operator]}], config)
        config.flush()
        command = [args.gristmill, "try", "--dclm", config.name, "--models", args.models, path]
        # A list that DCLM finds from its root is found there by us.
        run = subprocess.run(command, stdout=subprocess.PIPE, cwd=args.dclm, check=False)
    if run.returncode:
        raise SystemExit(f"{operator}: gristmill ended with {run.returncode}")
    for line in run.stdout.decode("utf-8").split("\n")[:-1]:
        said = json.loads(line)
        yield said["verdict"], said["doc"] if said["verdict"] == "keep" else None


def same(a, b):
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, bool) or isinstance(b, bool) or isinstance(a, str) or isinstance(b, str):
        return a == b
    if a is None or b is None:
        return a is b
    return abs(a - b) <= 1e-6 * max(1, abs(a))


def is_odd(record, mine):
    """Where DCLM's code works by accident; we call such records broken."""
    return mine[0] == "broken" and (
        not isinstance(record.get("text", ""), str) or any(key in record for key in ("files", "question", "answers"))
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("docs", nargs="+")
    parser.add_argument("--dclm", required=True)
    parser.add_argument("--gristmill", default="target/release/gristmill")
    parser.add_argument("--models", default="models")
    parser.add_argument("--ops")
    parser.add_argument("--only")
    parser.add_argument("--show", type=int, default=3)
    args = parser.parse_args()
    args.gristmill, args.models = os.path.abspath(args.gristmill), os.path.abspath(args.models)
    operators = list(grid())
    if args.ops:
        with open(args.ops, encoding="utf-8") as file:
            operators = json.load(file)
        operators = list(operators.values()) if isinstance(operators, dict) else operators
    records = []
    for path in args.docs:
        with open(path, encoding="utf-8", newline="\n") as file:
            records += [json.loads(line) for line in file if line.strip()]
    theirs = Theirs(args.dclm, args.models)
    totals = collections.Counter()
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as documents:
        # One file, so that both sides read the same characters.
        documents.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        documents.flush()
        for operator in operators:
            if args.only and operator["func"] != args.only:
                continue
            counts = collections.Counter()
            both = zip(records, ours(args, operator, documents.name), theirs.run(operator, records), strict=True)
            for record, mine, other in both:
                counts["total"] += 1
                if mine[0] == other[0] and same(mine[1], other[1]):
                    counts["equal"] += 1
                elif is_odd(record, mine):
                    counts["odd"] += 1
                else:
                    counts["differ"] += 1
                    if counts["differ"] <= args.show:
                        print(f"  ours {mine!r:.400}\n  DCLM {other!r:.400}\n  of   {record!r:.400}", file=sys.stderr)
            totals += counts
            parameters = {key: value for key, value in operator.items() if key != "func"}
            odd = f" ({counts['odd']} odd)" if counts["odd"] else ""
            print(f"{operator['func']:34} {counts['equal']}/{counts['total']}{odd} {json.dumps(parameters, ensure_ascii=False)}", flush=True)
    print(f"{totals['equal']} of {totals['total']} equal, {totals['odd']} odd, {totals['differ']} differ")
    return 1 if totals["differ"] else 0


if __name__ == "__main__":
    sys.exit(main())
