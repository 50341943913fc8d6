"""Print environment.yml, for users of conda and mamba, from pyproject.toml's one list.

Python is conda's; everything else comes as in any other installation, at the same pins. So there
is one list, and one set of versions that was tested: what conda's channels have, and by which
name, plays no part.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent

HEAD = """\
# Made from pyproject.toml by `make environment`; a test fails when it is not as that says.
name: baton
channels:
  - conda-forge
dependencies:
  - python=3.11
  - pip
  - pip:
"""


def content(project: dict[str, object]) -> str:
    """Text of the file.

    Parameters
    ----------
    project : dict
        The table ``project`` of pyproject.toml.
    """
    dependencies = project["dependencies"]
    assert isinstance(dependencies, list)
    lines = ["-c constraints.txt", *dependencies, "-e ."]
    return HEAD + "".join(f'      - "{line}"\n' for line in lines)


if __name__ == "__main__":
    found = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    sys.stdout.write(content(found["project"]))
