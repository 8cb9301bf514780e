"""Texts that trip codecs up: of every script and plane, with every sort of line end, of every length."""

from __future__ import annotations

import numpy as np

NASTY = [
    "",
    "a",
    "\0",
    "\r\n\r\r\n\n",
    " \t  two  blanks ",
    "é vs e\u0301",  # composed and not: normalising would make them one
    "\u212b \u00c5 ﬁ",
    "👩‍👩‍👧‍👦🏳️‍🌈",
    "שלום عليكم \u202eabc\u202c",
    "日本語。テキスト\u3000全角",
    "▁ Ġ Ċ \ufffd \ufeff",
    "\U0010ffff\ue000\u0085\u2028\u2029\x1c",
    "a" * 5000,
    "don't stop, I'll 1,000.50 x_y",
    "</s><unk>[UNK]<0x0A>",
]


def random_texts(count: int, seed: int) -> list[str]:
    """Texts of characters from all of Unicode, the common planes most."""
    rng = np.random.default_rng(seed)
    tops = np.array([0x80, 0x800, 0xFFFF, 0x10FFFF])
    made = []
    for length in rng.integers(0, 40, count):
        codes = rng.integers(0, tops[rng.integers(0, 4, length)], endpoint=True)
        made.append("".join(map(chr, codes[(codes < 0xD800) | (codes > 0xDFFF)].tolist())))
    return made
