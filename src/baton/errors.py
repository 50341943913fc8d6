"""The errors that a user can mend.

Anything else that is raised is a defect and keeps its own type.
"""

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class InputError(ValueError):
    r"""Bad input: one line that names the fact and the fix, shown without a traceback.

    What it names may come from a file: line breaks and a terminal's control codes are taken out.

    Examples
    --------
    >>> print(InputError("column 'a\n\x1b[2Jb' is empty"))
    column 'a [2Jb' is empty
    """

    def __init__(self, said: object = "") -> None:
        super().__init__(_CONTROL.sub(" ", str(said)))


class NoModelError(InputError):
    """There is no model yet: a person is told, a schedule waits for its next turn."""


class StorageError(Exception):
    """The disk does not take what is made, or gives it back otherwise: one line, with the fix."""
