"""Writes what the fuzz targets start from: the golden vectors and the examples of the documentation.

Usage: seeds.py FOLDER    one folder for each target is made in it
"""

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def cases(name: str) -> list[dict[str, Any]]:
    """Read a file of golden vectors."""
    found: list[dict[str, Any]] = json.loads((ROOT / "tests" / "contract" / name).read_text())
    return found


def blocks(language: str) -> list[bytes]:
    """Find the code blocks of the page about configuration."""
    page = (ROOT / "docs" / "configuration.md").read_text()
    return [text.encode() for text in re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)]


def records(frame: bytes) -> Iterable[bytes]:
    """Split a batch into its records."""
    rest = frame[8 + int.from_bytes(frame[4:8], "little") :]
    while rest:
        end = 4 + int.from_bytes(rest[:4], "little")
        yield rest[4:end]
        rest = rest[end:]


def link_frames(frames: list[bytes]) -> Iterable[bytes]:
    """Make a frame of each kind: a MessagePack array."""
    yield b"\x95\x00\x01\x01\xc4\x10" + bytes(range(16)) + b"\x03"
    yield b"\x94\x01\x01\x05\xce\x00\x10\x00\x00"
    yield from (b"\x94\x02\x07\x06\xc5" + len(frame).to_bytes(2, "big") + frame for frame in frames)
    yield from (b"\x92\x03\x07", b"\x92\x04\xcd\x10\x00", b"\x91\x05", b"\x91\x06")
    yield b"\x93\x07\xa7version\xa7too new"


def cef_events() -> Iterable[bytes]:
    """Write the security events as the target divides them."""
    for case in cases("cef.json"):
        config, event, environ = case["config"], case["event"], case["environ"] or {}
        parts = [config[f"cef.{key}"] for key in ("version", "vendor", "product", "device_version")]
        parts += [event["name"], str(event["severity"])]
        parts += [event.get(key, "") for key in ("signature", "username", "host")]
        keys = ("REQUEST_METHOD", "PATH_INFO", "HTTP_USER_AGENT", "HTTP_HOST", "REMOTE_ADDR")
        parts += [environ.get(key, "") for key in keys]
        extras = event.get("extras", {})
        pairs = extras.items() if isinstance(extras, dict) else extras
        parts += [text for pair in pairs for text in pair]
        yield "\x01".join(parts).encode()


def main(folder: Path) -> None:
    """Write the seeds of every target."""
    frames = [bytes.fromhex(case["hex"]) for case in cases("batch.json")]
    seeds = {
        "batch": frames,
        "record": [record for frame in frames for record in records(frame)],
        "json": [case["json"].encode() for case in cases("json.json")],
        "link": link_frames(frames),
        "cef": cef_events(),
        "toml": [*blocks("toml"), b"logger = 'x'\n\0METLOG_SEVERITY=3\n"],
        "ini": blocks("ini"),
    }
    for target, contents in seeds.items():
        place = folder / target
        place.mkdir(parents=True, exist_ok=True)
        for number, content in enumerate(contents):
            (place / f"seed-{number:03}").write_bytes(content)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
