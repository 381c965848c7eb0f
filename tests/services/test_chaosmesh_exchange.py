"""Files of Chaos Mesh become experiments, and their faults become such files again."""

from __future__ import annotations

import pytest
from django.urls import reverse

from experiments.domain import text
from experiments.models import ExperimentVersion
from experiments.services import authoring, exporting, importing, library, people
from experiments.services.importing import Upload
from tests import factories

pytestmark = pytest.mark.django_db

FILE = """\
# late carts
apiVersion: chaos-mesh.org/v1alpha1
kind: NetworkChaos
metadata: {name: slow-carts, namespace: shop}
spec:
  action: delay
  mode: one
  selector: {namespaces: [shop], labelSelectors: {app: carts}}
  delay: {latency: 90ms}
  duration: 2m
"""


@pytest.fixture
def alice():
    return factories.person("alice", people.AUTHOR)


@pytest.fixture
def version(alice) -> ExperimentVersion:
    (report,) = importing.store([Upload("slow.yaml", FILE.encode())], user=alice)
    assert (report.format, report.errors) == ("chaosmesh", ())
    return ExperimentVersion.objects.get()


def test_an_object_of_chaos_mesh_becomes_an_experiment(version) -> None:
    (action,) = version.document["method"]
    assert (action["fault"], action["via"], action["duration"]) == (
        "chaosmesh.network_delay",
        "cluster",
        "2m",
    )


def test_what_is_exported_is_read_as_the_same_again(version) -> None:
    written = exporting.as_chaosmesh([version])
    (report,) = importing.check([Upload("again.yaml", written.encode())])
    assert report.errors == ()
    made = text.read("\n".join(line for line in written.splitlines() if line[:1] != "#"))
    assert (made["kind"], made["spec"]["duration"]) == ("NetworkChaos", "120s")
    assert made["metadata"] == {"name": version.document["method"][0]["name"]}
    assert made["spec"]["delay"] == {"latency": "90ms", "jitter": "0ms", "correlation": "0"}


def test_what_chaos_mesh_does_not_know_is_told_above(alice) -> None:
    starter = library.one("pod-deleted")
    assert starter is not None
    saved = authoring.save(raw=text.read(starter.text), author=alice, written=starter.text)
    assert not exporting.has_chaosmesh(saved)
    assert "Not written, as Chaos Mesh does not know it: delete-one." in exporting.as_chaosmesh(
        [saved]
    )


def test_page_and_api_answer_the_manifests(client, version, alice) -> None:
    client.force_login(alice)
    name = version.experiment.name
    page = client.get(reverse("experiment_detail", args=[name])).content.decode()
    assert "format=chaosmesh" in page
    asked = {"name": name, "version": "1", "format": "chaosmesh"}
    answer = client.get(reverse("experiment_export"), asked)
    assert answer["Content-Disposition"].endswith(f'"{name}.v1.chaosmesh.yaml"')
    assert answer.content.decode() == exporting.as_chaosmesh([version])
    answer = client.get(reverse("api_export", args=[name]), {"format": "chaosmesh"})
    assert answer.content.decode() == exporting.as_chaosmesh([version])
    assert client.get(reverse("experiment_import")).content.decode().count("Chaos Mesh") > 0
