"""`logging` by `dictConfig` and structlog, as an application of today has them."""

import json
import logging
import logging.config

import pytest

import metlog
import metlog.logging
import metlog.structlog
from metlog.client import MetlogClient
from metlog.logging import MetlogHandler
from metlog.senders import DebugCaptureSender

structlog = pytest.importorskip("structlog")


@pytest.fixture
def logger():
    logger = logging.getLogger("shop.orders")
    yield logger
    for one in (logger, logging.getLogger()):
        for handler in [handler for handler in one.handlers if isinstance(handler, MetlogHandler)]:
            one.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def configure(**handler):
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"metlog": {"class": "metlog.logging.MetlogHandler", **handler}},
            "loggers": {"shop.orders": {"level": "DEBUG", "handlers": ["metlog"]}},
        }
    )


def test_a_handler_of_a_dict_config_finds_the_default_client_late(logger, metlog_messages):
    configure(level="INFO")
    client = metlog.configure(logger="shop")
    logger.debug("hidden")
    logger.warning("%s ordered", "somebody", extra={"order": 7, "dish": ["soup"]})
    (message,) = metlog_messages
    assert (message["type"], message["severity"], message["logger"]) == ("oldstyle", 4, "shop")
    assert message["payload"] == "somebody ordered"
    assert message["fields"] == {"order": 7, "dish": ["soup"], "logger_name": "shop.orders"}
    assert metlog.get_client() is client


def test_an_exception_and_a_stack_are_kept(logger, metlog_messages):
    configure()
    try:
        raise KeyError("k")
    except KeyError:
        logger.exception("bad luck", stack_info=True)
    (message,) = metlog_messages
    assert message["severity"] == 3
    assert message["payload"].startswith("bad luck\nTraceback (most recent call last):\n")
    assert "Stack (most recent call last):" in message["payload"]
    assert message["fields"]["exception"] == {"type": "builtins.KeyError", "value": "'k'"}


def test_attributes_of_records_are_chosen(logger, metlog_messages):
    configure(attributes=["name", "funcName", "nothing"])
    logger.info("x", extra={"a": 1})
    (message,) = metlog_messages
    assert message["fields"] == {
        "a": 1,
        "logger_name": "shop.orders",
        "funcName": "test_attributes_of_records_are_chosen",
    }


def test_a_handler_with_a_client_says_what_the_originals_said_and_keeps_extra(logger):
    client = MetlogClient(DebugCaptureSender(), "app")
    logger.setLevel(1)
    logger.addHandler(MetlogHandler(client))
    logger.info("plain")
    logger.info("more", extra={"a": 1})
    plain, more = map(json.loads, client.sender.msgs)
    assert (plain["fields"], more["fields"]) == ({}, {"a": 1})


def test_extra_is_told_from_what_other_handlers_leave_behind(logger):
    client = MetlogClient(DebugCaptureSender(), "app")
    handler = MetlogHandler(client)
    record = logger.makeRecord("n", 20, "f", 1, "x", (), None, extra={"own": 1})
    logging.Formatter("%(asctime)s %(message)s").format(record)
    handler.handle(record)
    assert json.loads(client.sender.msgs[0])["fields"] == {"own": 1}


def test_a_filter_of_the_handler_decides(logger, metlog_messages):
    configure()
    logger.handlers[0].addFilter(lambda record: record.levelno != logging.INFO)
    logger.info("no")
    logger.error("yes")
    assert [message["payload"] for message in metlog_messages] == ["yes"]


@pytest.fixture
def events():
    def configured(*processors):
        structlog.configure(processors=list(processors), cache_logger_on_first_use=False)
        return structlog.get_logger()

    yield configured
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_an_event_of_structlog_is_a_message(events, metlog_messages, capsys):
    log = events(structlog.contextvars.merge_contextvars, metlog.structlog.MetlogProcessor())
    structlog.contextvars.bind_contextvars(request="r1")
    log.bind(user=25).warning("ordered", dish="soup")
    try:
        raise KeyError("k")
    except KeyError:
        log.exception("bad luck")
    ordered, bad = metlog_messages
    assert (ordered["type"], ordered["severity"], ordered["payload"]) == ("oldstyle", 4, "ordered")
    assert ordered["fields"] == {"request": "r1", "user": 25, "dish": "soup"}
    assert bad["severity"] == 3
    assert bad["payload"].startswith("bad luck\nTraceback (most recent call last):\n")
    assert bad["payload"].endswith("KeyError: 'k'")
    assert capsys.readouterr().out == ""


def test_a_tee_gives_the_event_on(events, metlog_messages):
    seen = []

    def last(_logger, _name, event):
        seen.append(event)
        raise structlog.DropEvent

    log = events(structlog.processors.add_log_level, metlog.structlog.MetlogTee(), last)
    log.critical("x", a=1)
    assert seen == [{"event": "x", "level": "critical", "a": 1}]
    assert (metlog_messages[0]["severity"], metlog_messages[0]["fields"]) == (2, {"a": 1})


class Evil:
    def __format__(self, _):
        raise KeyError("evil")

    __str__ = __repr__ = __format__


@pytest.mark.parametrize("event", [{"event": Evil(), "exception": "e"}, {"event": "x", "level": Evil()}])
def test_what_an_event_raises_is_counted_and_the_application_goes_on(event):
    client = MetlogClient(DebugCaptureSender())
    assert metlog.structlog.MetlogTee(client)(None, "info", event) is event
    with pytest.raises(structlog.DropEvent):
        metlog.structlog.MetlogProcessor(client)(None, "info", event)
    assert client.stats().refused == {"encode": 2}


def test_structlog_is_not_imported_by_metlog():
    import subprocess
    import sys

    code = "import sys, metlog.structlog; sys.exit('structlog' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
