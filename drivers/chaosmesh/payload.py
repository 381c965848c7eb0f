"""From a fault to the manifest of a Chaos Mesh object. Pure; ``reading`` is the way back.

A manifest says all that Chaos Mesh's webhooks would add, so that it means the same without them.
"""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Iterable, Mapping
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from drivers.chaosmesh.common import API_VERSION, ChaosFault
from drivers.chaosmesh.jvm import JvmFault
from drivers.chaosmesh.machine import MachineFault
from drivers.chaosmesh.machine_stores import RedisCacheLimit
from drivers.chaosmesh.values import is_dns_label, is_dns_name, is_label_key, is_label_value
from drivers.chaosmesh.wire import put, simple_duration, written
from drivers.protocol import Document

RUN_LABEL = "chaosweb/run"
TOKEN_LABEL = "chaosweb/token"  # noqa: S105 — the name of a label
_FIRST = ("action", "mode", "value", "selector", "address", "containerNames")
_LAST = ("duration", "remoteCluster")
_LONGEST_NAME = 63
"""Names of faults become values of labels, and parts of annotations."""
_UIDS = uuid.uuid5(uuid.NAMESPACE_DNS, "chaosweb")
# What YAML 1.1, which kubectl reads, takes for something else than a text.
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


def object_name(text: str) -> str:
    """Return the text as the name of an object: small letters, digits and ``-``, at most 63."""
    name = re.sub(r"[^a-z0-9-]+", "-", text.lower()).strip("-")
    return name[:_LONGEST_NAME].strip("-") or "fault"


def labels(run: str, token: str) -> dict[str, str]:
    """Return the labels by which our objects are found again. Raises ValueError."""
    made = {RUN_LABEL: run, TOKEN_LABEL: token}
    for key, value in made.items():
        if not value or not is_label_value(value):
            raise ValueError(f"“{value}” cannot be the value of the label {key}")
    return made


def manifest(
    params: ChaosFault,
    *,
    name: str,
    namespace: str = "",
    labels: Mapping[str, str] | None = None,
    duration_s: float | None = None,
) -> dict[str, Any]:
    """Return the object as ``kubectl create`` takes it.

    Args:
        params: the fault.
        name: the object's; rules of DNSChaos are kept by it alone, so it must be unique.
        namespace: the object's own; empty: left to who creates it.
        labels: of the object.
        duration_s: after which Chaos Mesh ends the fault by itself; not sent for what happens once.

    Raises ValueError for what no cluster would take, or would understand otherwise.
    """
    if not is_dns_name(name) or len(name) > _LONGEST_NAME:
        raise ValueError(f"“{name}” cannot be the name of a fault in Kubernetes")
    if namespace and not is_dns_label(namespace):
        raise ValueError(f"“{namespace}” cannot be the name of a namespace")
    for key, value in (labels or {}).items():
        if not is_label_key(key) or not is_label_value(value):
            raise ValueError(f"“{key}={value}” cannot be a label")
    metadata: dict[str, Any] = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    if labels:
        metadata["labels"] = dict(labels)
    return {
        "apiVersion": API_VERSION,
        "kind": params.resource,
        "metadata": metadata,
        "spec": spec(params, name=name, duration_s=duration_s),
    }


def spec(params: ChaosFault, *, name: str, duration_s: float | None) -> dict[str, Any]:
    """Return the object's spec, its fields in a fixed order. Raises ValueError."""
    made = written(params, params.action)
    for path, value in params.constants.items():
        put(made, tuple(path.split(".")), value)
    if params.action:
        made["action"] = params.action
    if isinstance(params, JvmFault):
        made.setdefault("name", name)
    if not params.is_one_shot:
        if duration_s is None or not math.isfinite(duration_s) or duration_s <= 0:
            raise ValueError(f"{params.kind} needs a duration, or it would never end")
        made["duration"] = simple_duration(duration_s)
    if isinstance(params, MachineFault):
        made.setdefault(params.action, {})
        made["uid"] = str(uuid.uuid5(_UIDS, name))
        if isinstance(params, RedisCacheLimit) and params.size is None:
            # The webhook takes a share only beside a size of “0”, which means none.
            put(made, (params.action, "cacheSize"), "0")
        if params.inner_duration and duration_s is not None:
            inner = str(math.ceil(duration_s)) if params.is_inner_in_seconds else made["duration"]
            put(made, tuple(params.inner_duration.split(".")), inner)
    middle = [key for key in made if key not in (*_FIRST, *_LAST)]
    return {key: made[key] for key in (*_FIRST, *middle, *_LAST) if key in made}


def text(manifests: Iterable[Mapping[str, Any]]) -> str:
    """Return manifests as a stream of YAML that says the same to readers of YAML 1.1 and 1.2."""
    writer = YAML()
    writer.default_flow_style = False
    writer.width = 10_000
    writer.allow_unicode = True
    writer.indent(mapping=2, sequence=4, offset=2)
    parts = []
    for each in manifests:
        stream = StringIO()
        writer.dump(_quoted(each), stream)
        parts.append(stream.getvalue())
    return "---\n".join(parts)


def _quoted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_quoted(str(key)): _quoted(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_quoted(each) for each in value]
    if isinstance(value, str):
        is_plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
        return value if is_plain else DoubleQuotedScalarString(value)
    return value


def document(made: Mapping[str, Any]) -> Document:
    """Return a manifest as a person reads it."""
    metadata = made["metadata"]
    where = f"{metadata['namespace']}/" if "namespace" in metadata else ""
    target = f"{made['kind']} {where}{metadata['name']}"
    return Document(target=target, body=text([made]), language="yaml")


def exported(actions: Iterable[tuple[str, ChaosFault, float | None]]) -> str:
    """Return an experiment's actions (name, fault, seconds) as manifests for ``kubectl create``.

    Each is named as its action. Nothing of ours is in them: who creates them ends them, or their
    duration does. Raises ValueError.
    """
    return text(
        manifest(params, name=object_name(name), duration_s=duration_s)
        for name, params, duration_s in actions
    )
