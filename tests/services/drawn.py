"""What a machine draws: documents, and what goes wrong with backends, carriers and processes."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from drivers.fake import Step
from tests.services.processes import Process
from tests.services.rehearsal import LATE_S
from tests.services.worlds import document, fault

_OTHER_KIND = {"fake.abort": "fake.delay", "fake.delay": "fake.abort"}

TARGETS = st.sampled_from(["one", "two", ""])
STARTS = st.sampled_from(["next", "next", "with", "later", "at once"])
FAULTS = st.fixed_dictionaries(
    {
        "fault": st.sampled_from(["fake.abort", "fake.abort", "fake.delay"]),
        "target": TARGETS,
        "duration": st.sampled_from(["3s", "20s", "90s"]),
        "on_drift": st.sampled_from(["stop", "ignore", "reinject"]),
        "start": STARTS,
    }
)
OTHERS = st.fixed_dictionaries({"other": st.sampled_from(["wait", "checkpoint"]), "start": STARTS})
PARTS = st.builds(
    lambda first, others: [first, *others],
    FAULTS,
    st.lists(st.one_of(FAULTS, FAULTS, OTHERS), max_size=3),
)
CHECKS = st.fixed_dictionaries(
    {
        "start_probe": st.sampled_from(["", "http", "promql"]),
        "guardrail": st.sampled_from(["", "stop", "checkpoint", "ignore"]),
    }
)
BEGINNINGS = {"begins_as": st.sampled_from(["intent", "active", "intent", "active", "planned", ""])}
TROUBLE = st.one_of(
    st.builds(
        Step,
        method=st.sampled_from(["prepare", "inject", "recover", "observe", "owned"]),
        do=st.just("fail"),
        times=st.integers(1, 4),
        retryable=st.sampled_from([True, True, True, False]),
    ),
    st.builds(
        Step,
        method=st.sampled_from(["inject", "inject", "recover"]),
        do=st.just("lose"),
        times=st.integers(1, 6),
        effect=st.sampled_from(["now", "late", "never"]),
        seconds=st.sampled_from([1.0, 7.0, 40.0, LATE_S, 4 * LATE_S]),
    ),
    st.builds(Step, method=st.just("recover"), do=st.sampled_from(["ignore", "hang"])),
    st.builds(
        Step,
        method=st.sampled_from(["inject", "recover", "observe"]),
        do=st.just("slow"),
        seconds=st.sampled_from([4.0, 9.0]),
    ),
)
DEATHS = st.one_of(
    st.builds(Process, statements=st.integers(0, 40)),
    st.builds(
        Process,
        dies_at=st.sampled_from(
            ["before inject", "after inject", "before recover", "after recover", "after prepare"]
        ),
    ),
)
POINTS = st.sampled_from(
    [f"{when} {call}" for when in ("before", "after") for call in ("inject", "inject", "recover")]
    + ["before prepare", "before observe", "after observe"]
)


def method_of(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the actions that the drawn parts describe."""
    found: list[dict[str, Any]] = []
    for index, part in enumerate(parts):
        begins: dict[str, Any] = {}
        last = f"a{index - 1}"
        if part["start"] == "at once":
            begins = {"start": {}}
        elif index and part["start"] == "with":
            begins = {"start": {"with": [last], "delay": "1s"}}
        elif index and part["start"] == "later":
            begins = {"start": {"after": [last], "delay": "2s"}}
        if part.get("other") == "wait":
            action = {"name": f"a{index}", "wait": "5s"}
        elif part.get("other") == "checkpoint":
            action = {"name": f"a{index}", "checkpoint": "Go on?", "timeout": "40s"}
        else:
            kept = {name: part[name] for name in ("fault", "duration", "on_drift")}
            before = found[-1].get("fault") if found else None
            if part["start"] in ("with", "at once") and before is not None:
                # Two of one kind at once would be refused for what they both hold.
                kept["fault"] = _OTHER_KIND[before]
            action = fault(f"a{index}", **kept, **{"with": {"target": part["target"]}})
        found.append(action | begins)
    return found


def document_of(parts: list[dict[str, Any]], checks: dict[str, str], key: str) -> dict[str, Any]:
    """Return a document of these actions, with probes and a guardrail of its own."""
    raw = document(*method_of(parts))
    if checks["start_probe"] == "http":
        probe = {"http": {"url": f"http://front/start-{key}"}, "tolerance": {"status": 200}}
        raw["probes"].append({"name": "before", "at": ["start"]} | probe)
    elif checks["start_probe"] == "promql":
        query = {"promql": {"query": f"start_{key}"}, "tolerance": {"max": 50}}
        raw["probes"].append({"name": "before", "at": ["start"]} | query)
    if checks["guardrail"]:
        watched = {"name": "load", "source": "metrics", "value": "load", "limit": {"max": 70}}
        rule = {"name": "g", "sli": "load", "above": 50, "breaches": "2 of 3"}
        raw["slis"] = [watched]
        raw["guardrails"] = [rule | {"no_data": checks["guardrail"]}]
        raw["timing"] = {"baseline": "10s", "settle": "5s", "step": "5s"}
    return raw
