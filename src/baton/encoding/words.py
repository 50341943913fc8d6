"""Free text: which words a text holds, how often for its length, and what it looks like.

The words are chosen from training rows by how often they occur, never by the target.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd

MOST_WORDS = 300
"""Words, and pairs of words, that become columns; the most frequent ones."""

LOOKS = ("characters", "words", "digits", "capitals", "signs")
"""What is counted of a text beside its words."""

_PROSE_WORDS = 3.0
_PROSE_DISTINCT = 0.5
_LEAST_ROWS = 5
_SAMPLE = 5_000


def is_prose(texts: Iterable[str], n_rows: int) -> bool:
    """Whether distinct texts are to be read word by word, and are no names of categories.

    Parameters
    ----------
    texts : iterable of str
        The distinct ones.
    n_rows : int
        Rows that have a text.

    Examples
    --------
    >>> is_prose(["see you at noon", "call me when free", "u there already?"], 3)
    True
    >>> is_prose(["red", "blue", "green"], 3)
    False
    """
    distinct = list(texts)
    if not distinct or len(distinct) <= _PROSE_DISTINCT * n_rows:
        return False
    sample = distinct[:_SAMPLE]
    return sum(len(text.split()) for text in sample) >= _PROSE_WORDS * len(sample)


def vocabulary(values: pd.Series) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Words and pairs of words that are frequent in training rows, and their weights (idf)."""
    try:
        found = _vectorizer(max_features=MOST_WORDS, min_df=_LEAST_ROWS).fit(texts_of(values))
    except ValueError:  # no word is in so many rows
        return (), ()
    return tuple(found.get_feature_names_out().tolist()), tuple(found.idf_.tolist())


def word_columns(
    values: pd.Series, words: tuple[str, ...], weights: tuple[float, ...]
) -> Iterator[Any]:
    """Yield the TF-IDF of each word, then what the texts look like: arrays of shape (n,)."""
    texts = texts_of(values)
    if words:
        vectorizer = _vectorizer(vocabulary=list(words))
        vectorizer.idf_ = np.asarray(weights)
        found = vectorizer.transform(texts).tocsc()
        yield from (found[:, [place]].toarray().ravel() for place in range(len(words)))
    yield from np.array([_looks(text) for text in texts], dtype=np.float64).reshape(-1, 5).T


def texts_of(values: pd.Series) -> list[str]:
    """Every row's text, an empty one where it is missing."""
    return [text if isinstance(text, str) else "" for text in values.astype(object)]


def _looks(text: str) -> tuple[int, ...]:
    return (
        len(text),
        len(text.split()),
        sum(map(str.isdigit, text)),
        sum(map(str.isupper, text)),
        sum(not (one.isalnum() or one.isspace()) for one in text),
    )


def _vectorizer(**settings: Any) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        token_pattern=r"(?u)\b\w+\b", ngram_range=(1, 2), sublinear_tf=True, **settings
    )
