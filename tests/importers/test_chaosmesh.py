"""Chaos Mesh's files become experiments that can be stored, and what is not kept is told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.chaosmesh import payload, reading
from drivers.chaosmesh.faults import FAULTS
from experiments.domain import spec
from experiments.domain import text as yaml
from experiments.importers import Imported, chaosmesh
from experiments.importers import reading as files
from tests.drivers.chaosmesh.shared import EXAMPLES
from tests.importers.chaosmesh_documents import DELAY, KILL, OTHERS, SCHEDULE, WORKFLOW
from tests.importers.documents import GOOD

CATALOGUE = {fault.kind: fault for fault in FAULTS}
FORMAT = chaosmesh.format_of(reading)


def imported(content: str) -> Imported:
    source = files.read("a.yaml", content.encode())
    assert FORMAT.detect(source) == 1.0
    return FORMAT.convert(source)


def parsed(raw: Any) -> spec.Experiment:
    found = spec.parse(raw, faults=CATALOGUE)
    assert found.errors == ()
    assert found.spec is not None
    return found.spec


def words(notes: Any) -> list[tuple[int | None, str]]:
    return [(note.line, note.words) for note in notes]


@pytest.mark.parametrize("content", [GOOD, "a: 1", "apiVersion: v1\nkind: Pod", "[1]", "a: ["])
def test_other_files_are_not_its_own(content: str) -> None:
    assert FORMAT.detect(files.read("a.yaml", content.encode())) == 0.0


def test_an_object_becomes_an_experiment_of_one_fault() -> None:
    made = imported(DELAY)
    (draft,) = made.drafts
    document = parsed(draft.raw)
    (action,) = document.faults
    assert (made.errors, action.fault) == ((), "chaosmesh.network_delay")
    assert str(action.duration) == "1m30s"
    assert action.name == document.metadata.name == "slow-carts"
    assert document.hypothesis == (
        "The steady state holds while a fault delays the traffic of 2 pods of app=carts in shop "
        "by 90ms."
    )
    assert words(made.kept) == [(2, "NetworkChaos “slow.carts”: chaosmesh.network_delay")]
    told = "the connection of the environment says where objects are made"
    assert words(made.lost) == [
        (6, f"metadata.namespace “chaos”: {told}"),
        (7, "metadata.labels"),
    ]
    assert [note.words.split(":")[0] for note in made.changed] == [
        "is called slow-carts here, not slow.carts",
        "nothing is measured in Chaos Mesh",
    ]


def test_each_document_of_a_file_becomes_one() -> None:
    made = imported(f"{DELAY}---{KILL}---{OTHERS}")
    assert [parsed(draft.raw).metadata.name for draft in made.drafts] == ["slow-carts", "kill-one"]
    kill = parsed(made.drafts[1].raw).faults[0]
    assert (kill.fault, str(kill.duration)) == ("chaosmesh.pod_kill", "1m")
    assert [note.words for note in made.lost][-2:] == [
        "Namespace: is no object of Chaos Mesh",
        "PhysicalMachine “db-1”: an address of a machine, not a fault",
    ]
    assert "PodChaos says no duration: it is watched for 1m" in [n.words for n in made.changed]


def test_what_kubectl_prints_as_a_list_is_read() -> None:
    items = [yaml.read(KILL), yaml.read(DELAY), {"kind": "Pod"}, 7]
    for raw in ({"apiVersion": "v1", "kind": "List", "items": items}, items):
        made = imported(yaml.write(raw))
        names = [parsed(draft.raw).metadata.name for draft in made.drafts]
        assert names == ["kill-one", "slow-carts"]
        assert made.errors == ()
    broken = yaml.read(KILL.replace("pod-kill", "pod-eat"))
    written = yaml.write({"apiVersion": "v1", "kind": "List", "items": [*items, broken]})
    (error,) = imported(written).errors
    assert written.splitlines()[(error.line or 0) - 1].strip() == "action: pod-eat"


def test_a_schedule_loses_its_times_and_keeps_its_fault() -> None:
    made = imported(SCHEDULE)
    (draft,) = made.drafts
    (action,) = parsed(draft.raw).faults
    assert (action.fault, str(action.duration)) == ("chaosmesh.pod_failure", "30s")
    assert action.params.model_dump()["selector"]["namespaces"] == ("shop",)
    assert any(
        line == 6 and "schedule: 0 3 * * *, concurrencyPolicy: Forbid, historyLimit: 2" in told
        for line, told in words(made.lost)
    )


def test_a_workflow_becomes_a_timeline() -> None:
    made = imported(WORKFLOW)
    (draft,) = made.drafts
    document = parsed(draft.raw)
    method = draft.raw["method"]
    assert [(each["name"], each.get("duration") or each["wait"]) for each in method] == [
        ("first", "40s"),
        ("breath", "20s"),
        ("slow", "1m"),
        ("busy", "30s"),
        ("after", "2m"),
    ]
    assert [each.get("start") for each in method] == [
        None,
        None,
        None,
        {"after": ["breath"]},
        {"after": ["slow", "busy"]},
    ]
    (probe,) = document.probes
    assert probe.tolerance.status == (200, 201, 202)
    assert probe.http is not None
    assert (probe.http.url, probe.http.headers) == ("http://front/health", {"x-a": "b, c"})
    told = [note.words for note in made.lost]
    assert "“never”: the deadline of “all” ends before it begins" in told
    assert "template “look”: the entry does not lead to it" in told
    assert "template “unreached”: the entry does not lead to it" in told
    assert any("abortWithStatusCheck" in each for each in told)


def workflow(*templates: dict[str, Any], entry: str = "a") -> str:
    return yaml.write(
        {
            "apiVersion": "chaos-mesh.org/v1alpha1",
            "kind": "Workflow",
            "metadata": {"name": "w"},
            "spec": {"entry": entry, "templates": list(templates)},
        }
    )


POD = {"action": "pod-kill", "mode": "one", "selector": {"labelSelectors": {"app": "web"}}}
FAULT = {"name": "k", "templateType": "PodChaos", "deadline": "10s", "podChaos": POD}


def group(name: str, kind: str, *children: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "templateType": kind, "children": list(children), **more}


def test_what_begins_together_begins_with_the_first() -> None:
    made = imported(
        workflow(group("a", "Parallel", "k", "k", "s"), FAULT, group("s", "Serial", "k"))
    )
    method = made.drafts[0].raw["method"]
    parsed(made.drafts[0].raw)
    assert [(each["name"], each.get("start")) for each in method] == [
        ("k", None),
        ("k-2", {"with": ["k"]}),
        ("k-3", {"with": ["k"]}),
    ]


def test_a_fault_without_a_deadline_gets_an_end() -> None:
    made = imported(workflow({key: FAULT[key] for key in FAULT if key != "deadline"}, entry="k"))
    assert made.drafts[0].raw["method"][0]["duration"] == "1m"
    assert any("has no deadline and would never end" in note.words for note in made.changed)


def test_a_schedule_within_a_workflow_keeps_its_fault() -> None:
    inner = {"schedule": "@hourly", "type": "PodChaos", "podChaos": POD}
    template = {"name": "k", "templateType": "Schedule", "deadline": "10s", "schedule": inner}
    made = imported(workflow(template, entry="k"))
    assert made.drafts[0].raw["method"][0]["fault"] == "chaosmesh.pod_kill"
    assert any("schedule: @hourly" in note.words for note in made.lost)


@pytest.mark.parametrize(
    ("content", "words_"),
    [
        (workflow(entry="x"), "“x” is the name of no template"),
        (workflow(group("a", "Serial", "a")), "“a” leads back to itself"),
        (
            workflow(group("a", "Serial", "b"), group("b", "Parallel", "a")),
            "“a” leads back to itself",
        ),
        (workflow(group("a", "Serial", "b")), "“b” is the name of no template"),
        (workflow({"name": "a", "templateType": "Suspend"}), "has no deadline"),
        (workflow({"name": "a", "templateType": "PodChaos"}), "has no podChaos"),
        (workflow({**FAULT, "name": "a", "deadline": "soon"}), "is no length of time"),
        (workflow(group("a", "Serial")), "holds nothing that can be injected"),
        (
            workflow(
                *(group(str(n), "Serial", *[str(n + 1)] * 3) for n in range(6)),
                {**FAULT, "name": "6"},
                entry="0",
            ),
            "more than 100 actions",
        ),
        (
            workflow(
                *(group(str(n), "Serial", str(n + 1)) for n in range(300)),
                {**FAULT, "name": "300"},
                entry="0",
            ),
            "deeper than 50",
        ),
        (SCHEDULE.replace("podChaos:", "ioChaos:"), "has no podChaos, which its type PodChaos"),
        (SCHEDULE.replace("type: PodChaos", "type: Cron"), "has no cron, which its type Cron"),
        (KILL.replace("name: kill-one", "generateName: kill-"), "has no name"),
        (KILL.replace("PodChaos", "PodMagic"), "“PodMagic” is no kind of fault"),
        (KILL.replace("v1alpha1", "v2"), "is chaos-mesh.org/v2; only"),
        (KILL.replace("pod-kill", "pod-eat"), "“pod-eat” is no action of PodChaos"),
        (KILL.replace("mode: one", "mode: fixed"), "needs how many"),
    ],
)
def test_what_cannot_become_an_experiment_is_told_at_its_place(content: str, words_: str) -> None:
    made = imported(content)
    assert made.drafts == ()
    assert words_ in made.errors[0].message
    assert made.errors[0].line


def test_errors_stand_where_they_are_in_the_file() -> None:
    made = imported(f"{KILL}---{DELAY.replace('latency: 90ms', 'latency: 1d')}")
    (error,) = made.errors
    told = f"{KILL}---{DELAY}".splitlines()[(error.line or 0) - 1]
    assert told == "  delay: {latency: 90ms}"
    assert "no duration of Go" in error.message
    assert len(made.drafts) == 1


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_of_chaos_mesh_can_be_stored(path: Any) -> None:
    made = imported(path.read_text(encoding="utf-8"))
    (draft,) = made.drafts
    assert (made.errors, made.lost) == ((), ())
    document = parsed(draft.raw)
    actions = [(each.name, each.params, float(each.duration)) for each in document.faults]
    again = yaml.read(payload.exported(actions))  # type: ignore[arg-type]
    assert again["kind"] == yaml.read(path.read_text(encoding="utf-8"))["kind"]
    assert again["metadata"] == {"name": path.stem}


_SCALARS = st.none() | st.booleans() | st.integers(-5, 10**6) | st.text(max_size=5)
_KEYS = st.sampled_from(
    [
        "action",
        "mode",
        "value",
        "selector",
        "namespaces",
        "labelSelectors",
        "expressionSelectors",
        "pods",
        "target",
        "delay",
        "latency",
        "reorder",
        "loss",
        "rate",
        "stressors",
        "cpu",
        "memory",
        "workers",
        "size",
        "duration",
        "attr",
        "replace",
        "patch",
        "body",
        "headers",
        "callchain",
        "failKernRequest",
        "address",
        "network-down",
        "stress-mem",
        "containerNames",
    ]
)
_ACTIONS = st.sampled_from(sorted({fault.action for fault in FAULTS}))
_ANY = st.recursive(
    _SCALARS | _ACTIONS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.sampled_from(sorted({fault.resource for fault in FAULTS})), _ACTIONS,
       st.dictionaries(_KEYS, _ANY, max_size=6), st.text(max_size=5))  # fmt: skip
def test_no_spec_makes_the_reader_raise(
    kind: str, action: str, inner: dict[str, Any], name: str
) -> None:
    read = reading.read(
        {
            "apiVersion": "chaos-mesh.org/v1alpha1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": {"action": action, **inner},
        }
    )
    assert bool(read.fault) != bool(read.errors)


_TEMPLATES = st.dictionaries(
    st.sampled_from(["name", "templateType", "children", "deadline", "podChaos", "statusCheck",
                     "conditionalBranches", "schedule", "task"]),
    st.sampled_from(["a", "b", "Serial", "Parallel", "Suspend", "Task", "StatusCheck", "PodChaos",
                     "Schedule", "10s", ["a", "b"], POD, {"http": {"url": "http://a"}}, 7, [{}],
                     [{"target": "a"}], {"type": "PodChaos", "podChaos": POD}]),
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(_TEMPLATES, max_size=4), st.sampled_from(["a", "b", 1, None, ["a"]]))
def test_no_workflow_makes_the_importer_raise(templates: list[Any], entry: Any) -> None:
    made = imported(workflow(*templates, entry=entry))
    assert len(made.drafts) == 1 or made.errors
