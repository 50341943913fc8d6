"""Champions that answer beside the chain: which they are, and where each listens."""

import socket
from threading import Timer

import pytest

from baton.chain.manifest import Answering
from baton.cli import main
from baton.errors import InputError
from baton.settings import Settings, settings
from serving import entrance
from serving.beside import Asked, asked_of, opened
from serving.entrance import listening
from tests.services import free_port

DECLARED = [Answering(problem="table", model="wine-target", port=8100)]


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    """A port that is held is not waited for."""
    monkeypatch.setattr(entrance, "FREED_SECONDS", 0.0)


@pytest.fixture
def plain(tmp_path):
    return Settings(home=tmp_path)


def test_each_has_a_port_of_its_own(plain):
    """The given one, that of prefect.yaml, or the next from the settings' up that is nobody's."""
    given = ["iris", "churn:9000", "spheres", "iris", "taxi:8101", "wine-target"]
    assert asked_of(given, DECLARED, plain) == (
        Asked("wine-target", 8100, is_given=False),
        Asked("churn", 9000),
        Asked("taxi", 8101),
        Asked("iris", 8102),
        Asked("spheres", 8103),
    )
    assert asked_of([], [], plain) == ()
    any_free = plain.model_copy(update={"serve_port": 0})
    assert {one.port for one in asked_of(["iris", "spheres"], [], any_free)} == {0}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["iris:70000"], "--serve iris:70000: ports are 0 to 65535"),
        (["iris:"], "--serve takes PROBLEM or PROBLEM:PORT, got 'iris:'"),
        (["iris:-1"], "got 'iris:-1'"),
        (["iris:²"], "got 'iris:²'"),
        ([":8100"], "got ':8100'"),
        ([""], "got ''"),
        (["iris:8100"], "port 8100 is given twice, for wine-target and iris; give each its own"),
    ],
)
def test_what_cannot_be_understood_is_one_line(plain, given, said):
    """With the fact and the fix."""
    with pytest.raises(InputError) as refused:
        asked_of(given, DECLARED, plain)
    assert said in str(refused.value)


def test_a_port_that_is_taken_is_refused_before_anything_is_started(plain):
    """And what was opened before it is closed again."""
    with listening(0) as held:
        first, taken = free_port(), held.getsockname()[1]
        both = [Asked("iris", first), Asked("spheres", taken, is_given=False)]
        said = f"port {taken} cannot be listened on: Address already in use; give another in pref"
        with pytest.raises(InputError, match=said), opened(both, plain):
            pass
    with opened(both, plain) as places:
        assert [one.address for one in places] == [
            f"http://127.0.0.1:{first}",
            f"http://127.0.0.1:{taken}",
        ]


def test_it_listens_where_the_setting_says(plain):
    """As in a container, whose port is published on the loopback interface."""
    elsewhere = plain.model_copy(update={"serve_host": "127.0.0.2"})
    with opened([Asked("iris", 0)], elsewhere) as (place,):
        assert place.socket.getsockname() == ("127.0.0.2", place.port)
        with socket.create_connection(("127.0.0.2", place.port), 5):
            pass
        assert not place.is_up(), "nobody answers yet"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("irsi", "there is no problem or model 'irsi'; did you mean 'iris'?"),
        ("iris:70000", "--serve iris:70000: ports are 0 to 65535"),
        ("iris:PORT", "cannot be listened on: Address already in use; give another by --serve"),
    ],
)
def test_what_cannot_answer_is_refused_before_a_home_is_made(
    given, said, tmp_path, monkeypatch, capsys
):
    """In one line, with exit code 2."""
    monkeypatch.setenv("BATON_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    with listening(0) as taken, pytest.raises(SystemExit, match="2"):
        main(["up", "--serve", given.replace("PORT", str(taken.getsockname()[1]))])
    settings.cache_clear()
    found = capsys.readouterr()
    assert said in found.err
    assert (found.out, found.err.count("\n")) == ("", 1)
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_let_go_in_a_moment_is_waited_for(monkeypatch):
    """A Baton that was killed holds its ports until its processes have seen that."""
    monkeypatch.setattr(entrance, "FREED_SECONDS", 5.0)
    with listening(0) as held:
        port = held.getsockname()[1]
        Timer(0.3, held.close).start()
        with listening(port) as place:
            assert place.getsockname()[1] == port
