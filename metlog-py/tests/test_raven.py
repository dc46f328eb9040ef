"""`metlog_raven`: what is sent for an exception, and what is kept out of it."""

import asyncio
import base64
import builtins
import json
import re
import sys
import threading
import time
import types
import zlib

import pytest
from conftest import CONTRACT, read_messages

import metlog_raven
from metlog.client import MetlogClient
from metlog.config import client_from_text_config
from metlog.decorators.base import MetlogDecorator
from metlog.exceptions import ConfigError, MetlogError
from metlog.holder import CLIENT_HOLDER
from metlog.senders import DebugCaptureSender, JsonLinesSender

DSN = "http://user:word@example.com/7"
VARIABLES = json.loads((CONTRACT / "exceptions.json").read_text("utf-8"))


@pytest.fixture
def client():
    client = MetlogClient(DebugCaptureSender(), "app")
    client.add_method(metlog_raven.config_plugin({}))
    return client


def events(client):
    return [metlog_raven.decode(json.loads(text)["payload"]) for text in client.sender.msgs]


def event_of(client, error):
    """Report `error` where it is raised, and give back its event."""
    try:
        raise error
    except BaseException:  # noqa: BLE001 - whatever the test gives
        client.raven()
    return events(client)[-1]


def frames(event):
    return event["sentry.interfaces.Stacktrace"]["frames"]


def variables(client, function, *args):
    """Give back the variables of `function`, which raises."""
    with pytest.raises(Exception) as raised:  # noqa: PT011 - the test's own
        function(*args)
    client.raven(exc_info=raised.value)
    return frames(events(client)[-1])[-1]["vars"]


def charge(card, amount):
    """Fail with variables."""
    parts = [card, amount]
    raise ValueError("cannot charge", amount, parts)


@pytest.mark.parametrize("way", ["core", "python"])
def test_an_exception_is_sent_with_its_frames(tmp_path, way):
    path = tmp_path / "messages.json"
    sender = JsonLinesSender(path) if way == "core" else DebugCaptureSender()
    client = MetlogClient(sender, "app")
    client.add_method(metlog_raven.config_plugin({"dsn": DSN, "logger": "shop"}))
    given = {"order": 12}
    # The event's time is cut to microseconds.
    before = time.time() - 1e-6
    try:
        charge("4111111111111111", 5)
    except ValueError:
        assert client.raven("charging", **given) is None
    assert client.flush(10.0)
    (message,) = read_messages(path) if way == "core" else map(json.loads, sender.msgs)
    assert (message["type"], message["severity"], message["logger"]) == ("sentry", 3, "shop")
    fields = message["fields"]
    assert before <= fields.pop("epoch_timestamp") <= time.time()
    assert fields == {"order": 12, "msg": "charging", "dsn": DSN}

    event = metlog_raven.decode(message["payload"])
    assert json.loads(zlib.decompress(base64.b64decode(message["payload"]))) == event
    assert event["sentry.interfaces.Exception"] == {
        "type": "ValueError",
        "module": "builtins",
        "value": "('cannot charge', 5, ['********', 5])",
    }
    assert event["culprit"] == f"{__name__} in charge"
    assert (event["level"], event["platform"], event["project"]) == (40, "python", "7")
    assert (event["extra"]["msg"], event["extra"]["logger"], event["extra"]["severity"]) == (
        "charging",
        "shop",
        3,
    )
    outer, inner = frames(event)
    assert outer["function"] == "test_an_exception_is_sent_with_its_frames"
    assert (inner["function"], inner["module"], inner["abs_path"]) == ("charge", __name__, __file__)
    assert inner["context_line"] == '    raise ValueError("cannot charge", amount, parts)'
    assert inner["pre_context"][-3:] == [
        "def charge(card, amount):",
        '    """Fail with variables."""',
        "    parts = [card, amount]",
    ]
    assert inner["vars"] == {"card": "********", "amount": 5, "parts": ["********", 5]}
    assert inner["lineno"] == charge.__code__.co_firstlineno + 3


