"""A plan of nothing but a place, for tests of results."""

from dataclasses import dataclass

from tasks.platform.plan import Plan


@dataclass(frozen=True)
class Place(Plan):
    """A plan of nothing but a place."""

    place: str

    @property
    def folder(self):
        return self.place

    @property
    def is_done(self):
        return self.has("features")
