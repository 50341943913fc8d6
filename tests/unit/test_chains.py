"""Running the command from Python, where it comes to nothing."""

import pytest

from baton import chains
from baton.errors import InputError


def test_a_mistake_is_the_commands_own_line(tmp_path, capsys):
    """From the object that it prints; nothing else is shown."""
    with pytest.raises(InputError, match=r"^unknown problem 'sphere'"):
        chains.run("sphere", home=tmp_path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("variable", ["BATON_PREFECT_PORT", "PREFECT_API_TLS_INSECURE_SKIP_VERIFY"])
def test_a_command_that_ends_before_its_chain_says_why(tmp_path, monkeypatch, variable):
    """It has printed no object then."""
    monkeypatch.setenv(variable, "many")
    with pytest.raises(InputError, match=rf"^setting {variable}: .*'many'"):
        chains.run("spheres", home=tmp_path)
