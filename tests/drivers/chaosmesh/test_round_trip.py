"""Whatever authors write, the manifest says exactly that, and is read as the same again."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from drivers.chaosmesh import payload, reading
from drivers.chaosmesh.faults import FAULTS
from drivers.chaosmesh.network import NetworkDelay, NetworkNetem
from drivers.chaosmesh.stress import StressMemory
from drivers.protocol import FaultParams
from experiments.domain import spec, text
from tests.drivers.chaosmesh.parameters import EVERY
from tests.drivers.chaosmesh.shared import problems

NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
VALUES = st.from_regex(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,8}[A-Za-z0-9])?)?", fullmatch=True)
KEYS = st.builds("{}/{}".format, NAMES, NAMES) | NAMES
MAPS = st.dictionaries(KEYS, VALUES, min_size=1, max_size=3)
EXPRESSIONS = (
    KEYS
    | KEYS.map("!{}".format)
    | st.builds(
        lambda key, word, values: f"{key} {word} ({', '.join(values)})",
        KEYS,
        st.sampled_from(["in", "notin"]),
        st.lists(VALUES.filter(bool), min_size=1, max_size=3),
    )
)
PHASES = st.sampled_from(["Running", "!Failed", "Pending"])
BY_KEYS = st.fixed_dictionaries(
    {"namespaces": st.lists(NAMES, min_size=1, max_size=3, unique=True), "labels": MAPS},
    optional={
        "annotations": MAPS,
        "expressions": st.lists(EXPRESSIONS, min_size=1, max_size=3),
        "phases": st.lists(PHASES, min_size=1, unique=True),
        "nodes": st.lists(NAMES, min_size=1, max_size=2, unique=True),
        "node_labels": MAPS,
        "fields": st.dictionaries(st.just("status.podIP"), VALUES, min_size=1),
    },
)
WHOLE = st.builds(lambda name: {"namespaces": [name], "whole_namespace": True}, NAMES)
NAMED = st.builds(
    lambda names: {"pods": names},
    st.lists(st.builds("{}/{}".format, NAMES, NAMES), min_size=1, max_size=4, unique=True),
)
SELECTORS = BY_KEYS | WHOLE | NAMED
CHOSEN = st.one_of(
    st.sampled_from([{"mode": "one"}, {"mode": "all"}]),
    st.builds(lambda count: {"mode": "fixed", "value": count}, st.integers(1, 2**31 - 1)),
    st.builds(
        lambda mode, share: {"mode": mode, "value": share},
        st.sampled_from(["fixed-percent", "random-max-percent"]),
        st.integers(1, 100),
    ),
)
SHARES = st.integers(1, 10**6).map(lambda parts: f"{parts / 10**4}%")
LIKENESS = st.integers(0, 10**6).map(lambda parts: f"{parts / 10**4}%")
TIMES = st.integers(1, 3600 * 10**6).map("{}us".format)
TARGETS = st.builds(lambda selector, chosen: {"selector": selector, **chosen}, SELECTORS, CHOSEN)
RATES = st.builds(
    "{}{}".format, st.integers(1, 10**6), st.sampled_from(["bit", "kbit", "Mbps", "gbps", "TBIT"])
)


def there_and_back(model: type[Any], raw: dict[str, Any], seconds: float) -> dict[str, Any]:
    params = model.model_validate(raw)
    manifest = payload.manifest(params, name="a", duration_s=seconds)
    assert list(problems(manifest)) == []
    assert text.read(payload.text([manifest])) == manifest
    read = reading.read(manifest)
    assert (read.errors, read.changed, read.lost) == ((), (), ())
    assert read.duration_s == seconds
    # 1971000us and 1971ms differ in a float's last bit, and nowhere else.
    again = model.model_validate(read.raw)
    assert payload.manifest(again, name="a", duration_s=read.duration_s) == manifest
    return manifest


@settings(deadline=None)
@given(SELECTORS, CHOSEN, st.none() | TARGETS, TIMES, TIMES, LIKENESS,
       st.integers(1, 7 * 86_400_000))  # fmt: skip
def test_delays(
    selector: Any, chosen: Any, target: Any, latency: str, jitter: str, likeness: str, millis: int
) -> None:
    raw = {"selector": selector, **chosen, "latency": latency, "jitter": jitter}
    raw |= {"correlation": likeness} | ({"target": target, "direction": "both"} if target else {})
    manifest = there_and_back(NetworkDelay, raw, millis / 1000)
    for each in (manifest["spec"], manifest["spec"].get("target")):
        assert each is None or each["selector"]["namespaces"]
    assert float(manifest["spec"]["delay"]["correlation"]) == float(likeness.rstrip("%"))


@settings(deadline=None)
@given(SELECTORS, CHOSEN, SHARES, SHARES, SHARES, RATES)
def test_several_disturbances(
    selector: Any, chosen: Any, loss: str, corrupt: str, duplicate: str, rate: str
) -> None:
    raw = {
        "selector": selector,
        **chosen,
        "loss": {"loss": loss},
        "corrupt": {"corrupt": corrupt},
        "duplicate": {"duplicate": duplicate},
        "rate": {"rate": rate},
    }
    manifest = there_and_back(NetworkNetem, raw, 60.0)
    assert 0 < float(manifest["spec"]["loss"]["loss"]) <= 100
    assert "delay" not in manifest["spec"]


@settings(deadline=None)
@given(SELECTORS, st.integers(1, 2**50).map("{}B".format) | st.integers(1, 100).map("{}%".format))
def test_sizes(selector: Any, size: str) -> None:
    manifest = there_and_back(StressMemory, {"selector": selector, "size": size}, 60.0)
    assert manifest["spec"]["stressors"]["memory"]["size"] == size


def test_the_published_schema_takes_every_fault() -> None:
    catalogue: dict[str, type[FaultParams]] = {fault.kind: fault for fault in FAULTS}
    schema = spec.json_schema(catalogue)
    Draft202012Validator.check_schema(schema)
    method = [
        {"name": f"a-{index}", "fault": kind, "via": "cluster", "with": raw, "duration": "1m"}
        for index, (kind, raw) in enumerate(
            (kind, raw) for kind, both in EVERY.items() for raw in both
        )
    ]
    document = {
        "apiVersion": "chaosweb/v1",
        "kind": "Experiment",
        "metadata": {"name": "all"},
        "hypothesis": "It holds.",
    }
    checker = Draft202012Validator(schema)
    for action in method:
        found = list(checker.iter_errors({**document, "method": [action]}))
        assert [error.message for error in found if error.absolute_path] == [], action
