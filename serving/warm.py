"""Starting runs warm: a process that has imported everything forks one for each run.

An ordinary start spends seconds on imports before the flow's first line. Here a template
process imports once and forks; the runner starts a small client (``serving/warm_client.py``)
that hands its environment and output to the template, passes signals on, and ends with the
run's exit code, so that to Prefect it is the run's process. Who uses this is decided in
``serving/serve.py`` and ``serving/worker.py``.
"""

from __future__ import annotations

import gc
import importlib
import math
import os
import selectors
import shutil
import signal
import socket
import sys
import sysconfig
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from baton.parent import die_with
from serving import engine
from serving.changes import Changes

_SECONDS_BETWEEN_LOOKS = 0.5
_SECONDS_BETWEEN_LOOKS_AT_SOURCES = 5.0
"""Where the system says when one has changed: not of a disk that others write to as well."""
_HEADER = 8
_FDS = 3
_UNIT_OF_MAXRSS = 1024  # bytes on Linux, where alone runs are forked

_IMPORTS = (
    "prefect.engine",
    "prefect.flow_engine",
    "prefect.flow_runs",
    "prefect.runner",
    "flows.generate",
    "flows.train",
    "flows.evaluate",
    "flows.reconcile",
    "pandas",
    "pandera.pandas",
    "pyarrow.dataset",
    "sklearn.datasets",
)
"""What the first stage imports; a module that is not there is left to the run that wants it."""

_LATER = (
    "sklearn.metrics",
    "sklearn.model_selection",
    "skops.io",
    "mlflow",
    "mlflow.pyfunc",
    "xgboost",
    "lightgbm",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.data",
    "mlflow.models",
    "sklearn.dummy",
    "matplotlib.backends.backend_agg",
    "matplotlib.pyplot",
    "PIL.PngImagePlugin",
    "jinja2",
    "numba",
    "shap.plots",
    "prefect.task_engine",
    "prefect.utilities.visualization",
    "sqlalchemy.dialects.sqlite",
    "opentelemetry.sdk.metrics",
    "git",
)
"""What stages import, most of them later ones, or some models alone: while no run waits for a fork.

The longest come first, before there are runs: one that comes waits for the import that is going on.
And skops looks through all modules that there are for each of 838 functions: the fewer the better.
"""

_DECIDING = (
    "tasks.data",
    "tasks.checking",
    "tasks.training",
    "tasks.evaluation",
    "tasks.reporting",
    "baton.problems.table",
    "tasks.monitoring",
    "tasks.comparison",
)
"""Modules whose fingerprints the stages ask for: read then too, source by source."""


