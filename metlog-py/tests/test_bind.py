"""Fields bound for a context."""

import asyncio
import contextvars
import json
import threading

import pytest

import metlog
from metlog.client import MetlogClient
from metlog.senders import DebugCaptureSender


@pytest.fixture(params=["core", "python"])
def any_client(request, client, sent):
    """Give a client of either path, and what it has sent."""
    if request.param == "core":
        return client, sent
    python = MetlogClient(DebugCaptureSender(), "app")
    return python, lambda: [json.loads(text) for text in python.sender.msgs]


def test_messages_of_every_kind_have_the_bound_fields(any_client):
    client, sent = any_client
    with client.bind(user=25, name="bound"):
        client.metlog("services", fields={"b": 2})
        client.incr("c")
        client.gauge("g", 1, fields={"user": "own"})
        with client.timer("t"):
            pass
        client.info("text")
        client.send_exception(ValueError("x"))
        client.metlog("misfit", fields=7)
    client.info("after")
    found = {message["type"]: message["fields"] for message in sent()}
    assert found["services"] == {"user": 25, "name": "bound", "b": 2}
    assert found["counter"] == {"user": 25, "name": "c", "rate": 1.0}
    assert found["gauge"] == {"user": "own", "name": "g", "rate": 1.0}
    assert found["timer"] == {"user": 25, "name": "t", "rate": 1.0}
    assert found["sentry"]["user"] == 25
    # The last one was sent after the block.
    assert found["oldstyle"] == {}
    assert next(message["fields"] for message in sent() if message["type"] == "oldstyle")["user"] == 25


def test_blocks_within_each_other_add_up_and_end_in_any_order(any_client):
    client, sent = any_client
    outer, inner = metlog.bind(a=1, b=1), metlog.bind(b=2)
    with outer:
        client.info("1")
        with inner:
            client.info("2")
            with inner:
                client.info("3")
            client.info("4")
        client.info("5")
    inner.__exit__(None, None, None)
    client.info("6")
    outer.__enter__()
    inner.__enter__()
    outer.__exit__(None, None, None)
    client.info("7")
    one, two = {"a": 1, "b": 1}, {"a": 1, "b": 2}
    assert [message["fields"] for message in sent()] == [one, two, two, two, one, {}, {}]


def test_what_is_bound_belongs_to_the_context(client, sent):
    async def task(number):
        with client.bind(task=number):
            await asyncio.sleep(0.001 * (3 - number))
            client.info(str(number))

    async def tasks():
        with client.bind(all=True):
            await asyncio.gather(*map(task, range(3)))

    asyncio.run(tasks())
    with client.bind(main=1):
        for target in (lambda: client.info("bare"),):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(client.info, "carried"))
        thread.start()
        thread.join()
    found = {message["payload"]: message["fields"] for message in sent()}
    assert [found[str(number)] for number in range(3)] == [{"all": True, "task": n} for n in range(3)]
    assert (found["bare"], found["carried"]) == ({}, {"main": 1})


def test_what_is_bound_is_what_it_was_when_the_block_began(client, sent):
    fields = {"list": [1]}
    with client.bind(**fields):
        fields["list"].append(2)
        fields["more"] = 1
        client.info("x")
    assert sent()[0]["fields"] == {"list": [1]}


def test_functions_of_every_kind_can_be_decorated(client, sent):
    bound = client.bind(f=1)

    @bound
    def plain():
        client.info("plain")
        return 1

    @bound
    async def coroutine():
        await asyncio.sleep(0)
        client.info("coroutine")
        return 2

    @bound
    def generator():
        got = yield 1
        client.info("generator")
        try:
            yield got
        except KeyError:
            client.info("thrown")
        return 3

    @bound
    async def later():
        got = yield 1
        await asyncio.sleep(0)
        client.info("later")
        yield got

    async def run():
        assert await coroutine() == 2
        steps = later()
        assert await steps.asend(None) == 1
        client.info("between")
        assert await steps.asend("sent") == "sent"
        await steps.aclose()

    assert plain() == 1
    asyncio.run(run())
    steps = generator()
    assert next(steps) == 1
    client.info("between")
    assert steps.send("sent") == "sent"
    with pytest.raises(StopIteration) as end:
        steps.throw(KeyError())
    assert end.value.value == 3
    messages = sent()
    assert len(messages) == 7
    for message in messages:
        assert message["fields"] == ({} if message["payload"] == "between" else {"f": 1})


def test_fields_that_cannot_be_written_are_left_out_and_nothing_raises(any_client):
    client, sent = any_client

    class Odd:
        def __repr__(self):
            raise RuntimeError

    with client.bind(odd=Odd(), nan=float("nan"), big="x" * 2_000_000):
        client.info("x")
    with client.bind(odd=Odd(), text="\udc80"):
        client.info("y")
    assert sent()[-1]["payload"] == "y"
    assert sent()[-1]["fields"]["odd"] == "<Odd>"


def test_sums_have_no_bound_fields(client, sent):
    with client.bind(a=1):
        client.counter("n").incr()
    client.close()
    assert sent()[0]["fields"] == {"name": "n", "rate": 1.0}
