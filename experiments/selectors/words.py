"""Writes times, people and lengths as pages show them."""

from __future__ import annotations

from datetime import datetime

from experiments.models import User


def clock(seconds: float) -> str:
    """Return a length as ``1:05`` or ``1:02:03``."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def length(seconds: float) -> str:
    """Return a length as ``45 s``, ``3 min 5 s`` or ``2 h 10 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, left = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {left} s" if left else f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def moment(at: datetime) -> str:
    """Return the time of day, UTC."""
    return f"{at:%H:%M:%S}"


def person(user: User | None) -> str:
    """Return what pages call a person."""
    if user is None:
        return "somebody who has left"
    return user.get_full_name() or user.get_username()


def counted(count: int, noun: str) -> str:
    """Write a count with its noun: ``1 fault``, ``3 faults``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