@dataclass
class Template:
    """The process that forks."""

    listener: socket.socket
    parent: int
    loaded: float
    """Time of the latest change of the sources when they were imported."""
    clients: dict[int, socket.socket] = field(default_factory=dict)
    """Connection of each run by its process id."""
    runs: dict[int, str] = field(default_factory=dict)
    """Id of each run by its process id."""
    later: list[Callable[[], object]] = field(default_factory=lambda: list(_chores()))
    """What is still to be done before nothing is left to do for a run."""
    changes: Changes | None = None
    """What says whether to look at the sources; None where each look is one at all of them."""
    _looked: float = -math.inf
    _is_old: bool = False
    _read_from: dict[str, str] = field(default_factory=dict)
    """Environment that the settings were read from, which a fork has as well."""

    def serve(self) -> None:
        """Fork runs until the parent is gone or a source file has changed."""
        wake, signalled = _wake_on_child()
        with selectors.DefaultSelector() as selector:
            selector.register(self.listener, selectors.EVENT_READ)
            selector.register(wake, selectors.EVENT_READ)
            while os.getppid() == self.parent:
                for key, _ in selector.select(0 if self.later else _SECONDS_BETWEEN_LOOKS):
                    if key.fileobj is self.listener:
                        self._accept(selector, is_fresh=not self._is_stale())
                    elif key.fileobj is wake:
                        wake.recv(4096)
                    else:
                        self._hung_up(key.data)
                self._reap(selector)
                if self.later:
                    self.later.pop(0)()
                    gc.freeze()  # a run would look at all that was imported, and so copy it
                if self._is_stale() and not self.clients:
                    self._renew()
        signalled.close()
        for pid in self.clients:
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(Path(self.listener.getsockname()).parent, ignore_errors=True)

    def _is_stale(self) -> bool:
        """Tell whether the sources have changed since they were imported."""
        now = time.monotonic()
        is_late = now - self._looked > _SECONDS_BETWEEN_LOOKS_AT_SOURCES
        if self._may_be_changed() or is_late:
            self._looked, self._is_old = now, self.loaded != sources()
        return self._is_old

    def _may_be_changed(self) -> bool:
        try:
            return self.changes is None or self.changes.came()
        except OSError:  # a folder is gone
            self.changes = None
            return True

    def _accept(self, selector: selectors.BaseSelector, *, is_fresh: bool) -> None:
        connection, _ = self.listener.accept()
        try:
            if not is_fresh:  # the client starts the run cold, with the code as it is now
                raise ConnectionAbortedError
            request, fds = _receive(connection)
        except (OSError, ValueError):  # or the client was killed before it had said all
            connection.close()
            return
        is_read = self._read_from == _of_settings(request)
        pid = os.fork()
        if pid == 0:
            _become(request, fds, is_read=is_read)
        for fd in fds:
            os.close(fd)
        self.clients[pid] = connection
        self.runs[pid] = request.get("PREFECT__FLOW_RUN_ID", "")
        selector.register(connection, selectors.EVENT_READ, pid)
        with suppress(OSError):
            connection.sendall(f"{pid}\n".encode())
        if not is_read:
            self._read(_of_settings(request))

    def _read(self, environment: dict[str, str]) -> None:
        """Read the settings as the last run did: the next one most likely has the same."""
        from baton.settings import settings

        if settings().fast:
            os.environ.clear()
            os.environ.update(environment)
            self._read_from = environment if _refresh() else {}

    def _hung_up(self, pid: int) -> None:
        """End a run whose client was killed."""
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def _reap(self, selector: selectors.BaseSelector) -> None:
        for pid in list(self.clients):
            done, status, usage = os.wait4(pid, os.WNOHANG)
            if done:
                run_id, code = self.runs.pop(pid), os.waitstatus_to_exitcode(status)
                if code:
                    _keep_usage(run_id, usage.ru_maxrss * _UNIT_OF_MAXRSS)
                connection = self.clients.pop(pid)
                selector.unregister(connection)
                with suppress(OSError):
                    connection.sendall(f"{code}\n".encode())
                connection.close()

    def _renew(self) -> NoReturn:
        """Become a new template with the code as it is now."""
        os.set_inheritable(self.listener.fileno(), True)
        os.execv(
            sys.executable,
            [sys.executable, "-m", "serving.warm", str(self.listener.fileno()), str(self.parent)],
        )


def _keep_usage(run_id: str, max_rss_bytes: int) -> None:
    """Keep the most memory that a run used that died, for whoever has to say what of."""
    from tasks.platform.stage import write_ending

    with suppress(OSError):
        write_ending(run_id, max_rss_bytes)


