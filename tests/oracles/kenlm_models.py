"""Trains small SentencePiece and n-gram models of every kind and writes what the C++ libraries make of texts with them.

    python tests/oracles/kenlm_models.py FOLDER

needs kenlm 0.3.0 and sentencepiece 0.2.1 (0.2.3 decides ties between unigram paths otherwise). FOLDER/texts.jsonl may hold documents, {"text"}, to be used beside the script's own. FOLDER gets

    NAME.model   a SentencePiece model, and NAME.pieces.jsonl:      {"text", "pieces"}
    NAME.lm      an n-gram model, ARPA or binary, and NAME.scores.jsonl: {"sentence", "score", "open"}, open: without both ends
    perplexity.jsonl   {"text", "PIECES LM": perplexity as in DCLM's ken_lm_perplexity_enricher, for pairs of models}

tests/golden/kenlm.rs compares. Everything is seeded; the models are the same each time on one machine.
"""

import ctypes
import gzip
import json
import random
import re
import sys
from collections import Counter
from math import log10
from pathlib import Path

import kenlm
import sentencepiece

SYLLABLES = "ka ri mo te su la ne vo di pu zé ñu ör ши не 的 是 学 🙂 ﬁ ½ Å".split()
ODD = [
    "",
    " ",
    "\t\r\n\f\v\0",
    "a\nb\n\n c ",
    "\x1ckari\x1d mote\x1f",
    "１２３ 456 ٣٤ ७८ 𝟗 ①",
    "„kari” “mote” «sula» ‹ne› ´vo´ ’di’ … — – ━ ► 〈x〉【y】％",
    "，。、：？！（）；．～「」《》∶",
    "a\u00a0b\u2003c\u3000d\u2028e\u0085f\u200bg\ufeffh\u00adi",
    "ﬁne ½ Å ℌ ㌔ ｶﾞ ﷺ e\u0301 \u0301x ẞß İı ſ",
    "<s> kari </s> <unk> <0x41> ▁ ▁▁kari",
    "kari▁mote  sula   ne",
    "the [URL] of <user> is [URL][URL] x",
    "日本語の長い文には空白がない" * 40,
    "é" * 2000,
    "a" * 5000,
    "🙂🙂🙂 👩‍👩‍👧 \U0010ffff \ufffd \ue000",
    "kari " * 3000,
    "Ünïcödé ŁÓDŹ ΑΒΓ абв 한국어 ไทย हिन्दी",
    "x" * 20 + "\n" + "y" * 20,
    "http://example.com/a?b=c&d=1234567890",
]


def corpus(seed, lines):
    rng = random.Random(seed)
    words = ["".join(rng.choices(SYLLABLES, k=rng.randint(1, 4))) for _ in range(1500)]
    made = []
    for _ in range(lines):
        line = [words[min(int(rng.paretovariate(0.5)) - 1, len(words) - 1)] for _ in range(rng.randint(1, 25))]
        line = [w + rng.choice(["", "", "", ",", ".", " 1984", "  "]) for w in line]
        made.append(" ".join(line))
    return made


class Pieces:
    """Trains SentencePiece models."""

    def __init__(self, folder, training, texts):
        self.folder, self.texts = folder, texts
        self.source = folder / "training.txt"
        self.source.write_text("\n".join(training), encoding="utf-8")

    def train(self, name, **options):
        defaults = dict(vocab_size=2000, hard_vocab_limit=False, character_coverage=0.9995, minloglevel=2)
        sentencepiece.SentencePieceTrainer.train(
            input=str(self.source), model_prefix=str(self.folder / name), **{**defaults, **options}
        )
        (self.folder / f"{name}.vocab").unlink()
        model = sentencepiece.SentencePieceProcessor(model_file=str(self.folder / f"{name}.model"))
        with open(self.folder / f"{name}.pieces.jsonl", "w", encoding="utf-8") as out:
            for text in self.texts:
                out.write(json.dumps({"text": text, "pieces": model.encode_as_pieces(text)}) + "\n")
        return model


