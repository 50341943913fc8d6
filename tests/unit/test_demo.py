"""The demo's home: emptied only if a demo made it."""

import pytest

from baton.cli import demonstrating
from baton.errors import InputError


def test_a_folder_of_the_users_is_not_emptied(tmp_path):
    """Whatever is in it; an empty one and one that a demo has left are taken."""
    home = tmp_path / "demo"
    demonstrating._require_own(home)
    home.mkdir()
    demonstrating._require_own(home)
    (home / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="is no demo's home: move it"):
        demonstrating._require_own(home)
    (home / "baton.lock").touch()
    (home / "results").mkdir()
    demonstrating._require_own(home)
    demonstrating._empty(home)
    assert [one.name for one in home.iterdir()] == ["baton.lock"]
