"""Chaos Mesh's YAML to experiments: objects with faults, Schedules and Workflows.

What a fault's spec means is the driver's to say: ``format_of`` is given its reader, so that nothing
here knows the driver. Chaos Mesh measures nothing; a probe stands in until the author has SLIs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from experiments.domain.errors import Path
from experiments.domain.spec import API_VERSION, RESERVED
from experiments.importers.base import Draft, Format, Imported, Note, Source, Written
from experiments.importers.chaosmesh_book import Book, Found, Reader, clean_name, payload_of
from experiments.importers.chaosmesh_workflow import timeline

GROUP = "chaos-mesh.org/"
_NOT_READ = {
    "WorkflowNode": "a step of a workflow that ran",
    "StatusCheck": "a check without an experiment; write it as a probe",
    "PhysicalMachine": "an address of a machine, not a fault",
    "RemoteCluster": "a cluster, not a fault",
    "PodNetworkChaos": "Chaos Mesh’s own note of a fault",
    "PodIOChaos": "Chaos Mesh’s own note of a fault",
    "PodHttpChaos": "Chaos Mesh’s own note of a fault",
}
_LONGEST_HYPOTHESIS = 500


def detect(source: Source) -> float:
    """Return 1 where a document is of Chaos Mesh."""
    found = (raw for each in source.documents for raw, _ in _each(each))
    return 1.0 if any(_is_ours(raw) for raw in found) else 0.0


def _each(written: Written) -> Iterator[tuple[Any, Path]]:
    """Yield the objects of a written document with their paths: kubectl prints Lists."""
    raw, path = written.raw, list[str | int]()
    if isinstance(raw, Mapping) and raw.get("kind") == "List":
        raw, path = raw.get("items"), ["items"]
    if not isinstance(raw, list):
        yield raw, ()
        return
    for index, item in enumerate(raw):
        yield item, (*path, index)


def _is_ours(raw: Any) -> bool:
    return isinstance(raw, Mapping) and str(raw.get("apiVersion", "")).startswith(GROUP)


def format_of(reader: Reader) -> Format:
    """Return the format, which reads faults with the driver's reader."""
    return Format(
        name="chaosmesh",
        title="Chaos Mesh",
        needs=f"apiVersion: {GROUP}v1alpha1 and a kind such as PodChaos, Schedule or Workflow",
        detect=detect,
        convert=lambda source: convert(source, reader),
    )


def convert(source: Source, reader: Reader) -> Imported:
    """Return a draft for each fault, Schedule and Workflow of the source."""
    drafts: list[Draft] = []
    notes: list[Book] = []
    for written in source.documents:
        for raw, path in _each(written):
            book = Book(written, reader, within=path)
            notes.append(book)
            drafts += _drafts(raw, book)
    return Imported(
        "chaosmesh",
        tuple(drafts),
        tuple(note for book in notes for note in book.kept),
        tuple(note for book in notes for note in book.changed),
        tuple(note for book in notes for note in book.lost),
        (*source.errors, *(error for book in notes for error in book.errors)),
    )


def _drafts(raw: Any, book: Book) -> list[Draft]:
    if raw is None:
        return []
    if not _is_ours(raw):
        kind = raw.get("kind") if isinstance(raw, Mapping) else None
        book.lose((), f"{kind or 'a document'}: is no object of Chaos Mesh")
        return []
    kind, metadata = str(raw.get("kind", "")), _mapping(raw.get("metadata"))
    called = str(metadata.get("name") or "")
    if kind in _NOT_READ:
        book.lose((), f"{kind} “{called}”: {_NOT_READ[kind]}")
        return []
    if not called:
        book.wrong(("metadata",), "has no name; generated names are not read")
        return []
    made: list[Found]
    namespace = str(metadata.get("namespace") or "default")
    if kind == "Workflow":
        _lose_metadata(metadata, book)
        made = timeline(raw.get("spec"), book, namespace=namespace, at=("spec",))
    elif kind == "Schedule":
        _lose_metadata(metadata, book)
        made = _schedule(raw, called, namespace, book)
    else:
        made = book.fault(book.reader.read(raw), clean_name(called), kind)
    if book.errors or not made:
        if not book.errors:
            book.wrong((), f"{kind} “{called}” holds nothing that can be injected")
        return []
    document = _document(called, kind, made, book)
    book.kept.append(Note(f"{kind} “{called}”: {_counted(made)}", book.line(())))
    return [Draft(document, book.written, book.within)]


def _counted(made: Sequence[Found]) -> str:
    faults = [each.action["fault"] for each in made if "fault" in each.action]
    waits = len(made) - len(faults)
    words = ", ".join(dict.fromkeys(faults))
    return f"{words} and {waits} wait{'s' if waits > 1 else ''}" if waits else words


def _lose_metadata(metadata: Mapping[str, Any], book: Book) -> None:
    for key in ("labels", "annotations", "namespace"):
        if metadata.get(key):
            book.lose(("metadata", key), f"metadata.{key}")


def _schedule(raw: Mapping[str, Any], called: str, namespace: str, book: Book) -> list[Found]:
    spec = _mapping(raw.get("spec"))
    book.lose_cron(spec, ("spec",))
    kind = str(spec.get("type", ""))
    key, inner = payload_of(spec, kind)
    if inner is None:
        book.wrong(("spec",), f"has no {key}, which its type {kind or '(missing)'} asks for")
        return []
    if kind == "Workflow":
        return timeline(inner, book, namespace=namespace, at=("spec", key))
    read = book.reader.read_spec(kind, inner, name=called, namespace=namespace, at=("spec", key))
    return book.fault(read, clean_name(called), kind)


def _document(called: str, kind: str, made: Sequence[Found], book: Book) -> dict[str, Any]:
    name = clean_name(called)
    if name in RESERVED:
        name = f"{name}-fault"
        book.change(("metadata", "name"), f"is called {name}: “{called}” is an address of ours")
    elif name != called:
        book.change(("metadata", "name"), f"is called {name} here, not {called}")
    sentences = [each.sentence for each in made if each.sentence]
    told = "; ".join(sentences)
    hypothesis = f"The steady state holds while a fault {told}."
    if len(hypothesis) > _LONGEST_HYPOTHESIS:
        hypothesis = f"The steady state holds while {len(sentences)} faults come and go."
    document: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "kind": "Experiment",
        "metadata": {"name": name, "title": called, "tags": ["chaosmesh"]},
        "hypothesis": hypothesis,
        "probes": [*book.probes] or [_probe(made, book)],
        "method": [each.action for each in made],
    }
    if kind == "Schedule":
        document["metadata"]["description"] = f"Imported from the Schedule “{called}”."
    return document


def _probe(made: Sequence[Found], book: Book) -> dict[str, Any]:
    """Return what is judged until the author says what should be."""
    namespaces = sorted({each for found in made for each in found.namespaces})
    told = "nothing is measured in Chaos Mesh: a probe stands in, put your SLIs in its place"
    book.change((), told)
    if namespaces:
        chosen = "|".join(namespaces)
        query = f'sum(kube_pod_status_phase{{namespace=~"{chosen}",phase=~"Pending|Failed"}})'
        return {
            "name": "no-pod-is-pending-or-failed",
            "at": ["start", "end"],
            "promql": {"source": "metrics", "query": query},
            "tolerance": {"max": 0},
        }
    return {
        "name": "everything-is-up",
        "at": ["start", "end"],
        "promql": {"source": "metrics", "query": "min(up)"},
        "tolerance": {"min": 1},
    }


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