def arpa(sentences, order, discount=0.7, cutoffs=(), drop=(), without=(), newline="\n", zero_backoffs=False):
    """An n-gram model by absolute discounting, as an ARPA text. n-grams of length n rarer than cutoffs[n-1] are left out; so are single words
    of `without`, and those shares `drop` of the middle n-grams that nothing longer begins with, though something longer may end with them."""
    counts = [Counter() for _ in range(order)]
    for sentence in sentences:
        words = ["<s>", *sentence, "</s>"]
        for n in range(1, order + 1):
            counts[n - 1].update(tuple(words[at : at + n]) for at in range(len(words) - n + 1))
    for n, least in enumerate(cutoffs):
        counts[n] = Counter({ngram: count for ngram, count in counts[n].items() if count >= least or n == 0})
    rng = random.Random(order)
    for n, share in enumerate(drop):
        contexts = {ngram[:-1] for ngram in counts[n + 1]} if n + 1 < order else set()
        counts[n] = Counter({g: c for g, c in counts[n].items() if n == 0 or g in contexts or rng.random() >= share})
    # A context's continuations: how many, and how often.
    kinds, sums = Counter(), Counter()
    for n in range(1, order):
        for ngram, count in counts[n].items():
            kinds[ngram[:-1]] += 1
            sums[ngram[:-1]] += count
    total = sum(count for (word,), count in counts[0].items() if word != "<s>")
    size = len(counts[0]) + 1

    def prob(ngram):
        if not ngram:
            return 1 / size
        context = ngram[:-1]
        if len(ngram) == 1:
            return max(counts[0][ngram] - discount, 0) / total + discount * size / total / size
        if not sums[context]:
            return prob(ngram[1:])
        own = max(counts[len(ngram) - 1][ngram] - discount, 0) / sums[context]
        return own + discount * kinds[context] / sums[context] * prob(ngram[1:])

    lines = ["# made up", "", "\\data\\"]
    tables = []
    for n in range(order):
        table = []
        for ngram in counts[n]:
            line = f"{-99 if ngram == ('<s>',) else log10(prob(ngram)):.7g}\t{' '.join(ngram)}"
            if n + 1 < order and sums[ngram]:
                line += f"\t{log10(discount * kinds[ngram] / sums[ngram]):.6g}"
            elif n + 1 < order and zero_backoffs:
                line += "\t0"
            table.append(line)
        if n == 0:
            if "<unk>" not in without:
                table.insert(0, f"{log10(discount / total):.7g}\t<unk>\t0")
            table = [line for line in table if not any(f"\t{word}\t" in f"{line}\t" for word in without)]
        tables.append(table)
    lines += [f"ngram {n}={len(table)}" for n, table in enumerate(tables, 1)]
    for n, table in enumerate(tables, 1):
        lines += ["", f"\\{n}-grams:", *table]
    return newline.join([*lines, "", "\\end\\", ""])


class Config(ctypes.Structure):
    """lm::ngram::Config of kenlm 0.3.0 as 64-bit compilers with GNU's library lay it out. Python's module cannot write binaries, but the library
    in it can, if this says so."""

    _fields_ = [
        ("show_progress", ctypes.c_bool),
        ("messages", ctypes.c_void_p),
        ("enumerate_vocab", ctypes.c_void_p),
        ("unknown_missing", ctypes.c_int),
        ("sentence_marker_missing", ctypes.c_int),
        ("positive_log_probability", ctypes.c_int),
        ("unknown_missing_logprob", ctypes.c_float),
        ("probing_multiplier", ctypes.c_float),
        ("building_memory", ctypes.c_size_t),
        ("temporary_directory_prefix", ctypes.c_size_t * 4),
        ("arpa_complain", ctypes.c_int),
        ("write_mmap", ctypes.c_char_p),
        ("write_method", ctypes.c_int),
        ("include_vocab", ctypes.c_bool),
        ("rest_function", ctypes.c_int),
        ("rest_lower_files", ctypes.c_size_t * 3),
        ("prob_bits", ctypes.c_uint8),
        ("backoff_bits", ctypes.c_uint8),
        ("pointer_bhiksha_bits", ctypes.c_uint8),
        ("load_method", ctypes.c_int),
    ]


