"""Distinct texts as numbers, dates, seconds or flags, missing where they are none.

Which of them a column holds is decided in ``text_columns``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from baton.tables.roles import Column, Role

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

ISO = "ISO8601"
"""Style of dates such as 2020-12-31, with or without a time and an offset."""


def parse(values: pa.Array[Any], column: Column, decimal: str = ".") -> np.ndarray:
    """Texts as a column's role and style say: numbers, dates, seconds or flags.

    A column without a style had values of a type where it was decided on; its text is read as
    such values are written, numbers with the `decimal` mark of the file they are in.
    """
    match column.role:
        case Role.NUMBER if not column.style:
            return _typed_numbers(values, "comma" if decimal == "," else "point")
        case Role.NUMBER:
            return _numbers(values, column.style)
        case Role.DATETIME:
            return _dates(values, column.style or ISO)
        case Role.DURATION:
            return _seconds(values)
        case Role.BOOLEAN:
            return _flags(values)
    raise ValueError(f"text is not read as {column.role}")


def _numbers(values: pa.Array[Any], style: str) -> np.ndarray:
    """Numbers with group separators, a currency sign or a per-cent sign, else NaN."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    group, point = (",", r"\.") if style != "comma" else (r"[.\x{00a0}' ]", ",")
    whole = rf"(\d{{1,3}}({group}\d{{3}})+|0|[1-9]\d*)"
    bare = pc.replace_substring_regex(values, r"^([+-]?)\s*[$€£¥]?\s*(.*?)\s*[%€£¥$]?$", r"\1\2")
    fits = pc.match_substring_regex(
        bare, rf"^[+-]?({whole}({point}\d*)?|0*{point}\d+)([eE][+-]?\d+)?$"
    )
    plain = pc.replace_substring_regex(bare, group, "")
    pointed = plain if style != "comma" else pc.replace_substring(plain, ",", ".")
    numbers = pc.if_else(fits, pointed, pa.scalar(None, pointed.type)).cast(pa.float64())
    finite = pc.if_else(pc.is_finite(numbers), numbers, None)
    return np.asarray(finite.to_numpy(zero_copy_only=False), dtype=float)


def _typed_numbers(values: pa.Array[Any], style: str) -> np.ndarray:
    """Numbers that may have leading zeros too, as where all of a column's values are numbers."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    point = "," if style == "comma" else r"\."
    fits = pc.match_substring_regex(values, rf"^[+-]?(\d+({point}\d*)?|{point}\d+)([eE][+-]?\d+)?$")
    pointed = pc.replace_substring(values, ",", ".") if style == "comma" else values
    numbers = pc.if_else(fits, pointed, pa.scalar(None, pointed.type)).cast(pa.float64())
    plain = np.asarray(numbers.to_numpy(zero_copy_only=False), dtype=float)
    return np.where(np.isfinite(plain), plain, _numbers(values, style))


_WORDS = {"true": 1.0, "yes": 1.0, "1": 1.0, "false": 0.0, "no": 0.0, "0": 0.0}


def _flags(values: pa.Array[Any]) -> np.ndarray:
    """Words for true and false as 1 and 0, else NaN."""
    import numpy as np

    words = [str(text).strip().lower() for text in values.to_pylist()]
    return np.array([_WORDS.get(word, np.nan) for word in words], dtype=float)


def _dates(values: pa.Array[Any], style: str) -> np.ndarray:
    """Naive timestamps, in UTC where the text says an offset, else NaT."""
    import numpy as np
    import pandas as pd

    texts = values.to_pandas()
    if style == ISO:
        iso = r"\d{4}-\d{2}-\d{2}(?:[T ].*)?|(?:18|19|20|21)\d\d-\d\d"
        texts = texts.where(texts.str.fullmatch(iso))
        dates = pd.to_datetime(texts, format=ISO, errors="coerce", utc=True)
        dates = dates.dt.tz_localize(None)
    else:
        dates = pd.to_datetime(texts, format=style, errors="coerce")
    return np.asarray(dates.to_numpy(), dtype="datetime64[us]")


def _seconds(values: pa.Array[Any]) -> np.ndarray:
    """Seconds of a time of day or a duration such as 12:30 or 12:30:59.5, else NaN."""
    import numpy as np
    import pandas as pd

    texts = values.to_pandas()
    parts = texts.str.extract(r"^(\d{1,3}):([0-5]\d)(?::([0-5]\d(?:\.\d+)?))?$")
    hours, minutes, seconds = (pd.to_numeric(parts[i]) for i in range(3))
    return np.asarray(3600 * hours + 60 * minutes + seconds.fillna(0), dtype=float)
