"""Reads the moment or the span that a person asks about, as people and alerts write it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from experiments.domain.errors import InvalidDocumentError, SpecError

_UNITS_S = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AGO = re.compile(r"-?\s*(\d{1,9})\s*(s|m|min|h|d|w)(\s+ago)?", re.ASCII)
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?\s*(?:z|utc)?", re.ASCII)
_EPOCH = re.compile(r"(\d{9,10})(\d{3})?(?:\.\d+)?", re.ASCII)
_LOST_PLUS = re.compile(r"(:\d{2}(?:\.\d+)?) (\d{2}:?\d{2})$", re.ASCII)
"""A + of an address that nobody escaped arrives as a space."""
_SECONDS = re.compile(r"[T ]\d{2}:\d{2}:\d{2}", re.ASCII)
_ZONE = re.compile(r"(?:\s*z|\s+utc)$", re.ASCII)
_DAY = timedelta(days=1)
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_LONGEST = 64
_HOW = "write 14:02, 2026-11-21T14:02, -15m or now (UTC unless it says otherwise)"


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when, both included; a moment is as wide as it was written."""

    start: datetime
    end: datetime
    is_moment: bool = False

    @property
    def is_minute(self) -> bool:
        """Return whether it is a moment that was written without seconds."""
        return self.is_moment and self.end - self.start > timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class _Read:
    at: datetime
    width: timedelta
    """How exact it was written: a day, a minute, a second or, for now, nothing."""


def read(query: Mapping[str, str], now: datetime) -> Span:
    """Return the span between ``at`` and ``until``; without either it is now.

    Without ``until`` the moment ``at`` is meant: the whole minute of 14:02, the whole second of
    14:02:07, the whole day of a date. Nothing lies after now. Raises InvalidDocumentError.
    """
    errors = []
    at, until = query.get("at", ""), query.get("until", "")
    first = last = None
    try:
        first = _moment(at, now)
        if first.at > now:
            raise ValueError("has not come yet")
    except ValueError as error:
        errors.append(SpecError(("at",), str(error)))
    if until.strip():
        try:
            last = _moment(until, now, after=first.at if first else None)
            if first is not None and last.at < first.at:
                raise ValueError("lies before the beginning")
        except ValueError as error:
            errors.append(SpecError(("until",), str(error)))
    if errors or first is None:
        raise InvalidDocumentError(errors)
    if last is None:
        end = first.at + first.width - timedelta(microseconds=1 if first.width else 0)
        return Span(first.at, min(now, end), is_moment=first.width < _DAY)
    end = last.at + _DAY - timedelta(microseconds=1) if last.width == _DAY else last.at
    return Span(first.at, min(now, end))


def _moment(said: str, now: datetime, after: datetime | None = None) -> _Read:
    """Return the moment. A time of day is the last one before now, or the first one ``after``.

    Raises ValueError, with a sentence that goes on after the field's name.
    """
    text = said.replace("\x00", "").strip().lower()
    if text in ("", "now"):
        return _Read(now, timedelta(0))
    try:
        found = _relative(text, now) or _clock(text, now, after) or _absolute(text)
        is_early = found.at < _EARLIEST
    except (ValueError, OverflowError) as error:
        raise ValueError(f"“{said[:_LONGEST]}” is no time: {_HOW}") from error
    if is_early:
        raise ValueError("lies before the year 2000")
    return found


def _relative(text: str, now: datetime) -> _Read | None:
    match = _AGO.fullmatch(text)
    if match is None:
        return None
    ago = timedelta(seconds=int(match[1]) * _UNITS_S[match[2]])
    return _Read(now - ago, timedelta(seconds=1))


def _clock(text: str, now: datetime, after: datetime | None) -> _Read | None:
    match = _CLOCK.fullmatch(text)
    if match is None:
        return None
    of_day = time(int(match[1]), int(match[2]), int(match[3] or 0), tzinfo=UTC)
    width = timedelta(seconds=1) if match[3] else timedelta(minutes=1)
    if after is not None:
        at = datetime.combine(after.date(), of_day)
        return _Read(at if at >= after else at + _DAY, width)
    at = datetime.combine(now.date(), of_day)
    return _Read(at if at <= now else at - _DAY, width)


def _absolute(text: str) -> _Read:
    match = _EPOCH.fullmatch(text)
    if match is not None:
        return _Read(datetime.fromtimestamp(int(match[1]), UTC), timedelta(seconds=1))
    written = _ZONE.sub("+00:00", _LOST_PLUS.sub(r"\1+\2", text)).upper()
    try:
        return _Read(datetime.combine(date.fromisoformat(written), time(tzinfo=UTC)), _DAY)
    except ValueError:
        at = datetime.fromisoformat(written)
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    is_exact = at.second or _SECONDS.search(written)
    return _Read(at, timedelta(seconds=1) if is_exact else timedelta(minutes=1))
