"""Stand-ins for a Docker engine and a cluster: what a worker asks of them, run as processes here.

    with engine(folder, image) as docker:        # DOCKER_HOST=docker.address
        docker.asked                              # what each container was to be
    with cluster(folder, image, objects) as kubernetes:     # KUBECONFIG=kubernetes.config

A container is its command, through the image's entry point, with its own variables and no others;
its volume ``/data`` is a folder. Nothing is contained: what the limits, mounts and users that were
asked for do is not shown here. This module knows no pytest.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

ROOT = Path(__file__).parent.parent
Answer = tuple[int, Any]


@dataclass
class Image:
    """What the Dockerfile says of a container: its entry point and Baton's variables."""

    folder: Path
    """In place of /data and /tmp."""

    def start(self, command: list[str], told: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
        """Start a container."""
        text = (ROOT / "Dockerfile").read_text("utf-8")
        (entry,) = re.findall(r"^ENTRYPOINT (.+)$", text, re.MULTILINE)
        own = dict(re.findall(r"(BATON_\w+)=(\S+)", text))
        path = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        environment = {name: self._placed(value) for name, value in (own | told).items()} | path
        with log.open("wb") as said:
            return subprocess.Popen(
                [*json.loads(entry), *command],
                cwd=ROOT,
                env=environment,
                stdout=said,
                stderr=subprocess.STDOUT,
            )

    def _placed(self, value: str) -> str:
        place = value if value in {"/data", "/tmp"} else ""
        return f"{self.folder}{place}" if place else value


@dataclass
class Stand:
    """A stand-in that answers HTTP on the loopback, and what was asked of it."""

    image: Image
    asked: list[dict[str, Any]] = field(default_factory=list)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    address: str = ""
    config: Path = Path()

    def begin(self, command: list[str], told: dict[str, str]) -> str:
        """Begin a container; its id."""
        name = uuid4().hex
        self.processes[name] = self.image.start(command, told, self.log(name))
        return name

    def log(self, name: str) -> Path:
        """File of what a container said."""
        return self.image.folder / f"{name}.log"

    @property
    def said(self) -> str:
        """What all containers said, for a test that failed."""
        return "\n".join(self.log(name).read_text()[-2000:] for name in self.processes)


Reply = Callable[[Stand, str, str, Any], Answer]
"""Status and content for a method, a path and a body; a path of its own is written as it is."""


@contextmanager
def _standing(folder: Path, reply: Reply) -> Iterator[Stand]:
    for name in ("data", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    stand = Stand(Image(folder))

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length) or b"null")
            status, content = reply(stand, self.command, self.path, body)
            is_raw = isinstance(content, Iterator)
            parts = content if is_raw else iter([json.dumps(content).encode()])
            self.send_response(status)
            kind = "vnd.docker.raw-stream" if is_raw else "json"
            self.send_header("content-type", f"application/{kind}")
            self.send_header("connection", "close")
            self.end_headers()  # before the first part, which a client may wait a minute for
            for part in parts:
                self.wfile.write(part)

        do_GET = do_POST = do_DELETE = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        stand.address = f"tcp://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield stand
        finally:
            server.shutdown()
            for one in stand.processes.values():
                one.kill()
                one.wait()


# --- Docker ---------------------------------------------------------------------------------------


@contextmanager
def engine(folder: Path) -> Iterator[Stand]:
    """A Docker engine that has every image and runs containers as processes."""
    with _standing(folder, _docker) as stand:
        yield stand


def _docker(stand: Stand, method: str, path: str, body: Any) -> Answer:
    place = re.sub(r"^/v[\d.]+|\?.*", "", path)
    if place == "/version":
        return 200, {"ApiVersion": "1.44", "MinAPIVersion": "1.24", "Version": "25.0.0"}
    if place.startswith("/images/"):
        return 200, {"Id": "sha256:0", "RepoTags": []}
    if place == "/containers/create":
        stand.asked.append(body)
        return 201, {"Id": f"{len(stand.asked) - 1:012d}", "Warnings": []}
    _, _, number, action = f"{place}/".split("/")[:4]
    return _container(stand, number, action)


def _container(stand: Stand, number: str, action: str) -> Answer:
    asked = stand.asked[int(number)]
    if action == "start":
        told = dict(one.split("=", 1) for one in asked["Env"])
        asked["began"] = stand.begin(asked["Cmd"], told)
        return 204, iter(())
    process = stand.processes.get(asked.get("began", ""))
    if action == "logs" and process:
        return 200, _followed(process, stand.log(asked["began"]))
    if action == "wait" and process:
        return 200, {"StatusCode": process.wait()}
    code = process.poll() if process else None
    status = "created" if process is None else "running" if code is None else "exited"
    about = {"Tty": True, "Image": asked["Image"], "Labels": asked["Labels"]}
    state = {"Status": status, "ExitCode": code or 0}
    return 200, {"Id": number, "Name": f"/{number}", "Config": about, "State": state}


def _followed(process: subprocess.Popen[bytes], log: Path) -> Iterator[bytes]:
    """What a process says, until it has ended."""
    process.wait()
    yield log.read_bytes()


# --- Kubernetes -----------------------------------------------------------------------------------


@contextmanager
def cluster(folder: Path, objects: dict[str, dict[str, str]]) -> Iterator[Stand]:
    """A cluster that takes Jobs and runs their container as a process.

    Parameters
    ----------
    folder : Path
    objects : dict of str to dict
        What its ConfigMaps and Secrets hold, by ``configMap/NAME`` and ``secret/NAME``.
    """

    def reply(stand: Stand, method: str, path: str, body: Any) -> Answer:
        found = re.fullmatch(r"/apis/batch/v1/namespaces/([\w-]+)/jobs", path.partition("?")[0])
        if method != "POST" or not found:
            return 404, {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}
        stand.asked.append(json.loads(json.dumps(body)))
        (container,) = body["spec"]["template"]["spec"]["containers"]
        name = stand.begin(container["args"], _variables(container, objects))
        body["metadata"] |= {"name": name, "namespace": found[1], "uid": name}
        return 201, body

    with _standing(folder, reply) as stand:
        stand.config = folder / "kubeconfig"
        stand.config.write_text(yaml.safe_dump(_kubeconfig(stand.address)))
        yield stand


def _variables(container: dict[str, Any], objects: dict[str, dict[str, str]]) -> dict[str, str]:
    """Variables of a container as a cluster resolves them."""
    found: dict[str, str] = {}
    for one in container.get("envFrom", []):
        ((kind, reference),) = one.items()
        found |= objects[f"{kind.removesuffix('Ref')}/{reference['name']}"]
    for one in container["env"]:
        if "value" in one:
            found[one["name"]] = one["value"]
            continue
        ((kind, reference),) = one["valueFrom"].items()
        held = objects[f"{kind.removesuffix('KeyRef')}/{reference['name']}"]
        if reference["key"] in held or not reference.get("optional"):
            found[one["name"]] = held[reference["key"]]
    return found


def _kubeconfig(address: str) -> dict[str, Any]:
    place = {"cluster": "here", "user": "nobody"}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "here", "cluster": {"server": address.replace("tcp:", "http:")}}],
        "users": [{"name": "nobody", "user": {}}],
        "contexts": [{"name": "here", "context": place}],
        "current-context": "here",
    }
