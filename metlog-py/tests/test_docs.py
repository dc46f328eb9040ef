"""The examples in the documentation of the packages, and those of the pages about Python."""

import doctest
import logging
import re
from pathlib import Path

import pytest

import metlog
import metlog.decorators
import metlog.decorators.base
import metlog_cef
import metlog_raven


@pytest.mark.parametrize(
    "package",
    [metlog, metlog.decorators, metlog.decorators.base, metlog_cef, metlog_raven],
    ids=lambda package: package.__name__,
)
def test_the_examples_of_a_package_do_what_they_say(package):
    results = doctest.testmod(package)
    assert (results.failed, results.attempted > 0) == (0, True)


PAGES = Path(__file__).parents[2] / "docs" / "python"


@pytest.mark.parametrize("page", ["modern.md"])
def test_the_blocks_of_a_page_run_one_after_another(page, monkeypatch):
    # Nobody listens to a test.
    monkeypatch.setenv("METLOG_SENDER_CLASS", "file")
    monkeypatch.setenv("METLOG_SENDER_FILEPATH", "/dev/null")
    blocks = re.findall(
        r"^```python\n(.*?)^```$", (PAGES / page).read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    assert len(blocks) > 5
    names: dict = {}
    for block in blocks:
        exec(compile(block, page, "exec"), names)
    logging.getLogger("shop").handlers.clear()
