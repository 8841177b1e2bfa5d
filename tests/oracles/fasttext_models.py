"""Trains small fastText models of every kind and writes what the C++ library predicts with them.

    python tests/oracles/fasttext_models.py FOLDER

needs fasttext-wheel (or fasttext) and numpy < 2. For each model FOLDER gets NAME.bin or NAME.ftz and NAME.jsonl, whose lines are
{"text", "k", "labels", "probs"}: labels with their prefix, probabilities as the library gives them. tests/golden/lid.rs compares.
Everything is seeded and trained by one thread; the models are the same each time on one machine.
"""

import json
import random
import sys
from pathlib import Path

import fasttext

SYLLABLES = "ka ri mo te su la ne vo di pu zé ñu ör ши не 的 是 学 🙂".split()
ODD = [
    "",
    " ",
    "\t\r\f\v\0",
    "</s>",
    "kari </s> mote",
    "x</s>",
    "</s>x",
    "__label__0 kari",
    "__label__unknown kari mote",
    "a\u00a0b\u2028c\u0085d\u001ce",
    "kari\0mote\vsula\fne",
    "zzzzqqqq",
    "zzzzqqqq wwwwxxxx jjjjyyyy",
    "日本語の長い文には空白がない" * 30,
    "é" * 2000,
    "a" * 5000,
    "<kari> > < <>",
    "🙂🙂🙂 👩‍👩‍👧 \U0010ffff",
    "kari " * 3000,
    "ri mo",
]


def corpus(seed, labels, lines, words_each=12, prefix=b"__label__", skew=1.0, bad_utf8=False):
    """Lines as bytes: a label, and words that lean towards it."""
    rng = random.Random(seed)
    vocabulary = ["".join(rng.choices(SYLLABLES, k=rng.randint(1, 5))) for _ in range(800)]
    weights = [(rank + 1) ** -skew for rank in range(len(labels))]
    out = []
    for _ in range(lines):
        which = rng.choices(range(len(labels)), weights)[0]
        lean = random.Random(which * 7919 + 1)
        own = lean.sample(vocabulary, 25)
        words = [
            (rng.choice(own) if rng.random() < 0.5 else vocabulary[min(int(rng.paretovariate(0.6)), 799)]).encode()
            for _ in range(rng.randint(1, words_each))
        ]
        if bad_utf8 and rng.random() < 0.5:
            words.insert(0, rng.choice([b"caf\xe9", b"\xff\xfe", b"na\xefve", b"\xe7\x9a", b"\x80\x80"]))
        out.append(prefix + labels[which] + b" " + b" ".join(words))
    return out, vocabulary


def texts(seed, vocabulary):
    rng = random.Random(seed)
    made = []
    for _ in range(150):
        words = []
        for _ in range(rng.choice([1, 2, 5, 20, 200])):
            word = rng.choice(vocabulary)
            roll = rng.random()
            if roll < 0.1:
                word = word[::-1] + rng.choice(["", "x", "Q", "ß"])
            elif roll < 0.15:
                word = word + rng.choice(".,!?")
            words.append(word)
        made.append(rng.choice([" ", "  ", "\t"]).join(words))
    return ODD + made


