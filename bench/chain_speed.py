#!/usr/bin/env python3
"""Documents per CPU second of DCLM-Baseline's chain, ours beside DCLM's own Python and datamap-rs: same texts, same run, one core.

The chain is that of recipes/dclm-baseline.yaml from newline_removal_modifier to word_removal_ratio_filter, language identification
included. Programs are timed as a whole, from JSON lines to JSON lines, start and loading included, user and system time added up:
`gristmill run` with one lane and `datamap-rs map` with one thread. DCLM's mappers run in a loop in this process, loading not included.

    cargo build --release -p gristmill-cli
    bench/chain_speed.py TEXTS.jsonl [--dclm CHECKOUT] [--datamap CHECKOUT] [--rounds N] [--core N]
        [--gristmill target/release/gristmill] [--models models]

  TEXTS      records with `text`, such as `gristmill extract` prints
  --dclm     a checkout of mlfoundations/dclm (361714b is what we follow). The Python that runs this needs what its mappers import:
             see dclm_parity.py. Run once; then says too whether both keep the same documents with the same texts
  --datamap  a checkout of allenai/datamap-rs, built by `RUSTFLAGS="-C target-cpu=native" cargo build --release`. It follows its own
             configs/dclm/dclm_config.yaml, from the same step on
  --models   a folder with lid.176.ftz or lid.176.bin, which all of them use

Needs the Python package `pyyaml`. The programs take turns; the best of the rounds counts. Ends with 1 if we keep others than DCLM.
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

import yaml
from dclm_parity import Theirs

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
FIRST, LAST = "newline_removal_modifier", "word_removal_ratio_filter"
# Each record's number, by which survivors are told apart.
NUMBER = "number"


def chain():
    """The steps and their parameters, which have the same names here and in DCLM."""
    with open(os.path.join(ROOT, "recipes/dclm-baseline.yaml"), encoding="utf-8") as file:
        steps = [step if isinstance(step, dict) else {step: {}} for step in yaml.safe_load(file)["steps"]]
    steps = [next(iter(step.items())) for step in steps]
    names = [name for name, _ in steps]
    return [
        (name, {key: value for key, value in parameters.items() if key != "semantics"})
        for name, parameters in steps[names.index(FIRST) : names.index(LAST) + 1]
    ]


def cpu_seconds(command):
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            said.seek(0)
            raise SystemExit(f"{' '.join(command)}\n{said.read().decode('utf-8', 'replace')}")
    return usage.ru_utime + usage.ru_stime


def read(paths):
    for path in paths:
        with open(path, encoding="utf-8", newline="\n") as file:
            yield from map(json.loads, file)


class Ours:
    def __init__(self, args, folder, texts):
        recipe = {"version": 1, "name": "chain", "semantics": "dclm", "steps": [{name: p} for name, p in chain()]}
        recipe["output"] = {"format": "jsonl"}
        path = os.path.join(folder, "recipe.yaml")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(recipe, file)
        self.output = os.path.join(folder, "ours")
        self.command = [args.gristmill, "run", path, "--input", texts, "--output", self.output]
        self.command += ["--models", args.models, "--lanes", "1", "--quiet"]

    def run(self):
        shutil.rmtree(self.output, ignore_errors=True)
        return cpu_seconds(self.command)

    def kept(self):
        return {doc[NUMBER]: doc["text"] for doc in read(glob.glob(os.path.join(self.output, "data", "*.jsonl")))}


class Datamap:
    def __init__(self, args, folder, texts):
        with open(os.path.join(args.datamap, "configs/dclm/dclm_config.yaml"), encoding="utf-8") as file:
            config = yaml.safe_load(file)
        names = [step["name"] for step in config["pipeline"]]
        config["pipeline"] = config["pipeline"][names.index(FIRST) :]
        for step in config["pipeline"]:
            if step["name"] == "fasttext_annotator":
                step["kwargs"]["fast_text_file"] = args.model
        path = os.path.join(folder, "datamap.yaml")
        with open(path, "w", encoding="utf-8") as file:
            yaml.safe_dump(config, file)
        self.output = os.path.join(folder, "datamap")
        program = os.path.join(args.datamap, "target/release/datamap-rs")
        self.command = [program, "--threads", "1", "map", "--input-dir", os.path.dirname(texts)]
        self.command += ["--output-dir", self.output, "--config", path]

    def run(self):
        shutil.rmtree(self.output, ignore_errors=True)
        return cpu_seconds(self.command)

    def kept(self):
        return {doc[NUMBER]: doc["text"] for doc in read(glob.glob(os.path.join(self.output, "step_final", "*")))}


class Dclm:
    def __init__(self, args, texts):
        theirs = Theirs(args.dclm, args.models)
        make = theirs.there(lambda: [theirs.make(name, _safe=True, **parameters) for name, parameters in chain()])
        self.mappers, self.texts, self.lines = make, texts, []

    def run(self):
        start = time.process_time()
        for page in read([self.texts]):
            for mapper in self.mappers:
                made = mapper(page)
                # An error is a string, a page that is not kept an empty list.
                if isinstance(made, str) or not made:
                    break
                page = made[0]
            else:
                self.lines.append(json.dumps(page))
        return time.process_time() - start

    def kept(self):
        return {doc[NUMBER]: doc["text"] for doc in map(json.loads, self.lines)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts")
    parser.add_argument("--dclm")
    parser.add_argument("--datamap")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--gristmill", default=os.path.join(ROOT, "target/release/gristmill"))
    parser.add_argument("--models", default=os.path.join(ROOT, "models"))
    args = parser.parse_args()
    args.gristmill, args.models = os.path.abspath(args.gristmill), os.path.abspath(args.models)
    args.model = next(iter(glob.glob(os.path.join(args.models, "lid.176.*"))), None)
    if args.model is None:
        sys.exit(f"no lid.176.ftz or lid.176.bin in {args.models}")
    os.sched_setaffinity(0, {args.core})

    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, "texts"))
        texts = os.path.join(folder, "texts", "texts.jsonl")
        count = 0
        with open(texts, "w", encoding="utf-8") as file:
            for count, record in enumerate(read([args.texts]), 1):
                file.write(json.dumps({NUMBER: count, **record}, ensure_ascii=False) + "\n")
        programs = {"gristmill": Ours(args, folder, texts)}
        if args.datamap:
            programs["datamap-rs"] = Datamap(args, folder, texts)
        rounds = [{name: program.run() for name, program in programs.items()} for _ in range(args.rounds)]
        seconds = {name: min(taken[name] for taken in rounds) for name in programs}
        if args.dclm:
            programs["DCLM"] = Dclm(args, texts)
            seconds["DCLM"] = programs["DCLM"].run()
        kept = {name: program.kept() for name, program in programs.items()}

    print(f"{count} documents")
    for name, taken in seconds.items():
        ratio = f", gristmill {taken / seconds['gristmill']:.1f} times as many" if name != "gristmill" else ""
        print(f"{name:10} {count / taken:8.0f} documents per CPU second, {len(kept[name]):6} kept{ratio}")
    if "DCLM" in kept:
        ours, theirs = kept["gristmill"], kept["DCLM"]
        differ = [number for number in ours.keys() | theirs.keys() if ours.get(number) != theirs.get(number)]
        print(f"{len(differ)} documents end otherwise than with DCLM {sorted(differ)[:20] or ''}")
        return 1 if differ else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
