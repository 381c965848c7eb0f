"""The addresses of the API."""

from django.urls import URLPattern, path, re_path
from drf_spectacular.views import SpectacularJSONAPIView
from rest_framework.permissions import IsAuthenticated

from experiments.api import (
    catalogue,
    closing,
    exchange,
    experiments,
    halts,
    runs,
    services,
    was_it_us,
)
from experiments.api.base import Nowhere

urlpatterns: list[URLPattern] = [
    path("schema/experiment.json", catalogue.Schema.as_view(), name="api_schema"),
    path(
        "openapi.json",
        SpectacularJSONAPIView.as_view(permission_classes=[IsAuthenticated]),
        name="api_openapi",
    ),
    path("experiments/validate", experiments.Validate.as_view(), name="api_validate"),
    path("experiments/import", exchange.Import.as_view(), name="api_import"),
    path("experiments/export", exchange.ExportMany.as_view(), name="api_export_many"),
    path("experiments/preview", exchange.Preview.as_view(), name="api_preview"),
    path("experiments/<slug:name>/export", exchange.Export.as_view(), name="api_export"),
    path("experiments", experiments.Experiments.as_view(), name="api_experiments"),
    path("experiments/<slug:name>", experiments.OneExperiment.as_view(), name="api_experiment"),
    path("experiments/<slug:name>/archive", experiments.Archive.as_view(), name="api_archive"),
    path(
        "experiments/<slug:name>/unarchive", experiments.Unarchive.as_view(), name="api_unarchive"
    ),
    path("experiments/<slug:name>/versions", experiments.Versions.as_view(), name="api_versions"),
    path(
        "experiments/<slug:name>/versions/<int:number>",
        experiments.OneVersion.as_view(),
        name="api_version",
    ),
    path("runs", runs.Runs.as_view(), name="api_runs"),
    path("runs/<int:pk>", runs.OneRun.as_view(), name="api_run"),
    path("runs/<int:pk>/events", runs.Events.as_view(), name="api_events"),
    path("runs/<int:pk>/stop", runs.Stop.as_view(), name="api_stop"),
    path("runs/<int:pk>/checkpoints/<str:name>", runs.Checkpoint.as_view(), name="api_checkpoint"),
    path("runs/<int:pk>/faults/<str:name>/removed", closing.Removed.as_view(), name="api_removed"),
    path("orphans", closing.Orphans.as_view(), name="api_orphans"),
    path("halts", halts.Halts.as_view(), name="api_halts"),
    path("halts/<int:pk>/resume", halts.Resume.as_view(), name="api_resume"),
    path("was-it-us", was_it_us.WasItUs.as_view(), name="api_was_it_us"),
    path("environments", catalogue.Environments.as_view(), name="api_environments"),
    path("services", services.Services.as_view(), name="api_services"),
    path("services/<slug:name>", services.OneService.as_view(), name="api_service"),
    path("faults", catalogue.Faults.as_view(), name="api_faults"),
    re_path(r"", Nowhere.as_view(), name="api_nowhere"),
]
