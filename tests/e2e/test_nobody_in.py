"""Nobody in: what a web page and another user of the machine get of a standing Baton."""

import base64
import http.client
import http.server
import json
import os
import re
import stat
import subprocess
import sys
import tempfile
import threading
import uuid
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import prefect.server.api
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from baton.settings import Settings
from serving.embedded import is_up, run_embedded
from tests.e2e.browser import CHROMIUM, browser
from tests.e2e.conftest import BRIEFLY, _furnished, fresh_home, wait_for

pytestmark = pytest.mark.e2e

ATTACK = {"pull_steps": [{"prefect.deployments.steps.run_shell_script": {"script": "id"}}]}
ELSEWHERE = {
    "PREFECT_API_KEY": "pnu_elsewhere",
    "PREFECT_API_AUTH_STRING": "me:elsewhere",
    "PREFECT_SERVER_API_AUTH_STRING": "they:elsewhere",
    "PREFECT_CLIENT_CUSTOM_HEADERS": '{"Authorization": "Basic elsewhere"}',
}
"""What a user may have set for another server: it neither lets one in here nor keeps one out."""
needs_chromium = pytest.mark.skipif(
    not CHROMIUM, reason="wants chromium: Debian's package of that name"
)
METHODS = {"get", "post", "put", "patch", "delete"}
WEBSOCKETS = (
    "events/in",
    "events/out",
    "logs/out",
    "task_runs/subscriptions/scheduled",
    "work_pools/default/workers/connect",
)


@pytest.fixture(scope="module")
def up(prepared):
    """A home in which `baton up` is running, with MLflow's pages, after one chain."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as beside,
        fresh_home(_furnished(Path(beside) / "home", prepared)) as found,
        pytest.MonkeyPatch.context() as patch,
    ):
        Path(beside).chmod(0o755)  # what others cannot read here is closed by Baton itself
        for name, value in ELSEWHERE.items():
            patch.setenv(name, value)
        found.start(pages=True)
        done = found.baton("run", "spheres", "-p", "rows=300", *BRIEFLY)
        assert done.code == 0, done.err
        found.said = done.out
        yield found


def _site(address):
    """Origin of an address."""
    return "/".join(address.split("/")[:3])


def _links(up):
    """The links to pages that `baton up` printed."""
    said = (up.path / "up.out").read_text()
    return re.findall(r"^(?:Prefect|MLflow) +(http://\S+)", said, re.MULTILINE)


def _login(link):
    """Client with the cookie that a link sets, as a browser has it."""
    accepted = {"accept": "text/html,*/*"}
    client = httpx.Client(
        base_url=_site(link), headers=accepted, follow_redirects=True, trust_env=False
    )
    assert client.get(link).status_code == 200
    return client


def _strangers(up, site, cookie):
    """Headers of those who must not come in, by who they are."""
    port = site.rpartition(":")[2]
    basic = f"Basic {base64.b64encode(':'.join(up.secret).encode()).decode()}"
    wrong = f"Basic {base64.b64encode(b'baton:wrong').decode()}"
    return {
        "another user's process": {},
        "wrong credentials": {"authorization": wrong, "origin": site},
        "a page elsewhere": {"origin": "https://evil.example"},
        "a page elsewhere, with the cookie": {"origin": "http://127.0.0.1:1", "cookie": cookie},
        "a name that was rebound": {"host": f"evil.example:{port}", "authorization": basic},
        "a form elsewhere": {"sec-fetch-site": "cross-site", "cookie": cookie},
    }


def _cookie(client):
    return "; ".join(f"{name}={value}" for name, value in client.cookies.items())


def _filled(path):
    """A path without its placeholders."""
    return re.sub(r"[{<][^}>]*[}>]", str(uuid.UUID(int=1)), path)


def _prefect_requests(up):
    """Every method and path of Prefect's API, and its pages."""
    described = up.ask("GET", "openapi.json").json()["paths"]
    found = [(m, f"/api{path}") for path, ways in described.items() for m in ways if m in METHODS]
    assert len(found) > 180
    pages = ["/", "/ui-settings", "/docs", "/openapi.json", "/runs", "/v2/", "/api/docs"]
    deployment = up.post("deployments/filter", {})[0]["id"]
    return [
        *found,
        *(("get", page) for page in [*pages, "/api/openapi.json", "/api/redoc"]),
        ("options", found[0][1]),
        ("patch", f"/api/deployments/{deployment}"),
        ("delete", f"/api/deployments/{deployment}"),
        ("post", f"/api/deployments/{deployment}/create_flow_run"),
    ]


