"""Types, defaults and limits in words, for the tables of the reference."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import AwareDatetime, BaseModel, SecretStr
from pydantic.fields import FieldInfo

_PLAIN = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Path: "path",
    SecretStr: "secret",
    timedelta: "span of time",
    AwareDatetime: "time",
    Any: "anything",
    type(None): "none",
}
_LONG = 10_000
_LIMITS = {
    annotated_types.Ge: ("ge", "≥"),
    annotated_types.Gt: ("gt", ">"),
    annotated_types.Le: ("le", "≤"),
    annotated_types.Lt: ("lt", "<"),
}


def code(text: Any) -> str:
    """Text as code in Markdown."""
    fence = "``" if "`" in str(text) else "`"
    return f"{fence}{text}{fence}"


def type_name(annotation: Any) -> str:
    """Type in words, as Markdown.

    Examples
    --------
    >>> type_name(dict[str, float])
    'mapping of text to number'
    >>> type_name(Literal["a", "b"] | None)
    '`a`, `b` or none'
    """
    *others, last = dict.fromkeys(_alternatives(annotation))
    return f"{', '.join(others)} or {last}" if others else last


def _alternatives(annotation: Any) -> list[str]:
    """Values or types, any of which is meant."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return [code(value) for value in arguments]
    if origin in (Union, types.UnionType):
        return [one for argument in arguments for one in _alternatives(argument)]
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return [code(one.value) for one in annotation]
    if origin is Annotated:
        return [" ".join(filter(None, [type_name(arguments[0]), limits(arguments[1:])]))]
    return [_collection(origin, arguments) if origin else _plain(annotation)]


def _plain(annotation: Any) -> str:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{label(annotation)})"
    return _PLAIN.get(annotation) or code(annotation.__name__)


def _collection(origin: Any, arguments: tuple[Any, ...]) -> str:
    if origin in (dict, Mapping):
        key, value = arguments
        return f"mapping of {type_name(key)} to {type_name(value)}"
    items = [type_name(one) for one in arguments if one is not Ellipsis]
    return f"list of {' and '.join(items)}"


def label(model: type[BaseModel]) -> str:
    """Name by which pages refer to the section of a model."""
    return f"type-{model.__name__.lower()}"


def limits(metadata: Iterable[Any]) -> str:
    """Numbers that are taken, such as ``≥ 1, < 10``; empty if any.

    Examples
    --------
    >>> limits([annotated_types.Ge(1), annotated_types.Lt(10)])
    '≥ 1, < 10'
    """
    said = []
    for limit in metadata:
        if isinstance(limit, FieldInfo):
            said.append(limits(limit.metadata))
        elif type(limit) in _LIMITS:
            name, sign = _LIMITS[type(limit)]
            said.append(f"{sign} {_number(getattr(limit, name))}")
    return ", ".join(filter(None, said))


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def default(value: Any) -> str:
    """Value in words, as Markdown.

    Examples
    --------
    >>> default(10_000), default(("a", "b")), default(None)
    ('`10_000`', '`a`, `b`', 'none')
    """
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is None or value in ("", (), [], {}):
        return "none"
    if isinstance(value, tuple | list):
        return ", ".join(code(_written(one)) for one in value)
    return "its defaults" if isinstance(value, BaseModel) else code(_written(value))


def _written(value: Any) -> str:
    """Value as a user writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and value >= _LONG:
        return f"{value:_}"
    return f"{value:g}" if isinstance(value, float) else str(value)
