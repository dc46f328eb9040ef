"""Every public call with values that hurt: nothing is raised into the application, and every call is counted.

`test_values` says what arrives of a value; this says that nothing breaks, whatever stands where.
"""

import functools
import gc
import logging
import math
import subprocess
import sys
import threading
import types

import pytest

from metlog.client import MetlogClient
from metlog.config import client_from_dict_config
from metlog.logging import MetlogHandler
from metlog.senders import JsonLinesSender

CEF = {"cef.version": "0", "cef.vendor": "v", "cef.product": "p", "cef.device_version": "1"}
# An object that raises when it is asked for its class is told of on standard error.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

PLUGINS = {"cef": ("metlog_cef:config_plugin", {}), "raven": ("metlog_raven:config_plugin", {})}

# Whatever Python could ask an object for.
SPECIAL = (
    "str",
    "repr",
    "bool",
    "len",
    "iter",
    "index",
    "float",
    "int",
    "hash",
    "eq",
    "lt",
    "le",
    "gt",
    "ge",
)
SPECIAL += ("getitem", "contains", "format", "mod", "rmod", "call")
ASKED = [f"__{name}__" for name in SPECIAL] + ["keys", "items", "values", "copy", "get", "isoformat"]


def raiser(error, base=object, *given):
    """Make an object that raises `error` whatever it is asked."""

    def raises(*_args, **_kwargs):
        raise error

    return type("Raiser", (base,), dict.fromkeys(ASKED, raises))(*given)


class NoAttribute:
    def __getattribute__(self, name):
        raise RuntimeError(name)


class NoClass:
    @property
    def __class__(self):
        raise RuntimeError("class")


class SaysDict:
    __class__ = dict


class LogsAgain:
    """Its text logs, its own text too, until it is asked for the third time."""

    client = None
    asked = 0

    def __str__(self):
        self.asked += 1
        if self.client is not None and self.asked < 3:
            self.client.info("%s", self)
            self.client.incr("again")
        return "again"

    __repr__ = __str__


def nested(depth, wrap):
    value = None
    for _ in range(depth):
        value = wrap(value)
    return value


def cycle_of_dicts():
    cycle = {}
    cycle["cycle"] = cycle
    return cycle


def cycle_of_lists():
    cycle = []
    cycle.append(cycle)
    return cycle


VALUES = {
    "None": lambda: None,
    "cyclic dict": cycle_of_dicts,
    "cyclic list": cycle_of_lists,
    "lists, 100,000 deep": lambda: nested(100_000, lambda value: [value]),
    "dicts, 100,000 deep": lambda: nested(100_000, lambda value: {"k": value}),
    "tuples, 100,000 deep": lambda: nested(100_000, lambda value: (value,)),
    "raises": lambda: raiser(RuntimeError("evil")),
    "raises MemoryError": lambda: raiser(MemoryError()),
    "raises RecursionError": lambda: raiser(RecursionError()),
    "raises StopIteration": lambda: raiser(StopIteration()),
    "dict that raises": lambda: raiser(RuntimeError("evil"), dict, {"k": 1}),
    "list that raises": lambda: raiser(RuntimeError("evil"), list, [1]),
    "tuple that raises": lambda: raiser(RuntimeError("evil"), tuple, [1]),
    "str that raises": lambda: raiser(RuntimeError("evil"), str, "text"),
    "int that raises": lambda: raiser(RuntimeError("evil"), int, 7),
    "float that raises": lambda: raiser(RuntimeError("evil"), float, 7.0),
    "bytes that raise": lambda: raiser(RuntimeError("evil"), bytes, b"text"),
    "exception that raises": lambda: raiser(RuntimeError("evil"), ValueError, "text"),
    "no attributes": NoAttribute,
    "no class": NoClass,
    "says it is a dict": SaysDict,
    "logs again": LogsAgain,
    "10 MB of text": lambda: "x" * 10_000_000,
    "10 MB of bytes": lambda: b"x" * 10_000_000,
    "10 MB of list": lambda: ["x" * 1_000] * 10_000,
    "lone surrogate": lambda: "\ud800",
    "lone surrogate as key": lambda: {"\ud800": 1},
    "keys that are no text": lambda: {(1, 2): 1, None: 2, b"k": 3, 1.5: 4, object(): 5},
    "NaN": lambda: math.nan,
    "infinity": lambda: math.inf,
    "5,000 digits": lambda: 10**5_000,
    "bytes": lambda: b"\xff\0",
    "formats": lambda: "%s %(name)s %d %",
    "generator": lambda: (item for item in [1]),
    "mapping that is no dict": lambda: types.MappingProxyType({"k": 1}),
    "memory": lambda: memoryview(b"text"),
}


@functools.cache
def made():
    return {name: make() for name, make in VALUES.items()}


def raised(call, error):
    """Make `call` while `error` is the active exception."""
    try:
        raise error
    except ValueError:
        call()


