"""Metrics: what Prometheus may read, who may ask, and that a real Prometheus reads it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.db import DatabaseError
from django.utils import timezone
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain
from ruamel.yaml import YAML

from demo.roster import ROOT
from experiments.models import Connection, Halt, Orphan, Run
from experiments.selectors.metrics import Metrics
from tests import factories
from tests.servers.prometheus import prometheus, wait_until

TOKEN = "a-token-of-forty-characters-0123456789ab"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture
def scrape(outsider, settings):
    """Return what one scrape reads: name to labels to value."""
    settings.METRICS_TOKEN = TOKEN

    def ask() -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
        response = outsider.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert response.status_code == 200
        found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
        for family in plain(response.content.decode()):
            for sample in family.samples:
                labels = tuple(sorted(sample.labels.items()))
                assert labels not in found.setdefault(sample.name, {}), "a series is there twice"
                found[sample.name][labels] = sample.value
        return found

    return ask


def labels(**given: Any) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, str(value)) for name, value in given.items()))


@pytest.mark.django_db
class TestWhoMayAsk:
    def test_without_a_token_nobody_may_and_is_told_what_to_set(self, outsider, viewer, settings):
        settings.METRICS_TOKEN = ""
        for client in (outsider, viewer):
            response = client.get("/metrics")
            assert response.status_code == 403
            assert response["Content-Type"].startswith("text/plain")
            assert "METRICS_TOKEN" in response.content.decode()

    def test_without_a_token_it_is_open_while_debugging(self, outsider, settings):
        settings.METRICS_TOKEN, settings.DEBUG = "", True
        assert outsider.get("/metrics").status_code == 200

    @pytest.mark.parametrize(
        "sent", ["", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, "Bearer", "Bearer ünïcode"]
    )
    def test_another_token_is_refused(self, outsider, settings, sent):
        settings.METRICS_TOKEN, settings.DEBUG = TOKEN, True
        response = outsider.get("/metrics", headers={"Authorization": sent} if sent else {})
        assert response.status_code == 401
        assert response["WWW-Authenticate"].startswith("Bearer")
        assert TOKEN not in response.content.decode()

    def test_the_token_opens_and_nothing_is_kept(self, outsider, settings):
        settings.METRICS_TOKEN = TOKEN
        response = outsider.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert response.status_code == 200
        assert "no-store" in response["Cache-Control"]
        assert not response.cookies

    def test_tls_is_the_proxys_matter(self, outsider, settings):
        settings.METRICS_TOKEN, settings.SECURE_SSL_REDIRECT = TOKEN, True
        answer = outsider.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 200
        assert outsider.get("/healthz").status_code == 301

    def test_it_is_read_never_written(self, outsider):
        assert outsider.post("/metrics").status_code == 405

    def test_it_says_when_the_database_is_gone(self, outsider, settings, monkeypatch):
        def gone(self):
            raise DatabaseError("gone")

        monkeypatch.setattr(Metrics, "collect", gone)
        settings.METRICS_TOKEN = TOKEN
        response = outsider.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert response.status_code == 503


@pytest.mark.django_db
class TestWhatIsTold:
    def test_a_live_fault_has_the_labels_that_alerts_compare(self, scrape, live):
        found = scrape()
        where = {"environment": "staging", "service": "carts", "run": live.pk}
        assert found["chaosweb_fault_live"] == {labels(**where): 1}
        told = labels(
            **where,
            action="slow-carts",
            fault="fake.delay",
            phase="active",
            connection="staging-mesh",
            backend="fake",
        )
        assert found["chaosweb_fault_info"] == {told: 1}
        assert "chaosweb_fault_unconfirmed" not in found

    @pytest.mark.parametrize("phase", ["intent", "active", "recovering", "unsettled"])
    def test_whatever_may_exist_is_live(self, scrape, version, place, alice, phase):
        run = factories.run(version, place, alice, status="injecting", ago_s=200)
        factories.injection(run, phase)
        assert len(scrape()["chaosweb_fault_live"]) == 1

    @pytest.mark.parametrize("phase", ["planned", "cancelled", "recovered"])
    def test_what_cannot_exist_is_not(self, scrape, version, place, alice, phase):
        run = factories.run(version, place, alice, status="injecting", ago_s=200)
        factories.injection(run, phase)
        assert "chaosweb_fault_live" not in scrape()

    def test_two_faults_of_one_run_are_one_series_and_two_infos(self, scrape, live):
        factories.injection(live, action="another")
        found = scrape()
        assert len(found["chaosweb_fault_live"]) == 1
        assert len(found["chaosweb_fault_info"]) == 2

    def test_a_removal_that_failed_is_told(self, scrape, version, place, alice):
        run = factories.unconfirmed(version, place, alice)
        where = labels(environment="staging", service="carts", run=run.pk)
        assert scrape()["chaosweb_fault_unconfirmed"] == {where: 1}

    def test_what_was_closed_by_hand_stays_until_it_is_checked(self, scrape, live):
        live.injections.update(phase="recovered", unchecked_since=timezone.now())
        found = scrape()
        assert len(found["chaosweb_fault_live"]) == 1
        assert len(found["chaosweb_fault_unconfirmed"]) == 1
        live.injections.update(unchecked_since=None)
        assert "chaosweb_fault_live" not in scrape()

    def test_orphans_are_counted_until_they_are_gone(self, scrape, place):
        now = timezone.now()
        mesh = Connection.objects.get(name="staging-mesh")
        for number in (1, 2):
            Orphan.objects.create(
                connection=mesh, token=f"cw-{number}", first_seen_at=now, last_seen_at=now
            )
        assert scrape()["chaosweb_orphans"] == {labels(connection="staging-mesh"): 2}
        Orphan.objects.update(gone_at=now)
        assert scrape()["chaosweb_orphans"] == {labels(connection="staging-mesh"): 0}

    def test_live_runs_are_counted_by_status_and_zero_is_told(self, scrape, live, finished):
        found = scrape()["chaosweb_runs"]
        assert found[labels(environment="staging", status="injecting")] == 1
        assert found[labels(environment="staging", status="baseline")] == 0
        assert labels(environment="staging", status="completed") not in found

    def test_ended_runs_are_counters(self, scrape, version, place, alice, finished):
        factories.run(version, place, alice, status="refused", ended_at=timezone.now())
        found = scrape()["chaosweb_runs_ended_total"]
        judged = labels(environment="staging", verdict=finished.verdict, status="completed")
        refused = labels(environment="staging", verdict="", status="refused")
        assert found == {judged: 1, refused: 1}

    def test_halts_are_told_for_everything_and_for_each_environment(self, scrape, place):
        found = scrape()["chaosweb_halted"]
        assert found == {labels(environment=""): 0, labels(environment="staging"): 0}
        now = timezone.now()
        Halt.objects.create(
            environment=place, scope="staging", since=now, actor="ada", reason="fire"
        )
        Halt.objects.create(since=now, actor="ada", reason="over", lifted_at=now)
        found = scrape()["chaosweb_halted"]
        assert found == {labels(environment=""): 0, labels(environment="staging"): 1}

    def test_how_late_the_latest_run_is(self, scrape, live, finished):
        assert scrape()["chaosweb_run_overdue_seconds"][()] == 0
        Run.objects.filter(pk=live.pk).update(next_due=timezone.now() - timedelta(seconds=90))
        Run.objects.filter(pk=finished.pk).update(next_due=timezone.now() - timedelta(days=9))
        assert 90 <= scrape()["chaosweb_run_overdue_seconds"][()] < 120

    def test_the_number_of_queries_does_not_grow(
        self, scrape, version, place, alice, django_assert_num_queries
    ):
        for _ in range(8):
            factories.live(version, place, alice)
        with django_assert_num_queries(7):
            scrape()

    def test_openmetrics_is_answered_to_who_asks_for_it(self, outsider, settings, live, finished):
        settings.METRICS_TOKEN = TOKEN
        sent = {"Authorization": f"Bearer {TOKEN}", "Accept": OPENMETRICS}
        response = outsider.get("/metrics", headers=sent)
        assert response["Content-Type"].startswith("application/openmetrics-text")
        families = {family.name: family for family in openmetrics(response.content.decode())}
        assert families["chaosweb_runs_ended"].type == "counter"
        assert families["chaosweb_fault_live"].type == "gauge"


def settings_with(**variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-c", "from chaosweb import settings; print(settings.METRICS_TOKEN)"],
        cwd=ROOT,
        env={**kept, "SECRET_KEY": "x" * 50, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_token_may_come_from_a_file(tmp_path):
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    assert settings_with(METRICS_TOKEN_FILE=str(path)).stdout.strip() == TOKEN


def test_a_token_that_is_easily_guessed_stops_the_start():
    answer = settings_with(METRICS_TOKEN="secret")
    assert answer.returncode != 0
    assert "METRICS_TOKEN must be at least 20" in answer.stderr


@pytest.mark.servers
@pytest.mark.django_db(transaction=True)
def test_a_fault_in_the_database_shows_up_in_a_real_prometheus(
    live_server, settings, tmp_path, version, place, alice
):
    settings.METRICS_TOKEN = TOKEN
    token = tmp_path / "token"
    token.write_text(TOKEN)
    job = {
        "job_name": "chaosweb",
        "static_configs": [{"targets": [live_server.url.removeprefix("http://")]}],
        "authorization": {"credentials_file": str(token)},
    }
    with prometheus(scrape_configs=[job], scrape_interval_s=1.0) as url:

        def query(promql: str) -> list[dict[str, Any]]:
            answer = httpx.get(
                f"{url}/api/v1/query", params={"query": promql}, timeout=10, trust_env=False
            )
            result: list[dict[str, Any]] = answer.json()["data"]["result"]
            return result

        wait_until(lambda: query('up{job="chaosweb"} == 1'), "ChaosWeb is scraped")
        assert query("chaosweb_fault_live") == []
        run = factories.live(version, place, alice)
        (found,) = wait_until(lambda: query("chaosweb_fault_live == 1"), "the fault is told")
        assert found["metric"]["environment"] == "staging"
        assert found["metric"]["service"] == "carts"
        assert found["metric"]["run"] == str(run.pk)
        run.injections.update(phase="recovered", recovered_at=timezone.now())
        wait_until(lambda: not query("chaosweb_fault_live"), "the fault is gone")


def test_the_alert_of_the_documents_fires_for_real_faults_alone(tmp_path):
    """Its example, as Prometheus reads it: run 12 is real, run 13 a rehearsal."""
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    example = re.search(r"```yaml\n# Prometheus\n(.+?)```", page, re.DOTALL)
    assert example is not None
    (tmp_path / "rules.yml").write_text(example[1])
    where = {12: 'environment="staging",service="carts",run="12"'}
    where[13] = where[12].replace("12", "13")
    series = [
        {"series": f"chaosweb_fault_live{{{where[12]}}}", "values": "1 1 _"},
        {"series": f"chaosweb_fault_live{{{where[13]}}}", "values": "1 1 _"},
        {"series": f'chaosweb_fault_info{{{where[12]},backend="envoy"}}', "values": "1 1 _"},
        {"series": f'chaosweb_fault_info{{{where[13]},backend="fake"}}', "values": "1 1 _"},
    ]
    rules = YAML(typ="safe").load(example[1])["groups"][0]["rules"]
    summary = "Run 12 is breaking carts in staging on purpose"
    fired = {
        "exp_labels": {
            "severity": rules[0]["labels"]["severity"],
            "environment": "staging",
            "service": "carts",
            "run": "12",
        },
        "exp_annotations": {"summary": summary},
    }
    case = {
        "rule_files": ["rules.yml"],
        "tests": [
            {
                "interval": "1m",
                "input_series": series,
                "alert_rule_test": [
                    {"eval_time": "1m", "alertname": "ChaosFaultLive", "exp_alerts": [fired]},
                    {"eval_time": "9m", "alertname": "ChaosFaultLive", "exp_alerts": []},
                ],
            }
        ],
    }
    (tmp_path / "test.yml").write_text(json.dumps(case))
    answer = subprocess.run(
        ["promtool", "test", "rules", "test.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
