"""Encodings: how the bytes of a CSV file become characters.

A mark decides, then UTF-8 if the bytes are that, then a guess.
"""

from __future__ import annotations

import codecs

_USUAL_SIGNS = "€£§°·«»\u2018\u2019\u201c\u201d\u201e\u2013\u2014…²³µ®™½¼\u00d7"


def encoding_of(data: bytes, *, complete: bool) -> str:
    """Name of the encoding: a byte-order mark, else UTF-8 if it fits, else a guess."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data, final=complete)
    except UnicodeDecodeError:
        return guess_encoding(data)
    return "utf-8"


def guess_encoding(data: bytes) -> str:
    """Most likely encoding of bytes that are not UTF-8."""
    import charset_normalizer

    telling = b"\n".join(line for line in data.splitlines() if not line.isascii())[: 1 << 16]
    if _looks_western(telling):
        return "cp1252"
    best = charset_normalizer.from_bytes(telling).best()
    return best.encoding if best is not None else "latin-1"


def _looks_western(data: bytes) -> bool:
    """Whether bytes read as cp1252 are mostly plain letters with the odd accent between them."""
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return False
    special = [c for c in text if not c.isascii()]
    usual = sum(c.isalpha() or c in _USUAL_SIGNS for c in special)
    letters = sum(c.isalpha() for c in text)
    return usual == len(special) and len(special) <= max(0.4 * letters, 1)
