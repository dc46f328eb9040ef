"""Has a worker of gunicorn say when it has set up its signals: one that is told to end before never does."""


def post_worker_init(worker):
    worker.log.info("Worker ready")
