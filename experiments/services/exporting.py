"""Exports versions as their authors wrote them: one document, a YAML stream or a JSON list."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from experiments import backends
from experiments.domain import spec, uses
from experiments.domain import text as yaml
from experiments.domain.errors import InvalidDocumentError
from experiments.models import ExperimentVersion

CHAOS_MESH = "chaosmesh."
MARK = re.compile(r"^(?:---(?=\s|$)|\.\.\.(?=\s|$)|%)", re.MULTILINE)
"""A line that divides a stream, or tells its reader something, and is no part of a document."""


def as_yaml(versions: Sequence[ExperimentVersion]) -> str:
    """Return one author's own text, or several as a stream that ``---`` divides."""
    if len(versions) == 1:
        return _ended(versions[0].text)
    return "---\n".join(_bare(version) for version in versions)


def as_json(versions: Sequence[ExperimentVersion], *, is_list: bool) -> str:
    """Return the documents as JSON: one as itself, or a list."""
    documents = [version.document for version in versions]
    what = documents if is_list else documents[0]
    return json.dumps(what, ensure_ascii=False, indent=2) + "\n"


def as_chaosmesh(versions: Sequence[ExperimentVersion]) -> str:
    """Return the versions' faults of Chaos Mesh as manifests for ``kubectl create``.

    What is no such fault is told in comments above; nothing else of ChaosWeb's is kept.
    """
    parts = []
    for version in versions:
        document = spec.parse(version.document, faults=backends.faults()).or_raise()
        ours = [each for each in document.faults if each.fault.startswith(CHAOS_MESH)]
        others = [each.name for each in document.method if each not in ours]
        said = [f"# {version.experiment.name}, version {version.number}: its faults of Chaos Mesh."]
        if others:
            said.append(f"# Not written, as Chaos Mesh does not know it: {', '.join(others)}.")
        made = backends.chaosmesh_manifests(
            (each.name, each.params, float(each.duration)) for each in ours
        )
        parts.append("\n".join(said) + "\n" + made)
    return "---\n".join(parts)


def has_chaosmesh(version: ExperimentVersion) -> bool:
    """Tell whether a version injects through Chaos Mesh."""
    return any(
        str(each.get("fault", "")).startswith(CHAOS_MESH)
        for each in version.document.get("method") or ()
    )


def newest(names: Sequence[str]) -> tuple[list[ExperimentVersion], list[str]]:
    """Return the newest version of each named experiment, or of all, and the names there are not.

    All are those that are not archived. In the order of the names, or else by name.
    """
    rows = ExperimentVersion.objects.select_related("experiment").order_by("number")
    if names:
        rows = rows.filter(experiment__name__in=names)
    else:
        rows = rows.filter(experiment__archived_at__isnull=True)
    numbers = dict(rows.values_list("experiment_id", "pk"))
    found = {
        row.experiment.name: row
        for row in ExperimentVersion.objects.select_related("experiment").filter(
            pk__in=numbers.values()
        )
    }
    asked = list(dict.fromkeys(names)) or sorted(found)
    return [found[name] for name in asked if name in found], [
        name for name in asked if name not in found
    ]


def _bare(version: ExperimentVersion) -> str:
    """Return the text without marks and directives of its own, which would divide the stream."""
    if not MARK.search(version.text):
        return _ended(version.text)
    lines = [line for line in version.text.splitlines(keepends=True) if not MARK.match(line)]
    made = _ended("".join(lines))
    try:
        is_same = yaml.read(made) == uses.bare(version.document)
    except InvalidDocumentError:
        is_same = False
    return made if is_same else yaml.write(uses.bare(version.document))


def _ended(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"
