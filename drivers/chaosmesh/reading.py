"""From the manifest of a Chaos Mesh object to a fault, and what it does not keep. Pure.

What is found is written again and compared: nothing is lost without being told.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from drivers.chaosmesh import http, machine, network, stress
from drivers.chaosmesh.common import API_VERSION, ChaosFault
from drivers.chaosmesh.faults import FAULTS, RESOURCES
from drivers.chaosmesh.machine_stores import RedisCacheLimit
from drivers.chaosmesh.payload import object_name, spec
from drivers.chaosmesh.wire import get, go_nanoseconds, taken

Path = tuple[str | int, ...]

_BY_ACTION = {(fault.resource, fault.action): fault for fault in FAULTS if fault.action}
_ALONE = {
    fault.resource: fault for fault in FAULTS if fault.resource in ("TimeChaos", "KernelChaos")
}
_NETEM = {"delay": "delay", "loss": "loss", "duplicate": "duplicate", "corrupt": "corrupt"}
_NETEM_BLOCKS = (*_NETEM, "rate")
_NOT_IN_ENUM = ("http-abort", "http-delay", "http-config", "http-request")
_KEPT_METADATA = frozenset(
    {"name", "creationTimestamp", "generation", "resourceVersion", "uid", "managedFields",
     "finalizers", "selfLink"}
)  # fmt: skip
_PAUSE = "experiment.chaos-mesh.org/pause"


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing about a manifest: where, and what."""

    path: Path
    words: str


@dataclass(frozen=True, slots=True)
class Read:
    """What a manifest means: a fault with its raw parameters; with errors, ``fault`` is empty."""

    fault: str
    raw: Mapping[str, Any]
    duration_s: float | None
    changed: tuple[Remark, ...] = ()
    lost: tuple[Remark, ...] = ()
    errors: tuple[Remark, ...] = ()
    sentence: str = ""
    """What the fault does, in plain words."""
    namespaces: tuple[str, ...] = ()
    """Where the pods are that it may hit."""


def is_fault(manifest: Any) -> bool:
    """Tell whether a document is an object of Chaos Mesh that holds a fault."""
    return (
        isinstance(manifest, Mapping)
        and str(manifest.get("apiVersion", "")).startswith("chaos-mesh.org/")
        and manifest.get("kind") in RESOURCES
    )


def read(manifest: Mapping[str, Any]) -> Read:
    """Return what a manifest of a fault means. Raises nothing."""
    if manifest.get("apiVersion") != API_VERSION:
        told = f"is {manifest.get('apiVersion')}; only {API_VERSION} is read"
        return Read("", {}, None, errors=(Remark(("apiVersion",), told),))
    metadata = manifest.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    namespace = str(metadata.get("namespace") or "default")
    made = read_spec(
        str(manifest.get("kind")),
        manifest.get("spec"),
        name=str(metadata.get("name") or ""),
        namespace=namespace,
        at=("spec",),
    )
    lost = [
        Remark(("metadata", str(key)), f"metadata.{key}{_told_of_metadata(key, value)}")
        for key, value in metadata.items()
        if key not in _KEPT_METADATA and value not in (None, "", {}, [])
    ]
    return replace(made, lost=(*lost, *made.lost))


def _told_of_metadata(key: str, value: Any) -> str:
    if key == "namespace":
        return f" “{value}”: the connection of the environment says where objects are made"
    if key == "annotations" and isinstance(value, Mapping) and _PAUSE in value:
        return f": also {_PAUSE}; a run begins unpaused"
    return ""


def read_spec(
    resource: str, given: Any, *, name: str = "", namespace: str = "default", at: Path = ()
) -> Read:
    """Return what the spec of a kind means, as an object, a Schedule or a Workflow holds it.

    ``at`` is where the spec stands, for places; ``namespace`` is the object's, which an absent list
    of namespaces means.
    """
    if not isinstance(given, Mapping):
        return Read("", {}, None, errors=(Remark(at, "must be a mapping of fields"),))
    model, told, errors = _model(resource, given)
    if model is None:
        return Read(
            "", {}, None, errors=tuple(Remark((*at, *each.path), each.words) for each in errors)
        )
    notes = _Notes(list(told), [], list(errors))
    tidy = _tidied(model, given, namespace, notes)
    duration_s = _duration(model, tidy, notes)
    raw, wrong, places = taken(model, tidy, model.action)
    if model.resource == "JVMChaos" and raw.get("rule") == object_name(name):
        del raw["rule"]
    notes.errors += [Remark(each.path, each.message) for each in wrong]
    params: ChaosFault | None = None
    if not notes.errors:
        try:
            params = model.model_validate(raw)
        except ValidationError as error:
            notes.errors += _invalid(error, places)
    if params is not None:
        _compare(model, given, spec(params, name=name or "x", duration_s=duration_s or 1.0), notes)
    changed, lost, failed = (
        tuple(Remark((*at, *each.path), each.words) for each in found)
        for found in (notes.changed, notes.lost, notes.errors)
    )
    if params is None or failed:
        return Read("", raw, duration_s, changed, lost, failed)
    where = getattr(getattr(params, "selector", None), "places", ())
    sentence = params.sentence()
    return Read(model.kind, raw, duration_s, changed, lost, (), sentence, tuple(where))