LIBRARY = ctypes.CDLL(kenlm.__file__)
CONFIG = getattr(LIBRARY, "_ZN2lm5ngram6ConfigC1Ev")
LOAD = getattr(LIBRARY, "_ZN2lm5ngram11LoadVirtualEPKcRKNS0_6ConfigENS0_9ModelTypeE")
LOAD.restype = ctypes.c_void_p


def build_binary(source, target, kind, **options):
    config = Config()
    CONFIG(ctypes.byref(config))
    # What the constructor sets shows whether the layout is right.
    assert (config.probing_multiplier, config.building_memory, config.prob_bits) == (1.5, 1 << 30, 8), "another layout"
    config.messages, config.show_progress, config.building_memory = None, False, 1 << 24
    config.write_mmap = str(target).encode()
    for name, value in options.items():
        setattr(config, name, value)
    # Not freed: the process ends soon.
    assert LOAD(str(source).encode(), ctypes.byref(config), kind)


PROBING, REST_PROBING, TRIE, QUANT_TRIE, ARRAY_TRIE, QUANT_ARRAY_TRIE = range(6)


class Models:
    """Builds n-gram models."""

    def __init__(self, folder, sentences):
        self.folder, self.sentences = folder, sentences
        self.quiet = kenlm.Config()
        self.quiet.show_progress = False
        self.quiet.arpa_complain = kenlm.ARPALoadComplain.NONE

    def write(self, name, text):
        (self.folder / f"{name}.lm").write_bytes(text if isinstance(text, bytes) else text.encode())
        return self.score(name)

    def build(self, name, source, kind, **options):
        build_binary(self.folder / f"{source}.lm", self.folder / f"{name}.lm", kind, **options)
        return self.score(name)

    def score(self, name):
        model = kenlm.Model(str(self.folder / f"{name}.lm"), self.quiet)
        with open(self.folder / f"{name}.scores.jsonl", "w", encoding="utf-8") as out:
            for sentence in self.sentences:
                score, open_score = model.score(sentence), model.score(sentence, bos=False, eos=False)
                out.write(json.dumps({"sentence": sentence, "score": score, "open": open_score}) + "\n")
        return model


PUNCTUATION = {
    ",": "，、", ".": "。", '"': "„”“«»」「《》", "'": "´’", ":": "∶：", "?": "？", "!": "！", "(": "（", ")": "）", ";": "；",
    "-": "–━►", " - ": "—", ". ": "．", "~": "～", "...": "…", "<": "〈", ">": "〉", "[": "【", "]": "】", "%": "％",
}  # fmt: skip
TABLE = str.maketrans({char: ascii for ascii, chars in PUNCTUATION.items() for char in chars})
TABLE.update({code: None for code in [*range(32), *range(127, 160)]})


def perplexity(pieces, model, text):
    """DCLM's rule, in words of our own."""
    normalized = re.sub(r"\d", "0", text.strip()).translate(TABLE)
    lines = " ".join(pieces.encode_as_pieces(normalized)).split("\n")
    score = sum(model.score(line) for line in lines)
    return round(10.0 ** (-score / sum(len(line.split()) + 1 for line in lines)), 1)


