"""What a wheel holds and says, by the check that `make dist` runs on the one it has built."""

import importlib.metadata
import importlib.util
import zipfile
from pathlib import Path

import pytest

CHECK = Path(__file__).parents[2] / "tools" / "check_wheel.py"

METADATA = """Metadata-Version: 2.4
Name: metlog
Summary: s
License-Expression: MPL-2.0
License-File: LICENSE
Requires-Python: >=3.10
Author: a
Keywords: k
Classifier: c

"""

PACKAGES = ("metlog", "metlog_cef", "metlog_psutils", "metlog_raven")

FILES = {
    **{f"{package}/{file}": "" for package in PACKAGES for file in ("__init__.py", "py.typed")},
    "metlog/_metlog.abi3.so": "",
    "metlog/_metlog.pyi": "",
    "metlog-1.dist-info/METADATA": METADATA + "text " * 100,
    "metlog-1.dist-info/licenses/LICENSE": "",
}

CASES = {
    "as it should be": ({}, "metlog-1-cp310-abi3-linux.whl", []),
    "for one Python": ({}, "metlog-1-cp311-cp311-linux.whl", ["is for one Python only"]),
    "another package": ({"tests/__init__.py": ""}, None, ["holds ['metlog', 'metlog_cef'"]),
    "without a marker": ({"metlog_cef/py.typed": None}, None, ["metlog_cef has no py.typed"]),
    "two libraries": ({"metlog/lib.so": ""}, None, ["holds the libraries"]),
    "a library with its symbols": ({"metlog/_metlog.abi3.so": "x" * 13_000_000}, None, ["not stripped"]),
    "without a stub": ({"metlog/_metlog.pyi": None}, None, ["has no stub"]),
    "without a licence": ({"metlog-1.dist-info/licenses/LICENSE": None}, None, ["has no licence file"]),
    "with caches": ({"metlog/__pycache__/a.pyc": ""}, None, ["holds ['metlog/__pycache__"]),
    "without a description": ({"metlog-1.dist-info/METADATA": METADATA}, None, ["has no description"]),
    "with a dependency": (
        {"metlog-1.dist-info/METADATA": "Requires-Dist: cef\n" + METADATA + "text " * 100},
        None,
        ["needs ['cef']"],
    ),
}


@pytest.fixture(scope="module")
def faults():
    spec = importlib.util.spec_from_file_location("check_wheel", CHECK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.faults


@pytest.mark.parametrize("name", CASES)
def test_a_wheel_is_told_what_is_wrong_with_it(tmp_path, faults, name):
    changes, file, expected = CASES[name]
    wheel = tmp_path / (file or "metlog-1-cp310-abi3-linux.whl")
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in {**FILES, **changes}.items():
            if text is not None:
                archive.writestr(path, text)
    found = faults(wheel)
    assert len(found) == len(expected)
    assert all(part in fault for part, fault in zip(expected, found, strict=True))


def test_what_is_installed_says_what_it_is():
    about = importlib.metadata.metadata("metlog")
    assert about["License-Expression"] == "MPL-2.0"
    assert about["Requires-Python"] == ">=3.10"
    assert about["Requires-Dist"] is None
    names = {entry.name for entry in importlib.metadata.entry_points(group="console_scripts")}
    assert "mb" in names
