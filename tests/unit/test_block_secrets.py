"""Prefect's Secret blocks as a source of passwords."""

import pytest
from prefect.blocks.system import Secret

from baton.errors import InputError
from baton.sources import secrets
from tasks.platform.secrets import use_blocks


@pytest.fixture(autouse=True)
def blocks(monkeypatch):
    """Blocks by name, without a server."""
    known = {"shop": Secret(value="s3cret")}

    async def load(name):
        if name not in known:
            raise ValueError(f"Unable to find block document named {name}")
        return known[name]

    monkeypatch.setattr(Secret, "aload", load)
    use_blocks()
    yield
    secrets.use(None)


def test_a_block_is_revealed_by_its_name():
    """As something that does not show itself."""
    found = secrets.reveal("shop")
    assert found.get_secret_value() == "s3cret"
    assert "s3cret" not in repr(found)


def test_a_block_that_is_not_there_is_told():
    """With where to create it."""
    with pytest.raises(InputError, match=r"no Prefect Secret block 'other': create it"):
        secrets.reveal("other")


def test_a_block_is_revealed_where_an_event_loop_runs(event_loop_run):
    """A flow's own body stands in one."""

    async def flow():
        return secrets.reveal("shop")

    assert event_loop_run(flow()).get_secret_value() == "s3cret"
