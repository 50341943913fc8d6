"""Run another package's command so that it ends when Baton does.

``python -m baton.cli.guard PARENT MODULE [ARGUMENT]…`` is ``python -m MODULE [ARGUMENT]…``
that ends, with all it started, when process PARENT is gone.
"""

import runpy
import sys

from baton.parent import die_with


def main() -> None:
    """Watch the parent and become the module."""
    parent, module, *arguments = sys.argv[1:]
    die_with(int(parent), group=True)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
