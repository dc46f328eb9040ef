"""``python -m metlog``: what it says, and its exit codes, with a real sidecar and without."""

import json
import os
import socket
import subprocess
import sys
import threading

import pytest
from sidecar import Sidecar

from metlog import __main__, __version__
from metlog._commands import bench


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory):
    sidecar = Sidecar(tmp_path_factory.mktemp("sidecar"))
    sidecar.start()
    yield sidecar
    sidecar.kill()


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for name in [name for name in os.environ if name.startswith("METLOG_")]:
        monkeypatch.delenv(name)


def run(capsys, *arguments):
    code = __main__.main(arguments)
    return code, capsys.readouterr()


def test_send_says_that_it_was_sent(capsys, sidecar):
    code, said = run(capsys, "send", "deploy", "done", "--endpoint", sidecar.endpoint, "--logger", "ops")
    assert (code, said.out) == (
        0,
        f"sent to {sidecar.endpoint} (sidecar, push): ZeroMQ has taken it for the sidecar\n",
    )


def test_send_acked_says_that_the_sidecar_has_it_on_disk(capsys, sidecar, monkeypatch):
    monkeypatch.setenv("METLOG_LOGGER", "acked")
    place = sidecar.link_endpoint
    code, said = run(capsys, "send", "deploy", "--delivery", "acked", "--endpoint", place)
    assert (code, said.out) == (0, f"sent to {place} (sidecar, acked): the sidecar has it on disk\n")
    assert sidecar.known_of("acked") == 1


def test_send_sends_what_it_was_given(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("METLOG_SENDER_CLASS", "file")
    monkeypatch.setenv("METLOG_SENDER_FILEPATH", str(tmp_path / "messages.json"))
    fields = ["--field", "n=7", "-f", "list=[1, true]", "-f", "text=a=b"]
    code, _ = run(capsys, "send", "deploy", "done", *fields, "--severity", "Error", "--logger", "ops")
    message = json.loads((tmp_path / "messages.json").read_text())
    assert code == 0
    assert (message["type"], message["payload"], message["severity"]) == ("deploy", "done", 3)
    assert (message["logger"], message["fields"]) == ("ops", {"n": 7, "list": [1, True], "text": "a=b"})


def test_send_says_that_nobody_took_it(capsys, tmp_path):
    nobody = f"ipc://{tmp_path}/nobody.sock"
    code, said = run(capsys, "send", "deploy", "--endpoint", nobody, "--timeout", "0.2")
    assert code == 1
    assert said.out.startswith(f"not sent to {nobody} (sidecar, push) within 0.2 s: nobody took it\n")
    code, said = run(capsys, "send", "deploy", "--endpoint", nobody, "--timeout", "0.2", "--json")
    assert (code, json.loads(said.out)["given_up"]) == (1, {"send": 1})


@pytest.mark.parametrize(
    "arguments",
    [[], ["send"], ["send", "a", "--severity", "8"], ["send", "a", "-f", "x"], ["other"]],
    ids=" ".join,
)
def test_wrong_use_is_code_two(capsys, arguments):
    with pytest.raises(SystemExit) as end:
        run(capsys, *arguments)
    assert end.value.code == 2


def test_a_wrong_configuration_is_code_two_and_names_the_key(capsys, monkeypatch):
    monkeypatch.setenv("METLOG_SEVERITY", "9")
    code, said = run(capsys, "send", "a")
    assert (code, said.out) == (2, "")
    assert "METLOG_SEVERITY" in said.err


def test_doctor_finds_nothing_wrong_where_a_sidecar_answers(capsys, sidecar, monkeypatch):
    monkeypatch.setenv("METLOG_ENDPOINT", sidecar.endpoint)
    code, said = run(capsys, "doctor")
    assert code == 0, said.out
    assert f"ok  version: metlog {__version__} at " in said.out
    assert "variables: METLOG_ENDPOINT" in said.out
    assert f"sends to: {sidecar.endpoint} (sidecar, push), METLOG_ENDPOINT says so" in said.out
    assert f"ok  sidecar: {sidecar.endpoint} answers" in said.out
    assert "queue: 4,194,304 bytes wait at most" in said.out
    assert said.out.endswith("all is well\n")


def test_doctor_says_that_no_sidecar_answers_and_what_to_do(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("METLOG_ENDPOINT", f"ipc://{tmp_path}/nobody.sock")
    code, said = run(capsys, "doctor", "--json")
    facts = json.loads(said.out)
    assert (code, facts["well"]) == (1, False)
    (bad,) = [found for found in facts["found"] if found["is_well"] is False]
    assert bad["text"].endswith("nobody.sock does not answer: No such file or directory")
    assert "start metlog-sidecar" in bad["advice"]


def test_doctor_knows_what_is_no_sidecar(capsys, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        monkeypatch.setenv("METLOG_ENDPOINT", f"tcp://127.0.0.1:{server.getsockname()[1]}")
        code, said = run(capsys, "doctor")
        thread.join()
    assert code == 1
    assert "is not a socket of ZeroMQ: something else listens" in said.out


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ('endpoint = "ipc:///nonexistent/a.sock"', "the file says so"),
        ('[sender]\nclass = "udp"\nhost = "127.0.0.1"\nport = 5565', "127.0.0.1:5565 is known"),
        ('[sender]\nclass = "file"\nfilepath = "/nonexistent/messages.json"', "it cannot be written"),
        ('[sender]\nclass = "pub"\nbindstrs = "tcp://127.0.0.1:5565"', "receiver: cannot be asked"),
        ('logger = "a"\nqueue_byte = 1', "did you mean `queue_bytes`?"),
    ],
)
def test_doctor_reads_a_file(capsys, tmp_path, toml, says):
    path = tmp_path / "metlog.toml"
    path.write_text(toml)
    _, said = run(capsys, "doctor", "--config", str(path))
    assert says in said.out


@pytest.mark.parametrize("sender", ["none", "file"])
def test_bench_measures_and_loses_nothing(capsys, monkeypatch, sender):
    monkeypatch.setattr(bench, "BURST", 20)
    monkeypatch.setattr(bench, "ROUNDS", 2)
    code, said = run(capsys, "bench", "--sender", sender, "--json")
    facts = json.loads(said.out)
    assert (code, facts["given_up"], len(facts["calls"])) == (0, {}, 5)
    assert all(figure["ns_per_call"] > 0 for figure in facts["calls"].values())
    _, said = run(capsys, "bench", "--sender", sender)
    assert "calls/s" in said.out


def test_the_module_runs_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "metlog", "--version"], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == f"metlog {__version__}\n"
