"""What compose.yaml tells its services: variables that they know, and that tests start servers by.

That servers so started carry a chain is in ``tests/integration/test_compose.py``.
"""

import inspect
import json
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import yaml
from prefect.server.utilities import encryption
from prefect.settings import Settings as PrefectSettings
from prefect_redis.client import RedisMessagingSettings
from pydantic import AliasChoices, AliasPath
from pydantic_settings import BaseSettings

from baton.cli import app
from baton.settings import Settings
from tests import services

VALUES = {
    "POSTGRES_PASSWORD": "pw",
    "PREFECT_AUTH": "team:pw",
    "PREFECT_ENCRYPTION_KEY": "key",
    "ANNOUNCE_TOKEN": "announced",
    "SERVE_TOKEN": "token",
}
OURS = ("prefect", "mlflow", "serve", "pages", "arriving", "answers")


def _known(model):
    """Variables that a class of settings reads."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseSettings):
            yield from _known(kind)
            continue
        yield f"{model.model_config['env_prefix']}{name}".upper()
        if isinstance(field.validation_alias, AliasChoices):
            choices = field.validation_alias.choices
            yield from (str(one).upper() for one in choices if not isinstance(one, AliasPath))


def _of_mlflow():
    import mlflow.environment_variables as known
    from mlflow.cli import server

    for name in vars(known):
        if name.startswith("MLFLOW_"):
            yield name
    for option in server.params:
        found = option.envvar or ()
        yield from [found] if isinstance(found, str) else found


def _read_beside_settings():
    """What Prefect reads from the environment itself."""
    yield from re.findall(r'"(PREFECT_\w+)"', inspect.getsource(encryption))


KNOWN = {
    "PREFECT_REDIS_": set(_known(RedisMessagingSettings)),
    "PREFECT_": {*_known(PrefectSettings), *_read_beside_settings()},
    "MLFLOW_": set(_of_mlflow()),
    "BATON_": set(_known(Settings)),
}


def _told():
    for service in OURS:
        for name in services.variables(service, VALUES):
            yield pytest.param(name, id=f"{service} {name}")


@pytest.mark.parametrize("name", _told())
def test_each_variable_is_one_that_its_reader_knows(name):
    """Prefect, its Redis module, MLflow and Baton ignore a misspelt one without a word."""
    prefix = next(prefix for prefix in KNOWN if name.startswith(prefix))
    assert name in KNOWN[prefix]


def test_the_image_sets_what_its_reader_knows():
    """Variables of the Dockerfile, and the folder where Prefect may write its pages."""
    named = set(re.findall(r"^(?:ENV| +)\s*([A-Z_]+)=", services.DOCKERFILE, re.MULTILINE))
    ours = {name for name in named if name.startswith(tuple(KNOWN))}
    assert ours == {"BATON_HOME", "PREFECT_SERVER_UI_STATIC_DIRECTORY"}
    assert ours <= set().union(*KNOWN.values())


def test_a_variable_that_nobody_knows_would_be_seen():
    """Names of another version, or misspelt."""
    for name in ("PREFECT_SERVER_EVENTS_MESSAGING_BROKERS", "PREFECT_SERVER_DOCKET_URLS"):
        assert name not in KNOWN["PREFECT_"]
    assert "PREFECT_REDIS_MESSAGING_ADDRESS" not in KNOWN["PREFECT_REDIS_"]


def test_modules_that_prefect_is_told_to_use_are_there():
    """Each value that names a module of prefect_redis can be imported."""
    from importlib import import_module

    told = services.variables("prefect", VALUES).values()
    modules = {value for value in told if value.startswith("prefect_redis.")}
    assert modules == {
        "prefect_redis.messaging",
        "prefect_redis.ordering",
        "prefect_redis.lease_storage",
    }
    for module in modules:
        assert import_module(module)


def test_every_database_that_is_made_is_used_and_the_other_way_round():
    """Prefect's, MLflow's and the studies'."""
    text = (services.ROOT / "compose.yaml").read_text("utf-8")
    assert set(re.findall(r"postgres:5432/(\w+)", text)) == set(services.declared_databases())


def test_clients_and_servers_have_one_login():
    """Whoever talks to the API gives what it asks for, and is told where studies are."""
    served, used = (services.variables(one, VALUES) for one in ("prefect", "serve"))
    assert served["PREFECT_SERVER_API_AUTH_STRING"] == used["PREFECT_API_AUTH_STRING"] == "team:pw"
    assert used["BATON_STUDY_STORAGE"].endswith("/optuna")
    assert ":" not in used["BATON_STUDY_STORAGE"].split("//")[1].split("@")[0]


