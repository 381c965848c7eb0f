"""Which experiments send which secrets."""

from __future__ import annotations

from experiments.domain import secrets
from experiments.models import Experiment, ExperimentVersion


def users() -> dict[str, list[Experiment]]:
    """Return the experiments, not archived, whose newest version sends a secret, by its name."""
    rows = ExperimentVersion.objects.filter(experiment__archived_at=None)
    newest = dict(rows.order_by("number").values_list("experiment_id", "pk"))
    # The text is the author's own, and cheap to search; what it names is then read properly.
    likely = rows.filter(pk__in=newest.values(), text__contains="secret")
    found: dict[str, list[Experiment]] = {}
    for version in likely.select_related("experiment").order_by("experiment__title", "pk"):
        for name in secrets.of_document(version.document):
            found.setdefault(name, []).append(version.experiment)
    return found
