"""What a deploy changes: what prefect.yaml wants against what stands on a server, field by field.

Pure functions of both, which know neither Prefect's models nor its API: what is wanted and what
stands is made in ``tasks.platform.deploying``, where it is applied, too.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from baton.chain.manifest import Deployment, Manifest
from baton.errors import InputError
from baton.words.text import counted, elide

Json = dict[str, Any]

_MOST_LETTERS = 90
_SCHEMA = "parameter_openapi_schema"
_HIDDEN = "job_variables.env."
"""Beginning of the fields whose values are shown to nobody: they may hold a secret."""
_LATE_TEMPLATES = ("{{ prefect.", "{{ ctx.")
"""Beginnings of what a worker fills in when it starts a run."""


class What(StrEnum):
    """What stands on a server, in the order in which it is made."""

    DEPLOYMENT = "deployment"
    AUTOMATION = "automation"
    """Of a deployment's trigger."""
    ADDRESS = "address"
    """Of the messages: an encrypted block."""
    NOTIFICATION = "notification"
    """An automation that sends a message."""


class Sign(StrEnum):
    """What is done."""

    MAKE = "+"
    CHANGE = "~"
    REMOVE = "-"


@dataclass(frozen=True)
class Wanted:
    """One thing as it is to be."""

    what: What
    name: str
    content: Json
    """What is compared, by field."""
    of: str = ""
    """Deployment that an automation starts, as flow/name."""

    @property
    def key(self) -> tuple[What, str, str]:
        """What is the same thing on the server."""
        return self.what, self.of, self.name

    def __str__(self) -> str:
        return f"{self.what} {self.name}{f' of {self.of}' if self.of else ''}"


@dataclass(frozen=True)
class Standing(Wanted):
    """One thing as it is on the server."""

    id: str = ""


@dataclass(frozen=True)
class Field:
    """A field that is to be another."""

    path: str
    before: Any
    after: Any

    def as_json(self) -> Json:
        """For a script."""
        return {"field": self.path, "before": self.before, "after": self.after}

    def __str__(self) -> str:
        return f"{self.path}: {_said(self.before)} → {_said(self.after)}"


@dataclass(frozen=True)
class Change:
    """One thing to be made, changed or removed."""

    sign: Sign
    wanted: Wanted | None
    standing: Standing | None = None
    fields: tuple[Field, ...] = ()

    @property
    def subject(self) -> Wanted:
        """The thing."""
        found = self.wanted or self.standing
        assert found is not None
        return found

    def lines(self) -> Iterator[str]:
        """Say it to a person: a line, and one for each field."""
        yield f"{self.sign} {self.subject}"
        of_schema = [field for field in self.fields if field.path.startswith(_SCHEMA)]
        for field in self.fields:
            if field not in of_schema:
                said = field if self.sign is Sign.CHANGE else f"{field.path}: {_said(field.after)}"
                yield f"    {said}"
        if of_schema and self.sign is Sign.CHANGE:
            yield f"    {_SCHEMA}: differs in {counted(len(of_schema), 'place')}"

    def as_json(self) -> Json:
        """For a script."""
        one = self.subject
        return {
            "change": self.sign.value,
            "what": one.what.value,
            "name": one.name,
            "of": one.of or None,
            "fields": [field.as_json() for field in self.fields],
        }


def changes(wanted: Sequence[Wanted], standing: Iterable[Standing]) -> tuple[Change, ...]:
    """What has to be done for a server to have what is wanted, in the order of doing.

    What starts a run is removed last, so that no event falls between two automations, and an
    automation goes before its deployment, which would leave it behind.

    Parameters
    ----------
    wanted : sequence of Wanted
    standing : iterable of Standing
        What there is of this manifest; of two that are the same thing, the one whose id is
        less stays, whoever looks.
    """
    left: dict[tuple[What, str, str], Standing] = {}
    twins = []
    for one in sorted(standing, key=lambda one: one.id):
        if left.setdefault(one.key, one) is not one:
            twins.append(one)
    order = list(What)
    made_first = sorted(wanted, key=lambda one: order.index(one.what))
    put = [change for one in made_first if (change := _put(one, left.pop(one.key, None)))]
    gone = sorted([*twins, *left.values()], key=lambda one: (-order.index(one.what), *one.key[1:]))
    return (*put, *(Change(Sign.REMOVE, None, one) for one in gone))


