"""Values that hurt: no call raises, and what arrives is bounded."""

import datetime
import decimal
import enum
import math
import pathlib
import resource
import uuid
from collections import OrderedDict, namedtuple

import pytest


class Hostile:
    def __str__(self):
        raise RuntimeError("str")

    __repr__ = __bool__ = __len__ = __iter__ = __index__ = __float__ = __hash__ = __eq__ = __str__

    def __getattr__(self, name):
        raise AttributeError(name) if name.startswith("__") else RuntimeError(name)


class Zone(datetime.tzinfo):
    def utcoffset(self, _):
        raise RuntimeError("utcoffset")


class Decimal:
    """Bears the name of a type that is known."""

    __module__ = "decimal"

    def __str__(self):
        raise RuntimeError("str")


class Colour(str, enum.Enum):
    RED = "red"


Point = namedtuple("Point", "x y")

CASES = [
    (math.nan, None),
    (-math.inf, None),
    (2**64 - 1, 2**64 - 1),
    (-(2**63), -(2**63)),
    (2**64, 2.0**64),
    (10**400, "<int>"),
    (True, True),
    (b"text", "text"),
    (b"\xff", "/w=="),
    (bytearray(b"x"), "x"),
    ("\ud800", "���"),
    ("\0 \U0001f600", "\0 \U0001f600"),
    ((1, [2]), [1, [2]]),
    ({1}, [1]),
    (Point(1, 2), [1, 2]),
    (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
    ({1: 1, 2.5: 1, None: 1}, {"1": 1, "2.5": 1, "null": 1}),
    ({(1,): 1, b"k": 2}, {"<tuple>": 1, "k": 2}),
    (Colour.RED, "red"),
    (datetime.datetime.fromisoformat("2012-03-30T20:45"), "2012-03-30T20:45:00"),
    (datetime.datetime(2012, 3, 30, tzinfo=datetime.timezone.utc), "2012-03-30T00:00:00+00:00"),
    (datetime.datetime(2012, 3, 30, tzinfo=Zone()), "<datetime>"),
    (datetime.date(2012, 3, 30), "2012-03-30"),
    (decimal.Decimal("1.50"), "1.50"),
    (Decimal(), "<Decimal>"),
    (uuid.UUID(int=0), "00000000-0000-0000-0000-000000000000"),
    (pathlib.PurePosixPath("/a"), "/a"),
    (Hostile(), "<Hostile>"),
    (Hostile, "<type>"),
    ([Hostile()], ["<Hostile>"]),
    (object(), "<object>"),
    (range(3), "<range>"),
]


@pytest.mark.parametrize(("value", "arrives"), CASES, ids=[str(place) for place in range(len(CASES))])
def test_a_value_arrives_as_documented(client, sent, value, arrives):
    client.metlog("a", payload=value, fields={"v": value})
    (message,) = sent()
    assert message["payload"] == arrives
    assert message["fields"] == {"v": arrives}


def test_a_cycle_ends(client, sent):
    loop = {}
    loop["self"] = loop
    client.metlog("a", fields=loop)
    (message,) = sent()
    depth, inner = 0, message["fields"]
    while isinstance(inner, dict):
        depth, inner = depth + 1, inner["self"]
    assert (depth, inner) == (65, "...")


@pytest.mark.parametrize("kind", ["list", "dict"])
def test_a_big_value_that_holds_itself_is_not_copied_at_each_level(client, kind):
    # A copy of it at each of 64 levels would be half a gigabyte.
    if kind == "list":
        loop = [None] * 1_000_000
        loop[0] = loop
    else:
        loop = dict.fromkeys(map(str, range(200_000)))
        loop["0"] = loop
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    client.metlog("a", payload=loop)
    client.metlog("a", fields={"k": loop})
    assert client.stats().refused == {"too_big": 2}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


def test_a_value_just_below_the_bound_arrives_however_it_is_nested(client, sent):
    inner = [0] * 100_000
    value = {"first": [0] * 800_000, "rest": [[inner, {"k": 1}]], "last": {"a": (1, 2)}}
    client.metlog("a", payload=value)
    (message,) = sent()
    assert message["payload"]["rest"] == [[inner, {"k": 1}]]


def test_what_grows_beyond_the_bound_is_refused_and_counted(client, sent):
    twice = []
    twice.extend([twice, twice])
    too_big = ["x" * 2_000_000, b"x" * 2_000_000, [0] * 2_000_000, twice, {"k": "x" * 2_000_000}]
    for value in too_big:
        client.metlog("a", payload=value)
    client.metlog("a", fields={"x" * 2_000_000: 1})
    client.info("after")
    assert [message["payload"] for message in sent()] == ["after"]
    stats = client.stats()
    assert stats.refused == {"too_big": 6}
    assert stats.attempted == stats.accepted + 6


@pytest.mark.parametrize("odd", [None, 7, Hostile(), {}, [], object, "\ud800", 10**400, math.nan])
def test_no_argument_makes_a_call_raise(client, odd):
    client.metlog(odd, odd, odd, odd, odd)
    client.incr(odd, odd, odd, odd, odd, odd)
    client.gauge(odd, odd, odd, odd, odd, odd)
    client.timer_send(odd, odd, odd, odd, odd, odd)
    client.info(odd)
    client.info(odd, odd)
    client.info("%s", odd, exc_info=odd)
    client.exception(odd, exc_info=odd)
    client.logger, client.severity = odd, odd
    client.metlog("a")
    assert client.flush(10.0)
    stats = client.stats()
    assert stats.attempted == 9
    assert stats.attempted == stats.accepted + sum(stats.refused.values())


def test_what_is_no_name_and_no_map_is_kept(client, sent):
    client.metlog(7, logger=8, fields=[9])
    (message,) = sent()
    assert (message["type"], message["logger"]) == ("7", "app")
    assert message["fields"] == {"original": {"logger": 8, "fields": [9]}}


def test_an_exception_meant_to_end_the_program_gets_through(client):
    class Interrupts:
        def __str__(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.info("%s", Interrupts())
