"""YAML files that others may have written: what cannot be read is one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from baton.errors import InputError

_MOST_MERGED = 1_000
_UNREADABLE = (
    yaml.YAMLError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What PyYAML raises over a value that is not what its tag says, beside its own errors."""


class _Loader(yaml.SafeLoader):
    """Plain values only, and keys merged into a mapping no more than a person would write."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge the mappings that ``<<`` names; each level could double them."""
        super().flatten_mapping(node)
        if len(node.value) > _MOST_MERGED:
            mark = node.start_mark
            raise yaml.constructor.ConstructorError(None, None, "too many merged keys", mark)


def read(path: Path) -> Any:
    """Read a YAML file.

    Raises
    ------
    InputError
        If it cannot be read, or is not YAML of plain values.
    """
    try:
        return yaml.load(path.read_bytes(), _Loader)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except _UNREADABLE as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{path} is not YAML: {reason or type(error).__name__}") from None
