"""What every test shares: a home of its own, and the real data where it is there."""

import atexit
import os
import shutil
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

# Settings are read once per process, so the home is set before anything of Baton is imported.
os.environ["BATON_HOME"] = tempfile.mkdtemp(prefix="baton-tests-")
atexit.register(shutil.rmtree, os.environ["BATON_HOME"], ignore_errors=True)
os.environ.pop("PREFECT_API_URL", None)
# The tests share the cores between two workers; threads that wait by spinning would not. LightGBM
# sets their number itself, and what is started from here has all cores: these are to sleep.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

ROOT = Path(__file__).parent.parent

collect_ignore = ["oracle"]  # it wants a library of another age; tests/unit/test_featuretools.py


@pytest.fixture(scope="session")
def shared():
    """Folder of the real data; skips the test where it is absent, as in a user's clone."""

    def find(name: str) -> Path:
        path = ROOT.parent / "shared" / "data" / name
        if not path.exists():
            pytest.skip(f"wants the real data in ../shared/data/{name}")
        return path

    return find


@pytest.fixture
def event_loop_run():
    """Run a coroutine to its end."""
    import asyncio

    return asyncio.run


@pytest.fixture(autouse=True)
def _warnings_of_reaches():
    """A reach warns once in a process; here, once in a test."""
    from baton.internals import warn

    warn.cache_clear()


@pytest.fixture
def no_internals(monkeypatch):
    """Settings in which nothing may reach behind the public face of a library."""
    from baton.settings import settings

    monkeypatch.setenv("BATON_INTERNALS", "0")
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()


@pytest.fixture(scope="module")
def fast_paths():
    """Fast paths are on, whatever the environment says: they are what is tested."""
    from baton.settings import settings

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BATON_FAST", "1")
        settings.cache_clear()
        yield
    settings.cache_clear()


@pytest.fixture(scope="session")
def answering():
    """Enter a context of tests/services.py; skip the test where nobody answers."""
    from tests import services

    @contextmanager
    def entered(context):
        with ExitStack() as stack:
            try:
                found = stack.enter_context(context)
            except services.NobodyAnswersError as error:
                pytest.skip(str(error))
            yield found

    return entered


def pytest_addoption(parser):
    """Let the integration tests be run on another database, and pictures be taken."""
    parser.addoption(
        "--database",
        choices=["sqlite", "postgresql"],
        default="sqlite",
        help="what Prefect, MLflow and studies stand on in tests/integration",
    )
    parser.addoption(
        "--screenshots",
        action="store_true",
        help="have tests/e2e/test_pages.py write pictures of the pages for the documentation",
    )
