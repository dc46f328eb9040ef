"""Programs that the demo starts: each in a session of its own, its output in a file, and gone at the end."""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType

POLL_SECONDS = 0.05
# How long a program may take to start, and to end after SIGTERM: a client waits two seconds for its receiver.
START_SECONDS = 30.0
END_SECONDS = 15.0
# Lines of a log that are shown when its program fails.
TAIL_LINES = 15


class DemoError(Exception):
    """The demo cannot go on; the text says why, and the way out where there is one."""


class Interrupted(Exception):  # noqa: N818 - no error: it was asked for
    """The demo was asked to end before there was anything to show."""


class Stop:
    """Ctrl-C and its kin, as a state: no signal breaks in between a program's start and its being known."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True

    def wait(self, seconds: float) -> bool:
        """Wait until asked to stop, at most `seconds`."""
        deadline = time.monotonic() + seconds
        while not self.asked and time.monotonic() < deadline:
            time.sleep(min(POLL_SECONDS, max(0, deadline - time.monotonic())))
        return self.asked


class Program:
    """One that runs."""

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.name = name
        self._process = process
        self._log = log

    @property
    def has_ended(self) -> bool:
        """True once its process is gone."""
        return self._process.poll() is not None

    def search_log(self, pattern: str) -> str | None:
        """Give back the first group of `pattern` in what it has written so far."""
        found = re.search(pattern, self._log.read_text(errors="replace"))
        return found and found.group(1)

    def failure(self, what: str) -> DemoError:
        """Make an error of what happened and the end of the log."""
        tail = self._log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
        lines = "\n".join(f"  {line}" for line in tail) or "  (nothing)"
        return DemoError(f"{self.name} {what}; it had written:\n{lines}")

    def check(self) -> None:
        """Raise when it has ended."""
        code = self._process.poll()
        if code is not None:
            raise self.failure(f"ended with code {code}, though nobody asked it to")

    def ask_to_end(self) -> None:
        """Send SIGTERM."""
        if not self.has_ended:
            self._process.terminate()

    def expect_good_end(self) -> None:
        """Raise unless it ended with code 0."""
        code = self._process.poll()
        if code is None:
            raise self.failure(f"did not end within {END_SECONDS:.0f} s of SIGTERM")
        if code != 0:
            raise self.failure(f"ended with code {code} after SIGTERM")

    def kill(self) -> None:
        """End it and whatever it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class Programs:
    """All that run; on exit none is left."""

    def __init__(self, folder: Path, stop: Stop) -> None:
        self._folder = folder
        self._stop = stop
        self._running: list[Program] = []

    def __enter__(self) -> "Programs":
        return self

    def __exit__(self, *_: object) -> None:
        """In good order where that is possible: the last one first."""
        for program in reversed(self._running):
            program.ask_to_end()
            _wait(lambda program=program: program.has_ended, END_SECONDS)  # type: ignore[misc]
            program.kill()

    def start(
        self,
        name: str,
        command: Sequence[str | Path],
        variables: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> Program:
        """Start a program with `variables` added to the environment."""
        log = self._folder / f"{name}.log"
        environment = {**os.environ, **(variables or {})}
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        program = Program(name, process, log)
        self._running.append(program)
        return program

    def wait_until(self, condition: Callable[[], bool], seconds: float = START_SECONDS) -> bool:
        """Wait at most `seconds` for the condition; raise when a program ends or a signal comes."""

        def looked_at() -> bool:
            self.check()
            return condition()

        return _wait(looked_at, seconds)

    def check(self) -> None:
        """Raise when a program has ended, or when the demo was asked to end."""
        if self._stop.asked:
            raise Interrupted
        for program in self._running:
            program.check()

    def end(self, programs: Sequence[Program]) -> None:
        """End some together; raise when one does not end well."""
        for program in programs:
            program.ask_to_end()
        _wait(lambda: all(program.has_ended for program in programs), END_SECONDS)
        for program in programs:
            program.expect_good_end()
            self._running.remove(program)


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
