"""A connection to a cluster is described on its page; its credentials never come back."""

from __future__ import annotations

import json

import pytest
from django.urls import reverse

from experiments.models import Connection
from experiments.services import connecting, people
from tests import factories
from tests.views.editing import barred

SECRET = "eyJ-a-secret-token"
KUBECONFIG = {
    "contexts": [{"name": "one", "context": {"cluster": "c", "user": "u"}}],
    "current-context": "one",
    "clusters": [{"name": "c", "cluster": {"server": "https://cluster.example:6443"}}],
    "users": [{"name": "u", "user": {"token": SECRET}}],
}
NEW = reverse("connection_new")


@pytest.fixture
def admin(client, db):
    client.force_login(factories.person("adele", people.ADMIN))
    return client


def written(**changes):
    given = {
        "name": "cluster",
        "kind": "kubernetes",
        "access": "kubeconfig",
        "namespaces": "shop\ncart-* shop",
        "kubeconfig": json.dumps(KUBECONFIG),
    }
    return given | changes


def test_an_admin_describes_a_cluster(admin):
    assert admin.post(NEW, written()).status_code == 302
    made = Connection.objects.get()
    assert made.options == {"namespaces": ["shop", "cart-*"], "access": "kubeconfig"}
    assert json.loads(made.secrets["kubeconfig"]) == KUBECONFIG
    assert connecting.summary(made) == "kubeconfig: shop, cart-*"
    page = admin.get(reverse("connection_edit", args=["cluster"]))
    assert SECRET not in page.content.decode()
    assert not barred(page)


def test_what_is_left_empty_stays_and_what_is_ticked_goes(admin):
    admin.post(NEW, written())
    page = reverse("connection_edit", args=["cluster"])
    assert admin.post(page, written(kubeconfig="", namespaces="bank")).status_code == 302
    made = Connection.objects.get()
    assert made.options["namespaces"] == ["bank"]
    assert SECRET in made.secrets["kubeconfig"]
    refused = admin.post(page, written(kubeconfig="", forget_kubeconfig="on"))
    assert (refused.status_code, "There is no kubeconfig" in refused.content.decode()) == (
        422,
        True,
    )
    token = {"access": "token", "server": "https://c.example:6443", "token": SECRET}
    gone = written(kubeconfig="", forget_kubeconfig="on", **token)
    assert admin.post(page, gone).status_code == 302
    assert Connection.objects.get().secrets == {"token": SECRET}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"users": [{"name": "u", "user": {"exec": {"command": "aws"}}}]}, "would run a program"),
        ({"users": [{"name": "u", "user": {"tokenFile": "/etc/x"}}]}, "names a file"),
        ({"contexts": []}, "has no context"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_is_refused_and_not_shown_again(admin, changes, said):
    text = json.dumps({**KUBECONFIG, "note": SECRET, **changes})
    answer = admin.post(NEW, written(kubeconfig=text))
    shown = answer.content.decode()
    assert answer.status_code == 422
    assert said in shown
    assert SECRET not in shown
    assert not Connection.objects.exists()


def test_what_is_no_namespace_is_refused(admin):
    answer = admin.post(NEW, written(namespaces="Shop"))
    assert answer.status_code == 422
    assert "“Shop” is no namespace." in answer.content.decode()


def test_only_an_admin_writes_it(operator):
    assert operator.post(NEW, written()).status_code == 403
    assert not Connection.objects.exists()