ROUTES_OF_MLFLOW = """
import json
from mlflow.server import app as pages
from mlflow.server.fastapi_app import app

changes_or_reads = {"GET", "POST", "PUT", "PATCH", "DELETE"}
rules = list(pages.url_map.iter_rules())
found = [(m, str(rule)) for rule in rules for m in rule.methods & changes_or_reads]
found += [(m, path) for path, ways in app.openapi()["paths"].items() for m in ways]
print(json.dumps(found))
"""


def _mlflow_requests():
    """Every method and path of MLflow's API, and its pages."""
    command = [sys.executable, "-W", "ignore", "-c", ROUTES_OF_MLFLOW]
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found = [(method.lower(), path) for method, path in json.loads(done.stdout)]
    assert len(found) > 400
    return [*found, ("get", "/"), ("get", "/health"), ("get", "/version"), ("get", "/metrics")]


def _all_refused(site, requests, strangers):
    for who, headers in strangers.items():
        connection = http.client.HTTPConnection(site.removeprefix("http://"), timeout=30)
        for method, path in requests:
            connection.request(method.upper(), _filled(path), json.dumps(ATTACK), headers)
            answer = connection.getresponse()
            said = answer.read()
            assert answer.status in {401, 403}, (who, method, path, said[:200])
            assert not answer.getheader("access-control-allow-origin"), (who, method, path)
        connection.close()


def _state(up):
    """What strangers might have changed of Prefect."""
    deployments = up.post("deployments/filter", {})
    kept = ("id", "name", "paused", "pull_steps", "parameters", "entrypoint", "tags")
    return (
        sorted(str([one[name] for name in kept]) for one in deployments),
        [up.post(f"{name}/count", {}) for name in ("flows", "automations")],
        [len(up.post(f"{name}/filter", {})) for name in ("variables", "work_pools")],
        sorted(run["id"] for run in up.runs("generate")),
    )


def test_prefect_answers_nobody_else(up):
    """No method of any path of its API, nor a page, and nothing has changed."""
    site, cookie = _site(up.api), _cookie(_login(_links(up)[0]))
    before = _state(up)
    _all_refused(site, _prefect_requests(up), _strangers(up, site, cookie))
    assert _state(up) == before


def test_nobody_else_announces_data(up):
    """Not by the address that data is announced at, with any method, nor is anything kept."""
    site = json.loads((up.path / "up.json").read_text())["announce"]
    cookie = _cookie(_login(_links(up)[0]))
    before = list((up.path / "arrivals").glob("*"))
    ways = [(method, "/announce/iris") for method in ("get", "post", "put", "delete", "options")]
    _all_refused(site, [*ways, ("get", "/")], _strangers(up, site, cookie))
    assert list((up.path / "arrivals").glob("*")) == before


def test_mlflow_answers_nobody_else(up):
    """No method of any path of its API, nor a page, and nothing has changed."""
    client = _login(_links(up)[1])

    def state():
        found = client.get("/api/2.0/mlflow/experiments/search", params={"max_results": 100})
        models = client.get("/api/2.0/mlflow/registered-models/search")
        return found.raise_for_status().json(), models.raise_for_status().json()

    before = state()
    assert "spheres" in json.dumps(before)
    _all_refused(up.mlflow, _mlflow_requests(), _strangers(up, up.mlflow, _cookie(client)))
    assert state() == before


def test_a_page_cannot_have_a_command_run(up):
    """The known way: another pull step for a deployment, then a run of it."""
    deployment = up.post("deployments/filter", {})[0]
    place = f"{up.api}/deployments/{deployment['id']}"
    before = len(up.post("flow_runs/filter", {}))
    for headers in ({"origin": "https://evil.example"}, {"origin": "null"}, {}):
        plain = headers | {"content-type": "text/plain"}  # for which a browser asks nobody before
        answers = [
            httpx.patch(place, json=ATTACK, headers=headers),
            httpx.patch(place, content=json.dumps(ATTACK), headers=plain),
            httpx.post(f"{place}/create_flow_run", json={}, headers=headers),
            httpx.post(f"{place}/create_flow_run", content="{}", headers=plain),
        ]
        assert {answer.status_code for answer in answers} <= {401, 403}
    assert (
        up.ask("GET", f"deployments/{deployment['id']}").json()["pull_steps"]
        == (deployment["pull_steps"])
    )
    assert len(up.post("flow_runs/filter", {})) == before


def test_the_websockets_are_known():
    """The list that the next test goes through has all of them."""
    folder = Path(prefect.server.api.__file__).parent
    found = [path.read_text().count("@router.websocket(") for path in folder.rglob("*.py")]
    assert sum(found) == len(WEBSOCKETS)


