"""Values of the document that a form shows as two or three inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.forms.leaves import ABSENT, Compound, Leaf, Texts, number, scalar

PREVIOUS = "\0previous"
"""Stands for the name of the action above, until the rows are put together."""


def _last(given: Texts, key: str) -> str:
    texts = given.get(key, ())
    return texts[-1].strip() if texts else ""


def margin() -> tuple[Compound]:
    """Return the margin: an amount, and of what. A bare amount is left for the rules to refuse."""
    amount = Leaf(
        ("margin", "value"),
        "Margin",
        "quantity",
        help="How much worse than the baseline is still the same.",
        placeholder="20%",
    )
    of = Leaf(
        ("margin", "of"),
        "Margin counts",
        "choice",
        choices=(
            ("", "choose…"),
            ("relative", "relative: of the baseline"),
            ("absolute", "absolute: in the SLI's unit"),
        ),
        is_required=True,
    )

    def shows(value: Any) -> dict[str, list[str]]:
        if isinstance(value, Mapping) and len(value) == 1:
            (key,) = value
            if key in ("relative", "absolute"):
                return {amount.key: [scalar(value[key])], of.key: [key]}
        return {amount.key: [scalar(value)], of.key: [""]}

    def takes(given: Texts) -> Any:
        written, chosen = _last(given, amount.key), _last(given, of.key)
        if not written:
            return ABSENT
        value = number(written) if chosen == "absolute" else written
        return {chosen: value} if chosen else written

    return (Compound(("margin",), (amount, of), shows, takes),)


def baseline() -> Compound:
    """Return the baseline: a length to watch, or how much of the history to take."""
    mode = Leaf(
        ("timing", "baseline", "mode"),
        "Baseline",
        "choice",
        choices=(("length", "watch before the fault"), ("last", "take the history")),
        default="length",
        is_required=True,
    )
    length = Leaf(
        ("timing", "baseline", "length"),
        "For",
        "duration",
        help="What the fault's time is compared with.",
        placeholder="3m",
    )

    def shows(value: Any) -> dict[str, list[str]]:
        if isinstance(value, Mapping) and len(value) == 1:
            (key,) = value
            if key in ("length", "last"):
                return {mode.key: [key], length.key: [scalar(value[key])]}
        return {mode.key: ["length"], length.key: [scalar(value)]}

    def takes(given: Texts) -> Any:
        written, chosen = _last(given, length.key), _last(given, mode.key)
        if chosen == "last":
            return {"last": written}
        return written or ABSENT

    return Compound(("timing", "baseline"), (mode, length), shows, takes)


def start() -> Compound:
    """Return when an action begins: first, after the one above, after or with others, later."""
    mode = Leaf(
        ("start", "mode"),
        "Starts",
        "choice",
        choices=(
            ("", "after the one above"),
            ("first", "at the beginning"),
            ("after", "after others"),
            ("with", "with others"),
        ),
        is_required=True,
    )
    names = Leaf(
        ("start", "names"),
        "Which actions",
        help="Names of actions, separated by commas.",
        placeholder="slow-carts",
        answers_for=("start-after", "start-with"),
    )
    delay = Leaf(("start", "delay"), "Wait before it starts", "duration", placeholder="0s")

    def shows(value: Any) -> dict[str, list[str]]:
        shown = {mode.key: [""], names.key: [""], delay.key: [""]}
        if not isinstance(value, Mapping):
            return shown | {names.key: [scalar(value)]}
        if not set(value) <= {"with", "after", "delay"} or ("with" in value and "after" in value):
            return shown | {names.key: [scalar(dict(value))]}
        key = next((key for key in ("with", "after") if key in value), "first")
        others = value.get(key, [])
        listed = ", ".join(map(scalar, others)) if isinstance(others, list) else scalar(others)
        return {mode.key: [key], names.key: [listed], delay.key: [scalar(value.get("delay"))]}

    def takes(given: Texts) -> Any:
        chosen, later = _last(given, mode.key), _last(given, delay.key)
        wait = {"delay": later} if later else {}
        if chosen == "first":
            return wait
        if not chosen:
            return {"after": [PREVIOUS], **wait} if wait else ABSENT
        others = [word.strip() for word in _last(given, names.key).split(",") if word.strip()]
        return {chosen: others or [""], **wait}

    return Compound(("start",), (mode, names, delay), shows, takes)
