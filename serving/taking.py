"""Taking what is found in a watched place: each state of each thing once, whoever watched before.

How things are found belongs in ``folders`` and ``buckets``, what becomes of them in
``tasks/arrivals.py``.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from threading import Event

from baton import problems
from baton.atomic import write_bytes
from baton.chain.manifest import Watch
from baton.errors import InputError
from baton.lineage import digest_of
from baton.settings import settings
from baton.sources.whole import is_data
from tasks.arrivals import DamagedError, arrive
from tasks.platform import orders
from tasks.platform.api import Access
from tasks.platform.orders import Asked

log = logging.getLogger("baton.arriving")

LOOK_SECONDS = 30.0
"""Between two looks at all there is, and at what could not be taken."""


@dataclass
class Taking:
    """What is taken of a watched place.

    Parameters
    ----------
    entry : Watch
        What prefect.yaml says of it.
    there : Access or None
        Server that is told.
    """

    entry: Watch
    there: Access | None
    ending: Event = field(default_factory=Event)
    """Set when this process is to end: nothing more is begun then."""
    _notes: dict[str, bytes] = field(default_factory=dict)
    """States that were taken, as the notes have them."""
    _later: dict[str, float] = field(default_factory=dict)
    """What could not be taken, with when it is looked at again."""
    _reasons: dict[str, str] = field(default_factory=dict)
    """Why it could not, which was said."""
    _passed: set[str] = field(default_factory=set)
    """What is passed over, which was said."""

    def check(self, sample: str) -> None:
        """See that what is found can begin a chain.

        Raises
        ------
        InputError
            If the problem takes no file, or a parameter is none of it.
        """
        try:
            self._asked(sample)
        except InputError as error:
            raise InputError(f"prefect.yaml: watch {self.entry.folder!r}: {error}") from None

    def is_meant(self, name: str) -> bool:
        """Tell whether a name is one of those that count."""
        return is_data(PurePosixPath(name)) and fnmatchcase(name, self.entry.files)

    def pass_over(self, place: str, reason: str) -> None:
        """Say once why something is passed over."""
        if place not in self._passed:
            self._passed.add(place)
            log.warning("%r is passed over: %s", place, reason)

    def forget_but(self, places: Collection[str]) -> None:
        """Forget what was taken and is gone: what comes in its place counts anew."""
        for place in (self._notes.keys() | self._later.keys()) - set(places):
            for known in (self._notes, self._later, self._reasons):
                known.pop(place, None)
            self._note(place).unlink(missing_ok=True)

    def noted(self, place: str) -> bytes:
        """Which state of something was taken; empty if none was."""
        if place not in self._notes:
            with suppress(OSError):  # it was never taken
                self._notes[place] = self._note(place).read_bytes()
        return self._notes.get(place, b"")

    def is_due(self, place: str) -> bool:
        """Tell whether something is to be looked at now, if it could not be taken before."""
        return time.monotonic() >= self._later.get(place, 0.0)

    def take(self, place: str, state: bytes) -> bool:
        """Take something; whatever is wrong with it keeps nothing else.

        Parameters
        ----------
        place : str
            Its path or address.
        state : bytes
            What is noted of it, so that it is not taken again.

        Returns
        -------
        bool
            Whether it was; else it is looked at again later.
        """
        try:
            arrival, was_known = arrive(self._asked(place), self.there, key=self._key(place))
            said = "is known as" if was_known else "is"
            log.info("%s %s arrival %d, chain %s", place, said, arrival.number, arrival.chain)
        except DamagedError as error:
            log.warning("%s: %s", place, error)
        except InputError as error:
            return self.put_off(place, str(error))
        except Exception as error:  # noqa: BLE001  whatever it is, it keeps no other file
            return self.put_off(place, f"{type(error).__name__}: {error}")
        self.note(place, state)
        return True

    def note(self, place: str, state: bytes) -> None:
        """Write down which state of something was taken."""
        self._notes[place] = state
        self._later.pop(place, None)
        self._reasons.pop(place, None)
        self._note(place).parent.mkdir(parents=True, exist_ok=True)
        write_bytes(self._note(place), state)

    def put_off(self, place: str, reason: str) -> bool:
        """Look at something again later, and say why, once; False, since it is not taken."""
        if self._reasons.get(place) != reason:
            self._reasons[place] = reason
            log.warning("%s: %s; looked at again", place, " ".join(reason.split())[:500])
        self._later[place] = time.monotonic() + LOOK_SECONDS
        return False

    def _note(self, place: str) -> Path:
        """File that says which state was taken: a repetition is not counted anew."""
        what = digest_of([self.entry.model_dump(mode="json"), place])[:32]
        return settings().home / "arrivals" / "watched" / what

    def _asked(self, place: str) -> Asked:
        """Chain that something begins."""
        named = problems.get(self.entry.problem).piped
        if not named:
            raise InputError(f"problem {self.entry.problem!r} takes no file")
        given = {**self.entry.parameters, named[0]: place}
        if self.entry.begins == "predict":
            return orders.new_rows(self.entry.problem, given)
        return orders.data_set(self.entry.problem, given)

    def _key(self, place: str) -> str:
        """Period in a name; empty if there is none."""
        name = PurePosixPath(place).name
        found = re.search(self.entry.key, name) if self.entry.key else None
        return found[found.lastindex or 0] if found else ""


@dataclass
class Trouble:
    """What keeps a place from being looked at: said when it begins, and when it is over."""

    place: str
    _kind: str = ""

    def say(self, kind: str, text: str) -> None:
        """Say it, unless it is what was said last."""
        if kind != self._kind:
            log.warning("%s; it is looked at again every %g s", text, LOOK_SECONDS)
        self._kind = kind

    def over(self) -> None:
        """Say that it is over, if there was any."""
        if self._kind:
            log.info("%s is looked at again", self.place)
        self._kind = ""
