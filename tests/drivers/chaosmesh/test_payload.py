"""Every fault of Chaos Mesh as the document that its CRD takes, and back."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import yaml as yaml11
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from drivers.chaosmesh import payload, reading
from drivers.chaosmesh.common import ChaosFault
from drivers.chaosmesh.faults import FAULTS, RESOURCES
from drivers.chaosmesh.wire import go_nanoseconds, nested, simple_duration, wires
from drivers.units import Duration
from experiments.domain import text
from experiments.forms import faults as forms
from tests.drivers.chaosmesh.parameters import EVERY
from tests.drivers.chaosmesh.shared import DATA, EXAMPLES, need_data, problems

CATALOGUE: dict[str, type[ChaosFault]] = {fault.kind: fault for fault in FAULTS}
BOTH = [
    pytest.param(kind, raw, id=f"{kind}-{size}")
    for kind, both in EVERY.items()
    for size, raw in zip(("fewest", "most"), both, strict=True)
]


def made(kind: str, raw: dict[str, Any], **more: Any) -> dict[str, Any]:
    params = CATALOGUE[kind].model_validate(raw)
    return payload.manifest(params, name="a-fault", duration_s=90, **more)


def test_there_are_parameters_for_every_fault() -> None:
    assert set(EVERY) == set(CATALOGUE)
    assert len(CATALOGUE) == len(FAULTS)


def test_every_action_of_every_crd_has_a_fault() -> None:
    need_data()
    for resource in RESOURCES:
        path = DATA / "crds" / f"chaos-mesh.org_{resource.lower()}.yaml"
        crd = text.read(path.read_text(encoding="utf-8"))
        assert crd["spec"]["names"]["kind"] == resource
        assert crd["spec"]["names"]["plural"] == resource.lower()
        spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
        ours = {fault.action for fault in FAULTS if fault.resource == resource}
        assert ours == set(spec["properties"].get("action", {"enum": [""]})["enum"])
    assert {each.name for each in (DATA / "crds").glob("*chaos.yaml")} == {
        f"chaos-mesh.org_{each.lower()}.yaml" for each in RESOURCES
    } | {f"chaos-mesh.org_pod{each}chaos.yaml" for each in ("network", "io", "http")}


@pytest.mark.parametrize(("kind", "raw"), BOTH)
def test_the_manifest_is_what_the_crd_takes(kind: str, raw: dict[str, Any]) -> None:
    labels = payload.labels("run-7", "t-0123")
    manifest = made(kind, raw, namespace="chaos", labels=labels)
    assert list(problems(manifest)) == []
    assert manifest["metadata"] == {"name": "a-fault", "namespace": "chaos", "labels": labels}
    spec = manifest["spec"]
    assert spec.get("duration") == (None if CATALOGUE[kind].is_one_shot else "90s")
    if "selector" in spec:
        assert spec["selector"]["namespaces"]


@pytest.mark.parametrize(("kind", "raw"), BOTH)
def test_a_manifest_becomes_the_same_fault_again(kind: str, raw: dict[str, Any]) -> None:
    params = CATALOGUE[kind].model_validate(raw)
    manifest = made(kind, raw)
    read = reading.read(manifest)
    assert read.errors == ()
    assert read.fault == kind
    assert CATALOGUE[kind].model_validate(read.raw) == params
    assert [each.path for each in (*read.changed, *read.lost)] in ([], [("spec", "uid")])
    assert read.duration_s == (None if CATALOGUE[kind].is_one_shot else 90)
    assert read.sentence == params.sentence()


@pytest.mark.parametrize(("kind", "raw"), BOTH)
def test_parameters_survive_being_stored(kind: str, raw: dict[str, Any]) -> None:
    params = CATALOGUE[kind].model_validate(raw)
    stored = json.loads(params.model_dump_json(by_alias=True))
    assert CATALOGUE[kind].model_validate(stored) == params


@pytest.mark.parametrize(("kind", "raw"), BOTH)
def test_the_yaml_says_the_same_to_old_and_new_readers(kind: str, raw: dict[str, Any]) -> None:
    manifest = made(kind, raw)
    written = payload.text([manifest, manifest])
    first, _, _ = written.partition("---\n")
    assert text.read(first) == manifest
    # kubectl reads YAML 1.1, where yes, on and 1:30 are no texts.
    assert list(yaml11.safe_load_all(written)) == [manifest, manifest]


@settings(deadline=None)
@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=5))
def test_no_text_is_taken_for_something_else(found: dict[str, str]) -> None:
    printable = {
        key: value for key, value in found.items() if (key + value).isprintable() and key != "<<"
    }
    assert yaml11.safe_load(payload.text([printable])) == printable


@pytest.mark.parametrize("word", ["on", "Yes", "n", "~", "1:30", "0x1F", "1e3", "2026-01-01", ""])
def test_words_of_yaml_1_1_are_quoted(word: str) -> None:
    assert yaml11.safe_load(payload.text([{"labels": {"a": word, word: "b"}}])) == {
        "labels": {"a": word, word: "b"}
    }


def unsent(model: type[BaseModel]) -> set[str]:
    """Return the fields of a model, and of those in it, that no document has."""
    sent = {name for name, _, _ in wires(model, "")}
    found = set(model.model_fields) - sent
    for info in model.model_fields.values():
        inner = nested(info.annotation)
        found |= unsent(inner) if inner else set()
    return found


@pytest.mark.parametrize("kind", CATALOGUE)
def test_every_field_is_sent(kind: str) -> None:
    assert unsent(CATALOGUE[kind]) <= {"whole_namespace"}


@pytest.mark.parametrize("kind", CATALOGUE)
def test_each_fault_says_what_it_is(kind: str) -> None:
    model = CATALOGUE[kind]
    few, most = (model.model_validate(raw) for raw in EVERY[kind])
    for words in (model.title, model.summary, model.needs, model.metrics, model.family):
        assert words
    for sentence in (few.sentence(), most.sentence()):
        assert sentence == sentence.strip()
        assert sentence[0].islower() or sentence.startswith("EC2")
        assert "None" not in sentence
        assert "  " not in sentence
    is_undone_later = model.undo != "none" and not model.is_one_shot
    assert (model.dead_man_s is not None) == is_undone_later


@pytest.mark.parametrize("kind", CATALOGUE)
def test_every_field_has_an_input_with_a_title_and_a_description(kind: str) -> None:
    rows = forms.rows(CATALOGUE[kind])
    assert len({row["name"] for row in rows}) == len(rows)
    for row in rows:
        assert row["title"], row
        assert row["description"], row
    labels = [leaf.label for leaf in forms.leaves(CATALOGUE[kind])]
    assert len(set(labels)) == len(labels), labels


@pytest.mark.parametrize("kind", CATALOGUE)
def test_what_an_author_begins_with_can_be_injected(kind: str) -> None:
    raw = forms.example(CATALOGUE[kind])
    assert list(problems(made(kind, raw))) == []


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0.09, "90ms"), (90, "90s"), (0, "0ms"), (1.5, "1500ms"), (0.00025, "250us"), (1e-9, "1ns"),
     (-600, "-600s"), (86400, "86400s")],
)  # fmt: skip
def test_a_duration_is_one_number_with_one_unit(seconds: float, written: str) -> None:
    assert simple_duration(seconds) == written


@settings(deadline=None)
@given(st.integers(min_value=1, max_value=3600 * 10**6))
def test_a_duration_is_exact(microseconds: int) -> None:
    written = simple_duration(float(Duration(microseconds / 1e6)))
    assert go_nanoseconds(written) == microseconds * 1000


@pytest.mark.parametrize(
    ("written", "nanoseconds"),
    [("1h30m", 5400 * 10**9), ("-1.5s", -(15 * 10**8)), ("+3us", 3000), ("1µs2ns", 1002),
     ("0", 0), ("10", None), ("1d", None), ("", None), ("1 s", None), ("s", None)],
)  # fmt: skip
def test_durations_are_read_as_go_reads_them(written: str, nanoseconds: int | None) -> None:
    assert go_nanoseconds(written) == nanoseconds


@pytest.mark.parametrize("seconds", [None, 0, -1, math.nan, math.inf])
def test_a_fault_without_an_end_is_never_written(seconds: float | None) -> None:
    params = CATALOGUE["chaosmesh.pod_failure"].model_validate(EVERY["chaosmesh.pod_failure"][0])
    with pytest.raises(ValueError, match="needs a duration"):
        payload.manifest(params, name="a", duration_s=seconds)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"name": "Not_a_name"}, "name of a fault"),
        ({"name": "a" * 64}, "name of a fault"),
        ({"name": "a", "namespace": "a.b"}, "namespace"),
        ({"name": "a", "labels": {"x": "not a value"}}, "label"),
    ],
)
def test_names_that_no_cluster_takes_are_refused(fields: dict[str, Any], told: str) -> None:
    params = CATALOGUE["chaosmesh.pod_kill"].model_validate(EVERY["chaosmesh.pod_kill"][0])
    with pytest.raises(ValueError, match=told):
        payload.manifest(params, **fields)
    with pytest.raises(ValueError, match="label"):
        payload.labels("run 7", "token")


@pytest.mark.parametrize(
    ("written", "name"),
    [("Slow_carts", "slow-carts"), ("a" * 80, "a" * 63), ("é", "fault"), ("-a-", "a")],
)
def test_any_name_becomes_one_that_clusters_take(written: str, name: str) -> None:
    assert payload.object_name(written) == name


def test_an_object_says_which_machine_experiment_it_is() -> None:
    raw = EVERY["chaosmesh.machine_vm"][0]
    first, again = made("chaosmesh.machine_vm", raw), made("chaosmesh.machine_vm", raw)
    params = CATALOGUE["chaosmesh.machine_vm"].model_validate(raw)
    other = payload.manifest(params, name="other", duration_s=90)
    assert first["spec"]["uid"] == again["spec"]["uid"] != other["spec"]["uid"]


@pytest.mark.parametrize(("kind", "inner"), [("network_flood", "90"), ("network_down", "90s")])
def test_machines_are_told_the_duration_where_chaosd_reads_it(kind: str, inner: str) -> None:
    spec = made(f"chaosmesh.machine_{kind}", EVERY[f"chaosmesh.machine_{kind}"][0])["spec"]
    assert spec[kind.replace("_", "-")]["duration"] == inner


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_chaos_meshs_own_examples_come_and_go_without_loss(path: Any) -> None:
    manifest = text.read(path.read_text(encoding="utf-8"))
    read = reading.read(manifest)
    assert (read.errors, read.lost) == ((), ())
    params = CATALOGUE[read.fault].model_validate(read.raw)
    again = text.read(payload.exported([(manifest["metadata"]["name"], params, read.duration_s)]))
    assert list(problems(again)) == []
    # All that is added is what the webhooks would have added.
    for spec in (manifest["spec"], manifest["spec"].get("target", {})):
        if "selector" in spec:
            spec["selector"].setdefault("namespaces", ["default"])
    if manifest["kind"] == "NetworkChaos":
        manifest["spec"].setdefault("direction", "to")
    assert again == manifest


def test_the_examples_are_there() -> None:
    need_data()
    assert len(EXAMPLES) == 8


def test_a_preview_is_the_manifest() -> None:
    manifest = made("chaosmesh.pod_kill", EVERY["chaosmesh.pod_kill"][0], namespace="chaos")
    shown = payload.document(manifest)
    assert (shown.target, shown.language) == ("PodChaos chaos/a-fault", "yaml")
    assert text.read(shown.body) == manifest
