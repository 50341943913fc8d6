"""The record that a chain's last stage leaves in a home: what it announced, and its checksum."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from baton import disk
from baton.chain.events import ModelEvaluated, ModelRef
from baton.errors import InputError
from baton.lineage import digest_of
from baton.settings import Settings
from baton.stores import shelf
from baton.words.text import did_you_mean, listed

_CHECKSUM = "sha256"
_SECONDS_KNOWN = 2.0
"""For which it is known which records machines share: many are looked for at once."""
_DIGITS = re.compile(r"[0-9a-f]{1,12}")


def keep(settings: Settings, evaluated: ModelEvaluated) -> None:
    """Keep what a chain announced last, for the commands that look back."""
    settings.chains.mkdir(parents=True, exist_ok=True)
    content = evaluated.payload()
    record = {**content, _CHECKSUM: digest_of(content)}
    place = settings.chains / f"{evaluated.chain}.json"
    shelf.write(place, json.dumps(record, indent=1, ensure_ascii=False).encode())


def find(settings: Settings, *, chain_id: str = "", problem: str = "") -> ModelEvaluated:
    """Latest chain of this home whose id begins so and which is of this problem.

    Raises
    ------
    InputError
        If there is none, or more than one begins so, or the record is damaged: that is put aside.
    """
    paths = _by_age(settings)
    if chain_id:
        paths = [path for path in paths if path.stem.startswith(chain_id)]
        if len(paths) > 1:
            raise InputError(f"{len(paths)} chains begin with {chain_id!r}; give more digits")
    for path in reversed(paths):
        found = _read(path)
        if found and problem in {"", found.problem}:
            return found
    of = f" of problem {problem!r}" if problem else ""
    what = f"chain {chain_id!r}{of}" if chain_id else f"chain{of}"
    raise InputError(f"no {what} has ended in {settings.home}; `baton run` starts one")


def named(settings: Settings, name: str) -> ModelEvaluated:
    """Chain whose id begins so; else the latest of the problem, or of the model, of this name.

    Raises
    ------
    InputError
        If there is none; with what is near.
    """
    if _DIGITS.fullmatch(name):
        with suppress(InputError):
            return find(settings, chain_id=name)
    known: dict[str, ModelEvaluated] = {}
    for path in _by_age(settings):
        if found := _read(path):
            names = (found.problem, found.data.name, found.model.name)
            known |= dict.fromkeys(filter(None, names), found)
    if name in known:
        return known[name]
    if _DIGITS.fullmatch(name):
        return find(settings, chain_id=name)  # which says why it is none
    hint = did_you_mean(name, known)
    there = f"; {hint}there are: {listed(sorted(known), 20, last=', ')}" if known else ""
    raise InputError(f"no chain, problem or model {name!r} in {settings.home}{there}")


def of_problem(settings: Settings, problem: str) -> Iterator[ModelEvaluated]:
    """Every chain of a problem that ended in this home, the latest first, but damaged records."""
    return (one for one in latest(settings) if one.problem == problem)


def latest(settings: Settings) -> Iterator[ModelEvaluated]:
    """Every chain that ended in this home, the latest first, but damaged records."""
    for path in reversed(_by_age(settings)):
        one = None
        with suppress(InputError, OSError):
            one = _read(path)
        if one:
            yield one


def of_model(settings: Settings, problem: str, model: ModelRef) -> ModelEvaluated | None:
    """Latest chain of this home that ended with this version, if there is one."""
    return next((one for one in of_problem(settings, problem) if one.model == model), None)


def names_of_models(settings: Settings, problem: str) -> frozenset[str]:
    """Names of the registered models of a problem whose chains ended in this home."""
    found = map(_read, _by_age(settings))
    return frozenset(one.model.name for one in found if one and one.problem == problem)


def _by_age(settings: Settings) -> list[Path]:
    """Files of all records, the oldest first; those that machines share are fetched."""
    files = filter(
        Path.is_file, shelf.take_all(settings.chains, within=_SECONDS_KNOWN).glob("*.json")
    )
    return sorted(files, key=lambda path: path.stat().st_mtime)


def _read(path: Path) -> ModelEvaluated | None:
    """What a record says; None if it is of another version of Baton."""
    try:
        record = json.loads(path.read_bytes())
        checksum = record.pop(_CHECKSUM, None)
        is_whole = checksum == digest_of(record)
    except (ValueError, AttributeError, TypeError):
        record, checksum, is_whole = None, None, False
    with suppress(ValidationError):
        if is_whole or checksum is None:  # the first versions of Baton kept none
            return ModelEvaluated.model_validate(record)
    if is_whole:
        return None
    raise InputError(
        f"the record of chain {path.stem} is damaged: it was put aside as"
        f" {disk.put_aside(path)}; run the chain again, which makes nothing twice"
    )
