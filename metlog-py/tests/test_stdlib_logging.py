"""The standard library's `logging`, as a source of messages and as a place for them."""

import json
import logging
import sys
from unittest import mock

import pytest

import metlog.senders.logging
from metlog.client import MetlogClient
from metlog.logging import MetlogHandler, hook_logger
from metlog.senders import DebugCaptureSender, JsonLinesSender
from metlog.senders.logging import StdLibLoggingSender


@pytest.fixture
def client():
    return MetlogClient(DebugCaptureSender(), "app")


@pytest.fixture
def logger():
    logger = logging.getLogger("test.metlog")
    logger.setLevel(1)
    yield logger
    for one in (logger, logging.getLogger()):
        for handler in [handler for handler in one.handlers if isinstance(handler, MetlogHandler)]:
            one.removeHandler(handler)


class Odd:
    def __str__(self):
        return "odd"


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        (1, 7),
        (5, 7),
        (10, 7),
        (15, 7),
        (20, 6),
        (25, 6),
        (30, 4),
        (35, 4),
        (40, 3),
        (45, 3),
        (50, 2),
        (99, 2),
    ],
)
def test_a_level_has_the_severity_of_its_range(client, logger, level, severity):
    hook_logger("test.metlog", client)
    logger.log(level, "%s is %d", "one", 1)
    (message,) = [json.loads(text) for text in client.sender.msgs]
    assert (message["type"], message["severity"], message["payload"]) == ("oldstyle", severity, "one is 1")
    assert (message["logger"], message["fields"]) == ("app", {})


def test_a_traceback_is_below_the_text_and_any_object_is_a_text(client, logger):
    hook_logger("test.metlog", client)
    try:
        raise KeyError("k")
    except KeyError:
        logger.exception("bad %s", "luck")
    logger.info(Odd())
    payloads = [json.loads(text)["payload"] for text in client.sender.msgs]
    assert payloads[0].startswith("bad luck\nTraceback (most recent call last):\n")
    assert payloads[0].endswith("KeyError: 'k'")
    assert payloads[1] == "odd"


def test_a_logger_is_hooked_once_for_each_client(client, logger):
    other = MetlogClient(DebugCaptureSender(), "other")
    for one in (client, client, other):
        hook_logger("test.metlog", one)
    hook_logger(None, other)
    logger.warning("x")
    assert (len(client.sender.msgs), len(other.sender.msgs)) == (1, 2)


def test_a_formatter_of_the_application_is_used(client, logger):
    hook_logger("test.metlog", client)
    logger.handlers[-1].setFormatter(logging.Formatter("%(name)s: %(message)s"))
    logger.info("x")
    assert json.loads(client.sender.msgs[0])["payload"] == "test.metlog: x"


def test_a_record_that_cannot_be_formatted_is_reported_by_logging(client, logger, capsys, monkeypatch):
    # The handler of pytest would raise.
    monkeypatch.setattr(logger, "propagate", False)
    hook_logger("test.metlog", client)
    logger.info("%d", "x")
    logger.info("after")
    assert "--- Logging error ---" in capsys.readouterr().err
    assert len(client.sender.msgs) == 1


def test_a_hooked_root_that_is_the_sender_too_sends_each_record_once(client, logger, caplog):
    client.setup(StdLibLoggingSender("test.metlog"), "app")
    hook_logger(None, client)
    with caplog.at_level(1):
        logging.getLogger("elsewhere").warning("x")
    assert [record.getMessage() for record in caplog.records if record.name == "test.metlog"] == ["x"]


def test_a_client_that_sends_to_a_hooked_logger_logs_each_call_once(client, logger, caplog):
    client.setup(StdLibLoggingSender("test.metlog"), "app")
    hook_logger("test.metlog", client)
    with caplog.at_level(1):
        client.info("x")
        client.info("y")
    assert [record.getMessage() for record in caplog.records] == ["x", "y"]


def test_what_the_sender_of_one_client_logs_another_client_sends(client, logger):
    hook_logger("test.metlog", client)
    MetlogClient(StdLibLoggingSender("test.metlog"), "legacy").info("x")
    assert [json.loads(text)["payload"] for text in client.sender.msgs] == ["x"]


def test_what_a_task_logs_that_a_sender_has_begun_is_sent(client, logger):
    import contextvars

    begun = []

    class Beginning:
        def send_message(self, msg):
            begun.append(contextvars.copy_context())

    client.sender = Beginning()
    hook_logger("test.metlog", client)
    client.info("first")
    begun[0].run(logger.info, "later")
    assert len(begun) == 2


@pytest.mark.parametrize("formatter", [None, logging.Formatter("%(message)s")])
def test_a_format_of_a_subclass_has_every_record(path, logger, formatter):
    class Redacting(MetlogHandler):
        def format(self, record):
            return super().format(record).replace("secret", "***")

    client = MetlogClient(JsonLinesSender(path), "app")
    handler = Redacting(client)
    handler.setFormatter(formatter)
    logger.addHandler(handler)
    logger.info("a %s", "secret")
    assert client.flush(10.0)
    assert [json.loads(line)["payload"] for line in path.read_text().splitlines()] == ["a ***"]


@pytest.mark.parametrize(
    ("severity", "level"),
    [(0, 50), (1, 50), (2, 50), (3, 40), (4, 30), (5, 20), (6, 20), (7, 10), (99, 30), ("x", 30), (None, 20)],
)
def test_a_severity_has_its_level(caplog, severity, level):
    with caplog.at_level(1):
        MetlogClient(StdLibLoggingSender("test.metlog"), "app").metlog(
            "oldstyle", severity=severity, payload="100%"
        )
    assert caplog.record_tuples == [("test.metlog", level, "100%")]


@pytest.mark.parametrize(
    ("settings", "logged"),
    [
        ({}, ["text", "json"]),
        ({"payload_types": "services"}, ["json", "text"]),
        ({"payload_types": ["services"], "json_types": []}, [None, "text"]),
        ({"json_types": "services"}, ["text", "json"]),
        ({"payload_types": "*"}, ["text", "text"]),
    ],
)
def test_a_type_is_logged_as_its_payload_or_as_json_or_not_at_all(caplog, settings, logged):
    client = MetlogClient(StdLibLoggingSender("test.metlog", **settings), "app")
    found = []
    for kind in ("oldstyle", "services"):
        caplog.clear()
        with caplog.at_level(1):
            client.metlog(kind, payload="text")
        texts = [record.getMessage() for record in caplog.records]
        found += ["json" if text.startswith("{") else text for text in texts] or [None]
    assert found == logged


def test_the_sender_logs_to_the_root_by_default_and_its_logging_can_be_patched():
    assert StdLibLoggingSender().logger is logging.getLogger()
    with mock.patch.object(metlog.senders.logging, "logging") as patched:
        sender = StdLibLoggingSender("name")
    patched.getLogger.assert_called_once_with("name")
    MetlogClient(sender, "app").error("x")
    sender.logger.log.assert_called_once_with(logging.ERROR, "x")
    assert "logging" in sys.modules
