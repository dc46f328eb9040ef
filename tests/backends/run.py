"""Runs the tests against real back ends one after another, and prints one table of all at the end.

`make backends` starts it; with names (`run.py files statsd`) only those run. The exit code is 0 when what was
read back is what was sent, everywhere.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import CACHE

HERE = Path(__file__).resolve().parent
PYTHON = CACHE / "bin" / "python"

# The tests, and the Python that has what each needs.
SUITES = {
    "files": PYTHON,
    "statsd": PYTHON,
    "carbon": PYTHON,
    "graphite": PYTHON,
    "syslog_servers": PYTHON,
    "sentry": CACHE / "bugsink" / "bin" / "python",
    "nagios": PYTHON,
}

# None takes longer unless it hangs.
DEADLINE = 300.0


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in SUITES]
    if unknown:
        print(
            f"error: no back end is called {', '.join(unknown)}; there are: {', '.join(SUITES)}",
            file=sys.stderr,
        )
        return 2
    rows = [run(name) for name in names or SUITES]
    print(f"{'back end':<16}{'version':<44}{'checks':>7}{'sent':>9}{'read':>9}  {'equal':<6}{'time':>6}")
    for name, seconds, row in rows:
        version, checks, sent, read, equal = row or ("FAILED: see above", "", "", "", False)
        same = "yes" if equal else "NO"
        print(f"{name:<16}{version:<44}{checks:>7}{sent:>9}{read:>9}  {same:<6}{seconds:>4.0f} s")
    return 0 if all(row is not None and row[-1] for _, _, row in rows) else 1


def run(name: str) -> tuple[str, float, list[object] | None]:
    """How long it took, and its row; none when it did not get as far as that."""
    print(f"== testing {name}", flush=True)
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="metlog-table-") as folder:
        table = Path(folder) / "rows"
        try:
            code = subprocess.run(
                [SUITES[name], HERE / f"{name}.py"],
                env={**os.environ, "METLOG_TABLE": str(table)},
                timeout=DEADLINE,
                check=False,
            ).returncode
        except (OSError, subprocess.TimeoutExpired) as error:
            print(f"error: {error}", file=sys.stderr)
            code = 1
        row = json.loads(table.read_text().splitlines()[-1]) if table.exists() else None
    if row is not None and code != 0:
        row[-1] = False
    return name, time.monotonic() - start, row


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
