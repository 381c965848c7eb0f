"""Ask the edge for checkouts at a steady rate: a user file for Locust, run without its pages.

Never import it: Locust's import replaces the sockets of the whole process by gevent's.
The environment gives the rate (`DEMO_LOAD_RATE`, requests per second) and `DEMO_LOAD_USERS`.
"""

import math
import os
import time
from itertools import count

from locust import FastHttpUser, task

RATE = float(os.environ.get("DEMO_LOAD_RATE", "40"))
USERS = int(os.environ.get("DEMO_LOAD_USERS", "40"))
PERIOD_S = USERS / RATE

_arrivals = count()
_opening = time.perf_counter()


class Customer(FastHttpUser):
    """Check out once a period, in a place of one's own within it, whatever the shop answers.

    Locust's `constant_throughput` counts from when users are made, all at once: they would
    arrive together, and what is measured would be the crowd. So the places are kept here.
    """

    connection_timeout = 5.0
    network_timeout = 30.0

    def on_start(self) -> None:
        """Take the next place in the period, and wait for it."""
        self._due = _opening + (next(_arrivals) % USERS) / RATE
        # gevent's sleep, by Locust's monkey patch: only this user waits.
        time.sleep(self.wait_time())

    def wait_time(self) -> float:
        """Return the seconds to one's next turn; turns missed by a slow answer are left out."""
        now = time.perf_counter()
        self._due += PERIOD_S * max(1, math.ceil((now - self._due) / PERIOD_S))
        return self._due - now

    @task
    def check_out(self) -> None:
        """Check out once; a 500 is an answer like any other."""
        with self.client.get("/checkout", catch_response=True) as answer:
            answer.success()