@pytest.mark.parametrize("path", WEBSOCKETS)
def test_a_websocket_takes_nobody_else(up, path):
    """Neither without a word, nor with a wrong one, nor from a page elsewhere with the cookie."""
    site, cookie = _site(up.api), _cookie(_login(_links(up)[0]))
    address = f"{up.api}/{path}".replace("http:", "ws:")
    for headers in _strangers(up, site, cookie).values():
        with pytest.raises(InvalidStatus), connect(address, additional_headers=headers, proxy=None):
            pass
    for first in ({"type": "auth", "token": "baton:wrong"}, {"type": "filter", "filter": {}}):
        with connect(address, subprotocols=["prefect"], proxy=None) as websocket:
            websocket.send(json.dumps(first))
            with pytest.raises(ConnectionClosed):
                websocket.recv(10)


def test_a_websocket_takes_the_user(up):
    """Prefect's page by its cookie, its clients by the secret in a header or the first message."""
    site, cookie = _site(up.api), _cookie(_login(_links(up)[0]))
    address = f"{up.api}/events/out".replace("http:", "ws:")
    basic = f"Basic {base64.b64encode(':'.join(up.secret).encode()).decode()}"
    ways = (
        ({"cookie": cookie, "origin": site}, None),
        ({"authorization": basic}, None),
        ({}, ":".join(up.secret)),
    )
    for headers, token in ways:
        with connect(
            address, additional_headers=headers, subprotocols=["prefect"], proxy=None
        ) as websocket:
            websocket.send(json.dumps({"type": "auth", "token": token}))
            assert json.loads(websocket.recv(30))["type"] == "auth_success"


LISTENS = """
import asyncio
from prefect.events.clients import get_events_client, get_events_subscriber
from prefect.events.schemas.events import Event, Resource
from prefect.events.filters import EventFilter, EventNameFilter

async def main():
    wanted = EventFilter(event=EventNameFilter(name=["mine"]))
    async with get_events_subscriber(filter=wanted) as seen, get_events_client() as client:
        await client.emit(Event(event="mine", resource=Resource({"prefect.resource.id": "me"})))
        async for event in seen:
            print(event.event)
            return

asyncio.run(asyncio.wait_for(main(), 300))
"""


def test_prefects_own_clients_get_in_by_the_file(up):
    """`auth` of the home is what PREFECT_API_AUTH_STRING takes, for events too."""
    secret = (up.path / "auth").read_text()
    environment = up.environment(PREFECT_API_URL=up.api, PREFECT_API_AUTH_STRING=secret)
    done = subprocess.run(
        [sys.executable, "-c", LISTENS],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        timeout=90,
        check=True,
    )
    assert done.stdout.split() == ["mine"]


def test_the_links_log_in(up):
    """Those of `baton up` and of a run that used it lead to pages, and ask no more."""
    prefect, mlflow = _links(up)
    assert mlflow.endswith("#/experiments")
    of_run = [link for link in re.findall(r"http://\S+", up.said) if "/runs/flow-run/" in link]
    for link in (prefect, mlflow, *of_run):
        client = _login(link)
        page = client.get(link)
        assert "token" not in str(page.url).partition("#")[0]
        assert "<html" in page.text
        assert page.history[0].status_code == 303
    assert len(of_run) == 1
    api = _login(prefect)
    assert api.post("/api/flows/filter", json={}, headers={"origin": _site(prefect)}).json()


def test_mlflows_page_tells_nobody(up):
    """What it would tell its makers about the use of its page is off."""
    told = _login(_links(up)[1]).get("/ajax-api/3.0/mlflow/ui-telemetry").json()
    assert told["disable_ui_telemetry"] is True


def test_files_of_a_home_are_the_users_alone(up):
    """Folders are 0700 and files 0600 after a chain, so is the folder of every socket."""
    places = [path for path in up.path.iterdir() if path.name != "up.out"]
    found = [up.path, *places, *(path for place in places for path in place.rglob("*"))]
    assert [str(path) for path in found if path.lstat().st_mode & 0o077] == []
    assert (up.path / "auth").stat().st_mode & 0o777 == 0o600
    sockets = _sockets(up.processes())
    assert sockets
    for path in sockets:
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def _sockets(processes):
    """Files of the sockets that these processes listen at."""
    lines = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    named = {line[6]: Path(line[7]) for line in lines if len(line) > 7 and line[7][0] == "/"}
    links = (str(fd.readlink()) for pid in processes for fd in Path(f"/proc/{pid}/fd").iterdir())
    inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
    return {path for inode, path in named.items() if inode in inodes}


