"""The command `mb`: as it is installed, and against a socket."""

import json
import socket
import subprocess
import sysconfig
from pathlib import Path

import pytest

MB = Path(sysconfig.get_path("scripts")) / "mb"


@pytest.fixture
def receiver():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(30)
        yield receiver


@pytest.mark.parametrize(
    ("options", "logger"),
    [
        ([], ""),
        (["--raw"], ""),
        (["--metlogcfg={ini}"], "from the file"),
    ],
)
def test_it_sends_until_it_is_interrupted(receiver, tmp_path, options, logger):
    ini = tmp_path / "metlog.ini"
    port = receiver.getsockname()[1]
    ini.write_text(
        f"[metlog]\nlogger = from the file\nsender_class = metlog.senders.UdpSender\n"
        f"sender_host = 127.0.0.1\nsender_port = {port}\n"
    )
    given = "9" if "{ini}" in "".join(options) else str(port)
    command = [MB, "127.0.0.1", given, *(option.format(ini=ini) for option in options)]
    mb = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        for _ in range(10):
            message = json.loads(receiver.recv(65536))
            assert (message["type"], message["payload"], message["logger"]) == ("MBTEST", "MBTEST", logger)
        mb.send_signal(2)
        out, err = mb.communicate(timeout=30)
    finally:
        # One that does not end would go on sending for good.
        mb.kill()
    assert (mb.returncode, out) == (0, b"")
    assert b"Traceback" not in err


def test_without_a_port_it_says_how_it_is_used():
    run = subprocess.run([MB, "127.0.0.1"], capture_output=True, check=False)
    assert run.returncode == 2
    assert b"usage: mb" in run.stderr
