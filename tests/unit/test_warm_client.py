"""The process that stands for a warm run, and when the one that forks it is out of date."""

import os
import socket
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from baton.chain.recovery import TEMPORARY
from baton.settings import settings
from serving import warm, warm_client
from tasks.platform.stage import is_alive, run_lock


def _command(address, locks):
    return [sys.executable, "-I", "-S", warm_client.__file__, address, str(locks)]


@pytest.mark.parametrize(
    ("said", "code"),
    [("0\n", 0), ("3\n", 3), ("-9\n", -9), ("-11\n", -11), ("", TEMPORARY)],
)
def test_it_ends_as_the_run_did_and_otherwise_where_the_template_went_away(tmp_path, said, code):
    """So that the death of the template is not taken for the run's own."""
    address = str(tmp_path / "door")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        client = subprocess.Popen(_command(address, tmp_path))
        connection, _ = listener.accept()
        with connection:
            header, *_ = socket.recv_fds(connection, 8, 3)
            connection.recv(int.from_bytes(header, "big"), socket.MSG_WAITALL)
            connection.sendall(f"1\n{said}".encode())
        assert client.wait(20) == code
    assert warm_client.TEMPORARY == TEMPORARY


def test_a_run_that_is_on_its_way_is_alive(tmp_path, monkeypatch):
    """However long its start takes on a busy machine; until its process ends."""
    monkeypatch.setenv("BATON_HOME", str(tmp_path))
    settings.cache_clear()
    address = str(tmp_path / "door")
    environment = os.environ | {"PREFECT__FLOW_RUN_ID": "1"}
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        command = _command(address, run_lock("1").parent)
        client = subprocess.Popen(command, env=environment)
        connection, _ = listener.accept()
        with connection:
            assert is_alive("1")
            assert not is_alive("2")
            client.kill()
            client.wait()
        assert not is_alive("1")
    settings.cache_clear()


class _Healthy(BaseHTTPRequestHandler):
    """A server that answers."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


@pytest.mark.long
def test_a_cold_run_that_fails_where_the_server_is_away_is_not_charged_with_it(tmp_path):
    """Without a template too; where the server answers, the failure is the run's own."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Healthy)
    Thread(target=server.serve_forever, daemon=True).start()
    addresses = [f"http://127.0.0.1:{port}/api" for port in (9, server.server_port)]
    runs = [
        subprocess.Popen(
            _command(str(tmp_path / "nobody"), tmp_path),
            env=os.environ | {"PREFECT_API_URL": address, "PREFECT__FLOW_RUN_ID": "none"},
            stderr=subprocess.DEVNULL,
        )
        for address in addresses
    ]
    assert [run.wait(60) for run in runs] == [TEMPORARY, 1]
    server.shutdown()


def test_a_package_that_is_installed_makes_a_new_template(tmp_path, monkeypatch):
    """Its problem or model would not be found by a process that started before."""
    installed = tmp_path / "site"
    installed.mkdir()
    os.utime(installed, (0, 0))
    monkeypatch.setattr(warm.sysconfig, "get_path", lambda _: str(installed))
    before = warm.sources()
    os.utime(installed, (before, before))
    assert warm.sources() == before
    (installed / "near_rows-1.0.dist-info").mkdir()
    assert warm.sources() > before