@pytest.mark.parametrize("way", ["core", "python"])
def test_an_exception_is_sent_without_the_plugin_too(tmp_path, way):
    path = tmp_path / "messages.json"
    sender = JsonLinesSender(path) if way == "core" else DebugCaptureSender()
    client = MetlogClient(sender, "app")
    client.send_exception(ValueError("x"))
    assert client.flush(10.0)
    (message,) = read_messages(path) if way == "core" else map(json.loads, sender.msgs)
    extra = metlog_raven.decode(message["payload"])["extra"]
    assert (message["logger"], message["severity"]) == ("app", 3)
    assert (extra["logger"], extra["severity"], message["fields"]["msg"]) == ("app", 3, "")


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in VARIABLES])
def test_a_variable_is_shown_as_the_contract_says(client, case):
    names = {}
    exec(f"def fail({case['variable']}): raise ValueError", names)
    assert variables(client, names["fail"], case["value"]) == {case["variable"]: case["shown"]}


class Hostile:
    def __getattribute__(self, name):
        raise AssertionError(name)

    __repr__ = __str__ = __len__ = __iter__ = __getattribute__


def test_variables_of_other_types_run_no_code_of_theirs(client):
    class Text(str):
        __slots__ = ()
        __str__ = __repr__ = __getitem__ = __len__ = Hostile.__repr__

    class Items(list):
        __iter__ = __len__ = __getitem__ = __repr__ = Hostile.__repr__

    def fail(hostile, text, items, made, raw, kind, odd):
        raise ValueError

    shown = variables(
        client, fail, Hostile(), Text("x"), Items([1]), {3}, b"\xff", Hostile, {Hostile(): 2, 3: 10**400}
    )
    assert shown == {
        "hostile": "<Hostile>",
        "text": "x",
        "items": [1],
        "made": [3],
        "raw": "\ufffd",
        "kind": "<type Hostile>",
        "odd": {"<Hostile>": 2, "3": "<int>"},
    }


def test_large_and_cyclic_variables_are_cut(client):
    cycle = []
    cycle.append(cycle)

    def fail(text, items, bytes_, cycle):
        raise ValueError

    started = time.monotonic()
    shown = variables(client, fail, "é" * 20_000_000, list(range(5_000_000)), bytes(20_000_000), cycle)
    assert len(shown["text"]) == 400
    assert shown["items"][-1] == "... 4999951 more"
    assert len(shown["bytes_"]) == 400
    assert shown["cycle"] == [[[["<list of 1>"]]]]
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (KeyError("x"), "'x'"),
        (ValueError(), ""),
        (FileNotFoundError(2, "No such file", "/x"), "[Errno 2] No such file: '/x'"),
        (ValueError("a", {"b"}), "(a, <set>)"),
        (ValueError(Hostile()), "<Hostile>"),
        (
            UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
            "'utf-8' codec can't decode byte 0xff in position 0: bad",
        ),
        (ValueError("x" * 500), "x" * 397 + "..."),
        (ValueError("token=abc"), "token=********"),
    ],
)
def test_an_exception_tells_its_text(client, error, text):
    assert event_of(client, error)["sentry.interfaces.Exception"]["value"] == text


def test_the_text_of_an_exception_may_fail_and_may_report(client):
    class FailingError(Exception):
        def __str__(self):
            raise RuntimeError

    class ReportingError(Exception):
        def __str__(self):
            client.raven(exc_info=self)
            return "told"

    class EndingError(Exception):
        def __str__(self):
            raise KeyboardInterrupt

    value = "sentry.interfaces.Exception"
    assert event_of(client, FailingError())[value]["value"] == "<unprintable FailingError object>"
    assert event_of(client, ReportingError("own"))[value]["value"] == "told"
    assert [event[value]["value"] for event in events(client)[-2:]] == ["own", "told"]
    with pytest.raises(KeyboardInterrupt):
        event_of(client, EndingError())


def test_causes_and_contexts_follow_the_exception(client):
    def cause():
        try:
            raise KeyError("first")
        except KeyError as error:
            raise ValueError("second") from error

    def context():
        try:
            cause()
        except ValueError:
            raise TypeError("third")  # noqa: B904 - that it has no cause is the point

    def suppressed():
        try:
            context()
        except TypeError:
            raise OSError("fourth") from None

    def chain(function):
        with pytest.raises(Exception) as raised:  # noqa: PT011 - the test's own
            function()
        event = event_of(client, raised.value)
        return [
            (link["value"], link["relation"], link["parent"]) for link in event["extra"].get("causes", ())
        ]

    assert chain(context) == [("second", "context", 0), ("'first'", "cause", 1)]
    assert chain(suppressed) == []


