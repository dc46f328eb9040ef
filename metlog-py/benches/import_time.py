"""What `import metlog` takes over an interpreter that imports nothing, in fresh processes that take turns."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 21

# Milliseconds; an application server starts many workers.
BAR = 15.0

EMPTY, IMPORT = "pass", "import metlog"


def main() -> int:
    """Measure, print, and give back 1 when the bar was missed."""
    rounds: dict[str, list[float]] = {EMPTY: [], IMPORT: []}
    for turn in range(ROUNDS + 1):
        for statement, found in rounds.items():
            milliseconds = _milliseconds(statement)
            if turn > 0:
                found.append(milliseconds)
    empty, imported = (statistics.median(rounds[statement]) for statement in (EMPTY, IMPORT))
    print(f"{'python -c pass':<66} {empty:>11.1f} ms")
    print(f"{'python -c import metlog':<66} {imported:>11.1f} ms\n")
    kept = imported - empty <= BAR
    print(f"{'ok' if kept else 'MISSED':<7} import metlog: {imported - empty:.1f} ms, bar at most {BAR:g} ms")
    return int(not kept)


def _milliseconds(statement: str) -> float:
    start = time.perf_counter()
    # Isolated: nothing of this folder or of the user's is found first.
    subprocess.run([sys.executable, "-I", "-c", statement], check=True)
    return (time.perf_counter() - start) * 1000


if __name__ == "__main__":
    sys.exit(main())
