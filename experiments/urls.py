"""The addresses of pages and API."""

from django.urls import include, path

from experiments.views import catalogue, environments, experiments, overview, people, runs

urlpatterns = [
    path("", overview.show, name="overview"),
    path("live-badge/", overview.live_badge, name="live_badge"),
    path("healthz", overview.healthz, name="healthz"),
    path("sign-in/", people.SignIn.as_view(), name="sign_in"),
    path("sign-out/", people.SignOut.as_view(), name="sign_out"),
    path("experiments/", experiments.index, name="experiment_list"),
    path("experiments/new/", experiments.new, name="experiment_new"),
    path("experiments/preview/", experiments.preview, name="experiment_preview"),
    path("experiments/row/<str:kind>/", experiments.row, name="editor_row"),
    path("experiments/<slug:name>/", experiments.detail, name="experiment_detail"),
    path("experiments/<slug:name>/edit/", experiments.edit, name="experiment_edit"),
    path("experiments/<slug:name>/v<int:number>/", experiments.version, name="version_detail"),
    path("experiments/<slug:name>/run/", runs.start, name="run_start"),
    path("catalogue/", catalogue.index, name="catalogue"),
    path("catalogue/<str:kind>/", catalogue.detail, name="fault_detail"),
    path("runs/", runs.index, name="run_list"),
    path("runs/<int:pk>/", runs.detail, name="run_detail"),
    path("runs/<int:pk>/live/", runs.live, name="run_live"),
    path("runs/<int:pk>/stop/", runs.stop, name="run_stop"),
    path("runs/<int:pk>/checkpoint/<str:name>/", runs.checkpoint, name="run_checkpoint"),
    path("runs/<int:pk>/figures/<str:sli>.json", runs.figure, name="run_figure"),
    path("environments/", environments.index, name="environment_list"),
    path("environments/new/", environments.new, name="environment_new"),
    path("environments/<slug:name>/", environments.edit, name="environment_edit"),
    path("connections/new/", environments.connection_new, name="connection_new"),
    path("connections/<slug:name>/", environments.connection_edit, name="connection_edit"),
    path("connections/<slug:name>/check/", environments.connection_check, name="connection_check"),
    path("api/v1/", include("experiments.api.urls")),
]
