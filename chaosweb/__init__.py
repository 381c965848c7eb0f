"""The Django project: settings, the Celery application, the root of the URLs."""

from chaosweb.celery import app as celery_app

__all__ = ["celery_app"]
__version__ = "0.1.0"
