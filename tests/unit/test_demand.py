"""A process that is started when somebody first asks for it."""

import socket
import subprocess
import sys

import pytest

from serving.child import Child
from serving.demand import OnDemand
from serving.entrance import listening

ANSWERS = """
import socket, subprocess, sys
own = "import socket; s = socket.socket(fileno=0); c, _ = s.accept(); c.sendall(b'here')"
subprocess.run([sys.executable, "-c", own], check=True)
"""
"""A program that has what it starts answer on its own standard input, as MLflow's command does."""


@pytest.fixture
def place():
    """Where somebody may ask."""
    with listening(0) as found:
        yield found


def test_nobody_asks_and_nothing_is_started(place):
    """Looking costs nothing and connects nobody."""
    one = OnDemand(place, lambda: pytest.fail("started"))
    one.tend()
    assert not one.is_asked()


def test_who_asks_first_has_it_started_once_and_is_answered(place, tmp_path):
    """Also who asked before it was there; its own child has the socket."""
    begun = []

    def begin():
        command = [sys.executable, "-c", ANSWERS]
        begun.append(Child("some", command, {}, tmp_path / "some.log", stdin=place.fileno()))

    one = OnDemand(place, begin)
    with socket.create_connection(place.getsockname(), timeout=60) as asking:
        one.tend()
        one.tend()
        assert asking.recv(10) == b"here"
    assert len(begun) == 1
    assert begun[0].process.wait(60) == 0


def test_others_have_no_standard_input(tmp_path):
    """A process that is not given one reads nothing of the terminal's."""
    command = [sys.executable, "-c", "import sys; sys.exit(len(sys.stdin.read()))"]
    child = Child("some", command, {}, tmp_path / "some.log")
    assert child.stdin == subprocess.DEVNULL
    assert child.process.wait(60) == 0
