"""What stock fastText makes of a model that gristmill trained, and of the same examples.

    python tests/oracles/fasttext_trained.py FOLDER

needs fasttext-wheel (or fasttext) and numpy < 2. FOLDER has model.bin, the examples `training` and `held-out` in fastText's format,
settings.json as fastText names them, and documents.json, a list of texts. Writes into it:

- answers.jsonl: for each line of held-out the labels and probabilities that model.bin gives,
- stock.json: for each line of held-out whether model.bin is right, and whether a model that stock fastText trains is,
- scores.json: for each document DCLM's quality score by model.bin.
"""

import json
import sys
from pathlib import Path

import fasttext

fasttext.FastText.eprint = lambda *_: None
folder = Path(sys.argv[1])
ours = fasttext.load_model(str(folder / "model.bin"))
settings = json.loads((folder / "settings.json").read_text())
stock = fasttext.train_supervised(str(folder / "training"), thread=1, verbose=0, **settings)

right = []
with open(folder / "answers.jsonl", "w") as answers:
    for line in (folder / "held-out").read_text().splitlines():
        label, _, text = line.partition(" ")
        found = ours.f.predict(text + "\n", 10, 0.0, "strict")
        answers.write(json.dumps({"text": text, "labels": [l for _, l in found], "probs": [p for p, _ in found]}) + "\n")
        right.append([model.f.predict(text + "\n", 1, 0.0, "strict")[0][1] == label for model in (ours, stock)])
(folder / "stock.json").write_text(json.dumps(right))


def score(text):
    """As DCLM's classify_fasttext_hq_prob does it (baselines/mappers/enrichers/quality_prediction_enrichers_calc_fasttext.py)."""
    labels, probabilities = ours.predict(" ".join(text.strip().splitlines()))
    return 1 - probabilities[0] if labels[0] == "__label__cc" else probabilities[0]


documents = json.loads((folder / "documents.json").read_text())
(folder / "scores.json").write_text(json.dumps([float(score(text)) for text in documents]))