def test_a_chain_that_holds_itself_ends(client):
    error, other = ValueError("a"), ValueError("b")
    error.__cause__, other.__cause__ = other, error
    assert len(event_of(client, error)["extra"]["causes"]) == 1


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python has groups and notes from 3.11 on")
def test_a_group_is_followed_by_its_members_and_a_note_by_its_text(client):
    member = KeyError("b")
    member.__cause__ = OSError("c")
    member.add_note("seen at noon")
    group = builtins.ExceptionGroup
    inner = group("inner", [ValueError("d")])
    event = event_of(client, group("several", [ValueError("a"), member, inner]))
    assert event["message"] == "ExceptionGroup: several (3 sub-exceptions)"
    assert [(link["value"], link["relation"], link["parent"]) for link in event["extra"]["causes"]] == [
        ("a", "member", 0),
        ("'b'\nseen at noon", "member", 0),
        ("c", "cause", 2),
        ("inner (1 sub-exception)", "member", 0),
        ("d", "member", 4),
    ]


def test_a_group_of_the_package_for_older_pythons_is_followed_too(client, monkeypatch):
    class GroupError(Exception):
        def __init__(self, text, exceptions):
            super().__init__(text)
            self.exceptions = tuple(exceptions)

    monkeypatch.setitem(sys.modules, "exceptiongroup", types.SimpleNamespace(BaseExceptionGroup=GroupError))
    event = event_of(client, GroupError("several", [ValueError("a"), KeyError("b")]))
    assert [link["value"] for link in event["extra"]["causes"]] == ["a", "'b'"]


def test_an_endless_recursion_keeps_its_innermost_frames(client):
    def recurse(depth):
        recurse(depth + 1)

    with pytest.raises(RecursionError) as raised:
        recurse(0)
    client.raven(exc_info=raised.value)
    (event,) = events(client)
    kept = frames(event)
    assert len(kept) == 100
    depths = [frame["vars"]["depth"] for frame in kept]
    assert depths == list(range(depths[0], depths[0] + 100))
    assert event["extra"]["frames_left_out"] > 500


def test_a_frame_may_ask_not_to_be_shown(client):
    def hidden():
        __traceback_hide__ = True
        charge("x", 1)

    with pytest.raises(ValueError, match="charge") as raised:
        hidden()
    client.raven(exc_info=raised.value)
    assert "hidden" not in [frame["function"] for frame in frames(events(client)[0])]


def test_the_variables_of_a_module_are_its_data(client):
    names = {"__name__": "loaded"}
    code = compile(
        "import json\nclass A: pass\ndef f(): pass\nx = 1\nraise ValueError(x)", "/no/such.py", "exec"
    )
    with pytest.raises(ValueError, match="1") as raised:
        exec(code, names)
    client.raven(exc_info=raised.value)
    frame = frames(events(client)[0])[-1]
    assert (frame["function"], frame["module"], frame["vars"]) == ("<module>", "loaded", {"x": 1})
    assert (frame["context_line"], frame["abs_path"]) == (None, "/no/such.py")


def test_without_an_exception_nothing_is_sent(client):
    client.raven("nothing")
    client.raven("nothing", exc_info=False)
    client.raven("nothing", exc_info=(None, None, None))
    assert not client.sender.msgs


def test_an_exception_may_be_given(client):
    error = ValueError("given")
    client.raven(exc_info=error)
    client.raven(exc_info=(ValueError, error, None))
    assert [event["message"] for event in events(client)] == ["ValueError: given"] * 2


def test_a_payload_is_sent_as_it_is():
    client = MetlogClient(DebugCaptureSender())
    client.add_method(metlog_raven.config_plugin({"dsn": DSN, "severity": 2}))
    client.raven("told", payload="ready", more=1)
    message = json.loads(client.sender.msgs[0])
    fields = message["fields"]
    assert abs(fields.pop("epoch_timestamp") - time.time()) < 10
    assert (message["type"], message["payload"], message["severity"]) == ("sentry", "ready", 2)
    assert fields == {"more": 1, "msg": "told", "dsn": DSN}


