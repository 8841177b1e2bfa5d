#!/usr/bin/env python3
"""Text to deduplicated text: ours beside minhash-rs and DCLM's bff, on the same texts, in the same run, on one core; and how it grows.

    cargo build --release -p gristmill-cli
    bench/dedup_speed.py TEXTS.jsonl… [--minhash-rs PROGRAM] [--bff PROGRAM] [--rounds N] [--shape 1,4,16] [--core N]
        [--gristmill target/release/gristmill] [--folder DIR]

  TEXTS         records with `text`, of which only that and `url` are taken
  --minhash-rs  revbucket/minhash-rs, `cargo build --release`: `--threads 1 min-hash`, `exact_override: true`, which is what has it hash
                n-grams and not whole texts; 14 bands of 8 rows, 5-grams of `uniseg` words
  --bff         mlfoundations/dclm, dedup/bff, `cargo build --release`: `bff --threads 1`, old-both 13/13, 0.8, 0.01, told to
                expect --ngrams (80 million); ours counts them
  --shape       sizes, in copies of the texts, at which ours is measured once (empty: not at all), with tasks as large as those of
                large jobs, which keep checkpoints
  --folder      where the files go, up to some 45 times the texts at 16 copies; by default the system's folder for temporary ones

Programs are timed as a whole, from JSON lines to JSON lines, start included, and take turns; the best of the rounds counts. `cpu`
is user and system time of all their processes, `wall` what passed, which other work on the core adds to. MB are of text.

A copy is the texts with letters put in the place of others: copy K moves each letter by K places among the letters of its kind (of the
same Unicode category and 256 code points). Equal texts stay equal and similar ones similar, words stay words, and copies have
nothing in common: so what is dropped grows with the size. Copy 0 is the texts themselves.

`written` and `read` are all bytes that programs write into and read from files, less the output and the input (once): what passes
exchange. They are those of the kernel (/proc/PID/io), whether they reach the disk or not.

Needs the Python package `numpy`.
"""

import argparse
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unicodedata

import numpy

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
MINHASH = {"preset": "fineweb", "ngram": 5}
# As large as tasks become where the input is large, so that each size does the same for a document: long tasks keep checkpoints.
TASKS = {"size": "128MiB"}
BFF = {"remove_type": "old-both", "min_ngram_size": 13, "max_ngram_size": 13, "filtering_threshold": 0.8, "fp_rate": 0.01}


class Run:
    """What a command took."""

    def __init__(self, command):
        with tempfile.TemporaryFile() as said:
            start = time.monotonic()
            process = subprocess.Popen(command, stdout=said, stderr=said)
            # Its counts can be read until it is reaped.
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            self.wall = time.monotonic() - start
            with open(f"/proc/{process.pid}/io", encoding="ascii") as file:
                counts = dict(line.split(": ") for line in file.read().splitlines())
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if status:
                said.seek(0)
                raise SystemExit(f"{' '.join(command)}\n{said.read().decode('utf-8', 'replace')}")
        self.cpu = usage.ru_utime + usage.ru_stime
        self.read, self.written = int(counts["rchar"]), int(counts["wchar"])
        self.memory = usage.ru_maxrss * 1024


class Texts:
    """So many copies of the texts in a folder."""

    def __init__(self, paths, folder, copies):
        self.folder, self.paths, self.documents, self.characters, self.text = folder, [], 0, 0, 0
        os.mkdir(folder)
        for copy in range(copies):
            letters = moved_letters(copy)
            for number, path in enumerate(paths):
                self.paths.append(os.path.join(folder, f"{copy:02}-{number:03}.jsonl"))
                self.write(path, self.paths[-1], copy, letters)
        self.bytes = sum(map(os.path.getsize, self.paths))

    def write(self, source, target, copy, letters):
        with open(source, encoding="utf-8", newline="\n") as file:
            records = list(map(json.loads, file))
        texts = [record["text"] for record in records]
        if copy:
            # One long text: where one ends and the next begins follows from their lengths.
            codes = numpy.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), "<u4")
            whole, at = letters[codes].tobytes().decode("utf-32-le", "surrogatepass"), 0
            for place, text in enumerate(texts):
                texts[place] = whole[at : at + len(text)]
                at += len(text)
        with open(target, "w", encoding="utf-8", newline="\n") as file:
            for record, text in zip(records, texts, strict=True):
                record = {"url": f"{record.get('url')}#{copy}", "text": text}
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
                self.text += len(text.encode())
        self.documents += len(texts)


