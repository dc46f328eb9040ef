"""Timers around what waits: blocks and functions of asyncio, and generators."""

import asyncio
import inspect
import time

import pytest

from metlog.client import MetlogClient
from metlog.decorators import incr_count, timeit
from metlog.senders import DebugCaptureSender


def times(sent):
    return {message["fields"]["name"]: int(message["payload"]) for message in sent()}


def test_an_async_block_is_measured_in_its_own_task(client, sent):
    timer = client.timer("shared")

    async def work(name, seconds):
        async with client.timer(name), timer:
            await asyncio.sleep(seconds)

    async def both():
        await asyncio.gather(work("short", 0.02), work("long", 0.08))

    asyncio.run(both())
    found = sent()
    shared = sorted(int(message["payload"]) for message in found if message["fields"]["name"] == "shared")
    assert 18 <= shared[0] < 60 < shared[1]
    assert 18 <= times(sent)["short"] < 60 < times(sent)["long"]


def test_an_async_block_that_raises_is_measured_too(client, sent):
    async def work():
        async with client.timer("bad") as timer:
            assert timer.result is None
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(work())
    assert "bad" in times(sent)


def test_a_coroutine_function_is_measured_until_it_has_been_awaited(client, sent):
    @client.timer("work")
    async def work(seconds):
        """Work."""
        await asyncio.sleep(seconds)
        return seconds

    async def run():
        later = work(0.02)
        time.sleep(0.05)
        return await later

    assert inspect.iscoroutinefunction(work)
    assert (work.__name__, work.__doc__) == ("work", "Work.")
    assert asyncio.run(run()) == 0.02
    # From the first step on, not from the call.
    assert 18 <= times(sent)["work"] < 49


def test_a_generator_is_measured_from_its_first_item_to_its_end(client, sent):
    @client.timer("items")
    def items():
        yield 1
        time.sleep(0.02)
        yield 2

    unused = items()
    assert list(items()) == [1, 2]
    closed = items()
    next(closed)
    closed.close()
    del unused
    found = [int(message["payload"]) for message in sent()]
    assert len(found) == 2
    assert found[0] >= 18


def test_an_async_generator_is_measured_as_well(client, sent):
    @client.timer("items")
    async def items():
        yield 1
        await asyncio.sleep(0.02)
        yield 2

    async def run():
        found = [item async for item in items()]
        closed = items()
        await anext(closed)
        await closed.aclose()
        return found

    assert asyncio.run(run()) == [1, 2]
    found = [int(message["payload"]) for message in sent()]
    assert len(found) == 2
    assert found[0] >= 18


def test_a_disabled_timer_leaves_coroutines_as_they_are():
    client = MetlogClient(DebugCaptureSender(), "app", disabled_timers="*")

    async def work():
        async with client.timer("n"):
            return 1

    assert client.timer("n")(work) is work
    assert asyncio.run(work()) == 1
    assert not client.sender.msgs


def test_a_rate_is_thrown_for_each_call_of_a_coroutine(client, sent):
    @client.timer("work", rate=0.5)
    async def work():
        return 1

    async def run():
        return [await work() for _ in range(400)]

    assert sum(asyncio.run(run())) == 400
    assert 100 < len(sent()) < 300


def test_the_decorators_of_the_originals_know_what_waits(client, sent):
    @timeit("t", client=client)
    @incr_count("c", client=client)
    async def work():
        await asyncio.sleep(0.02)

    asyncio.run(work())
    assert times(sent)["t"] >= 18
    assert times(sent)["c"] == 1
