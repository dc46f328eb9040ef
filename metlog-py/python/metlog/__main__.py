"""``python -m metlog``: sends a message, measures what calls cost here, says why messages do not arrive."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from metlog import __version__
from metlog._commands import Outcome, bench, doctor, send
from metlog.exceptions import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

# As `argparse` ends for arguments that it does not know.
WRONG_USE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; gives back its exit code."""
    given = _parser().parse_args(arguments)
    try:
        outcome: Outcome = given.run(given)
    except ConfigError as error:
        sys.stderr.write(f"error: {error}\n")
        return WRONG_USE
    said = json.dumps(outcome.facts, indent=2) if given.json else "\n".join(outcome.lines)
    sys.stdout.write(f"{said}\n")
    return outcome.code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m metlog", description=__doc__.partition(": ")[2])
    parser.add_argument("--version", action="version", version=f"metlog {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in (send, bench, doctor):
        name = command.__name__.rpartition(".")[2]
        text = (command.__doc__ or "").partition(": ")[2]
        subparser = commands.add_parser(name, help=text, description=text)
        subparser.add_argument("--config", metavar="TOML", help="a file, under the variables METLOG_*")
        subparser.add_argument("--json", action="store_true", help="say it as JSON")
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
