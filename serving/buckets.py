"""Watched buckets: each object begins a chain, once for each content.

A store shows an object when all of it is there, and says nothing when one comes: its list is looked
at from time to time. Which version is known is decided in ``baton.stores.versions``.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from baton import addresses
from baton.addresses import Address
from baton.errors import InputError
from baton.stores import objects, versions
from baton.stores.versions import Known, Version
from serving.taking import LOOK_SECONDS, Taking, Trouble


@dataclass
class Bucket:
    """A folder in a bucket that is watched.

    Parameters
    ----------
    taking : Taking
        What is done with its objects.
    place : Address
        Of the folder.

    Raises
    ------
    InputError
        If the problem takes no file, or a parameter is none of it.
    """

    taking: Taking
    place: Address
    trouble: Trouble = field(init=False)

    def __post_init__(self) -> None:
        self.place = self.place.as_folder()
        self.trouble = Trouble(str(self.place))
        self.taking.check(str(self.place.of("any")))

    def look(self) -> None:
        """Take the objects that are there and were not taken before, in the order of their times.

        A store that does not answer is said once. Where one object could not be taken, the list is
        asked for once more: if the store is away, nothing else of it is tried.
        """
        try:
            found = self._found()
            self.taking.forget_but({str(one) for one in found})
            for one in sorted(found, key=lambda one: (found[one].changed, one.key)):
                if self.taking.ending.is_set():
                    return
                if not self._is_settled(one, found[one]):
                    self._found()
        except (OSError, InputError) as error:
            self.trouble.say(type(error).__name__, str(error))
        else:
            self.trouble.over()

    def _found(self) -> dict[Address, Version]:
        """Objects of the folder that count."""
        found = {}
        for name, version in objects.listed(self.place).items():
            one = self.place.of(name)
            if self.taking.is_meant(name) and self._is_written(one):
                found[one] = version
        return found

    def _is_written(self, one: Address) -> bool:
        """Tell whether an address can be written down; else say that the object is passed over."""
        try:
            return addresses.parse(str(one)) == one
        except InputError:
            self.taking.pass_over(str(one), "its name cannot stand in an address; rename it")
            return False

    def _is_settled(self, one: Address, found: Version) -> bool:
        """Take an object, unless it is known; tell whether nothing kept it from that."""
        if not self.taking.is_due(str(one)):
            return True
        try:
            return self._is_known(one, found) or self._take(one)
        except (OSError, InputError) as error:
            return self.taking.put_off(str(one), str(error))

    def _is_known(self, one: Address, found: Version) -> bool:
        """Tell whether what stands there was taken, and was not overwritten."""
        noted = versions.read(self.taking.noted(str(one)))
        now = noted and noted.compared(found, lambda: objects.look(one), time.time())
        if now and now is not noted:
            self.taking.note(str(one), versions.written(now))
        return now is not None

    def _take(self, one: Address) -> bool:
        """Take an object as it is now; one that is gone meanwhile needs nothing."""
        at, version = int(time.time()), objects.look(one)
        if version is None:
            return True
        return self.taking.take(str(one), versions.written(Known(version, at)))


async def keep_watching(one: Bucket) -> None:
    """Take what arrives in a bucket, until the process ends, in a thread that keeps no other."""
    thread = ThreadPoolExecutor(1, thread_name_prefix=str(one.place))
    try:
        while True:
            await asyncio.get_running_loop().run_in_executor(thread, one.look)
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        thread.shutdown(wait=False)
