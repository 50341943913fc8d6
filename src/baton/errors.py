"""The errors that a user can mend.

Anything else that is raised is a defect and keeps its own type.
"""


class InputError(ValueError):
    """Bad input: one line that names the fact and the fix, shown without a traceback."""


class NoModelError(InputError):
    """There is no model yet: a person is told, a schedule waits for its next turn."""


class StorageError(Exception):
    """The disk does not take what is made, or gives it back otherwise: one line, with the fix."""
