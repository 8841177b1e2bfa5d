"""Writes what ftfy makes of texts: `python ftfy_texts.py OUT [DOCS]`, a JSON object a line, {"text", "config", "fixed"}.

The texts are sentences of many languages as UTF-8 that was read as every encoding ftfy knows, once and twice; the same amid sound text and
with bytes lost; random strings of what its rules look at; and the documents of DOCS (JSON lines, maybe zstd), if given.
"""

import io
import json
import random
import sys
import unicodedata

from ftfy import TextFixerConfig, fix_text
from ftfy.chardata import CHARMAP_ENCODINGS

SENTENCES = [
    "The café’s naïve owner said: “It’s 5 £ — or 6 €…”",
    "Größere Übungen für süße Äpfel, „schön“ heiß.",
    "L’été déjà passé, où êtes-vous allés ? À la plage, ça va.",
    "El niño comió piña mañana. ¿Qué pasó? ¡Olé!",
    "A situação não é fácil; às vezes vão àquele avô à noite.",
    "Perché è così? Città, virtù, però, più.",
    "Het coöperatieve bedrijf is geïnteresseerd in één idee.",
    "Blåbærsyltetøy på brødet, ærlig talt.",
    "Räksmörgås är gott på en ö i ån.",
    "Hyvää päivää, älä syö sitä äyskäriä.",
    "Það er gott að búa í þessu húsi, ðað þú.",
    "Příliš žluťoučký kůň úpěl ďábelské ódy.",
    "Zażółć gęślą jaźń, łódź źrebię.",
    "Árvíztűrő tükörfúrógép, őszinte ünnep.",
    "Își făcea ţara fără să ştie în șapte zile.",
    "Čovjek je šetao po ulici, đak žuri, ćevapi.",
    "Kŕdeľ šťastných ďatľov učí pri ústí Váhu.",
    "Ąžuolas žydėjo prie šaltinio, ėjo į mišką.",
    "Glāžšķūņa rūķīši dzērumā čiepj.",
    "Põdur Zagrebi tšellomängija-följetonist.",
    "İstanbul’da güneş doğuyor, çocuğun şapkası ığdır.",
    "Съешь ещё этих мягких французских булок, да выпей чаю.",
    "Чуєш їх, доцю, га? Кумедна ж ти, прощайся без ґольфів!",
    "Ах, чудна българска земьо, полюшвай цъфтящи жита.",
    "Љубазни фењерџија чађавог лица хоће да ми покаже штос.",
    "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία, ΰ Άλφα Ώμέγα.",
    "איזה יום יפה היום בעיר הגדולה.",
    "هذا يوم جميل في المدينة القديمة، ٠١٢.",
    "این یک روز زیبا در شهر است؛ چهار گربه.",
    "यह शहर में एक सुंदर दिन है।",
    "এটি শহরে একটি সুন্দর দিন।",
    "இது நகரத்தில் ஒரு அழகான நாள்.",
    "ఇది నగరంలో ఒక అందమైన రోజు.",
    "วันนี้เป็นวันที่สวยงามในเมือง",
    "Hôm nay là một ngày đẹp trời ở thành phố cổ.",
    "今天是城市里美好的一天。",
    "今日は街で素晴らしい日です。ﾀｰﾝ、カタカナ！",
    "오늘은 도시에서 아름다운 날입니다.",
    "დღეს ქალაქში მშვენიერი დღეა.",
    "Այսօր քաղաքում գեղեցիկ օր է։",
    "ዛሬ በከተማው ውብ ቀን ነው።",
    "😀 👍🏽 🇩🇪 ♥ ✔ → ½ × ² °C ™ © fi ﬁ 𝒥ohn",
]

CONFIGS = [
    {},
    {"unescape_html": True},
    {"unescape_html": False, "uncurl_quotes": False},
    {"restore_byte_a0": False},
    {"replace_lossy_sequences": False},
    {"decode_inconsistent_utf8": False},
    {"fix_c1_controls": False},
    {"fix_encoding": False},
    {"remove_terminal_escapes": False, "fix_line_breaks": False},
    {"fix_latin_ligatures": False, "fix_character_width": False, "remove_control_chars": False},
    {"normalization": None},
    {"normalization": "NFKC"},
    {"normalization": "NFD"},
    {"normalization": "NFKD"},
    {"max_decode_length": 7},
    {"restore_byte_a0": False, "replace_lossy_sequences": False, "decode_inconsistent_utf8": False, "fix_c1_controls": False},
]

