"""A headless Chromium that tells what a page shows and what it asked for."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

CHROMIUM = shutil.which("chromium") or ""
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
)


@dataclass
class Page:
    """One tab, spoken to by the Chrome DevTools protocol."""

    socket: ClientConnection
    requests: list[str] = field(default_factory=list)
    """Addresses that the page asked for, itself first."""
    complaints: list[str] = field(default_factory=list)
    """What the console says: refused requests, errors."""
    loaded: bool = False
    _count: int = 0

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        self._count += 1
        self.socket.send(json.dumps({"id": self._count, "method": method, "params": params}))
        while True:
            answer = self._receive(60)
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return answer["result"]

    def _receive(self, seconds: float) -> dict[str, Any]:
        message = json.loads(self.socket.recv(timeout=seconds))
        params = message.get("params", {})
        match message.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
            case "Page.loadEventFired":
                self.loaded = True
            case "Log.entryAdded":
                self.complaints.append(params["entry"]["text"])
        return message

    def open(self, address: str, width: int = 1000) -> None:
        for domain in ("Network", "Page", "Log", "Runtime"):
            self.send(f"{domain}.enable")
        self.resize(width, 800)
        self.loaded = False
        self.send("Page.navigate", url=address)
        end = time.monotonic() + 60
        while not self.loaded:
            self._receive(end - time.monotonic())
        self.rest()

    def rest(self, seconds: float = 0.5) -> None:
        """Listen for late requests."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                self._receive(left)
            except TimeoutError:
                return

    def resize(self, width: int, height: int) -> None:
        metrics = {"deviceScaleFactor": 1, "mobile": False}
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, **metrics)

    def ask(self, script: str) -> Any:
        answer = self.send(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def screenshot(self) -> bytes:
        """The whole page as PNG."""
        answer = self.send("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(answer["data"])

    def pdf(self) -> bytes:
        return base64.b64decode(self.send("Page.printToPDF", preferCSSPageSize=True)["data"])


@contextmanager
def browser():
    """A page of a fresh profile; the process is gone afterwards."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [CHROMIUM, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with connect(_address(Path(profile), process), max_size=None) as socket:
                yield Page(socket)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _address(profile: Path, process: subprocess.Popen) -> str:
    """Address of the first tab, once the browser says where it listens."""
    import httpx

    place = profile / "DevToolsActivePort"
    end = time.monotonic() + 60
    while not place.exists() or not place.read_text().strip():
        assert process.poll() is None, "chromium ended before it listened"
        assert time.monotonic() < end, "chromium does not listen"
        time.sleep(0.1)
    port = int(place.read_text().split()[0])
    tabs = httpx.get(f"http://127.0.0.1:{port}/json/list", trust_env=False, timeout=30).json()
    return next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
