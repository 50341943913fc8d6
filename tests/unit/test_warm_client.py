"""The process that stands for a warm run."""

import socket
import subprocess
import sys

import pytest

from baton.chain.recovery import TEMPORARY
from serving import warm_client


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
        client = subprocess.Popen([sys.executable, "-I", "-S", warm_client.__file__, address])
        connection, _ = listener.accept()
        with connection:
            header, *_ = socket.recv_fds(connection, 8, 3)
            connection.recv(int.from_bytes(header, "big"), socket.MSG_WAITALL)
            connection.sendall(f"1\n{said}".encode())
        assert client.wait(20) == code
    assert warm_client.TEMPORARY == TEMPORARY