@dataclass(slots=True)
class _Notes:
    changed: list[Remark]
    lost: list[Remark]
    errors: list[Remark]


_Found = tuple[type[ChaosFault] | None, list[Remark], list[Remark]]


def _model(resource: str, given: Mapping[str, Any]) -> _Found:
    """Return which fault a spec is, what is changed by that, and errors."""
    if resource not in RESOURCES:
        known = ", ".join(RESOURCES)
        return None, [], [Remark((), f"“{resource}” is no kind of fault; there are {known}")]
    if resource in _ALONE:
        return _ALONE[resource], [], []
    if resource == "HTTPChaos":
        return _http(given)
    if resource == "StressChaos":
        return _stress(given)
    action = given.get("action")
    found = _BY_ACTION.get((resource, action)) if isinstance(action, str) else None
    if found is None:
        known = ", ".join(each for kind, each in _BY_ACTION if kind == resource)
        told = f"“{action}” is no action of {resource}; there are {known}"
        if action in _NOT_IN_ENUM:
            told = f"“{action}” is documented, but Chaos Mesh itself refuses it"
        return None, [], [Remark(("action",), told)]
    if resource == "NetworkChaos" and action in _NETEM:
        others = [key for key in _NETEM_BLOCKS if key != action and given.get(key)]
        if others:
            told = f"action {action} with {', '.join(others)} does all of it: it becomes netem"
            return network.NetworkNetem, [Remark(("action",), told)], []
    if resource == "JVMChaos" and action != "ruleData" and given.get("ruleData"):
        told = f"takes the place of the action {action}; write action: ruleData, or leave it out"
        return None, [], [Remark(("ruleData",), told)]
    return found, [], []


def _http(given: Mapping[str, Any]) -> _Found:
    faults: dict[str, type[ChaosFault]] = {
        "abort": http.HttpAbort,
        "delay": http.HttpDelay,
        "replace": http.HttpReplace,
        "patch": http.HttpPatch,
    }
    wanted = [key for key in faults if given.get(key)]
    if not wanted:
        told = "does nothing: it needs abort, delay, replace or patch"
        return None, [], [Remark((), told)]
    return faults[wanted[0]] if len(wanted) == 1 else http.HttpSeveral, [], []


def _stress(given: Mapping[str, Any]) -> _Found:
    inner = given.get("stressors")
    inner = inner if isinstance(inner, Mapping) else {}
    if given.get("stressngStressors"):
        return stress.StressNg, [], []
    has = ("cpu" in inner, "memory" in inner)
    if not any(has):
        return None, [], [Remark(("stressors",), "needs cpu, memory or both")]
    if all(has):
        return stress.StressBoth, [], []
    return stress.StressCpu if has[0] else stress.StressMemory, [], []


def _tidied(
    model: type[ChaosFault], given: Mapping[str, Any], namespace: str, notes: _Notes
) -> dict[str, Any]:
    """Return the spec with its defaults in, and without what has no meaning."""
    tidy: dict[str, Any] = copy.deepcopy(dict(given))
    for path in ((), ("target",)):
        holder = get(tidy, path)
        if not isinstance(holder, dict) or (path and model.resource != "NetworkChaos"):
            continue
        if holder.get("mode") in ("one", "all") and holder.pop("value", None) not in (None, ""):
            notes.lost.append(
                Remark((*path, "value"), f"value: the mode {holder['mode']} has none")
            )
        chosen = holder.get("selector")
        if issubclass(model, machine.MachineFault) or not isinstance(chosen, dict):
            continue
        if isinstance(chosen.get("pods"), dict) and chosen["pods"]:
            _pods_alone(chosen, (*path, "selector"), notes)
        elif not chosen.get("namespaces"):
            chosen["namespaces"] = [namespace]
            told = f"selector without namespaces: means its own namespace, {namespace}"
            notes.changed.append(Remark((*path, "selector"), told))
    if model is RedisCacheLimit and get(tidy, (model.action, "cacheSize")) == "0":
        del tidy[model.action]["cacheSize"]  # means none
    if issubclass(model, machine.MachineFault) and tidy.pop("uid", None):
        told = "uid: every injection has one of its own"
        notes.lost.append(Remark(("uid",), told))
    return tidy