PIECES = (
    list(" \n\t\r\x00\x07\x1a\x1b\x7f\x80\x81\x85\x93\x9d\xa0\xad&;#[<?.,'\"aZmx0é")
    + list("ÃÂâ€œ”™ÐÑÎÏØÙãðï¿½»Å\u2018\u2019\u201c\u2028\ufeff\ufffd\ufffcŉﬁǅ’“•…–—ВГРСЂвЂ™ўβΓΞ€āļ√‚ÄìâóΩ∞≈║╗π├┬─")
    + list("ＡＺ　！ﾀﾞ￣日本ñ¡¿\u0301\u1100\u1161ſ")
    + ["&amp;", "&eacute;", "&EACUTE;", "&#39;", "&#x92;", "&#59;", "&hellip;", "\x1b[31m", "\r\n", "Ã ", "â€™", "â€\ufffd", "Ã©", "Â ", "À", "í ½í¸\x8d"]
)


def as_read(text, encoding):
    """UTF-8 read as another encoding; what it has no character for is lost."""
    return text.encode("utf-8").decode(encoding, "replace")


def texts(rng):
    encodings = CHARMAP_ENCODINGS + ["windows-1252", "windows-1251", "windows-1250", "windows-1253", "windows-1257"]
    for sentence in SENTENCES:
        yield sentence
        for encoding in encodings:
            broken = as_read(sentence, encoding)
            yield broken
            yield f"{broken} {sentence}"
            yield f"{sentence} {as_read(rng.choice(SENTENCES), rng.choice(encodings))}\n{broken}"
            yield broken.replace("\xa0", " ")
            yield broken.replace("\ufffd", "?")
            yield as_read(broken, rng.choice(encodings))
            start = rng.randrange(len(broken))
            yield broken[start : start + rng.randrange(20)]
            words = broken.split(" ")
            yield " ".join(as_read(word, encoding) if rng.random() < 0.3 else word for word in sentence.split(" "))
            yield rng.choice(words)
    for _ in range(12000):
        yield "".join(rng.choice(PIECES) for _ in range(rng.randrange(1, 24)))
    for _ in range(6000):
        page = bytes(range(0x80, 0x100)).decode(rng.choice(CHARMAP_ENCODINGS))
        yield "".join(rng.choice(page) if rng.random() < 0.6 else rng.choice("abc XY.1") for _ in range(rng.randrange(1, 12)))
    for _ in range(3000):
        code_points = (rng.choice([rng.randrange(0x250), rng.randrange(0x3000), rng.randrange(0xD800), 0xFF00 + rng.randrange(0xF0)]) for _ in range(rng.randrange(1, 8)))
        yield "".join(map(chr, code_points))


def documents(path):
    with open(path, "rb") as file:
        if path.endswith(".zst"):
            import zstandard

            file = zstandard.ZstdDecompressor().stream_reader(file)
        for line in io.TextIOWrapper(file, encoding="utf-8"):
            yield json.loads(line)["text"]


def main():
    rng = random.Random(6)
    with open(sys.argv[1], "w", encoding="utf-8") as out:

        def write(text, config):
            # Neither surrogates nor what this Python's Unicode does not know yet.
            if any(unicodedata.category(char) in ("Cs", "Cn") for char in text):
                return
            # As a configuration: given one by one, fix_text forgets some options.
            fixed = fix_text(text, TextFixerConfig(**config))
            print(json.dumps({"text": text, "config": config, "fixed": fixed}), file=out)

        for text in texts(rng):
            write(text, {})
            write(text, rng.choice(CONFIGS))
        if len(sys.argv) > 2:
            for text in documents(sys.argv[2]):
                write(text, {})
                broken = as_read(text[:2000], rng.choice(CHARMAP_ENCODINGS))
                write(broken, {})


main()
