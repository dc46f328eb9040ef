"""What the benchmarks share: rounds that take turns, medians, bars against floors and peers of the same run.

Machines are noisy, ratios within a run are not. CPU time counts, not the time on the wall.
"""

from __future__ import annotations

import statistics
import sys
import time
import timeit
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

# How often everything is measured; the median counts.
ROUNDS = 9

# Calls of one burst: few enough for the hand-off to hold what they send, so that no call is refused.
BURST = 8_000


class Measure(NamedTuple):
    """One thing that is measured: its name, and what gives nanoseconds per operation for one round."""

    name: str
    round: Callable[[], float]


def calls(
    name: str,
    statement: str,
    names: dict[str, Any],
    after: Callable[[], object] | None = None,
    count: int = BURST,
) -> Measure:
    """Measure what `statement` costs the calling thread; `after` each burst, what it has set off ends."""
    timer = timeit.Timer(statement, timer=time.thread_time_ns, globals=names)

    def one_round() -> float:
        nanoseconds = timer.timeit(count)
        if after is not None:
            after()
        return nanoseconds / count

    return Measure(name, one_round)


def process(
    name: str,
    statement: str,
    names: dict[str, Any],
    after: Callable[[], object],
    count: int = BURST,
) -> Measure:
    """Measure what `statement` costs the whole process, until `after` says that all of it is done."""
    timer = timeit.Timer(statement, globals=names)

    def one_round() -> float:
        start = time.process_time_ns()
        timer.timeit(count)
        after()
        return (time.process_time_ns() - start) / count

    return Measure(name, one_round)


def inside(name: str, many: Callable[[int], object], count: int = 100_000) -> Measure:
    """Measure one of the `count` operations that one call of `many` does."""

    def one_round() -> float:
        start = time.thread_time_ns()
        many(count)
        return (time.thread_time_ns() - start) / count

    return Measure(name, one_round)


class Results:
    """Medians by name, and which bars they keep."""

    def __init__(self, medians: dict[str, float]) -> None:
        self._medians = medians
        self._missed = False

    def at_most(self, of: str, bar: float, *to: str) -> None:
        """Print `of` as a multiple of all of `to` together, and whether it keeps its bar."""
        ratio = self._medians[of] / sum(self._medians[name] for name in to)
        self._verdict(ratio <= bar, f"{of}: {ratio:.2f} x of ({' + '.join(to)}), bar at most {bar:g}")

    def cheaper(self, of: str, bar: float, than: str) -> None:
        """Print how many times cheaper `of` is than `than`, and whether it keeps its bar."""
        ratio = self._medians[than] / self._medians[of]
        self._verdict(ratio >= bar, f"{of}: {ratio:.1f} x cheaper than {than}, bar at least {bar:g}")

    def told(self, of: str, than: str) -> None:
        """Print how many times cheaper `of` is than `than`, where there is no bar."""
        print(f"{'':<7} {of}: {self._medians[than] / self._medians[of]:.1f} x cheaper than {than}")

    def _verdict(self, kept: bool, line: str) -> None:
        print(f"{'ok' if kept else 'MISSED':<7} {line}")
        self._missed = self._missed or not kept

    def exit_code(self) -> int:
        """Give back 1 when a bar was missed."""
        return int(self._missed)


def run(measures: list[Measure]) -> Results:
    """Measure everything `ROUNDS` times, after one round that does not count, and print the medians."""
    figures: dict[str, list[float]] = {measure.name: [] for measure in measures}
    for turn in range(ROUNDS + 1):
        for measure in measures:
            figure = measure.round()
            if turn > 0:
                figures[measure.name].append(figure)
    medians = {name: statistics.median(found) for name, found in figures.items()}
    for name, nanoseconds in medians.items():
        print(f"{name:<66} {nanoseconds:>11.1f} ns")
    print()
    sys.stdout.flush()
    return Results(medians)
