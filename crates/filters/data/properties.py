"""Writes properties.txt: what Python and uniseg say of every code point.

Run with Python 3.11 (its unicodedata is Unicode 14.0) and `pip install uniseg==0.10.1` (Unicode 16.0):

    python crates/filters/data/properties.py > crates/filters/data/properties.txt

A line is a code point and the flags of it and of all up to the next line, both in hexadecimal. Flags: bits 0-4 Word_Break
in the order of `WordBreak`, then isalnum, isalpha, isupper, isdigit, isspace, isdecimal, Extended_Pictographic.
"""

import sys
import unicodedata

from uniseg.emoji import extended_pictographic
from uniseg.wordbreak import WordBreak, word_break

assert sys.version_info[:2] == (3, 11) and unicodedata.unidata_version == "14.0.0"

CLASSES = {value: index for index, value in enumerate(WordBreak)}


def flags(char):
    bits = [char.isalnum(), char.isalpha(), char.isupper(), char.isdigit(), char.isspace(), char.isdecimal()]
    bits.append(bool(extended_pictographic(char)))
    return CLASSES[word_break(char)] | sum(bit << shift for shift, bit in enumerate(bits, 5))


last = None
for code in range(0x110000):
    now = flags(chr(code))
    if now != last:
        print(f"{code:x} {now:x}")
        last = now