def moved_letters(copy):
    """For each code point the one that takes its place."""
    kinds = {}
    for code in range(sys.maxunicode + 1):
        if chr(code).isalpha():
            # Characters of one kind take as many bytes.
            kinds.setdefault((unicodedata.category(chr(code)), code >> 8, code < 0x80), []).append(code)
    table = numpy.arange(sys.maxunicode + 1, dtype="<u4")
    for codes in kinds.values():
        table[codes] = numpy.roll(codes, -copy)
    return table


class Ours:
    def __init__(self, args, folder, texts, step, parameters, head=None):
        self.recipe = os.path.join(folder, "recipe.json")
        with open(self.recipe, "w", encoding="utf-8") as file:
            recipe = {"version": 1, "name": "dedup", "steps": [{step: parameters}], "output": {"format": "jsonl"}}
            json.dump(recipe | (head or {}), file)
        self.output = os.path.join(folder, "ours")
        inputs = [part for path in texts.paths for part in ("--input", path)]
        self.command = [args.gristmill, "run", self.recipe, *inputs, "--output", self.output, "--scratch", folder]
        self.command += ["--lanes", "1", "--quiet"]

    def run(self):
        return Run(self.command)

    def kept(self):
        return glob.glob(os.path.join(self.output, "data", "*.jsonl"))

    def clear(self):
        shutil.rmtree(self.output, ignore_errors=True)


