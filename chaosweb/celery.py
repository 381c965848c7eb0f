"""The Celery application: two queues, short tasks, nothing that waits.

``control`` carries what people wait for (start, stop, inject, recover) and has workers of its own
with threads; ``ticks`` carries the rest. Beat wakes only the sweep. Countdowns are never used: they
are lost with the queue's server.
"""

import os

from celery import Celery
from celery.signals import worker_ready, worker_shutdown
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chaosweb.settings")

app = Celery("chaosweb")
app.conf.update(
    broker_url=settings.REDIS_URL,
    broker_connection_retry_on_startup=True,
    broker_connection_timeout=settings.QUEUE_TIMEOUT_S,
    broker_transport_options={
        "socket_connect_timeout": settings.QUEUE_TIMEOUT_S,
        "visibility_timeout": 3600,
    },
    task_ignore_result=True,
    task_acks_late=True,
    task_default_queue="ticks",
    task_publish_retry=False,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    worker_send_task_events=False,
    enable_utc=True,
    beat_max_loop_interval=settings.SWEEP_EVERY_S,
    beat_schedule={
        "sweep": {
            "task": "experiments.tasks.sweep",
            "schedule": settings.SWEEP_EVERY_S,
            "options": {"queue": "control", "expires": 2},
        },
        "reconcile": {
            "task": "experiments.tasks.reconcile",
            "schedule": 180.0,
            "options": {"queue": "ticks", "expires": 170},
        },
    },
)
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
