"""Pages: somebody else saved meanwhile. What both changed is merged, and what overlaps is asked.

Nothing is stored before the author has seen the text of both. Whatever is posted comes back: the
author's own text, the choices, and the merged text with what was written into it by hand.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from experiments.domain import uses
from experiments.domain.differences import differences
from experiments.domain.errors import InvalidDocumentError
from experiments.domain.merging import SIDES, Conflict, Side
from experiments.domain.merging_text import MergedText, merge_texts
from experiments.forms import written
from experiments.forms.mapping import Fields
from experiments.models import ExperimentVersion
from experiments.selectors import authoring as plans
from experiments.services import previewing
from experiments.views import completion
from experiments.views.versions import compared

_CHOICE = "choice:"
_UNCHOSEN = "Choose for each thing that you both changed whose it shall be; nothing is stored yet."
_CHANGED = "The text has your choices now: look at it, then save. Nothing is stored yet."
_UNREADABLE = "The text cannot be read, so the choices were not put into it: {}"


@dataclass(frozen=True, slots=True)
class Asked:
    """One conflict as the page asks for it; ``chosen`` is empty before it was answered."""

    conflict: Conflict
    chosen: str

    @property
    def name(self) -> str:
        """Return the name of its inputs."""
        return f"{_CHOICE}{self.conflict.key}"


def show(
    request: HttpRequest,
    *,
    mine: str,
    view: str,
    began: ExperimentVersion | None,
    theirs: ExperimentVersion,
    fields: Fields,
    draft_key: str,
) -> HttpResponse:
    """Show what somebody else saved beside what was to be saved, and both together."""
    context = _page(mine, view, began, theirs, fields) | {"draft_key": draft_key}
    try:
        merged = merge_texts(began.text, theirs.text, mine) if began else None
    except InvalidDocumentError:  # a version of a time when texts were read otherwise
        merged = None
    context |= _merged(merged, {}, merged.text if merged else "")
    return render(request, "experiments/conflict.html", context, status=409)


def again(
    request: HttpRequest, *, fields: Fields, theirs: ExperimentVersion, draft_key: str
) -> HttpResponse | None:
    """Put the posted choices into the posted text and show both; None where all is there to save.

    ``theirs`` is the version that the text was merged with. What was written into the text by hand
    stays; where a choice is about the same, the hand wins.
    """
    began = plans.version(theirs.experiment, _number(fields.get("began")))
    if began is None:
        return None
    is_saving = (fields.get("do") or "").startswith("save")
    mine = written.lines_like(fields.get("mine") or "", theirs.text)
    choices = _choices(fields)
    made, text = (written.lines_like(fields.get(key) or "", mine) for key in ("made", "text"))
    try:
        merged = merge_texts(began.text, theirs.text, mine, choices)
    except InvalidDocumentError as error:
        # No page sends this; whoever does gets back what was to be saved.
        context = _page(text or mine, "yaml", began, theirs, fields)
        context |= {"merged": None, "draft_key": draft_key, "refused": f"{error}"}
        return render(request, "experiments/conflict.html", context, status=422)
    is_open = any(each.key not in choices for each in merged.conflicts)
    is_in_text = _told(choices) == (fields.get("chosen") or _told({}))
    if is_saving and is_in_text and not is_open:
        return None
    notice = _UNCHOSEN if is_saving and is_open else _CHANGED if is_saving else ""
    shown = merged.text
    if text != made:
        try:
            shown = merge_texts(made, merged.text, text, otherwise="mine").text
        except InvalidDocumentError as error:
            shown, notice = text, _UNREADABLE.format(error)
    context = _page(mine, fields.get("came") or "yaml", began, theirs, fields)
    context |= _merged(merged, choices, shown)
    context |= {"draft_key": draft_key, "notice": notice}
    return render(request, "experiments/conflict.html", context, status=422 if is_saving else 200)


def _page(
    mine: str,
    view: str,
    began: ExperimentVersion | None,
    theirs: ExperimentVersion,
    fields: Fields,
) -> dict[str, Any]:
    first, now = (uses.bare(each.document) if each else {} for each in (began, theirs))
    state = written.from_text(mine, catalogue=previewing.catalogue())
    own = uses.bare(state.document)
    return {
        "experiment": theirs.experiment,
        "theirs": theirs,
        "began": began,
        "their_changes": differences(first, now) if began else [],
        "my_changes": differences(first, own) if began else [],
        "mine": mine,
        "view": view,
        "based_on": began.number if began else 0,
        "message": fields.get("message") or "",
        "environment": fields.get("environment") or "",
        "old_label": f"version {theirs.number}, theirs",
        "new_label": "yours",
        "schema_version": completion.schema_version(),
        "words_json": json.dumps(completion.words(plans.environments())),
        **compared(theirs.text, mine, now, own),
    }


def _merged(merged: MergedText | None, choices: dict[str, Side], shown: str) -> dict[str, Any]:
    if merged is None:
        return {"merged": None}
    return {
        "merged": merged,
        "asked": [Asked(each, choices.get(each.key, "")) for each in merged.conflicts],
        "open_count": sum(each.key not in choices for each in merged.conflicts),
        "chosen": _told(choices),
        "made": merged.text,
        "yaml": shown,
        "is_changed": bool(choices) or shown != merged.text,
    }


def _choices(fields: Fields) -> dict[str, Side]:
    """Return the answers that were posted."""
    found: dict[str, Side] = {}
    for name in fields:
        if name.startswith(_CHOICE):
            answer = fields.get(name)
            for side in SIDES:
                if answer == side:
                    found[name.removeprefix(_CHOICE)] = side
    return found


def _told(choices: dict[str, Side]) -> str:
    return json.dumps(choices, sort_keys=True)


def _number(given: str | None) -> int:
    return int(given) if given and given.isdecimal() and len(given) < 7 else 0
