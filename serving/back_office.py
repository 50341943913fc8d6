"""``python -m serving.back_office DESCRIPTOR``: what the clerk does, a line a question.

Each function takes and returns what JSON has; what it stands on is imported when it is first
asked for. Who asks is ``serving/pages/clerk.py``.
"""

from __future__ import annotations

import json
import logging
import socket
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from threading import Lock
from typing import Any

from baton.errors import InputError, StorageError

log = logging.getLogger("baton.clerk")

_AT_ONCE = 4

Json = dict[str, Any]


def models() -> list[Json]:
    """What is registered, by name."""
    from tasks.platform.tracking import registered_models

    return [asdict(one) | {"updated": one.updated.isoformat()} for one in registered_models()]


def versions(name: str) -> Json:
    """Versions of a registered model, the newest first, and which has which alias."""
    from tasks.platform.tracking import aliases_of, versions_of

    found = [
        one.model_dump() | {"made": made.isoformat(timespec="seconds")}
        for one, made in versions_of(name)
    ]
    return {"versions": found, "aliases": aliases_of(name)}


def promote(name: str, version: int, by: str, reason: str) -> Json:
    """Make a version the champion because a person says so."""
    from tasks.promotion import by_hand

    return _told(*by_hand(name, version, by, reason))


def roll_back(name: str, by: str, reason: str) -> Json:
    """Make the champion before the champion again because a person says so."""
    from tasks.promotion import back

    return _told(*back(name, by, reason))


def _told(decision: Any, event: Any) -> Json:
    """Tell the standing Baton of it; what was decided, and why nobody was told, if so."""
    from serving.standing import tell

    untold = ""
    try:
        tell(event)
    except RuntimeError as error:
        untold = str(error)
    return {"champion": decision.champion, "untold": untold}


def form(name: str, version: int, place: int) -> Json:
    """Fields for a row that a version is asked about."""
    from tasks import trying

    return trying.form(name, version, place)


def answer(name: str, version: int, cells: dict[str, str], output: str) -> Json:
    """Answer of a version to a row, and what drove it."""
    from tasks import trying

    return trying.answer(name, version, cells, output)


def compare(a: str, b: str) -> Json:
    """Two chains side by side."""
    from baton import chains
    from baton.settings import settings

    found = chains.compare(a, b, home=settings().home)
    lines = {"metrics": list(found.lines()), "choices": list(found.choice_lines())}
    return found.as_json() | {"lines": lines}


_ALL = (models, versions, promote, roll_back, form, answer, compare)

WHAT: Mapping[str, Callable[..., Any]] = {one.__name__: one for one in _ALL}
"""What can be asked for."""


def answered(question: Json) -> Json:
    """Do what is asked for, or say in one line why not."""
    number = {"number": question["number"]}
    try:
        return number | {"answer": WHAT[question["what"]](**question["given"])}
    except (InputError, StorageError) as error:
        return number | {"refused": str(error)}
    except Exception as error:
        log.error("%s", question["what"], exc_info=error)
        said = " ".join(str(error).split())[:300]
        return number | {"broken": f"{type(error).__name__}: {said}"}


def work(place: socket.socket) -> None:
    """Answer until nobody asks any more; what is being done then is done."""
    lock = Lock()

    def tell(line: bytes) -> None:
        said = json.dumps(answered(json.loads(line)))
        with lock:
            place.sendall(said.encode() + b"\n")

    with ThreadPoolExecutor(_AT_ONCE) as pool, place.makefile("rb") as lines:
        for line in lines:
            pool.submit(tell, line)


def main() -> None:
    """Answer on a socket that this process was started with."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    with socket.socket(fileno=int(sys.argv[1])) as place:
        work(place)


if __name__ == "__main__":
    main()
