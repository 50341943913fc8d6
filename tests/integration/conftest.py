"""A harness server for tests of tasks and flows: triggers run, nothing is served."""

import pytest
from prefect.testing.utilities import prefect_test_harness


@pytest.fixture(scope="session")
def prefect():
    """A Prefect server of the session's own."""
    with prefect_test_harness(server_startup_timeout=120):
        yield
