"""A real sidecar for tests: its own folder, its own sockets."""

import http.client
import json
import socket
import subprocess
import time
from pathlib import Path

SIDECAR = Path(__file__).parents[2] / "target" / "debug" / "metlog-sidecar"
PATIENCE = 30.0

CONFIG = """
data_dir = "{folder}/data"
[input.push]
endpoints = ["ipc://{folder}/push.sock"]
[input.link]
endpoints = ["ipc://{folder}/link.sock"]
[input.json_udp]
enabled = false
address = "127.0.0.1:0"
[input.statsd_udp]
enabled = false
address = "127.0.0.1:0"
"""


class Sidecar:
    """One that runs, with its sockets in a folder; `sections` are added to its configuration."""

    def __init__(self, folder, sections=""):
        assert SIDECAR.exists(), f"{SIDECAR} is not there: `make test` builds it"
        self.folder = folder
        self._config = folder / "sidecar.toml"
        self._config.write_text(CONFIG.format(folder=folder) + sections)
        self._process = None

    def start(self):
        command = [SIDECAR, "run", "--config", self._config]
        with (self.folder / "sidecar.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until(f"the sidecar answers; see {self.folder}", lambda: self.page("/stats") is not None)

    def kill(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def endpoint(self):
        return f"ipc://{self.folder}/push.sock"

    @property
    def link_endpoint(self):
        return f"ipc://{self.folder}/link.sock"

    def page(self, path):
        connection = http.client.HTTPConnection("sidecar")
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.connect(str(self.folder / "data" / "admin.sock"))
            connection.request("GET", path)
            return json.load(connection.getresponse())
        except OSError:
            return None
        finally:
            connection.close()

    def origins_of(self, logger):
        """Give back what its ledger has on the producers of `logger`."""
        audit = self.page("/audit") or {"origins": []}
        return [origin for origin in audit["origins"] if origin["logger"] == logger]

    def known_of(self, logger):
        """Count the messages of `logger` that it has on disk."""
        return sum(origin["figures"]["attempted"] for origin in self.origins_of(logger))


def wait_until(what, condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE:.0f} s until {what}"
        time.sleep(0.01)
