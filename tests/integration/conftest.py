"""A server for tests of tasks and flows: triggers run, nothing is served.

It is Baton's own on SQLite; with ``--database postgresql`` (`make services`) it is the first
of a team's two servers, on PostgreSQL and Redis, with MLflow and studies on PostgreSQL, too.
"""

import hypothesis.extra.pandas  # noqa: F401  by pandera; pytest rewrites it, not in two threads
import pytest
from prefect.client.orchestration import get_client
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_TLS_INSECURE_SKIP_VERIFY,
    PREFECT_API_URL,
    temporary_settings,
)

from baton.settings import Settings, settings
from serving.embedded import run_embedded
from tests import services
from tests.integration.stages import forget_runs


@pytest.fixture(scope="module")
def prefect(server_of_all):
    """The server of these tests; a module leaves no deployment, automation or run behind."""
    yield
    with get_client(sync_client=True) as client:
        for one in client.request("POST", "/automations/filter", json={}).json():
            client.request("DELETE", f"/automations/{one['id']}")
        for deployment in client.read_deployments():
            client.delete_deployment(deployment.id)
        forget_runs(client)


@pytest.fixture(scope="package")
def server_of_all(team, tmp_path_factory):
    """A Prefect server of these tests' own; it ends with them, for it takes time when it is idle.

    Not the harness of Prefect's own, whose writers on SQLite can wait a minute for each other.
    """
    if team:
        yield
        return
    home = Settings(home=tmp_path_factory.mktemp("server"))
    with run_embedded(home, print, serving=False) as (running, addresses):
        told = {
            PREFECT_API_URL: addresses.prefect,
            PREFECT_API_AUTH_STRING: running.secret,
            PREFECT_API_TLS_INSECURE_SKIP_VERIFY: True,
        }
        with temporary_settings(told):
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
