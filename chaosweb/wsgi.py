"""The WSGI entry point."""

import gc
import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chaosweb.settings")
application = get_wsgi_application()

# What is loaded here stays until the process ends. Left to the collector, it is walked again and
# again: one request in thirty took 170 ms more (docs/performance.md).
pages = get_resolver().url_patterns  # loads every page, before the first request
gc.collect()
gc.freeze()
gc.set_threshold(10_000, 20, 20)
