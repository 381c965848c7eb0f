"""The page of what an account may do: a table of the cluster's answers, and the manifests."""

from __future__ import annotations

import pytest
from django.urls import reverse

from drivers.protocol import Document, DriverError
from experiments import backends
from experiments.backends import Grant
from experiments.models import Connection
from experiments.services import people
from tests import factories
from tests.views.editing import barred

OPTIONS = {"access": "token", "server": "https://127.0.0.1:1", "namespaces": ["shop"]}
ASKED = reverse("connection_rights", args=["cluster"])
DELETE, SCALE = "kubernetes.delete_pods", "kubernetes.scale_workload"


@pytest.fixture
def connection(db):
    return Connection.objects.create(
        name="cluster", kind="kubernetes", options=OPTIONS, secrets={"token": "s3cr3t"}
    )


@pytest.fixture
def author(client, connection):
    client.force_login(factories.person("bob", people.AUTHOR))
    return client


@pytest.fixture
def answers(monkeypatch):
    """Answer for a cluster, whose own answers tests/cluster reads."""
    asked: list[list[str]] = []

    def grants(connection, kinds):
        asked.append(list(kinds))
        return [
            Grant("delete pods", "shop", True, (DELETE,), True),
            Grant("patch deployments.apps", "shop", False, (SCALE,), True),
            Grant("delete pods", "cart", True, (DELETE,), True),
            Grant("delete pods", "bank", False, (DELETE,), True),
            Grant("patch nodes", "", None, ("kubernetes.cordon_node",), True),
            Grant("list nodes", "", False, (DELETE,), False),
        ]

    body = "kind: Role # <script>"
    found = [Document(target="viewer: kubectl apply -f", body=body, language="yaml")]
    monkeypatch.setattr(backends, "grants", grants)
    monkeypatch.setattr(backends, "manifests", lambda *_: found)
    return asked


def test_every_right_is_shown_with_what_needs_it(author, answers):
    page = author.get(ASKED)
    shown = page.content.decode()
    assert page.status_code == 200
    assert "2 lacking" in shown
    assert "in shop, cart<" in shown
    assert "in bank<" in shown
    for said in ("delete pods", "patch nodes", "everywhere", "not known", "no, not needed"):
        assert said in shown
    assert "kind: Role # &lt;script&gt;" in shown
    assert "s3cr3t" not in shown
    assert not barred(page)


def test_the_chosen_faults_are_asked_for_and_no_others(author, answers):
    author.get(ASKED, {"fault": [SCALE, "envoy.http_abort", "no.such"]})
    assert answers == [[SCALE]]
    author.get(ASKED)
    assert set(answers[-1]) >= {SCALE, DELETE}
    assert not any(kind.startswith("envoy.") for kind in answers[-1])


def test_a_cluster_that_does_not_answer_is_told(author, monkeypatch):
    def refuse(*_):
        raise DriverError("The API server cannot be reached.", hint="Is it running?")

    monkeypatch.setattr(backends, "grants", refuse)
    shown = author.get(ASKED).content.decode()
    assert "The API server cannot be reached." in shown
    assert "Is it running?" in shown


def test_a_connection_without_rights_has_no_such_page(author):
    Connection.objects.create(name="mesh", kind="fake")
    assert author.get(reverse("connection_rights", args=["mesh"])).status_code == 404


def test_only_who_writes_experiments_asks(client, connection):
    assert client.get(ASKED).status_code == 302
    client.force_login(factories.person("vera", people.VIEWER))
    assert client.get(ASKED).status_code == 403


def test_the_connections_page_leads_there(client, connection):
    client.force_login(factories.person("adele", people.ADMIN))
    assert ASKED in client.get(reverse("connection_edit", args=["cluster"])).content.decode()
