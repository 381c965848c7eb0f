"""The Celery application: three queues, short tasks, nothing that waits.

``control`` carries what people wait for (start, stop, inject, recover), ``ticks`` the runs whose
moment has come; one worker takes both. ``looks`` reads sources and backends, and judges: it has a
worker of its own, as it may wait for them. Beat wakes only the sweep. Countdowns are never used:
they are lost with the queue's server.
"""

import os

from celery import Celery
from celery.signals import worker_process_init, worker_ready, worker_shutdown

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chaosweb.settings")

app = Celery("chaosweb")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["experiments"])


def _consumes_control(sender: object) -> bool:
    queues = getattr(getattr(sender, "app", app), "amqp", app.amqp).queues
    return "control" in getattr(queues, "consume_from", {})


@worker_ready.connect
def start_keeper(sender: object, **_: object) -> None:
    """Start the keeper beside every control worker: recovery needs neither queue nor beat."""
    if _consumes_control(sender):
        from experiments.keeper import Keeper

        Keeper.start()


@worker_shutdown.connect
def stop_keeper(**_: object) -> None:
    """End the keeper with its worker."""
    from experiments.keeper import Keeper

    Keeper.stop()


@worker_process_init.connect
def start_clean(**_: object) -> None:
    """Open drivers and readers anew in a forked worker: sockets are not shared with its parent."""
    from experiments import backends

    backends.forget()
