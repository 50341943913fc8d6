"""``python -m baton`` is the command, and this the way into it: it can be interrupted at once.

It imports the command, which takes half a second, only when a signal no longer ends in a traceback.
"""

import gc
import os
import signal
from typing import Any


def main() -> None:
    """Run the command and exit."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _leave)
    signal.signal(signal.SIGTERM, _leave)
    gc.disable()  # nothing of what is imported is garbage, and looking takes a fifth of the time
    from baton.cli import main as command

    gc.freeze()
    gc.enable()
    command()


def _leave(signum: int, _: Any) -> None:
    """End before there is anything to end."""
    os.write(2, b"baton: interrupted\n")
    os._exit(128 + signum)


if __name__ == "__main__":
    main()
