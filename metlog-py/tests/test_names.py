"""Names that come often take a shorter way; nobody can tell from what is sent."""

import sys
from itertools import count

import pytest
from conftest import read_messages

import metlog
from metlog.client import MetlogClient
from metlog.senders import JsonLinesSender
from metlog.testing import capture_logs

# More than enough for a name to count as one that comes often.
OFTEN = 20

CALLS = {
    "counter": lambda client, name, number: client.incr(name, number),
    "gauge": lambda client, name, number: client.gauge(name, number),
    "timer": lambda client, name, number: client.timer_send(name, number),
}


def name_of_its_own(text="sync.auth.ok"):
    """Give back a text that nobody else holds."""
    return "".join(text)


def told(messages):
    names = ("type", "logger", "severity", "payload", "fields")
    return [{name: message[name] for name in names} for message in messages]


@pytest.mark.parametrize("kind", CALLS)
@pytest.mark.parametrize("number", [1, -70_000, 2.5])
def test_a_name_that_comes_often_says_what_it_said_the_first_time(client, sent, kind, number):
    for _ in range(OFTEN):
        CALLS[kind](client, "sync.auth.ok", number)
    first, *others = told(sent())
    assert len(others) == OFTEN - 1
    assert all(other == first for other in others)
    assert first["fields"] == {"name": "sync.auth.ok", "rate": 1.0}
    assert first["payload"] == ("3" if (kind, number) == ("timer", 2.5) else str(number))


def test_a_name_that_comes_often_is_kept_and_one_that_is_made_for_each_call_is_not(client):
    literal = name_of_its_own(["sync", ".auth"])
    before = sys.getrefcount(literal)
    for _ in range(OFTEN):
        client.incr(literal)
    assert sys.getrefcount(literal) == before + 1
    made = []
    for number in range(OFTEN):
        made.append("".join(["sync.", str(number)]))
        client.incr(made[-1])
    made.append(object())
    assert len({sys.getrefcount(name) for name in made}) == 1


@pytest.mark.parametrize("fields", [None, {}, {"userid": 25, "path": "/"}])
def test_a_type_that_comes_often_says_what_it_said_the_first_time(client, sent, fields):
    for number in range(OFTEN):
        client.metlog("services", payload=str(number), fields=fields)
    messages = told(sent())
    assert [message.pop("payload") for message in messages] == [str(number) for number in range(OFTEN)]
    assert (
        messages
        == [
            {"type": "services", "logger": "app", "severity": 6, "fields": fields or {}},
        ]
        * OFTEN
    )


def test_one_text_may_be_a_name_and_a_type(client, sent):
    for _ in range(OFTEN):
        client.incr("n"), client.metlog("n", payload="text", fields={"a": 1})
    assert {(m["type"], m["payload"], tuple(m["fields"])) for m in sent()} == {
        ("counter", "1", ("name", "rate")),
        ("n", "text", ("a",)),
    }


def test_more_names_than_are_kept_all_arrive(client, sent):
    names = [f"name.{number}" for number in range(1_000)]
    for _ in range(OFTEN):
        for name in names:
            client.incr(name)
    assert [message["fields"]["name"] for message in sent()] == names * OFTEN


def test_a_name_belongs_to_the_client_that_was_called(client, sent, tmp_path):
    path = tmp_path / "other.json"
    other = MetlogClient(JsonLinesSender(path), "other", severity=3)
    for _ in range(OFTEN):
        client.incr("both"), other.incr("both")
    assert other.flush(10.0)
    assert {message["logger"] for message in sent()} == {"app"}
    assert {(message["logger"], message["severity"]) for message in read_messages(path)} == {("other", 3)}


@pytest.mark.parametrize(("change", "expected"), [("logger", "late"), ("severity", 2)])
def test_what_a_client_says_may_change_after_a_name_came_often(client, sent, change, expected):
    for _ in range(OFTEN):
        client.incr("n")
    setattr(client, change, expected)
    client.incr("n")
    assert [message[change] == expected for message in sent()] == [False] * OFTEN + [True]


def test_a_client_set_up_anew_sends_a_name_that_came_often_to_its_new_place(client, tmp_path):
    for _ in range(OFTEN):
        client.incr("n")
    path = tmp_path / "new.json"
    client.setup(JsonLinesSender(path), "anew")
    client.incr("n")
    assert client.flush(10.0)
    assert [message["logger"] for message in read_messages(path)] == ["anew"]


def test_a_filter_that_is_added_sees_a_name_that_came_often(client, sent):
    for _ in range(OFTEN):
        client.incr("n")
    client.filters.append(lambda msg: msg["type"] != "counter")
    client.incr("n")
    assert (len(sent()), client.stats().refused["filtered"]) == (OFTEN, 1)


def test_bound_fields_and_captures_see_a_name_that_came_often(client, sent):
    for _ in range(OFTEN):
        client.incr("n")
    with metlog.bind(request_id="4f2a"):
        client.incr("n")
    with capture_logs() as messages:
        client.incr("n")
    assert sent()[-1]["fields"] == {"request_id": "4f2a", "name": "n", "rate": 1.0}
    assert [message["fields"]["name"] for message in messages] == ["n"]


@pytest.mark.parametrize("kind", CALLS)
def test_sums_of_a_name_that_comes_often_are_whole(path, kind):
    client = metlog.configure(sender=JsonLinesSender(path), aggregate=True)
    numbers = count(1)
    for _ in range(OFTEN):
        CALLS[kind](client, "n", next(numbers))
    client.close(10.0)
    (message,) = [message for message in read_messages(path) if message["fields"].get("name") == "n"]
    if kind == "timer":
        assert (message["fields"]["count"], message["fields"]["sum"]) == (OFTEN, sum(range(OFTEN + 1)))
    else:
        assert float(message["payload"]) == (sum(range(OFTEN + 1)) if kind == "counter" else OFTEN)


def test_a_closed_client_refuses_a_name_that_came_often(client):
    for _ in range(OFTEN):
        client.incr("n")
    client.close(10.0)
    client.incr("n")
    assert client.stats().refused["closed"] == 1
