"""Notebooks as they run: a real kernel, started and ended by Baton."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest

from baton.showing import notebooks
from tasks.platform import kernel
from tests.conftest import ROOT
from tests.processes import is_alive, wait_for


@pytest.fixture
def run():
    """Run a notebook and return it; sockets have short names, which pytest's folders have not."""
    with tempfile.TemporaryDirectory(prefix="baton-") as name:

        def run(source, **parameters):
            return kernel.run(
                notebooks.read(source),
                parameters,
                source.parent,
                Path(name),
                kernel.execute_notebook.fn,
            )

        run.folder = Path(name)
        yield run


def _outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


@pytest.mark.parametrize(("name", "pictures"), [("your_table", 2), ("explain", 5)])
def test_a_notebook_executes_by_itself(run, name, pictures):
    """Nothing is given: it makes what it needs; every picture is there, and no error."""
    done = run(ROOT / "notebooks" / f"{name}.py")
    outputs = _outputs(done)
    assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]
    shown = [o.data for o in outputs if "data" in o]
    assert sum("image/png" in data for data in shown) == pictures
    assert all("<img" in data["text/html"] for data in shown if "image/png" in data)
    bars = [data["text/html"] for data in shown if "<progress" in data.get("text/html", "")]
    assert bars
    assert all("100 %" in bar for bar in bars)
    page = notebooks.page(done, name)
    assert page.count('src="data:image/png;base64,') == pictures


def test_parameters_take_the_place_of_the_notebooks_own(run, tmp_path):
    """Those that are given; the folder it runs in is its own, the home Baton's."""
    place = tmp_path / "x.py"
    place.write_text(
        '# %% tags=["parameters"]\na = b = 1\n\n# %%\nimport os\nfrom pathlib import Path\n'
        'print(a, b, Path.cwd(), os.environ["BATON_HOME"], os.environ["IPYTHONDIR"])\n'
    )
    said = _outputs(run(place, b=2))[0].text.split()
    assert said[:3] == ["1", "2", str(tmp_path)]
    assert Path(said[3]).is_absolute()
    assert Path(said[4]).parent == run.folder


def test_a_failing_cell_is_named_and_what_ran_is_kept(run, tmp_path):
    """One line with the cell's number and the error; the cells before it have their outputs."""
    place = tmp_path / "x.py"
    place.write_text("# %%\nprint('before')\n\n# %%\n1 / 0\n\n# %%\nprint('after')\n")
    with pytest.raises(kernel.CellError) as error:
        run(place)
    assert str(error.value) == "cell [2] failed: ZeroDivisionError: division by zero"
    kept = nbformat.read(run.folder / "executed.ipynb", 4)
    said = [output.get("text", "") for output in _outputs(kept)]
    assert said[0] == "before\n"
    assert "after" not in "".join(said)


def test_a_kernel_that_dies_is_said(run, tmp_path):
    """As when the system kills it for its memory."""
    place = tmp_path / "x.py"
    place.write_text("# %%\nimport os\nos.kill(os.getpid(), 9)\n")
    with pytest.raises(kernel.CellError, match="its kernel died"):
        run(place)


def test_a_kernel_keeps_to_itself_and_ends_with_its_parent(tmp_path):
    """Channels that only the user can open, nothing under HOME, no child left after kill -9."""
    (tmp_path / "x.py").write_text(
        "# %%\nimport os, subprocess, time\nfrom pathlib import Path\n"
        'child = subprocess.Popen(["sleep", "300"])\n'
        'Path("pids").write_text(f"{os.getpid()} {child.pid}")\ntime.sleep(300)\n'
    )
    short = tempfile.mkdtemp(prefix="baton-")
    code = (
        "from pathlib import Path; from baton.showing import notebooks;"
        " from tasks.platform import kernel;"
        f" kernel.run(notebooks.read(Path({str(tmp_path / 'x.py')!r})), {{}},"
        f" Path({str(tmp_path)!r}), Path({short!r}), kernel.execute_notebook.fn)"
    )
    user = tmp_path / "user"
    user.mkdir()
    parent = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | {"HOME": str(user)}
    )
    try:
        pids = wait_for(lambda: (tmp_path / "pids").exists() and _read(tmp_path / "pids"), 60)
        channels = [path for path in Path(short).glob("socket-*") if path.is_socket()]
        assert len(channels) == 5
        assert Path(short).stat().st_mode & 0o077 == 0
        assert _addresses(pids[0]) <= {"0100007F"}  # 127.0.0.1: ipykernel's own, for its children
        assert not [path for path in user.rglob("*") if "jupyter" in str(path).lower()]
        assert not (user / ".ipython").exists()
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        shutil.rmtree(short)
    assert wait_for(lambda: not any(map(is_alive, pids)), 60)


def _read(path):
    words = path.read_text().split()
    return [int(word) for word in words] if len(words) == 2 else None


def _addresses(pid):
    """Addresses, in hexadecimal, at which a process listens for TCP."""
    own = {str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()}
    lines = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]
    ]
    listening = [line for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in own]
    return {line[1].partition(":")[0] for line in listening}
