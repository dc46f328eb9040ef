"""Checks a wheel as it is shipped: what it holds, what it says of itself, that it imports in a clean place.

Usage: python tools/check_wheel.py WHEEL
"""

from __future__ import annotations

import email
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGES = {"metlog", "metlog_cef", "metlog_psutils", "metlog_raven"}
NAME = "cp310-abi3"

# A stripped library with all of libzmq in it.
MAX_LIBRARY_BYTES = 12_000_000

METADATA = (
    "Summary",
    "License-Expression",
    "License-File",
    "Requires-Python",
    "Author",
    "Keywords",
    "Classifier",
)

PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import metlog, metlog.__main__, metlog_cef, metlog_psutils, metlog_raven
assert metlog.__file__.startswith(sys.argv[1]), metlog.__file__
client = metlog.configure(sender_class="stdout")
client.incr("imported")
assert client.close().sent == 1
"""


def faults(wheel: Path) -> list[str]:
    """Give back everything that is wrong with `wheel`, a line each."""
    with zipfile.ZipFile(wheel) as archive:
        sizes = {file.filename: file.file_size for file in archive.infolist()}
        (about,) = [name for name in sizes if name.endswith(".dist-info/METADATA")]
        metadata = email.message_from_bytes(archive.read(about))
    folder = about.partition("/")[0]
    found = []

    def expect(holds: bool, otherwise: str) -> None:
        if not holds:
            found.append(otherwise)

    expect(NAME in wheel.name, f"{wheel.name} is for one Python only, expected {NAME}")
    roots = {name.partition("/")[0] for name in sizes} - {folder}
    expect(roots == PACKAGES, f"holds {sorted(roots)}, expected {sorted(PACKAGES)}")
    for package in sorted(PACKAGES):
        expect(f"{package}/py.typed" in sizes, f"{package} has no py.typed")
    libraries = [name for name in sizes if name.endswith((".so", ".dylib", ".pyd"))]
    expect(libraries == ["metlog/_metlog.abi3.so"], f"holds the libraries {libraries}, expected one")
    expect(
        all(sizes[name] < MAX_LIBRARY_BYTES for name in libraries),
        f"a library is over {MAX_LIBRARY_BYTES:,} bytes: not stripped, or no release build",
    )
    expect("metlog/_metlog.pyi" in sizes, "has no stub of the compiled module")
    expect(f"{folder}/licenses/LICENSE" in sizes, "has no licence file")
    strange = [name for name in sizes if "__pycache__" in name or "/tests/" in name or name.endswith(".rs")]
    expect(not strange, f"holds {strange}")
    for key in METADATA:
        expect(key in metadata, f"says no {key}")
    expect(len(str(metadata.get_payload())) > 200, "has no description")
    expect("Requires-Dist" not in metadata, f"needs {metadata.get_all('Requires-Dist')}, expected nothing")
    return found


def imports(wheel: Path) -> bool:
    """Tell whether what `wheel` holds imports and sends, with nothing else there."""
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        # Isolated, so that no other metlog is found.
        command = [sys.executable, "-I", "-c", PROGRAM, folder]
        return subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode == 0


def main() -> int:
    """Print what is wrong; gives back 1 when something is."""
    wheel = Path(sys.argv[1])
    found = faults(wheel)
    if not imports(wheel):
        found.append("does not import")
    for fault in found:
        print(f"error: {wheel.name} {fault}", file=sys.stderr)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