def timed(client, name, **keywords):
    with client.timer(name, **keywords):
        pass
    client.timer(name, **keywords)(lambda: None)()


def with_local(client, local):
    try:
        raise ValueError
    except ValueError as error:
        client.send_exception(error)


def handled(client, **attributes):
    record = logging.LogRecord("name", logging.ERROR, __file__, 1, "text %s", (), None)
    record.__dict__.update(attributes)
    MetlogHandler(client).handle(record)


def set_defaults(client, value):
    client.logger = client.severity = value
    client.incr("n")
    client.logger, client.severity = "app", 6


def bound(client, value):
    with client.bind(k=value, name=value):
        client.incr("n")


# How many messages each wants to send, and the call.
CALLS = {
    "metlog type": (1, lambda client, value: client.metlog(value)),
    "metlog logger": (1, lambda client, value: client.metlog("a", logger=value)),
    "metlog severity": (1, lambda client, value: client.metlog("a", severity=value)),
    "metlog payload": (1, lambda client, value: client.metlog("a", payload=value)),
    "metlog fields": (1, lambda client, value: client.metlog("a", fields=value)),
    "metlog field": (1, lambda client, value: client.metlog("a", fields={"k": value})),
    "incr name": (1, lambda client, value: client.incr(value)),
    "incr count": (1, lambda client, value: client.incr("n", value)),
    "incr rate": (1, lambda client, value: client.incr("n", rate=value)),
    "incr fields": (1, lambda client, value: client.incr("n", fields=value)),
    "gauge name": (1, lambda client, value: client.gauge(value, 1)),
    "gauge value": (1, lambda client, value: client.gauge("n", value)),
    "timer_send name": (1, lambda client, value: client.timer_send(value, 1)),
    "timer_send elapsed": (1, lambda client, value: client.timer_send("n", value)),
    "timer name": (2, timed),
    "timer rate": (2, lambda client, value: timed(client, "n", rate=value)),
    "timer logger": (2, lambda client, value: timed(client, "n", logger=value)),
    "timer fields": (2, lambda client, value: timed(client, "n", fields=value)),
    "debug": (1, lambda client, value: client.debug(value)),
    "info %s": (1, lambda client, value: client.info("%s", value)),
    "notice %r, %d": (1, lambda client, value: client.notice("%r %d", value, value)),
    "warning with a message that hurts": (1, lambda client, value: client.warning(value, 1)),
    "error %(k)s": (1, lambda client, value: client.error("%(k)s", value)),
    "critical exc_info": (1, lambda client, value: client.critical("a", exc_info=value)),
    "alert, other keywords": (1, lambda client, value: client.alert("a", extra=value)),
    "exception": (1, lambda client, value: raised(lambda: client.exception(value), ValueError(1))),
    "exception %s": (1, lambda client, value: raised(lambda: client.exception("%s", value), ValueError(1))),
    "exception exc_info": (1, lambda client, value: client.exception("a", value)),
    "exception of it": (1, lambda client, value: raised(lambda: client.exception("a"), ValueError(value))),
    "send_exception": (1, lambda client, value: client.send_exception(value)),
    "send_exception of it": (1, lambda client, value: client.send_exception(ValueError(value, value))),
    "send_exception msg": (1, lambda client, value: client.send_exception(ValueError(), msg=value)),
    "send_exception traceback": (1, lambda client, value: client.send_exception(ValueError(), value)),
    "send_exception dsn": (1, lambda client, value: client.send_exception(ValueError(), dsn=value)),
    "send_exception fields": (1, lambda client, value: client.send_exception(ValueError(), fields=value)),
    "send_exception local": (1, with_local),
    "raven msg": (1, lambda client, value: raised(lambda: client.raven(value), ValueError())),
    "raven exc_info": (None, lambda client, value: client.raven("a", value)),
    "raven field": (1, lambda client, value: raised(lambda: client.raven("a", k=value), ValueError())),
    "cef name": (1, lambda client, value: client.cef(value, 5, {}, CEF)),
    "cef severity": (1, lambda client, value: client.cef("n", value, {}, CEF)),
    "cef environ": (1, lambda client, value: client.cef("n", 5, value, CEF)),
    "cef variable": (1, lambda client, value: client.cef("n", 5, {"REMOTE_ADDR": value}, CEF)),
    "cef username": (1, lambda client, value: client.cef("n", 5, {}, CEF, username=value)),
    "cef key": (1, lambda client, value: client.cef("n", 5, {}, CEF, key=value)),
    "handler msg": (1, lambda client, value: handled(client, msg=value)),
    "handler args": (1, lambda client, value: handled(client, args=(value,))),
    "handler extra": (1, lambda client, value: handled(client, extra=value)),
    "send_message": (None, lambda client, value: client.send_message(value)),
    "send_message payload": (1, lambda client, value: client.send_message({"type": "a", "payload": value})),
    "defaults": (1, set_defaults),
    # What is summed in the process leaves by the interval.
    "counter name": (None, lambda client, value: client.counter(value).incr()),
    "counter count": (None, lambda client, value: client.counter("n").incr(value)),
    "gauge handle": (None, lambda client, value: client.aggregates.gauge("n").set(value)),
    "bound field": (1, bound),
}


