"""The examples in the documentation of the packages."""

import doctest

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