def main():
    folder = Path(sys.argv[1])
    given = folder / "texts.jsonl"
    documents = [json.loads(line)["text"] for line in open(given, encoding="utf-8")] if given.exists() else []
    made = corpus(1, 3000)
    rng = random.Random(2)
    lines = [line for text in documents[::10] for line in text.splitlines() if 20 < len(line) < 2000]
    training = made + rng.sample(lines, min(len(lines), 4000)) + [text.replace("\0", "") for text in ODD]
    # Each model sees other documents, all of them the odd texts.
    shares = iter(range(20))

    def texts():
        return ODD + made[:200] + documents[next(shares) :: 20]

    def train(name, **options):
        return Pieces(folder, training, texts()).train(name, **options)

    unigram = train("unigram", vocab_size=4000)
    symbols = dict(user_defined_symbols=["[URL]", "kari mo", "▁ri", "ne", "ñ"], control_symbols=["<user>", "te"])
    train("symbols", **symbols)
    train("bytes", byte_fallback=True, character_coverage=0.98)
    train("symbols-bytes", byte_fallback=True, character_coverage=0.98, **symbols)
    train("identity", normalization_rule_name="identity", add_dummy_prefix=False, remove_extra_whitespaces=False)
    train("nfkc_cf", normalization_rule_name="nfkc_cf", treat_whitespace_as_suffix=True)
    train("blanks", allow_whitespace_only_pieces=True, remove_extra_whitespaces=False, split_digits=True)
    train("unsplit", split_by_whitespace=False, split_by_unicode_script=False, vocab_size=3000)
    bpe = train("bpe", model_type="bpe")
    train("bpe-symbols", model_type="bpe", **symbols)
    train("bpe-bytes", model_type="bpe", byte_fallback=True, character_coverage=0.98, normalization_rule_name="identity")
    train("bpe-suffix", model_type="bpe", treat_whitespace_as_suffix=True, remove_extra_whitespaces=False)

    sentences = [unigram.encode_as_pieces(line) for line in training]
    tests = [" ".join(sentence) for sentence in rng.sample(sentences, 300)]
    tests += [" ".join(unigram.encode_as_pieces(text.replace("\0", ""))) for text in ODD]
    tests += ["", " ", "\t", "<s>", "</s>", "<unk>", "<UNK>", "a </s> b", "<s> ▁ka ri", "▁ka\tri\v\fmo\r\nte  su ", "zzzz qqqq"]
    for sentence in rng.sample(sentences, 150):
        rng.shuffle(sentence)
        tests.append(" ".join(sentence))
    w = Models(folder, tests)
    five = arpa(sentences, 5, cutoffs=(1, 1, 1, 2, 2))
    w.write("five", five)
    w.write("five-gz", gzip.compress(five.encode(), mtime=0))
    w.write("five-crlf", arpa(sentences[:500], 5, newline="\r\n"))
    w.write("six-zeros", arpa(sentences[:1000], 6, zero_backoffs=True))
    w.write("two", arpa(sentences[:1000], 2))
    w.write("three", arpa(sentences[:1000], 3, cutoffs=(1, 2, 3)))
    w.write("no-unk", arpa(sentences[:1000], 4, without=["<unk>"]))
    w.write("dropped", arpa(sentences[:1500], 5, drop=(0, 0.2, 0.2, 0.2)))
    w.write("empty-five", arpa(sentences[:300], 5, cutoffs=(1, 1, 1, 1, 999)))
    probing = w.build("probing", "five", PROBING)
    w.build("probing-p1.1", "five", PROBING, probing_multiplier=1.1)
    w.build("probing-p3", "five", PROBING, probing_multiplier=3.0)
    w.build("probing-wordless", "five", PROBING, include_vocab=False)
    w.build("rest", "five", REST_PROBING)
    trie = w.build("trie", "five", TRIE)
    w.build("trie-wordless", "five", TRIE, include_vocab=False)
    w.build("quant", "five", QUANT_TRIE)
    w.build("quant-q4-b6", "five", QUANT_TRIE, prob_bits=4, backoff_bits=6)
    w.build("quant-q25-b2", "three", QUANT_TRIE, prob_bits=16, backoff_bits=2)
    w.build("array", "five", ARRAY_TRIE)
    for bits in (0, 1, 3, 64):
        w.build(f"array-a{bits}", "five", ARRAY_TRIE, pointer_bhiksha_bits=bits)
    w.build("quant-array", "five", QUANT_ARRAY_TRIE, prob_bits=7, backoff_bits=7, pointer_bhiksha_bits=8)
    for source in ("two", "three", "six-zeros", "no-unk", "dropped", "empty-five"):
        w.build(f"{source}-probing", source, PROBING)
        w.build(f"{source}-trie", source, TRIE)
        w.build(f"{source}-quant-array", source, QUANT_ARRAY_TRIE, prob_bits=5, backoff_bits=5)

    pairs = {"unigram probing": (unigram, probing), "unigram trie": (unigram, trie), "bpe probing": (bpe, probing)}
    with open(folder / "perplexity.jsonl", "w", encoding="utf-8") as out:
        for text in ODD + made[:200] + documents:
            row = {name: perplexity(pieces, model, text) for name, (pieces, model) in pairs.items()}
            out.write(json.dumps({"text": text, **row}) + "\n")


main()