def test_the_secret_is_told_to_nobody(up):
    """It stands in its file, and in no other one, nor in a command line."""
    secret = up.secret[1].encode()
    token = _links(up)[0].partition("token=")[2].encode()
    cookies = [value.encode() for value in _login(_links(up)[0]).cookies.values()]
    for path in up.path.rglob("*"):
        if path.is_file() and path.name not in {"auth", "up.out"}:
            content = path.read_bytes()
            assert not [word for word in (secret, token, *cookies) if word in content], path
    assert not [command for command in up.commands().values() if secret.decode() in command]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")
def test_another_user_reads_nothing(up):
    """Not even where the secret is."""
    for place in (up.path, up.path / "auth", up.path / "prefect" / "prefect.db"):
        done = subprocess.run(
            ["head", "-c", "1", place], user=65534, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert "Permission denied" in done.stderr


def test_each_start_has_a_secret_of_its_own(tmp_path, prepared):
    """The last one's opens nothing, and the file goes with the server."""
    settings = Settings(home=_furnished(tmp_path, prepared))
    place = settings.home / "auth"
    with run_embedded(settings, str, serving=False) as (_, first):
        assert place.read_text() == first.secret
        assert first.secret not in repr(first)
        assert is_up(first)
    assert not place.exists()
    with run_embedded(settings, str, serving=False) as (_, second):
        assert is_up(second)
        assert not is_up(replace(second, secret=first.secret))
        assert not is_up(replace(second, secret=""))


EVIL = """<script>
const done = [];
const ask = (method, path, more) => fetch(TARGET + path, {method, credentials: 'include', ...more})
  .then(answer => done.push(answer.status || answer.type), () => done.push('failed'));
const body = JSON.stringify(ATTACK);
const plain = {body, mode: 'no-cors', headers: {'content-type': 'text/plain'}};
window.asked = Promise.all([
  ask('PATCH', DEPLOYMENT, {body, headers: {'content-type': 'application/json'}}),
  ask('POST', DEPLOYMENT + '/create_flow_run', plain),
  ask('POST', '/api/flows/filter', {body: '{}'}),
  ask('GET', '/api/health', {}),
  new Promise(end => {
    const socket = new WebSocket(TARGET.replace('http', 'ws') + '/api/events/out', 'prefect');
    socket.onopen = () => end(done.push('open'));
    socket.onerror = () => end(done.push('failed'));
  }),
]).then(() => done.sort().join());
</script>"""


@contextmanager
def _evil_site(up, deployment):
    """A page elsewhere on this machine that tries what a page can."""
    page = EVIL.replace("TARGET", json.dumps(_site(up.api))).replace("ATTACK", json.dumps(ATTACK))
    content = page.replace("DEPLOYMENT", json.dumps(f"/api/deployments/{deployment}")).encode()

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()


SPEAKS = """new Promise(end => {
  const place = location.origin.replace('http', 'ws') + '/api/events/out';
  const socket = new WebSocket(place, 'prefect');
  socket.onopen = () => socket.send('{"type": "auth"}');
  socket.onmessage = message => end(JSON.parse(message.data).type);
  socket.onerror = () => end('failed');
})"""


@needs_chromium
def test_the_pages_work_in_a_browser(up):
    """The link opens the page, which shows what its API says and speaks by websocket."""
    of_run = re.search(r"http://\S+/runs/flow-run/\S+", up.said)[0]
    with browser() as page:
        page.open(of_run)
        wait_for(lambda: "generate spheres" in page.ask("document.body.innerText"), 300)
        assert "token" not in page.ask("location.href")
        assert page.ask(SPEAKS) == "auth_success"
        page.open(_links(up)[1])
        wait_for(lambda: "spheres" in page.ask("document.body.innerText"), 300)
        assert page.ask("location.hash").startswith("#/experiments")


@needs_chromium
@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_page_in_a_browser_that_is_logged_in_gets_nothing(up, name):
    """Of another site, and of another port of this one, whose requests carry the cookie."""
    deployment = up.post("deployments/filter", {})[0]
    before = len(up.post("flow_runs/filter", {}))
    with _evil_site(up, deployment["id"]) as port, browser() as page:
        page.open(_links(up)[0])
        assert "token" not in page.ask("location.href")
        assert page.ask("fetch('/api/health').then(answer => answer.status)") == 200
        page.open(f"http://{name}:{port}/")
        answers = page.ask("window.asked").split(",")
        assert set(answers) <= {"failed", "opaque"}
        assert answers.count("opaque") <= 1, "an answer that the page cannot read"
    after = up.ask("GET", f"deployments/{deployment['id']}").json()
    assert after["pull_steps"] == deployment["pull_steps"]
    assert len(up.post("flow_runs/filter", {})) == before
