"""Filters: called with a message, as the originals' are, and what their providers take."""

import pytest

from metlog.exceptions import ConfigError
from metlog.filters import (
    severity_max_provider,
    type_blacklist_provider,
    type_severity_max_provider,
    type_whitelist_provider,
)

BOUNDS = {"oldstyle": {"severity": 3}}


@pytest.mark.parametrize(
    ("keep", "msg", "kept"),
    [
        (severity_max_provider(severity=5), {"severity": 5}, True),
        (severity_max_provider(severity=5), {"severity": 6}, False),
        (severity_max_provider(severity=5), {"severity": 99}, False),
        (severity_max_provider(severity=5), {"severity": "x"}, False),
        (severity_max_provider(severity=9), {"severity": 7}, True),
        (severity_max_provider(severity=9), {"severity": 9}, True),
        (severity_max_provider(severity=9), {"severity": 99}, False),
        (severity_max_provider(severity=-1), {"severity": 0}, False),
        (severity_max_provider(severity=0), {"severity": -5}, True),
        (severity_max_provider(severity=10**30), {"severity": 99}, True),
        (type_severity_max_provider(types={"a": {"severity": -1}}), {"type": "a", "severity": 0}, False),
        (type_blacklist_provider(types=["a", "b"]), {"type": "a"}, False),
        (type_blacklist_provider(types={"a"}), {"type": "c"}, True),
        (type_blacklist_provider(types="abc"), {"type": "ab"}, True),
        (type_whitelist_provider(types=["a", "b"]), {"type": "a"}, True),
        (type_whitelist_provider(types=("a",)), {"type": "c"}, False),
        (type_whitelist_provider(types="abc"), {"type": "ab"}, False),
        (type_severity_max_provider(types=BOUNDS), {"type": "oldstyle", "severity": 3}, True),
        (type_severity_max_provider(types=BOUNDS), {"type": "oldstyle", "severity": 4}, False),
        (type_severity_max_provider(types=BOUNDS), {"type": "services", "severity": 7}, True),
    ],
)
def test_a_filter_decides_by_what_it_is_about(keep, msg, kept):
    assert bool(keep(msg)) is kept
    assert BOUNDS == {"oldstyle": {"severity": 3}}


@pytest.mark.parametrize(("bound", "kept"), [(9, ["a", "b"]), (6, ["a"]), (-1, [])])
def test_the_core_takes_any_bound(client, sent, bound, kept):
    client.filters = [severity_max_provider(bound)]
    client.metlog("a", severity=0)
    client.metlog("b", severity=7)
    assert [message["type"] for message in sent()] == kept


@pytest.mark.parametrize(
    ("provider", "settings"),
    [
        (severity_max_provider, {"severity": "x"}),
        (type_blacklist_provider, {"types": [7]}),
        (type_severity_max_provider, {"types": ["oldstyle"]}),
        (type_severity_max_provider, {"types": {"oldstyle": {}}}),
    ],
)
def test_a_setting_that_cannot_be_is_named(provider, settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        provider(**settings)
