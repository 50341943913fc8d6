"""How large the image is, layer by layer, and how soon what it runs is there.

The image is the one that `make image ENGINE=buildah` built. Prints for each layer its bytes as they
lie on a disk and as they are sent, and the instruction that makes it; then for each command the
seconds to its first line, or until it answers, the least of some tries: read-only root, uid 10001,
a fresh /data.

    .venv/bin/python benchmarks/image.py
    .venv/bin/python benchmarks/image.py --tries 5 --sizes
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parent.parent
ENGINE_FREE = ROOT / "deploy/image/engine-free"
_MEGABYTE = 1e6
_MOST_SECONDS = 600.0
_SECRET = "bench:image"


def layers(folder: Path) -> Iterator[tuple[int, int, str]]:
    """Bytes of each layer unpacked and packed, and what made it."""
    place = f"oci:{folder / 'image'}:baton"
    image = os.environ.get("IMAGE", "baton:local")
    subprocess.run([ENGINE_FREE, "buildah", "push", "--quiet", image, place], check=True)
    manifest = _blob(folder, _read(folder / "image/index.json")["manifests"][0]["digest"])
    history = _blob(folder, manifest["config"]["digest"])["history"]
    made = [one["created_by"] for one in history if not one.get("empty_layer")]
    for layer, by in zip(manifest["layers"], made, strict=True):
        yield _unpacked(_place(folder, layer["digest"])), layer["size"], by


def _place(folder: Path, digest: str) -> Path:
    return folder / "image/blobs" / digest.replace(":", "/")


def _blob(folder: Path, digest: str) -> Any:
    return _read(_place(folder, digest))


def _read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def _unpacked(path: Path) -> int:
    """Bytes that a layer has on a disk."""
    unpacking, size = zlib.decompressobj(wbits=47), 0
    with path.open("rb") as packed:
        while part := packed.read(1 << 20):
            size += len(unpacking.decompress(part))
    return size + len(unpacking.flush())


@contextmanager
def running(data: Path, *command: str) -> Iterator[subprocess.Popen[str]]:
    """A command in the image, which ends with the context."""
    process = subprocess.Popen(
        [ENGINE_FREE, "run", *command],
        env=os.environ | {"DATA": str(data)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def first_line(data: Path, *command: str) -> float:
    """Seconds to the first line that a command says."""
    began = time.perf_counter()
    with running(data, *command) as process:
        assert process.stdout is not None
        if not process.stdout.readline():
            raise SystemExit(f"{' '.join(command)} said nothing")
        return time.perf_counter() - began


def whole(data: Path, *command: str) -> float:
    """Seconds until a command has ended well."""
    began = time.perf_counter()
    with running(data, *command) as process:
        said, _ = process.communicate(timeout=_MOST_SECONDS)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{said}")
        return time.perf_counter() - began


def until(is_there: Callable[[], bool], process: subprocess.Popen[str]) -> float:
    """Seconds until something is there; a process that ended before is shown."""
    began = time.perf_counter()
    while not is_there():
        if process.poll() is not None or time.perf_counter() - began > _MOST_SECONDS:
            said = process.stdout.read() if process.poll() is not None and process.stdout else ""
            raise SystemExit(f"it did not start:\n{said}")
        time.sleep(0.05)
    return time.perf_counter() - began


def server_and_serving(data: Path, port: int) -> tuple[float, float]:
    """Seconds until Prefect's server answers on an empty database, and then until it serves."""
    api = f"http://127.0.0.1:{port}/api"
    told = [f"PREFECT_API_URL={api}", f"PREFECT_API_AUTH_STRING={_SECRET}"]
    guarded = f"PREFECT_SERVER_API_AUTH_STRING={_SECRET}"
    start = ["prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]

    def answers() -> bool:
        with suppress(httpx.HTTPError):
            return httpx.get(f"{api}/health", timeout=2).is_success
        return False

    with running(data, *told, guarded, *start) as server:
        up = until(answers, server)
        with running(data, *told, "--ready", "/data/ready") as serving:
            return up, until((data / "ready").exists, serving)


def starts(port: int) -> dict[str, float]:
    """Seconds of one try of each."""
    folder = Path(tempfile.mkdtemp(prefix="baton-image-"))
    try:
        made = {
            "`baton problems`, first line": first_line(folder / "a", "baton", "problems"),
            "`baton run iris`, first line": first_line(folder / "b", "baton", "run", "iris"),
            "`baton run iris`, its end": whole(folder / "c", "baton", "run", "iris"),
        }
        up, ready = server_and_serving(folder / "d", port)
        return made | {
            "`prefect server start`, answers": up,
            "`python -m serving`, ready": ready,
        }
    finally:
        shutil.rmtree(folder)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tries", type=int, default=3, help="of which the least is taken")
    parser.add_argument("--port", type=int, default=4299, help="for the server, on 127.0.0.1")
    parser.add_argument("--sizes", action="store_true", help="the sizes alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="baton-image-") as folder:
        found = list(layers(Path(folder)))
    for unpacked, packed, by in found:
        print(f"{unpacked / _MEGABYTE:8.0f} MB {packed / _MEGABYTE:6.0f} MB  {by.strip()[:90]}")
    sums = [sum(one[place] for one in found) / _MEGABYTE for place in (0, 1)]
    print(f"{sums[0]:8.0f} MB {sums[1]:6.0f} MB  all", flush=True)
    if options.sizes:
        return
    tried = [starts(options.port) for _ in range(options.tries)]
    for name in tried[0]:
        print(f"{min(one[name] for one in tried):8.1f} s   {name}")


if __name__ == "__main__":
    main()
