"""A server for tests of tasks and flows: triggers run, nothing is served.

It is Prefect's harness on SQLite; with ``--database postgresql`` (`make services`) it is the first
of a team's two servers, on PostgreSQL and Redis, with MLflow and studies on PostgreSQL, too.
"""

import pytest
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from prefect.testing.utilities import prefect_test_harness

from baton.settings import settings
from tests import services


@pytest.fixture(scope="session")
def prefect(team):
    """A Prefect server of the session's own."""
    if team:
        yield
    else:
        with prefect_test_harness(server_startup_timeout=120):
            yield


@pytest.fixture(scope="session", autouse=True)
def team(request, tmp_path_factory):
    """Servers on PostgreSQL and Redis, where the suite is asked to run on them; else None."""
    if request.config.getoption("database") != "postgresql":
        yield None
        return
    with services.team(tmp_path_factory.mktemp("team")) as found, pytest.MonkeyPatch.context() as m:
        told = found.told("serve", found.prefect[0])
        for name, value in told.items():
            m.setenv(name, value)
        settings.cache_clear()
        api, auth = told["PREFECT_API_URL"], told["PREFECT_API_AUTH_STRING"]
        with temporary_settings({PREFECT_API_URL: api, PREFECT_API_AUTH_STRING: auth}):
            yield found
    settings.cache_clear()
