"""Forms that follow from models of parameters: their fields, what was typed, what is wrong with it.

Pure functions. What a form is for, and how it looks, belongs in a page and its template.
"""

from __future__ import annotations

import json
import re
import types
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from starlette.requests import Request

from baton.errors import InputError, fault_of
from baton.words.text import listed, quoted
from serving.entrance import TooLongError, body_of

MOST_BYTES = 1 << 20
"""Bytes that a form without a file may have."""

_FLAG = re.compile(r"(?<!\S)-p (?=\w)")
_NAMED = re.compile(r"(?:parameter |column |option )?'?(\w+)'?\b")


@dataclass(frozen=True)
class Field:
    """A field of a form."""

    name: str
    help: str
    """What it is, in a few words."""
    kind: Literal["text", "number", "flag", "choice"] = "text"
    value: str = ""
    """What was typed; empty for what it is by default."""
    default: str = ""
    """What it is then, for people."""
    choices: tuple[str, ...] = ()
    is_needed: bool = False
    error: str = ""
    """What is wrong with what was typed, in one line."""

    @property
    def label(self) -> str:
        """Name for people."""
        return self.name.replace("_", " ")

    @property
    def id(self) -> str:
        """Id of its element."""
        return f"field-{self.name}"

    @property
    def described_by(self) -> str:
        """Ids of the elements that say what it is, and what is wrong."""
        return f"{self.id}-help {self.id}-error" if self.error else f"{self.id}-help"


@dataclass(frozen=True)
class Form:
    """Fields of one model, or of several."""

    fields: tuple[Field, ...]
    error: str = ""
    """What is wrong with no field alone."""

    def __getitem__(self, name: str) -> Field:
        """Return the field of this name."""
        return next(one for one in self.fields if one.name == name)

    def named(self, names: Iterable[str]) -> list[Field]:
        """Return the fields of these names, in their order."""
        return [self[name] for name in names]

    def without(self, names: Collection[str]) -> list[Field]:
        """Return the other fields."""
        return [one for one in self.fields if one.name not in names]

    @property
    def wrong(self) -> list[Field]:
        """Fields with something wrong."""
        return [one for one in self.fields if one.error]

    @property
    def given(self) -> dict[str, str]:
        """What was typed into those that are not empty."""
        return {one.name: one.value for one in self.fields if one.value.strip()}

    def filled(self, typed: Mapping[str, str]) -> Form:
        """Form with what was typed."""
        filled = (replace(one, value=typed.get(one.name, "")) for one in self.fields)
        return replace(self, fields=tuple(filled))

    def refused(self, errors: Mapping[str, str], error: str = "") -> Form:
        """Form with what is wrong, by name of the field."""
        fields = tuple(replace(one, error=errors.get(one.name, one.error)) for one in self.fields)
        return replace(self, fields=fields, error=error)

    def refused_by(self, error: InputError) -> Form:
        """Form with what a check said: at the field that it begins by naming, else above all."""
        said = as_of_a_form(str(error))
        found = _NAMED.match(said)
        names = {one.name for one in self.fields}
        if found and found[1] in names:
            return self.refused({found[1]: said})
        return self.refused({}, said)


def form_of(model: type[BaseModel], but: Collection[str] = ()) -> Form:
    """Form of a model's fields, but for some.

    Examples
    --------
    >>> from baton.terms import Options
    >>> form_of(Options)["quality"].choices
    ('fast', 'good', 'best')
    """
    found = model.model_fields.items()
    return Form(tuple(_field(name, one) for name, one in found if name not in but))


def joined(*forms: Form) -> Form:
    """Form of all fields; of two of one name the first."""
    fields: dict[str, Field] = {}
    for form in forms:
        fields = {one.name: one for one in form.fields} | fields
    return Form(tuple(fields.values()), next((one.error for one in forms if one.error), ""))


def errors_of(model: type[BaseModel], given: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with values of a model's fields, a line for each; empty if nothing is.

    What takes several fields has no name, and is under an empty one.
    """
    try:
        model.model_validate(dict(given))
    except ValidationError as error:
        faults: Sequence[ErrorDetails] = error.errors(include_url=False)
        return {str(one["loc"][0]) if one["loc"] else "": _said(one) for one in reversed(faults)}
    return {}


def as_of_a_form(said: str) -> str:
    """What a check says to a user of the command, to one of a form.

    Examples
    --------
    >>> as_of_a_form("add -p kind=regression or choose another target")
    'add kind=regression or choose another target'
    """
    return _FLAG.sub("", said)


def _said(fault: ErrorDetails) -> str:
    if fault["type"] == "missing":
        return "It is needed."
    text = as_of_a_form(fault_of(fault))
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _field(name: str, found: FieldInfo) -> Field:
    kind, choices = _kind(found.annotation)
    is_off = found.default is False
    return Field(
        name,
        found.description or "",
        "choice" if kind == "flag" and not is_off else kind,
        default="" if is_off else _default(found),
        choices=("true", "false") if kind == "flag" and not is_off else choices,
        is_needed=found.is_required(),
    )


def _kind(annotation: Any) -> tuple[Literal["text", "number", "flag", "choice"], tuple[str, ...]]:
    """Kind of a field by the type of its values, and what there is to choose from."""
    kinds = list(_parts(annotation))
    if len(kinds) != 1:
        return "text", ()
    if get_origin(kinds[0]) is Literal:
        return "choice", tuple(map(str, get_args(kinds[0])))
    if not isinstance(kinds[0], type):
        return "text", ()
    if issubclass(kinds[0], Enum):
        return "choice", tuple(str(one.value) for one in kinds[0])
    if issubclass(kinds[0], bool):
        return "flag", ()
    return ("number" if issubclass(kinds[0], int | float) else "text"), ()


def _parts(annotation: Any) -> Iterable[Any]:
    """Types that a value may have, but for None."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _parts(get_args(annotation)[0])
    elif origin in {Union, types.UnionType}:
        for one in get_args(annotation):
            yield from _parts(one)
    elif annotation is not type(None):
        yield annotation


def _default(found: FieldInfo) -> str:
    """What a field is by default, for people; empty if that is nothing."""
    value = None if found.is_required() else found.get_default(call_default_factory=False)
    match value:
        case None | "" | () | []:
            return ""
        case Enum():
            return str(value.value)
        case tuple() | list():
            return listed(value, len(value), last=", ")
        case dict():
            return json.dumps(value) if value else ""
        case float():
            return f"{value:g}"
    return str(value)


async def typed(request: Request) -> dict[str, str]:
    """What a form without a file sends; of a name that is there twice the last value.

    Raises
    ------
    InputError
        If it is too long, or no text.
    """
    try:
        content = (await body_of(request, MOST_BYTES)).decode()
        pairs = parse_qsl(content, keep_blank_values=True, max_num_fields=1000)
    except TooLongError as error:
        raise InputError(f"{error}: write less into the form") from None
    except ValueError:
        raise InputError("the form cannot be read: send it by the page") from None
    return {name: value.replace("\r\n", "\n") for name, value in pairs}


def unknown(typed: Mapping[str, str], form: Form) -> str:
    """What is said of names that are no field; empty if there are none."""
    names = {one.name for one in form.fields}
    strange = [name for name in typed if name not in names]
    return f"the form has no field {quoted(strange)}" if strange else ""
