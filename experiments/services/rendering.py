"""Writes a preview as text, line by line, so that those of two versions can be compared."""

from __future__ import annotations

from collections.abc import Iterator

from experiments.services.previewing import ActionPreview, Preview


def as_text(preview: Preview) -> str:
    """Return all that would be done and sent, without what only this moment knows."""
    return "\n".join(_lines(preview)) + "\n"


def _lines(preview: Preview) -> Iterator[str]:
    if preview.errors:
        yield "This version has errors today; what can be read of it is shown."
        yield from (f"  {error}" for error in preview.errors)
        yield ""
    yield "Timeline"
    if preview.schedule is None:
        yield "  not known: an action has no length, or no start"
    else:
        yield from (f"  {bar.says}" for bar in preview.schedule.bars)
        yield f"  {preview.schedule.total} in all"
    if preview.blast:
        yield ""
        yield "What it breaks"
        yield f"  {preview.blast}"
    for action in preview.actions:
        yield ""
        yield from _action(action)
    if preview.guardrails:
        yield ""
        yield "Guardrails"
        for each in preview.guardrails:
            whose = " (of the environment)" if each.is_of_environment else ""
            yield f"  {each.name}{whose}: {each.rule}; {each.no_data}"
    if preview.lacks or preview.warnings:
        yield ""
        yield "Problems there"
        yield from (f"  {error}" for error in preview.lacks)
        yield from (f"  {each.where}: {each.message}" for each in preview.warnings)


def _action(action: ActionPreview) -> Iterator[str]:
    yield f"{action.name} · {action.kind}{f' via {action.via}' if action.via else ''}"
    switch = f"Dead-man’s switch: {action.dead_man}" if action.dead_man else ""
    for told in (action.blast, action.note, action.undo, action.ends, switch):
        if told:
            yield f"  {told}"
    for document in action.documents:
        yield f"  to {document.target}:"
        yield from (f"    {line}" for line in document.body.splitlines())
