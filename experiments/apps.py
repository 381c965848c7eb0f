"""The Django application of ChaosWeb."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ExperimentsConfig(AppConfig):
    """Author, run and review experiments."""

    name = "experiments"
    verbose_name = "ChaosWeb"

    def ready(self) -> None:
        """See to it that the four roles exist after every migration."""
        from experiments.services.people import ensure_roles

        post_migrate.connect(ensure_roles, sender=self, dispatch_uid="chaosweb_roles")