class MinhashRs:
    def __init__(self, args, folder, texts):
        self.output, self.working = os.path.join(folder, "theirs"), os.path.join(folder, "working")
        with open(max(texts.paths, key=os.path.getsize), "rb") as file:
            lines = max(sum(1 for _ in file), 1 << 16)
        config = {"name": "bench", "num_bands": 14, "band_size": 8, "ngram_size": 5, "tokenizer_str": "uniseg", "num_sig_chunks": 32}
        config |= {"num_docs": texts.documents, "max_lines_per_path": lines, "content_key": "text", "exact_override": True}
        config |= {"local_input": texts.folder, "working_dir": self.working, "output_dir": self.output}
        config |= dict.fromkeys(["remote_input", "remote_working_dir", "remote_output"], "")
        path = os.path.join(folder, "minhash.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file)
        self.command = [args.minhash_rs, "--threads", "1", "min-hash", "--config", path]

    def run(self):
        return Run(self.command)

    def kept(self):
        return glob.glob(os.path.join(self.output, "*.jsonl"))

    def clear(self):
        shutil.rmtree(self.output, ignore_errors=True)
        shutil.rmtree(self.working, ignore_errors=True)


class Bff:
    def __init__(self, args, folder, texts):
        self.output = os.path.join(folder, "theirs")
        self.command = [args.bff, "bff", "--inputs", texts.folder, "--output-directory", self.output, "--threads", "1"]
        self.command += ["--expected-ngram-count", str(args.ngrams), "--fp-rate", str(BFF["fp_rate"]), "--no-save-bloom-filter"]
        self.command += ["--min-ngram-size", "13", "--max-ngram-size", "13", "--filtering-threshold", "0.8"]
        self.command += ["--remove-type", "old-both", "--no-progress-bar"]

    def run(self):
        return Run(self.command)

    def kept(self):
        return glob.glob(os.path.join(self.output, "*.jsonl"))

    def clear(self):
        shutil.rmtree(self.output, ignore_errors=True)


class Best:
    """The best of a program's rounds, and what it left."""

    def __init__(self, program, texts):
        self.program, self.texts, self.runs, self.left = program, texts, [], None

    def round(self):
        self.program.clear()
        self.runs.append(self.program.run())
        if self.left is None:
            self.left = 0
            for path in self.program.kept():
                with open(path, "rb") as file:
                    self.left += sum(1 for _ in file)
            self.output = sum(map(os.path.getsize, self.program.kept()))
        self.program.clear()

    def least(self, what):
        return min(getattr(run, what) for run in self.runs)

    def row(self, name, beside=None):
        cpu, wall, documents = self.least("cpu"), self.least("wall"), self.texts.documents
        ratio = f"{beside.least('cpu') / cpu:9.2f}" if beside else " " * 9
        speed = f"{documents / cpu:9,.0f} {self.texts.text / cpu / 1e6:7.1f}"
        memory = self.least("memory") / 1e6
        print(f"{name:34} {cpu:8.2f} {wall:8.2f} {speed} {self.left:9,} {memory:7,.0f} {ratio}", flush=True)


HEAD = f"{'':34} {'cpu s':>8} {'wall s':>8} {'docs/s':>9} {'MB/s':>7} {'left':>9} {'MB mem':>7} {'ratio':>9}"


def beside_peers(args, folder, texts):
    programs = {}
    for name, more in [("jaccard", {}), ("none", {"verify": "none"})]:
        own = os.path.join(folder, name)
        os.mkdir(own)
        programs[f"minhash_dedup, verify: {name}"] = Ours(args, own, texts, "minhash_dedup", MINHASH | more), "minhash-rs"
    own = os.path.join(folder, "bff")
    os.mkdir(own)
    programs["bff_dedup"] = Ours(args, own, texts, "bff_dedup", BFF), "dedup/bff"
    for name, kind, program in [("minhash-rs", MinhashRs, args.minhash_rs), ("dedup/bff", Bff, args.bff)]:
        if program:
            programs[name] = kind(args, folder, texts), None
        else:
            print(f"{name} is left out: no program was given")
    best = {name: Best(program, texts) for name, (program, _) in programs.items()}
    for _ in range(args.rounds):
        for each in best.values():
            each.round()
    print(f"{texts.documents:,} documents, {texts.text / 1e6:.0f} MB of text, best of {args.rounds} rounds")
    print(HEAD)
    for name, each in best.items():
        each.row(name, best.get(programs[name][1]))


def shape(args, folder):
    steps = [("minhash_dedup", MINHASH), ("bff_dedup", BFF)]
    print("\nA document's share, from which a billion follow; µs of processor time, bytes of files that passes exchange")
    print(f"{'':16} {'copies':>6} {'documents':>10} {'left':>6} {'cpu µs':>8} {'wall µs':>8} {'written':>8} {'read':>8}", end="")
    print(f" {'MB mem':>7} {'core-hours':>11} {'TB written':>11} {'TB read':>8}")
    for copies in args.shape:
        texts = Texts(args.texts, os.path.join(folder, "texts"), copies)
        for step, parameters in steps:
            own = os.path.join(folder, "own")
            os.mkdir(own)
            best = Best(Ours(args, own, texts, step, parameters, {"tasks": TASKS}), texts)
            best.round()
            shutil.rmtree(own)
            run, count = best.runs[0], texts.documents
            written, read = (run.written - best.output) / count, (run.read - texts.bytes) / count
            print(f"{step:16} {copies:6} {count:10,} {best.left / count:6.3f} {run.cpu / count * 1e6:8.1f}", end="")
            print(f" {run.wall / count * 1e6:8.1f} {written:8.0f} {read:8.0f} {run.memory / 1e6:7,.0f}", end="")
            print(f" {run.cpu / count * 1e9 / 3600:11.0f} {written / 1e3:11.2f} {read / 1e3:8.2f}", flush=True)
        shutil.rmtree(texts.folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="+")
    parser.add_argument("--minhash-rs")
    parser.add_argument("--bff")
    parser.add_argument("--ngrams", type=int, default=80_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shape", type=lambda sizes: [int(size) for size in sizes.split(",") if size], default=[1, 4, 16])
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--gristmill", default=os.path.join(ROOT, "target/release/gristmill"))
    parser.add_argument("--folder")
    args = parser.parse_args()
    args.gristmill = os.path.abspath(args.gristmill)
    args.minhash_rs, args.bff = (path and os.path.abspath(path) for path in (args.minhash_rs, args.bff))
    os.sched_setaffinity(0, {args.core})
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        if args.rounds:
            texts = Texts(args.texts, os.path.join(folder, "texts"), 1)
            beside_peers(args, folder, texts)
            shutil.rmtree(texts.folder)
        shape(args, folder)


main()