def _pods_alone(chosen: dict[str, Any], at: tuple[str, ...], notes: _Notes) -> None:
    for key in list(chosen):
        if key == "pods":
            continue
        value = chosen.pop(key)
        names = value if isinstance(value, list) else []
        is_theirs = key == "namespaces" and set(map(str, names)) == set(map(str, chosen["pods"]))
        if value and not is_theirs:
            told = f"selector.{key}: Chaos Mesh ignores it beside pods"
            notes.lost.append(Remark((*at, key), told))


def _duration(model: type[ChaosFault], tidy: dict[str, Any], notes: _Notes) -> float | None:
    """Return how long the fault lasts, in seconds; None where the spec does not say."""
    written = tidy.pop("duration", None)
    inner = ""
    if issubclass(model, machine.MachineFault) and model.inner_duration:
        holder, _, key = model.inner_duration.partition(".")
        own = get(tidy, (holder, key))
        if own:
            del tidy[holder][key]
            inner = f"{own}s" if re.fullmatch(r"\d+", str(own)) else str(own)
        written = written or inner
    if written in (None, ""):
        return None
    if model.is_one_shot:
        told = f"duration {written}: the fault happens once, Chaos Mesh ignores it"
        notes.lost.append(Remark(("duration",), told))
        return None
    nanoseconds = go_nanoseconds(written) if isinstance(written, str) else None
    if nanoseconds is None or nanoseconds <= 0:
        told = f"“{written}” is no duration that a fault could last; write for example 30s"
        notes.errors.append(Remark(("duration",), told))
        return None
    if inner and go_nanoseconds(inner) != nanoseconds:
        told = f"{model.action}.duration was {inner}: the fault's own duration counts"
        notes.changed.append(Remark((model.action, "duration"), told))
    return nanoseconds / 1e9


_WORDS = {"missing": "is missing", "extra_forbidden": "is not a field here"}


def _invalid(
    error: ValidationError, places: Mapping[tuple[str, ...], tuple[str, ...]]
) -> list[Remark]:
    """Return what the model has against the parameters, each at its place in the spec."""
    found = []
    for details in error.errors(include_url=False):
        location = tuple(str(part) for part in details["loc"])
        while location and location not in places:
            location = location[:-1]
        field = ".".join(str(part) for part in details["loc"])
        told = _WORDS.get(details["type"], details["msg"])
        found.append(Remark(places.get(location, ()), f"{field}: {told}" if field else told))
    return found


def _compare(
    model: type[ChaosFault], given: Mapping[str, Any], made: Mapping[str, Any], notes: _Notes
) -> None:
    """Note what the spec said and the fault does not, unless it was told already."""
    told = {each.path for each in (*notes.changed, *notes.lost)}
    silent: set[Path] = {("duration",)}
    if issubclass(model, machine.MachineFault) and model.inner_duration:
        silent.add(tuple(model.inner_duration.split(".")))
    for path, was, now in _differences(given, made, ()):
        if path in silent or any(path[: len(each)] == each for each in told if each):
            continue
        name = ".".join(map(str, path))
        if now is None:
            notes.lost.append(Remark(path, f"{name}: it has no meaning for this fault"))
        else:
            notes.changed.append(Remark(path, f"{name} {was!r} is written as {now!r}"))


def _differences(was: Any, now: Any, path: Path) -> Iterator[tuple[Path, Any, Any]]:
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        for key, value in was.items():
            yield from _differences(value, now.get(key), (*path, key))
    elif was not in (None, "", {}, [], False) and not _means_same(was, now):
        yield path, was, now


def _means_same(was: Any, now: Any) -> bool:
    if was == now:
        return True
    if isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        return all(_means_same(one, other) for one, other in zip(was, now, strict=True))
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        keys = {key for key, value in was.items() if value not in (None, "", {}, [])}
        return keys == set(now) and all(_means_same(was[key], now[key]) for key in keys)
    if not isinstance(was, str) or not isinstance(now, str):
        return False
    if go_nanoseconds(was) is not None:
        return go_nanoseconds(was) == go_nanoseconds(now)
    try:
        return float(was) == float(now)
    except ValueError:
        return False
