"""The C++ library's side of bench/classify.rs.

    classify.py train MODEL.bin < TEXTS        a word-bigram quality model with DCLM's settings, and MODEL.ftz
    classify.py predict MODEL < TEXTS          prints processor seconds for one pass after each line "go"

TEXTS is a JSON list of strings on the first line of standard input.
"""

import json
import sys
import tempfile
import time

import fasttext

fasttext.FastText.eprint = lambda *_: None
task, path = sys.argv[1:]
texts = json.loads(sys.stdin.readline())
if task == "train":
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as lines:
        for at, text in enumerate(texts):
            lines.write(f"__label__{('hq', 'cc')[at % 2]} {text}\n")
        lines.flush()
        model = fasttext.train_supervised(lines.name, wordNgrams=2, thread=1, epoch=1, verbose=0)
        model.save_model(path)
        model.quantize()
        model.save_model(path.removesuffix("bin") + "ftz")
else:
    model = fasttext.load_model(path)
    for _ in iter(sys.stdin.readline, ""):
        start = time.process_time()
        # A list, so that the loop over texts runs in C++.
        model.predict(texts)
        print(time.process_time() - start, flush=True)
