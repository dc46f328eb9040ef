"""gevent: greenlets of one thread keep apart what they time and what they have bound.

`test_gunicorn.py` has its workers.
"""

from .harness import pids

OVERLAP = """
import gevent.monkey
gevent.monkey.patch_all()
import logging, time, gevent, metlog
from metlog.logging import hook_logger

client = metlog.get_client()
hook_logger("shop", client)
counter = metlog.counter("counted")

def work(number):
    with client.bind(number=number):
        with client.timer("outer"):
            # The first to begin is the last to end.
            time.sleep(0.05 * (5 - number))
            client.metlog("bound")
            logging.getLogger("shop").warning("line %d", number)
            counter.incr()

timed = client.timer("decorated")

@timed
def decorated():
    # The first to begin is the first to end.
    time.sleep(0.15)

client.metlog("before")
gevent.joinall([gevent.spawn(work, number) for number in range(5)], raise_error=True)
gevent.joinall([gevent.spawn_later(0.03 * number, decorated) for number in range(5)], raise_error=True)
"""

# A thread of gevent's pool is a real one.
POOL = """
import gevent.monkey
gevent.monkey.patch_all()
import gevent, metlog
client = metlog.get_client()
pool = gevent.get_hub().threadpool
jobs = [pool.spawn(client.incr, "pooled") for _ in range(200)]
jobs += [gevent.spawn(client.incr, "pooled") for _ in range(200)]
gevent.joinall(jobs)
"""

FORK = """
import gevent.monkey
gevent.monkey.patch_all()
import os, sys, gevent, metlog
client = metlog.get_client()
client.metlog("parent")

def child():
    for _ in range(50):
        client.metlog("child")
        gevent.sleep(0)

children = []
for _ in range(4):
    pid = gevent.fork()
    if pid == 0:
        gevent.joinall([gevent.spawn(child), gevent.spawn(child)])
        sys.exit(0)
    children.append(pid)
for pid in children:
    assert os.waitpid(pid, 0)[1] == 0
print(*children)
"""


def run(service, program):
    started = service.start("python", "-c", program)
    assert started.wait(30) == 0, started.said()
    return started


def test_timers_and_bindings_of_greenlets_do_not_mix(service):
    run(service, OVERLAP)
    bound = service.wait_for_type("bound", 5)
    assert sorted(message["fields"]["number"] for message in bound) == [0, 1, 2, 3, 4]
    lines = {
        message["payload"]: message["fields"]["number"] for message in service.wait_for_type("oldstyle", 5)
    }
    assert lines == {f"line {number}": number for number in range(5)}
    for name, all_expected in (("outer", (50, 100, 150, 200, 250)), ("decorated", (150,) * 5)):
        times = sorted(int(message["payload"]) for message in service.wait_for(name, 5))
        late = sorted(time - expected for time, expected in zip(times, all_expected, strict=True))
        # A busy machine wakes some of them late; a start that is another's makes some too short.
        assert late[0] >= 0, (name, times)
        assert late[2] < 45, (name, times)
    assert sum(float(message["payload"]) for message in service.wait_for("counted")) == 5


def test_greenlets_and_threads_of_the_pool_lose_nothing(service):
    run(service, POOL)
    assert len(service.wait_for("pooled", 400)) == 400


def test_children_forked_beside_a_loop_lose_nothing(service):
    children = [int(pid) for pid in run(service, FORK).said().split()]
    assert pids(service.wait_for_type("child", 400)) == dict.fromkeys(children, 100)
