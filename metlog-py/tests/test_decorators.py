"""Decorators: what they send, when they bind, what switches them off."""

import asyncio
import functools
import inspect
import json

import pytest

from metlog.client import MetlogClient
from metlog.config import client_from_dict_config
from metlog.decorators import incr_count, timeit
from metlog.decorators.base import MetlogDecorator
from metlog.decorators.util import return_fq_name
from metlog.holder import CLIENT_HOLDER, get_client
from metlog.senders import DebugCaptureSender


@pytest.fixture
def client():
    client = MetlogClient(DebugCaptureSender(), "app")
    CLIENT_HOLDER.set_client("app", client)
    return client


def sent(client):
    messages = [json.loads(text) for text in client.sender.msgs]
    return [(message["type"], message["fields"]["name"]) for message in messages]


@pytest.mark.parametrize(("decorator", "kind"), [(timeit, "timer"), (incr_count, "counter")])
def test_a_bare_decorator_sends_the_functions_name(client, decorator, kind):
    @decorator
    def order(dish, *, count=1):
        """Order it."""
        return f"{count} {dish}"

    assert order("soup", count=2) == "2 soup"
    assert sent(client) == [(kind, f"{__name__}.order")]
    assert (order.__name__, order.__doc__, order.__module__) == ("order", "Order it.", __name__)
    assert list(inspect.signature(order).parameters) == ["dish", "count"]


def test_arguments_go_to_the_call_of_the_client(client):
    fields = {"k": "v"}

    @timeit("t", logger="mine", severity=3, fields=fields)
    @incr_count(name="c", count=5, fields=fields)
    def order():
        pass

    order()
    order()
    first, second = [json.loads(text) for text in client.sender.msgs][:2]
    assert (first["payload"], first["fields"]) == ("5", {"k": "v", "name": "c", "rate": 1.0})
    assert (second["logger"], second["severity"], second["fields"]["name"]) == ("mine", 3, "t")
    assert fields == {"k": "v"}


def test_the_inner_decorator_sends_first_and_under_the_same_name(client):
    @incr_count
    @timeit
    def order():
        pass

    order()
    assert sent(client) == [("timer", f"{__name__}.order"), ("counter", f"{__name__}.order")]


def test_a_call_that_raises_is_counted_and_timed(client):
    @timeit
    @incr_count
    def order():
        raise KeyError

    with pytest.raises(KeyError):
        order()
    assert [kind for kind, _ in sent(client)] == ["counter", "timer"]


def test_methods_are_bound_and_carry_no_class_in_their_name(client):
    class Kitchen:
        name = "open"

        @timeit
        def cook(self, dish):
            return f"{self.name} {dish}"

        @classmethod
        @incr_count
        def close(cls):
            return cls.__name__

    assert Kitchen().cook("soup") == "open soup"
    assert Kitchen.cook(Kitchen(), "soup") == "open soup"
    assert Kitchen.close() == "Kitchen"
    assert sent(client)[0] == ("timer", f"{__name__}.cook")


def test_a_coroutine_is_timed_and_counted_until_it_ends(client):
    @timeit
    @incr_count
    async def order(dish):
        await asyncio.sleep(0.02)
        return dish

    assert inspect.iscoroutinefunction(order)
    assert asyncio.run(order("soup")) == "soup"
    counter, timer = [json.loads(text) for text in client.sender.msgs]
    assert counter["type"] == "counter"
    assert int(timer["payload"]) >= 15


def test_the_client_is_found_at_the_first_call_and_kept(client):
    @incr_count(client_name="later")
    def order():
        pass

    assert order.client is None
    later = client_from_dict_config(
        {"sender": {"class": "metlog.senders.DebugCaptureSender"}}, get_client("later")
    )
    order()
    CLIENT_HOLDER.set_client("later", client)
    order()
    assert (len(later.sender.msgs), len(client.sender.msgs)) == (2, 0)

    @incr_count(client=client)
    def other():
        pass

    other()
    assert len(client.sender.msgs) == 1


def test_without_any_client_the_function_is_called_until_there_is_one():
    @timeit
    @incr_count("n")
    def order():
        return 7

    assert order() == 7
    client = MetlogClient(DebugCaptureSender(), "app")
    CLIENT_HOLDER.set_client("app", client)
    assert order() == 7
    assert len(client.sender.msgs) == 2