def _wake_on_child() -> tuple[socket.socket, socket.socket]:
    """Socket that becomes readable when a child has ended."""
    wake, signalled = socket.socketpair()
    signalled.setblocking(False)
    signal.set_wakeup_fd(signalled.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return wake, signalled


def _receive(connection: socket.socket) -> tuple[dict[str, str], list[int]]:
    """Environment of the run, and its input, output and error output."""
    header, fds, _, _ = socket.recv_fds(connection, _HEADER, _FDS)
    left = int.from_bytes(header, "big")
    content = b""
    while len(content) < left:
        part = connection.recv(left - len(content))
        if not part:
            raise ConnectionResetError
        content += part
    pairs = (os.fsdecode(one).partition("=") for one in content.split(b"\0") if one)
    return {name: value for name, _, value in pairs}, list(fds)


def _of_settings(environment: dict[str, str]) -> dict[str, str]:
    """What of the environment of a run is not the run's own, but the same for many."""
    return {k: v for k, v in environment.items() if not k.startswith("PREFECT__")}


def _become(environment: dict[str, str], fds: list[int], *, is_read: bool) -> NoReturn:
    """Turn the forked process into the run's process."""
    code = 1
    try:
        _detach(fds)
        os.environ.clear()
        template = os.getppid()
        os.environ.update(environment, BATON_PARENT_PID=str(template))
        die_with(template)
        _forget() if is_read else _refresh()
        code = engine.run()
        _send_logs()
    except BaseException:  # noqa: BLE001  the process ends here whatever it was
        traceback.print_exc()
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _detach(fds: list[int]) -> None:
    """Take the client's channels for one's own and nothing of the template's."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for target, fd in enumerate(fds):
        os.dup2(fd, target)
    os.closerange(_FDS, 256)


def _forget() -> None:
    """Forget Baton's settings that were read from another environment."""
    from baton.settings import settings

    settings.cache_clear()


def _refresh() -> bool:
    """Forget settings that were read from another environment; tell whether it can be done."""
    from tasks.platform.prefect_internals import read_settings_again

    _forget()
    return bool(read_settings_again())


def _send_logs() -> None:
    """Send the records that still wait: the process ends without Python's exit handlers."""
    from prefect.logging.handlers import APILogHandler

    APILogHandler().flush()


def _chores() -> Iterator[Callable[[], object]]:
    yield _check_once
    yield from (partial(_import, name) for name in _LATER)
    yield from (partial(_take_fingerprint, name) for name in _DECIDING)
    yield _compile_once  # what evaluating takes, long after the first stage has asked for the rest


def _check_once() -> None:
    """Check an empty table: pandera imports at its first check what it checks with."""
    with suppress(Exception):  # whatever it says is for a run that checks one
        import pandas as pd
        from pandera.pandas import DataFrameSchema

        DataFrameSchema().validate(pd.DataFrame())


def _compile_once() -> None:
    """Compile nothing: numba sets up at its first function, a quarter of a second, what it needs.

    Machine code is no part of it: that of the loops is on disk, where a run finds it.
    """
    with suppress(Exception):  # a run that needs it meets it again
        import numba

        nothing: Any = numba.njit(_do_nothing)
        nothing()


def _do_nothing() -> None:
    pass


def _take_fingerprint(name: str) -> None:
    from baton.fingerprint import fingerprint

    fingerprint(name, is_page=name == "tasks.reporting")


def _import(name: str) -> None:
    with suppress(ImportError):
        importlib.import_module(name)


def sources() -> float:
    """Time of the latest change among the chain's own source files, and of what is installed.

    A package that brings a problem or a model may be found only by a process that starts later.
    """
    files = [path for folder in _rooms() for path in folder.rglob("*.py")]
    return max(_changed(path) for path in [*files, *_installed()])


def _rooms() -> list[Path]:
    """Folders of the chain's own source files."""
    beside = [Path(__file__).parents[1] / room for room in ("serving", "flows", "tasks")]
    return [*beside, Path(sys.modules["baton"].__path__[0])]


def _installed() -> list[Path]:
    return [Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")]


def _changes() -> Changes | None:
    from baton.settings import settings

    with suppress(OSError):
        return Changes(_watched) if settings().fast else None
    return None


def _watched() -> list[Path]:
    """Folders in which a change may be one of the sources."""
    below = [Path(place) for room in _rooms() for place, *_ in os.walk(room)]
    return [*(place for place in below if place.name != "__pycache__"), *_installed()]


def _changed(path: Path) -> float:
    """Time of a path's latest change; an editor's lock file may be gone or point nowhere."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def main() -> None:
    """Import everything and fork on demand: ``python -m serving.warm FD PARENT``."""
    gc.disable()  # nothing of what is imported is garbage, and looking takes a fifth of the time
    listener, parent = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
    importlib.import_module("baton")
    loaded = sources()  # before the imports: what is edited meanwhile counts as not loaded
    _serve(listener, parent, loaded)


def become(listener: socket.socket, parent: int, loaded: float) -> NoReturn:
    """Turn a process that was forked off the serve process into the template.

    Parameters
    ----------
    listener : socket
    parent : int
        The serve process.
    loaded : float
        Time of the latest change of the sources before it imported any.
    """
    code = 1
    try:
        with Path(os.devnull).open("rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        _serve(listener, parent, loaded)
        code = 0
    except BaseException:  # noqa: BLE001  what the serve process would do with it is not for here
        traceback.print_exc()
    finally:
        os._exit(code)


def _serve(listener: socket.socket, parent: int, loaded: float) -> None:
    if not _refresh():
        return  # every run starts cold, as its client finds nobody here
    for name in _IMPORTS:
        if os.getppid() != parent:
            return  # nobody is left to ask for a run
        _import(name)
    _prepare()
    gc.freeze()  # what is shared with the runs stays shared: they do not look at it either
    gc.enable()
    Template(listener, parent, loaded, changes=_changes()).serve()


def _prepare() -> None:
    """Do once what each run would do."""
    from baton.settings import settings
    from tasks.platform.prefect_internals import share_certificates, watch_suspension_aside

    share_certificates(are_read=True)
    if settings().fast:
        watch_suspension_aside()


if __name__ == "__main__":
    main()