@pytest.mark.parametrize(
    ("settings", "kind", "told"),
    [
        ({"dsn": DSN, "site": 1}, metlog_raven.InvalidArgumentError, "Unexpected arguments: ['site']"),
        ({"dsn": "ftp://u:p@h/1"}, ConfigError, "Unsupported Sentry DSN scheme"),
        ({"dsn": "udp://u:p@h/1"}, ConfigError, "Invalid Sentry DSN"),
    ],
)
def test_a_wrong_setting_is_named(settings, kind, told):
    with pytest.raises(kind, match=re.escape(told)) as raised:
        metlog_raven.config_plugin(settings)
    assert isinstance(raised.value, MetlogError)
    assert isinstance(raised.value, ValueError)


def test_a_configuration_reaches_the_plugin():
    client = client_from_text_config(
        """
        [metlog]
        sender_class = metlog.senders.DebugCaptureSender
        [metlog_plugin_raven]
        provider = metlog_raven.raven_plugin:config_plugin
        dsn = udp://username:password@127.0.0.1:9000/2
        """,
        "metlog",
    )
    event_of(client, ValueError())
    assert json.loads(client.sender.msgs[0])["fields"]["dsn"] == "udp://username:password@127.0.0.1:9000/2"


def test_the_decorator_reports_each_exception_and_lets_it_go_on(client):
    @metlog_raven.capture_stack(client=client, severity=1)
    def fail(number):
        return 1 / number

    assert fail(2) == 0.5
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            fail(0)
    # The original forgot the severity after the first.
    assert [json.loads(text)["severity"] for text in client.sender.msgs] == [1, 1]
    assert [frame["function"] for frame in frames(events(client)[0])] == ["fail"]
    assert fail.__name__ == "fail"


def test_the_decorator_is_one_of_metlogs(client):
    @metlog_raven.capture_stack(client=client, severity=1)
    def fail():
        raise ValueError

    assert isinstance(fail, MetlogDecorator)
    assert fail._metlog_decorators == {(type(fail), (), '{"severity": 1}')}
    CLIENT_HOLDER.global_config["disabled_decorators"] = ["capture_stack"]
    with pytest.raises(ValueError, match=r"^$"):
        fail()
    assert len(client.sender.msgs) == 0


def test_the_client_of_sentry_reads_a_payload(client):
    event_of(client, ValueError("x"))
    payload = json.loads(client.sender.msgs[0])["payload"]
    reader = metlog_raven.raven_plugin.RavenClient(dsn="udp://username:password@127.0.0.1:9000/2")
    assert reader.decode(payload) == metlog_raven.decode(payload)


def test_the_bare_decorator_uses_the_default_client(client):
    @metlog_raven.capture_stack
    def fail():
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        fail()
    CLIENT_HOLDER.set_client("app", client)
    with pytest.raises(ValueError, match=r"^$"):
        fail()
    assert len(client.sender.msgs) == 1


def test_the_decorator_waits_for_a_coroutine(client):
    @metlog_raven.capture_stack(client=client)
    async def fail():
        await asyncio.sleep(0)
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        asyncio.run(fail())
    assert [frame["function"] for frame in frames(events(client)[0])] == ["fail"]


def test_threads_report_at_once(tmp_path):
    path = tmp_path / "messages.json"
    client = MetlogClient(JsonLinesSender(path), "app")
    client.add_method(metlog_raven.config_plugin({}))

    def report(thread):
        for number in range(20):
            try:
                charge(thread, number)
            except ValueError:
                client.raven(thread=thread, number=number)

    threads = [threading.Thread(target=report, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.flush(30.0)
    told = [(m["fields"]["thread"], m["fields"]["number"]) for m in read_messages(path)]
    assert sorted(told) == [(thread, number) for thread in range(4) for number in range(20)]


@pytest.mark.parametrize("payload", ["", "!", "eJw=", "eJyrBQAAegB8"])
def test_what_is_no_payload_is_a_value_error(payload):
    with pytest.raises(ValueError):  # noqa: PT011 - any layer may be broken
        metlog_raven.decode(payload)


def test_an_event_is_written_as_a_traceback(client):
    try:
        try:
            charge("x", 1)
        except ValueError as error:
            raise KeyError("y") from error
    except KeyError:
        client.raven()
    text = metlog_raven.format_event(events(client)[0], variables=True)
    lines = text.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert '    raise KeyError("y") from error' in lines
    assert "KeyError: 'y'" in lines
    assert "The exception above was caused by:" in lines
    assert "      amount = 1" in lines
    assert lines[-1].startswith("ValueError: ('cannot charge'")