def _put(wanted: Wanted, standing: Standing | None) -> Change | None:
    fields = tuple(_differing("", standing.content if standing else {}, wanted.content))
    if standing is None:
        told = tuple(field for field in fields if field.after not in (None, "", [], {}))
        return Change(Sign.MAKE, wanted, None, told)
    return Change(Sign.CHANGE, wanted, standing, fields) if fields else None


def _differing(path: str, before: Any, after: Any) -> Iterator[Field]:
    """Fields in which two values differ, as deep as they are alike."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys([*after, *before]):
            place = f"{path}.{key}" if path else key
            yield from _differing(place, before.get(key), after.get(key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _differing(f"{path}[{number}]", one, other)
    elif before != after:
        yield from _flat(path, before, after)


def _flat(path: str, before: Any, after: Any) -> Iterator[Field]:
    """One field, or those of what comes or goes as a whole."""
    whole = before or after
    is_one_sided = not (before and after)
    if is_one_sided and isinstance(whole, dict):
        yield from _differing(path, before or {}, after or {})
    elif is_one_sided and isinstance(whole, list) and whole and isinstance(whole[0], dict):
        nothing: list[Json] = [{} for _ in whole]
        yield from _differing(path, before or nothing, after or nothing)
    elif f"{path}.".startswith(_HIDDEN):
        yield Field(path, *("(hidden)" if value is not None else None for value in (before, after)))
    elif (before, after) not in (({}, None), (None, {})):
        yield Field(path, before, after)


def _said(value: Any) -> str:
    if value is None:
        return "none"
    return elide(json.dumps(value, ensure_ascii=False), _MOST_LETTERS)


def summed_up(found: Sequence[Change], *, are_done: bool) -> str:
    """Say in one line how much there is to do, or was done."""
    counts = {sign: sum(one.sign is sign for one in found) for sign in Sign}
    words = ("made", "changed", "removed") if are_done else ("to make", "to change", "to remove")
    return ", ".join(f"{counts[sign]} {word}" for sign, word in zip(Sign, words, strict=True))


def missing_pool(name: str, address: str) -> InputError:
    """Error that says how a work pool is made that is not there.

    Parameters
    ----------
    name : str
        Of the work pool.
    address : str
        Of the server.
    """
    make = f"prefect work-pool create {shlex.quote(name)} --type process"
    return InputError(f"work pool {name!r} is not on {address}; make it: `{make}`")


def check(manifest: Manifest) -> None:
    """Check that nothing is declared which a deploy would have to leave out.

    Raises
    ------
    InputError
        If there are steps of a build, a template that nobody fills in, or no work pool.
    """
    for key in ("build", "push"):
        if getattr(manifest, key):
            raise InputError(
                f"prefect.yaml: {key}: `baton deploy` neither builds nor uploads; do that before,"
                " as .github/workflows/deploy.yaml does, and take the steps out"
            )
    for entry in manifest.deployments:
        _check(entry)


def _check(entry: Deployment) -> None:
    if entry.work_pool is None:
        raise InputError(
            f"prefect.yaml: deployment {entry.name!r} has no work_pool, so no worker would take"
            " its runs; name one, such as `work_pool: {name: baton}`"
        )
    content = entry.model_dump(mode="json", exclude={"triggers"})
    variables = content["work_pool"].pop("job_variables")
    early = [one for one in _texts(variables) if not one.startswith(_LATE_TEMPLATES)]
    for text in [*_texts(content), *early]:
        if "{{" in text:
            raise InputError(
                f"prefect.yaml: deployment {entry.name!r}: {elide(text, 60)} is a template, and"
                " `baton deploy` fills in none; write the value"
            )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)
