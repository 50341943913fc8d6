"""MLflow's server says no: it is asked once, and its login is told to nobody."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from baton.settings import settings
from tasks.platform import tracking


@pytest.fixture
def server(monkeypatch):
    """A tracking server with a login that answers each request by one status code."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append(self.headers.get("Authorization"))
            content = b'{"error_code": "INVALID_PARAMETER_VALUE", "message": "no"}'
            self.send_response(self.server.code)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self):
            self.do_GET()

        def log_message(self, *_):
            """Say nothing."""

    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.asked = []
    threading.Thread(target=found.serve_forever, args=(0.02,), daemon=True).start()
    address = f"http://me:hu%40sh@127.0.0.1:{found.server_port}"
    monkeypatch.setenv("BATON_MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "")
    settings.cache_clear()
    yield found
    found.shutdown()
    found.server_close()
    monkeypatch.undo()
    settings.cache_clear()
    import mlflow

    mlflow.set_tracking_uri(settings().tracking_uri)


@pytest.mark.parametrize("code", [400, 401, 403, 404, 422])
def test_a_tracking_server_that_says_no_is_asked_once(code, server):
    """With the login of its address, which is not in the address that MLflow prints."""
    import mlflow
    from mlflow.exceptions import MlflowException

    server.code, began = code, time.monotonic()
    with pytest.raises(MlflowException) as refused:
        tracking.newest_version("baton-iris", "iris")
    assert time.monotonic() - began < 30
    assert server.asked == ["Basic bWU6aHVAc2g="]
    assert "sh@" not in str(refused.value)
    assert mlflow.get_tracking_uri() == f"http://127.0.0.1:{server.server_port}"
