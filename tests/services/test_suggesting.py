"""What is suggested for a field: from whom, in which order, for how long, and why not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.cache import cache

from drivers.fake import FakeControl, FakeDriver, Step, forget
from drivers.protocol import ConnectionConfig, Suggestion
from experiments import backends
from experiments.domain.presets import PRESETS
from experiments.models import Alias, Connection, Environment
from experiments.services import suggesting
from tests import factories
from tests.servers.envoy import (
    RunningEnvoy,
    Upstream,
    bootstrap,
    fault,
    free_ports,
    hcm,
    wait_until,
)
from tests.servers.prometheus import Exporter, prometheus
from tests.servers.prometheus import wait_until as wait_for

pytestmark = pytest.mark.django_db
TARGETS = "fake:targets"


@pytest.fixture(autouse=True)
def metrics() -> None:
    """Replace no network edge: sources are real here, or away."""


@pytest.fixture(autouse=True)
def _nothing_is_kept() -> Iterator[None]:
    forget()
    backends.forget()
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def staging() -> Environment:
    return factories.environment()


@pytest.fixture
def mesh(staging: Environment) -> Connection:
    return Connection.objects.get(name="staging-mesh")


@pytest.fixture
def control(mesh: Connection, _nothing_is_kept: None) -> FakeControl:
    return FakeControl(ConnectionConfig("fake", mesh.name, mesh.options))


def hung(mesh: Connection, answering: threading.Event) -> FakeControl:
    """Return the control of a system whose slow steps last until the event."""

    def sleep(_: float) -> None:
        answering.wait(30)

    return FakeControl(ConnectionConfig("fake", mesh.name, mesh.options), sleep=sleep)


def values(environment: Environment | None, what: str = TARGETS, **more: object) -> list[str]:
    more.setdefault("alias", "mesh")
    found = suggesting.suggest(environment=environment, what=what, **more)  # type: ignore[arg-type]
    return [each.value for each in found.options]


def note(environment: Environment | None, what: str = TARGETS, **more: object) -> str:
    more.setdefault("alias", "mesh")
    found = suggesting.suggest(environment=environment, what=what, **more)  # type: ignore[arg-type]
    assert found.options == ()
    return found.note


def bind(environment: Environment, name: str, kind: str, **options: object) -> Connection:
    """Bind a connection to the environment under its name, in place of any other."""
    made = Connection.objects.create(
        name=f"{environment.name}-{name}-2", kind=kind, options=options
    )
    Alias.objects.update_or_create(
        environment=environment, name=name, defaults={"connection": made}
    )
    return made


def test_the_driver_says_what_there_is(staging):
    found = suggesting.suggest(environment=staging, what=TARGETS, alias="mesh")
    assert [(each.value, each.detail) for each in found.options] == [
        ("carts", "target"),
        ("orders", "target"),
    ]
    assert (found.note, found.origin, found.left_out) == ("", "targets of mesh", 0)


def test_the_best_matches_come_first(staging, control):
    names = ["my-cart", "discarted", "Carts", "cart", "v2.cart", "carthage", "other"]
    control.offer("targets", *(Suggestion(value=each) for each in names))
    assert values(staging, typed=" CART ") == [
        "cart",
        "Carts",
        "carthage",
        "my-cart",
        "v2.cart",
        "discarted",
    ]


def test_at_most_so_many_are_given_and_the_rest_is_counted(staging, control):
    control.offer("targets", *(Suggestion(value=f"pod-{number}") for number in range(500)))
    found = suggesting.suggest(environment=staging, what=TARGETS, alias="mesh", typed="pod")
    assert (len(found.options), found.left_out) == (suggesting.MOST, 500 - suggesting.MOST)
    assert values(staging, typed="pod-499") == ["pod-499"]


def test_what_fits_nothing_says_so(staging):
    assert note(staging, typed="zz") == "None of the 2 known fits “zz”."
    bind(staging, "other", "fake", targets=["payment"])
    assert note(staging, typed="zz", alias="other") == "The one known is not “zz”."


def test_every_letter_asks_the_cache_and_not_the_system(staging, control):
    for typed in ("", "c", "ca", "car"):
        assert "carts" in values(staging, typed=typed)
    assert control.calls("suggest") == 1


def test_other_parameters_and_an_edited_connection_are_other_questions(staging, mesh, control):
    values(staging, given={"percentage": "5%"})
    values(staging, given={"percentage": "50%"})
    assert control.calls("suggest") == 2
    mesh.options = {"targets": ["payment"]}
    mesh.save()
    assert values(staging, given={"percentage": "50%"}) == ["payment"]


def test_keys_hold_nothing_readable(staging):
    values(staging, given={"password": "hunter2"})
    values(staging, what="preset:sock_shop.errors:service", alias="metrics")
    kept = [key.rpartition(":")[2] for key in cache._cache]  # type: ignore[attr-defined]
    assert kept
    assert all(len(key) == 64 and set(key) <= set("0123456789abcdef") for key in kept)


def test_without_an_environment_it_says_to_pick_one():
    assert "Pick an environment" in note(None)
    assert "Pick an environment" in note(None, "preset:envoy.edge_errors:listener")


@pytest.mark.parametrize(
    ("what", "alias", "says"),
    [
        (TARGETS, "nowhere", "staging has no connection “nowhere”."),
        (TARGETS, "metrics", "“metrics” is no fake connection in staging, but prometheus."),
        ("envoy:routes", "", "staging has no envoy connection."),
        (
            "preset:sock_shop.errors:service",
            "mesh",
            "“mesh” is no Prometheus in staging, but fake.",
        ),
        ("preset:sock_shop.errors:matchers", "metrics", "Nothing is suggested for this field."),
        ("preset:no.such:service", "metrics", "Nothing is suggested for this field."),
        ("nobody:knows", "mesh", "Nothing is suggested for this field."),
        ("", "mesh", "Nothing is suggested for this field."),
        ("fake:clusters", "mesh", "mesh has no clusters."),
    ],
)
def test_what_cannot_be_asked_says_why(staging, what, alias, says):
    assert note(staging, what, alias=alias) == says


def test_a_row_without_an_alias_means_the_only_connection_that_fits(staging):
    assert values(staging, alias="") == ["carts", "orders"]
    bind(staging, "edge", "fake", targets=["front"])
    assert note(staging, alias="") == "Fill in Via first: edge or mesh."


def test_aliases_are_those_of_the_environment_that_fit(staging):
    assert values(staging, "alias:") == ["mesh", "metrics"]
    assert values(staging, "alias:prometheus") == ["metrics"]
    assert note(staging, "alias:envoy") == "staging has no envoy connection."
    found = suggesting.suggest(environment=staging, what="alias:", typed="mes")
    assert [each.detail for each in found.options] == [
        "staging-mesh · Rehearsal (nothing is touched)"
    ]


def test_without_an_environment_the_aliases_of_all_are_suggested(staging):
    factories.environment("production")
    found = suggesting.suggest(environment=None, what="alias:fake")
    assert [(each.value, each.detail) for each in found.options] == [
        ("mesh", "in production, staging")
    ]


def test_a_dead_address_is_named_and_not_asked_again_at_once(staging, control):
    control.cut_off("carts", "orders")
    assert note(staging) == "No suggestions: carts, orders cannot be reached."
    control.cut_off()
    # Neither this question nor any other to the same system, for some seconds.
    assert "cannot be reached" in note(staging)
    assert "cannot be reached" in note(staging, given={"percentage": "5%"})
    assert control.calls("suggest") == 1
    cache.clear()
    assert values(staging) == ["carts", "orders"]


def test_a_prometheus_that_is_away_says_where_it_should_be(staging):
    said = note(staging, "preset:envoy.edge_errors:listener", alias="")
    assert said.startswith("No suggestions: ")
    assert "127.0.0.1:1" in said


def test_an_error_that_asking_again_would_not_mend_silences_only_its_question(staging, control):
    control.script(Step(method="suggest", do="fail", retryable=False, message="Not that."))
    assert note(staging) == "No suggestions: Not that."
    assert note(staging) == "No suggestions: Not that."
    assert values(staging, given={"percentage": "5%"}) == ["carts", "orders"]


def test_a_driver_that_breaks_breaks_no_form(staging, monkeypatch, caplog):
    def broken(*_: object) -> list[Suggestion]:
        raise RuntimeError("a defect")

    monkeypatch.setattr(FakeDriver, "suggest", broken)
    assert note(staging) == "No suggestions: staging-mesh failed (RuntimeError)."
    assert "a defect" in caplog.text


def test_nobody_waits_for_a_system_that_hangs_and_its_late_answer_is_used(
    staging, mesh, monkeypatch
):
    answering = threading.Event()
    control = hung(mesh, answering)
    control.script(Step(method="suggest", do="slow", seconds=30))
    monkeypatch.setattr(suggesting, "PATIENCE_S", 0.05)
    assert note(staging) == "No suggestions: staging-mesh does not answer within 0.05 s."
    assert "does not answer" in note(staging)
    assert control.calls("suggest") == 1
    answering.set()
    wait_until(lambda: values(staging) == ["carts", "orders"], "the late answer is used")
    assert control.calls("suggest") == 1


def test_a_system_that_hangs_holds_few_threads(staging, mesh, monkeypatch):
    answering = threading.Event()
    control = hung(mesh, answering)
    control.script(Step(method="suggest", do="slow", seconds=30, times=2))
    monkeypatch.setattr(suggesting, "PATIENCE_S", 0.05)
    for share in ("1%", "2%"):
        cache.clear()
        assert "does not answer" in note(staging, given={"percentage": share})
    cache.clear()
    assert note(staging, given={"percentage": "3%"}) == (
        "No suggestions: staging-mesh has not answered yet."
    )
    assert control.calls("suggest") == 2
    answering.set()
    cache.clear()
    wait_until(lambda: not suggesting._asking, "both have answered")


def test_a_system_that_waits_behind_others_is_not_called_silent(staging, mesh, monkeypatch):
    answering = threading.Event()
    hung(mesh, answering).script(Step(method="suggest", do="slow", seconds=30))
    other = bind(staging, "other", "fake", targets=["payment"])
    pool = ThreadPoolExecutor(1)
    monkeypatch.setattr(suggesting, "_pool", pool)
    monkeypatch.setattr(suggesting, "PATIENCE_S", 0.05)
    assert "does not answer" in note(staging)
    assert note(staging, alias="other") == (
        f"No suggestions: {other} was not asked, as other systems are slow. Try again."
    )
    answering.set()
    wait_until(lambda: not suggesting._asking, "the first has answered")
    monkeypatch.setattr(suggesting, "PATIENCE_S", 10.0)
    assert values(staging, alias="other") == ["payment"]
    pool.shutdown()


@pytest.mark.servers
def test_a_real_envoy_says_its_routes_until_it_is_gone(staging):
    listener = hcm(free_ports(1)[0], stat_prefix="shop", fault=fault("abort"))
    with Upstream() as upstream, RunningEnvoy(bootstrap([listener], upstream.port)) as envoy:
        bind(staging, "proxy", "envoy", addresses=[envoy.admin])
        assert values(staging, "envoy:routes", alias="proxy") == ["shop", "shop_listener"]
        assert values(staging, "envoy:clusters", alias="proxy") == ["upstream"]
        address = envoy.admin
    cache.clear()
    said = note(staging, "envoy:routes", alias="proxy")
    assert said.startswith(f"No suggestions: {address} cannot be reached")
    assert "Is Envoy running" in said


SERIES = [
    ("envoy_http_downstream_rq_xx", {"envoy_http_conn_manager_prefix": "ingress"}),
    ("envoy_http_downstream_rq_xx", {"envoy_http_conn_manager_prefix": "admin"}),
    ("envoy_cluster_upstream_rq_xx", {"envoy_cluster_name": "catalogue"}),
    ("request_duration_seconds_count", {"service": "carts", "status_code": "200"}),
    ("request_duration_seconds_bucket", {"service": "carts", "le": "1"}),
    (
        "istio_requests_total",
        {"destination_service_name": "a", "destination_service_namespace": "one"},
    ),
    (
        "istio_requests_total",
        {"destination_service_name": "b", "destination_service_namespace": "two"},
    ),
]
LISTENER = {"envoy.edge_errors": "ingress", "envoy.edge_latency": "ingress"}
CLUSTER = {"envoy.upstream_errors": "catalogue", "envoy.upstream_latency": "catalogue"}


@pytest.mark.servers
def test_a_real_prometheus_says_what_ready_made_slis_may_name(staging):
    with (
        Exporter().running() as exporter,
        prometheus({"shop": [exporter.address]}) as url,
    ):
        for metric, labels in SERIES:
            exporter.set(metric, 1, **labels)
        bind(staging, "metrics", "prometheus", url=url)

        def of(preset: str, field: str, **given: str) -> list[str]:
            found = values(staging, f"preset:{preset}:{field}", alias="", given=given)
            known = {each.name: each for each in PRESETS[preset].fields}
            assert all(known[field].problem(each) is None for each in found)
            return found

        def has_come() -> list[str]:
            cache.clear()
            return of("istio.errors", "service")

        wait_for(has_come, "the first scrape")
        cache.clear()
        for preset, expected in LISTENER.items():
            assert of(preset, "listener") == [expected]
        for preset, expected in CLUSTER.items():
            assert of(preset, "cluster") == [expected]
        assert of("sock_shop.latency", "service") == of("sock_shop.errors", "service") == ["carts"]
        assert of("istio.errors", "service") == ["a", "b"]
        assert of("istio.errors", "service", namespace="two") == ["b"]
        assert of("istio.latency", "namespace", service="a") == ["one"]
        assert of("http.request_duration", "metric") == ["request_duration_seconds"]
        assert of("http.request_errors", "label", metric="request_duration_seconds") == [
            "status_code",
            "service",
        ]
        none = note(staging, "preset:http.request_errors:label", alias="metrics")
        assert none == (
            "metrics has seen no labels of http_request_duration_seconds_count for a day."
        )
        half = {"metric": "request{"}
        said = note(staging, "preset:http.request_errors:label", alias="metrics", given=half)
        assert said.startswith("The other fields make no selector: the brace { is never closed")
