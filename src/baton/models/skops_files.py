"""Files of scikit-learn's estimators: skops, which is a zip of JSON and arrays, not a pickle.

Which estimators there are belongs in the families' modules.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

from baton.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_FILE = "model.skops"
_SCHEMA = "schema.json"

_TRUSTED = (
    "sklearn._loss.link.Interval",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils.validation.check_array",
    # Histogram boosting keeps how it checks its input; what the partial wraps is judged by itself.
    "functools.partial",
)
"""Types that skops does not trust by itself and that the families' estimators are made of."""

_BROKEN = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What reading a damaged archive of arrays and JSON raises: no defect of who reads it."""


def save(estimator: Any, folder: Path) -> None:
    """Write an estimator; the bytes are the same for the same estimator."""
    from skops.io import dumps

    (folder / _FILE).write_bytes(_canonical(dumps(estimator)))


def load(folder: Path, trusted: Iterable[str] = ()) -> Any:
    """Read what `save` wrote; no type that is not known here, or named, is ever built.

    Parameters
    ----------
    folder : Path
    trusted : iterable of str
        Full names of further types, as the family names them that reads the file. Nothing in the
        file adds to them.

    Raises
    ------
    InputError
        If the file is missing, broken or holds something else.
    """
    from skops.io import get_untrusted_types, loads

    try:
        content = (folder / _FILE).read_bytes()
        known = {*_TRUSTED, *trusted}
        foreign = set(get_untrusted_types(data=content)) - known
        if foreign:
            raise InputError(f"model in {folder} holds what is not a model: {sorted(foreign)}")
        return loads(content, trusted=sorted(known))
    except _BROKEN as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"no model can be read from {folder / _FILE}: {error}") from None


def _canonical(content: bytes) -> bytes:
    """Number what skops names by memory addresses, and leave out the time of day."""
    source = zipfile.ZipFile(io.BytesIO(content))
    schema = json.loads(source.read(_SCHEMA))
    files = _renumber(schema)
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as target:
        for old, new in files.items():
            target.writestr(zipfile.ZipInfo(new), source.read(old), zipfile.ZIP_DEFLATED)
        text = json.dumps(schema, separators=(",", ":"))
        target.writestr(zipfile.ZipInfo(_SCHEMA), text, zipfile.ZIP_DEFLATED)
    return written.getvalue()


def _renumber(schema: Any) -> dict[str, str]:
    """Number ids and files in the order in which they occur; old names of files to new ones."""
    ids: dict[int, int] = {}
    files: dict[str, str] = {}
    left = [schema]
    while left:
        node = left.pop()
        if isinstance(node, dict):
            if "__id__" in node:
                node["__id__"] = ids.setdefault(node["__id__"], len(ids) + 1)
            if "__loader__" in node and isinstance(node.get("file"), str):
                suffix = node["file"].rpartition(".")[2]
                node["file"] = files.setdefault(node["file"], f"{len(files)}.{suffix}")
            left.extend(node.values())
        elif isinstance(node, list):
            left.extend(node)
    return files
