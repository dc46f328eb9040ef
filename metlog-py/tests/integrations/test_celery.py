"""Celery's pool of forked processes, and its pool of greenlets, with a broker in a folder."""

import re
from collections import Counter

import pytest

from metlog.integrations.celery import task_name

from .harness import LATE, ROUNDS, pids


@pytest.fixture
def folder(tmp_path):
    for name in ("queue", "control", "results"):
        (tmp_path / name).mkdir()
    return str(tmp_path)


def start(service, folder, *options, **env):
    worker = service.start(
        *("celery", "-A", "celery_app", "worker", "--loglevel", "INFO"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat", *options),
        BROKER_FOLDER=folder,
        **env,
    )
    worker.wait_for(r"celery@\S+ ready")
    return worker


def send(service, folder, *names):
    """Have tasks done, and give back what they have said."""
    program = service.start("python", "celery_app.py", *names, BROKER_FOLDER=folder)
    assert program.wait(90) == 0, program.said()
    return program.said()


@pytest.mark.parametrize("round_", range(ROUNDS))
@pytest.mark.parametrize(
    "options",
    [("-c", "4"), ("-c", "2", "--max-tasks-per-child", "10"), ("-P", "threads", "-c", "4")],
    ids=["prefork", "max_tasks_per_child", "threads"],
)
def test_every_message_of_every_process_arrives_with_its_own_pid(service, folder, options, round_):
    worker = start(service, folder, *options, **LATE)
    said = send(service, folder, *["add"] * 40)
    done = Counter(int(pid) for pid in re.findall(r"\d+", said))
    assert worker.end() == 0
    assert pids(service.wait_for("celery.task.run", 40)) == done
    assert pids(service.wait_for("celery.task.name.shop.add", 40)) == done
    assert pids(service.wait_for("celery.task.state.success", 40)) == done
    added = service.wait_for_type("added", 40)
    assert pids(added) == done
    assert len({message["fields"]["task_id"] for message in added}) == 40
    if "threads" not in options:
        assert worker.pid not in done
        assert worker.pid in pids(service.wait_for_type("loaded"))


def test_failures_and_retries_are_counted_and_exceptions_captured(service, folder):
    worker = start(service, folder, "-c", "1")
    send(service, folder, "fail", "fail", "retry")
    (retry,) = service.wait_for("celery.task.state.retry")
    assert retry["fields"]["task"] == "shop.retry"
    service.wait_for("celery.task.state.success")
    # Only now, since a process that dies so takes along what it has not sent yet.
    send(service, folder, "die")
    # Two that raised, and one whose process died: the worker itself tells of that.
    failures = service.wait_for("celery.task.state.failure", 3)
    assert Counter(message["fields"]["task"] for message in failures) == {"shop.fail": 2, "shop.die": 1}
    told = service.wait_for_type("sentry", 3)
    assert Counter(message["fields"]["exception"] for message in told) == {
        "LookupError": 2,
        "WorkerLostError": 1,
    }
    assert all(message["fields"]["task_id"] for message in told)
    assert worker.end() == 0


def test_the_name_of_a_task():
    assert task_name("shop.tasks.add to cart") == "shop.tasks.add_to_cart"