class Keeps:
    """A sender of the application."""

    def send_message(self, msg):
        pass


@pytest.fixture(params=["native", "python"])
def hurt(request, tmp_path):
    """A client whose sender is the core's or the application's, with its plugins."""
    sender = JsonLinesSender(tmp_path / "messages.json") if request.param == "native" else Keeps()
    config = {"sender": {"class": "metlog.senders.DebugCaptureSender"}, "plugins": PLUGINS}
    client = client_from_dict_config(config)
    client.sender = sender
    return client


@pytest.mark.parametrize("name", CALLS)
def test_nothing_gets_an_exception_out_of_a_call(hurt, name, capsys):
    wanted, call = CALLS[name]
    for value_name, value in made().items():
        LogsAgain.client = hurt if value_name == "logs again" else None
        before = attempted(hurt)
        try:
            call(hurt, value)
        except BaseException as error:  # noqa: BLE001 - PanicException is no Exception
            pytest.fail(f"{value_name}: {type(error).__name__} {error}")
        counted = attempted(hurt) - before
        # What logs meanwhile is counted too.
        assert wanted is None or counted == wanted or LogsAgain.client, f"{value_name}: {counted} counted"
    assert "panic" not in capsys.readouterr().err
    hurt.incr("after")
    assert hurt.flush(10.0)


def attempted(client):
    """Count the calls that wanted to send; exceptions count once their stack was looked up."""
    assert client.flush(10.0)
    stats = client.stats()
    assert stats.attempted == stats.accepted + sum(stats.refused.values())
    return stats.attempted


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_what_is_meant_to_end_the_program_does(hurt, end):
    calls = [
        lambda value: hurt.info("%s", value),
        lambda value: hurt.exception("%s", value),
        lambda _: hurt.send_exception(raiser(end(), ValueError)),
    ]
    for call in calls:
        with pytest.raises(end):
            call(raiser(end()))


def test_values_that_change_while_they_are_read(hurt):
    class Grows:
        """Changes what holds it when it goes."""

        def __init__(self, holder):
            self.holder = holder

        def __del__(self):
            self.holder.clear()

    fields = {str(n): n for n in range(200)}
    done = threading.Event()

    def change():
        while not done.is_set():
            fields["x"] = [fields.pop("x", 1)]
            fields["y"] = {}
            del fields["y"]

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(300):
            holder = {}
            holder["k"] = [Grows(holder)]
            hurt.metlog("a", payload=holder, fields=fields)
            del holder
            gc.collect(0)
    finally:
        done.set()
        thread.join()
    assert attempted(hurt) == 300


def test_at_the_end_of_the_stack_the_applications_own_call_raises_and_no_other(hurt):
    calls = 0

    def deeper():
        nonlocal calls
        hurt.incr("n", fields={"k": [{"k": 1}]})
        hurt.info("%s", 1)
        calls += 2
        deeper()

    with pytest.raises(RecursionError):
        deeper()
    # The call at which the stack ended may have counted one of the two.
    assert attempted(hurt) - calls in (0, 1, 2)


def test_a_chain_of_100_000_causes_is_bounded(hurt):
    last = None
    for _ in range(100_000):
        error = ValueError()
        error.__cause__ = last
        last = error
    hurt.send_exception(last)
    assert attempted(hurt) == 1


def test_a_text_that_hangs_is_never_asked_for_by_an_exceptions_variables(tmp_path):
    program = f"""
import time
from metlog.client import MetlogClient
from metlog.senders import JsonLinesSender
class Hangs(dict):
    def __str__(self): time.sleep(3600)
    __repr__ = __len__ = __iter__ = __bool__ = __hash__ = __eq__ = __str__
    def __getattr__(self, name): time.sleep(3600)
client = MetlogClient(JsonLinesSender({str(tmp_path / "messages.json")!r}))
def fail(argument):
    local = [Hangs()]
    raise ValueError(argument, local)
try:
    fail(Hangs())
except ValueError as error:
    client.send_exception(error)
    client.metlog("a", payload=Hangs(), fields=Hangs())
assert client.close(10.0).sent == 2
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


def test_an_interrupted_call_leaves_the_client_as_it_was(client, sent):
    with pytest.raises(KeyboardInterrupt):
        client.info("%s", raiser(KeyboardInterrupt()))
    client.info("after")
    assert [message["payload"] for message in sent()] == ["after"]


def test_a_client_that_was_never_set_up_by_its_subclass_counts(capsys):
    class Forgets(MetlogClient):
        def __init__(self):
            pass

    client = Forgets()
    client.incr("n")
    assert client.stats().attempted == 1