@pytest.mark.parametrize(
    ("disabled", "works"),
    [
        (["timeit"], False),
        ("timeit", False),
        (["incr_count", "timeit"], False),
        (["timeit2", "time"], True),
        ([], True),
    ],
)
def test_a_decorator_is_switched_off_by_its_whole_name(client, disabled, works):
    CLIENT_HOLDER.global_config["disabled_decorators"] = disabled

    @timeit
    def order():
        return 7

    assert order() == 7
    CLIENT_HOLDER.global_config["disabled_decorators"] = []
    # The first call settles it.
    assert order() == 7
    assert len(client.sender.msgs) == (2 if works else 0)


@pytest.mark.parametrize(
    ("timers", "works"),
    [("*", False), ("order", False), ("explicit", False), (f"{__name__}.order", True), ("other", True)],
)
def test_a_timed_function_is_switched_off_by_its_names(client, timers, works):
    client._disabled_timers.add(timers)

    @timeit("explicit")
    def order():
        return 7

    assert order() == 7
    assert len(client.sender.msgs) == works


def test_a_default_name_is_disabled_like_any_timer(client):
    client._disabled_timers.add(f"{__name__}.order")
    timeit(lambda: 7)()

    @timeit
    def order():
        return 7

    assert order() == 7
    assert len(client.sender.msgs) == 1


def test_a_rate_is_thrown_at_each_call(client):
    client.sender.msgs = []
    for decorator in (timeit("t", rate=0.5), incr_count("c", rate=0.5)):
        call = decorator(lambda: None)
        before = len(client.sender.msgs)
        for _ in range(1000):
            call()
        assert 350 < len(client.sender.msgs) - before < 650


def test_one_decorator_with_arguments_wraps_several_functions(client):
    counted = incr_count("n")
    one, two = counted(lambda: 1), counted(lambda: 2)
    assert (one(), two()) == (1, 2)
    assert len(client.sender.msgs) == 2


def test_what_has_no_name_is_named_by_its_class(client):
    @timeit
    class Call:
        def __call__(self):
            return 7

    assert isinstance(Call(), Call.__wrapped__)
    assert timeit(Call.__wrapped__())() == 7
    assert timeit(functools.partial(int, "7"))() == 7
    names = [name for _, name in sent(client)]
    assert names == [f"{__name__}.Call", f"{__name__}.Call", "functools.partial"]


def test_a_framework_sees_which_decorators_a_function_has():
    @timeit
    @incr_count("n", rate=0.5)
    @incr_count(["unhashable"])
    def order():
        pass

    assert order._metlog_decorators == {
        (timeit, (), "{}"),
        (incr_count, ("n",), '{"rate": 0.5}'),
        (incr_count, "(['unhashable'],)", "{}"),
    }


def test_a_decorator_of_the_application_says_what_a_call_does(client):
    class shout(MetlogDecorator):  # noqa: N801
        def predicate(self):
            return super().predicate() and self.client.is_active

        def metlog_call(self, *args, **kwargs):
            result = self._fn(*args, **kwargs)
            self.client.metlog("shout", payload=self._fn_fq_name, fields={"args": self.args, **self.kwargs})
            return result

    @shout("loud", volume=11)
    def order():
        return 7

    assert (order(), order.decorator_name) == (7, "shout")
    (message,) = [json.loads(text) for text in client.sender.msgs]
    assert (message["payload"], message["fields"]) == (f"{__name__}.order", {"args": ["loud"], "volume": 11})
    with pytest.raises(TypeError, match="not callable"):
        shout("loud")("no function")


def test_attributes_of_the_function_are_those_of_the_decorated(client):
    def order():
        pass

    order.exposed = True
    decorated = timeit(order)
    assert decorated.exposed
    assert decorated.__wrapped__ is order
    assert not hasattr(decorated, "hidden")
    assert return_fq_name(decorated) == return_fq_name(order) == f"{__name__}.order"
    assert return_fq_name(order, MetlogClient) == f"{__name__}.MetlogClient.order"