class Writer:
    def __init__(self, folder):
        self.folder = folder

    def train(self, name, data, **options):
        lines, self.vocabulary = data
        path = self.folder / f"{name}.txt"
        path.write_bytes(b"\n".join(lines) + b"\n")
        defaults = dict(dim=10, epoch=5, lr=0.5, thread=1, verbose=0, bucket=5000, minCount=1)
        model = fasttext.train_supervised(str(path), **{**defaults, **options})
        self.source = str(path)
        return model

    def write(self, name, model, extension="bin"):
        model.save_model(str(self.folder / f"{name}.{extension}"))
        # What was saved is what counts, so that is what predicts.
        model = fasttext.load_model(str(self.folder / f"{name}.{extension}"))
        with open(self.folder / f"{name}.jsonl", "w", encoding="utf-8") as out:
            for at, text in enumerate(texts(name, self.vocabulary)):
                k = (1, 3, 1000)[at % 3]
                try:
                    # The method of the extension rather than its wrapper, which cannot say that there is no prediction.
                    found = model.f.predict(text + "\n", k, 0.0, "replace")
                except RuntimeError as error:
                    sys.exit(f"{name}: {text!r}: {error}")
                row = {"text": text, "k": k, "labels": [l for _, l in found], "probs": [p for p, _ in found]}
                out.write(json.dumps(row) + "\n")


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    fasttext.FastText.eprint = lambda *_: None
    w = Writer(folder)
    few = [str(i).encode() for i in range(5)]
    some = [str(i).encode() for i in range(20)]
    many = [str(i).encode() for i in range(300)]
    pair = [b"hq", b"cc"]
    odd = ["ein wort".replace(" ", "\u00a0").encode(), "🙂".encode(), b"", b"__label__x", b"caf\xe9", b"\"\\,", b"a__label__b"]

    for n in (1, 2, 3):
        w.write(f"softmax-w{n}", w.train(f"softmax-w{n}", corpus(n, few, 600), wordNgrams=n))
    w.write("quality", w.train("quality", corpus(4, pair, 1500, 40), wordNgrams=2, dim=100, bucket=20000))
    for loss in ("hs", "ova", "ns"):
        for n in (1, 2):
            w.write(f"{loss}-w{n}", w.train(f"{loss}-w{n}", corpus(5, some, 800), loss=loss, wordNgrams=n))
    for minn, maxn in ((2, 4), (3, 6), (0, 3), (1, 2), (1, 1), (5, 3)):
        name = f"subwords-{minn}-{maxn}"
        w.write(name, w.train(name, corpus(6, few, 500), minn=minn, maxn=maxn, dim=16))
    for loss in ("hs", "ova", "softmax"):
        name = f"{loss}-subwords-w2"
        w.write(name, w.train(name, corpus(7, some, 500), loss=loss, minn=2, maxn=3, wordNgrams=2, dim=37))
    for loss in ("hs", "ova", "softmax"):
        name = f"{loss}-300"
        w.write(name, w.train(name, corpus(8, many, 2500, skew=1.5), loss=loss, wordNgrams=2))
    w.write("untrained", w.train("untrained", corpus(9, some, 300), lr=0.0, wordNgrams=2))
    w.write("untrained-hs", w.train("untrained-hs", corpus(9, some, 300), lr=0.0, loss="hs"))
    w.write("one-label", w.train("one-label", corpus(10, [b"only"], 100)))
    w.write("one-label-hs", w.train("one-label-hs", corpus(10, [b"only"], 100), loss="hs"))
    w.write("odd-labels", w.train("odd-labels", corpus(11, odd, 600, bad_utf8=True), wordNgrams=2, minn=2, maxn=3))
    for loss in ("hs", "ova", "softmax"):
        name = f"q-bad-words-{loss}"
        bytes_that_are_no_text = corpus(17, odd, 800, bad_utf8=True)
        model = w.train(name, bytes_that_are_no_text, loss=loss, wordNgrams=2, minn=1, maxn=3, dim=16)
        model.quantize(input=w.source, thread=1, verbose=0, cutoff=1500)
        w.write(name, model, "ftz")
    w.write("other-prefix", w.train("other-prefix", corpus(12, few, 400, prefix=b"=>"), label="=>"))
    w.write("min-count", w.train("min-count", corpus(13, few, 800), minCount=20, wordNgrams=2, minn=3, maxn=4))
    w.write("bucket-1", w.train("bucket-1", corpus(14, few, 300), wordNgrams=2, bucket=1))

    quantised = {
        "plain": (dict(wordNgrams=2), dict()),
        "qnorm": (dict(wordNgrams=2), dict(qnorm=True)),
        "dsub-3": (dict(wordNgrams=2, dim=10), dict(dsub=3, qnorm=True)),
        "dsub-1": (dict(dim=7, wordNgrams=2), dict(dsub=1)),
        "cutoff": (dict(wordNgrams=2, minn=2, maxn=4, dim=16), dict(cutoff=2000)),
        "cutoff-retrain": (dict(wordNgrams=2, minn=2, maxn=3), dict(cutoff=1500, retrain=True, qnorm=True)),
        "cutoff-words": (dict(minn=0, maxn=0, bucket=100), dict(cutoff=300)),
        "hs": (dict(loss="hs", minn=2, maxn=4, dim=16), dict(qnorm=True)),
        "hs-cutoff": (dict(loss="hs", wordNgrams=2, dim=16), dict(cutoff=1200)),
        "ova": (dict(loss="ova", wordNgrams=2), dict()),
    }
    for name, (train, quantise) in quantised.items():
        model = w.train(f"q-{name}", corpus(15, some, 1000), **train)
        model.quantize(input=w.source, thread=1, verbose=0, **quantise)
        w.write(f"q-{name}", model, "ftz")
    for loss in ("softmax", "hs", "ova"):
        for qnorm in (False, True):
            name = f"q-qout-{loss}{'-qnorm' if qnorm else ''}"
            model = w.train(name, corpus(16, many, 4000, skew=0.3), loss=loss, wordNgrams=2, epoch=2)
            model.quantize(input=w.source, thread=1, verbose=0, qout=True, qnorm=qnorm)
            w.write(name, model, "ftz")


main()