def test_what_answers_takes_a_token_and_is_reached_by_the_port_that_it_knows():
    """The champion of the problem in .env, once there is one; its port is its own name's."""
    told = services.variables("answers", VALUES | {"SERVE_PORT": "8111"})
    assert (told["BATON_SERVE_TOKEN"], told["BATON_SERVE_PORT"]) == ("token", "8111")
    assert told["PREFECT_API_AUTH_STRING"] == "team:pw"
    service = services.COMPOSE["services"]["answers"]
    port = "${SERVE_PORT:-8100}"
    assert service["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert service["command"] == ["baton", "serve", "${SERVE_PROBLEM:-iris}", "--wait"]
    _, bound, _ = app.parse_args(["serve", "iris", *service["command"][3:]], exit_on_error=False)
    assert bound.arguments == {"problem": "iris", "wait": True}
    without = {name: value for name, value in VALUES.items() if name != "SERVE_TOKEN"}
    assert services.variables("answers", without)["BATON_SERVE_TOKEN"] == "", "it makes its own"


def test_the_pages_take_a_token_and_are_reached_by_the_port_that_they_know():
    """Links of the workers lead there, and theirs to where a browser reaches the others."""
    values = VALUES | {"PAGES_PORT": "8311", "PREFECT_PORT": "4211"}
    told, worker = (services.variables(one, values) for one in ("pages", "serve"))
    assert (told["BATON_PAGES_TOKEN"], told["BATON_PAGES_PORT"]) == ("", "8311"), "it makes its own"
    assert told["BATON_PAGES_URL"] == worker["BATON_PAGES_URL"] == "http://127.0.0.1:8311"
    assert told["PREFECT_UI_URL"] == "http://localhost:4211"
    service, port = services.COMPOSE["services"]["pages"], "${PAGES_PORT:-8300}"
    assert service["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert service["command"] == ["python", "-m", "serving.pages"]


def test_where_data_is_announced_takes_a_token_and_is_reached_by_the_port_that_it_knows():
    """As with what answers; files are meant from the volume that the stages read, too."""
    told = services.variables("arriving", VALUES | {"ANNOUNCE_PORT": "8222"})
    assert (told["BATON_ANNOUNCE_TOKEN"], told["BATON_ANNOUNCE_PORT"]) == ("announced", "8222")
    assert told["BATON_ANNOUNCE_HOST"] == "0.0.0.0"
    service = services.COMPOSE["services"]["arriving"]
    port = "${ANNOUNCE_PORT:-8200}"
    assert service["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert service["volumes"] == services.COMPOSE["services"]["serve"]["volumes"]
    assert service["command"] == ["python", "-m", "serving.arriving", "--from", "/data"]
    without = {name: value for name, value in VALUES.items() if name != "ANNOUNCE_TOKEN"}
    assert services.variables("arriving", without)["BATON_ANNOUNCE_TOKEN"] == "", "it makes its own"


@pytest.mark.parametrize("service", OURS)
def test_a_health_check_says_whether_who_listens_answers(service, tmp_path):
    """Run as it stands: well where 200 comes, and not where 503 does or nobody listens."""
    check = services.health_check(service)
    assert check[:2] == ["python", "-c"]
    with _answering() as (port, statuses):
        told = services.variables(service, VALUES) | {
            "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
            "BATON_ANNOUNCE_PORT": str(port),
            "BATON_PAGES_PORT": str(port),
            "BATON_SERVE_PORT": str(port),
        }
        code = re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{port}", check[2])
        codes = []
        for status in (200, 503):
            statuses.append(status)
            codes.append(_code_of(code, told))
    assert codes == [0, 1]
    assert _code_of(code, told) == 1
    if service == "serve":
        assert _code_of(code, {}) == 0, "without an API of its own it has no say"


def _code_of(code, told):
    done = subprocess.run([sys.executable, "-c", code], env=told, capture_output=True, check=False)
    return done.returncode


@contextmanager
def _answering():
    """A server that answers by the last of some statuses to whoever asks for health."""
    statuses = []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(statuses[-1] if self.path.endswith("/health") else 404)
            self.end_headers()

        def log_message(self, *said):
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port, statuses
        server.shutdown()


def test_docker_itself_reads_it(tmp_path):
    """`docker compose config` resolves it, and every service, port and variable is ours."""
    asked = _compose()
    (tmp_path / ".env").write_text("".join(f"{k}={v}\n" for k, v in VALUES.items()))
    place = ["--env-file", tmp_path / ".env", "--file", services.ROOT / "compose.yaml"]
    profile = ["--profile", "answers", "config", "--format", "json"]
    done = subprocess.run([*asked, *place, *profile], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found["services"]) == set(services.COMPOSE["services"])
    for name in OURS:
        resolved = found["services"][name]
        assert resolved["environment"] == services.variables(name, VALUES)
        if name != "serve":
            assert resolved["command"] == services.command(name, VALUES)
        assert {one["host_ip"] for one in resolved.get("ports", [])} <= {"127.0.0.1"}
    assert found["volumes"]["baton"]["name"] == "baton"


def test_docker_itself_refuses_it_without_secrets(tmp_path):
    """An empty .env is told what to fill in."""
    (tmp_path / ".env").write_text("POSTGRES_PASSWORD=pw\n")
    place = ["--env-file", tmp_path / ".env", "--file", services.ROOT / "compose.yaml"]
    done = subprocess.run(
        [*_compose(), *place, "config"], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "copy .env.example to .env and fill it in" in done.stderr


def _compose():
    """The command of Docker Compose's second version or later; it asks for no engine."""
    for found in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(found[0]) is None:
            continue
        asked = [*found, "version", "--short"]
        said = subprocess.run(asked, capture_output=True, text=True, check=False)
        if said.returncode == 0 and not said.stdout.startswith("1."):
            return found
    pytest.skip("there is no Docker Compose here; tests/test_packaging.py checks the schema")


def test_the_images_are_those_of_the_workflow():
    """GitHub tests on the PostgreSQL and the Redis that compose.yaml starts."""
    workflow = yaml.safe_load((services.ROOT / ".github/workflows/ci.yaml").read_text("utf-8"))
    tested = workflow["jobs"]["test"]["services"]
    for name in ("postgres", "redis"):
        image = services.COMPOSE["services"][name]["image"]
        assert tested[name]["image"].split("@")[0] == image.split("@")[0]
