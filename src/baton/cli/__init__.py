"""The ``baton`` command: the only part of ``baton`` above the flows.

It parses, connects and prints. Its way in is ``entry``, its commands are in ``running``,
``looking`` and ``standing``, printing is in ``show``.
"""

from baton.cli.app import app
from baton.cli.entry import main

__all__ = ["app", "main"]
