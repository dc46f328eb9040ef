"""Tasks, with a broker in a folder.

`python celery_app.py NAME...` has some done, and says what they give back.
"""

import os
import sys

from celery import Celery

import metlog
from metlog.integrations.celery import install

folder = os.environ["BROKER_FOLDER"]
app = Celery("shop", broker="filesystem://", backend=f"file://{folder}/results")
app.conf.update(
    broker_transport_options={
        "polling_interval": 0.02,
        "data_folder_in": f"{folder}/queue",
        "data_folder_out": f"{folder}/queue",
        "control_folder": f"{folder}/control",
    },
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=1,
    worker_lost_wait=0.2,
)
install()
# The worker sends before its pool is forked.
metlog.get_client().metlog("loaded")


@app.task(name="shop.add")
def add():
    metlog.get_client().metlog("added")
    return os.getpid()


@app.task(name="shop.fail")
def fail():
    raise LookupError("the task has a bug")


@app.task(name="shop.retry", bind=True, max_retries=2, default_retry_delay=0)
def again(task):
    if task.request.retries < 1:
        raise task.retry(countdown=0)


# Dies as by a fault of memory.
@app.task(name="shop.die")
def die():
    os._exit(1)


if __name__ == "__main__":
    results = [app.tasks[f"shop.{name}"].delay() for name in sys.argv[1:]]
    print(*(result.get(timeout=60, propagate=False) for result in results))  # noqa: T201 - a program
