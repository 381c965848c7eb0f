"""The secrets of environments: kept encrypted, written into headers as they are sent, never told.

Nothing here returns a value but ``filled``, for the one request that it is about.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.utils.dateparse import parse_datetime

from experiments.domain import secrets, spec
from experiments.domain.errors import SpecError
from experiments.models import Environment, User
from experiments.services import clock, people

SHORTEST, LONGEST = 8, 4096
"""Characters. A shorter one could not be told from other text in an answer that echoes it."""
_UNREADABLE = (
    "the secrets of {} cannot be decrypted: start with the CHAOSWEB_FIELD_KEY of that time,"
    " or enter them anew on its page"
)


class SecretError(Exception):
    """A secret that a request needs is not there, or cannot be read; says which and why."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What may be told of one secret: never its value."""

    name: str
    set_at: datetime | None
    set_by: str


@dataclass(frozen=True, slots=True)
class Filled:
    """Headers as they are sent, and how to take the secrets out of what comes back."""

    headers: Mapping[str, str] = field(repr=False)
    _masks: tuple[tuple[re.Pattern[str], str], ...] = field(repr=False, default=())
    _longest: int = 0

    def masked(self, text: str, *, is_cut: bool = False) -> str:
        """Return the text with ``${secret:name}`` for each secret, however it is escaped.

        A text that was cut may end within a secret: so much of its end is left out that no letter
        of one stays.
        """
        text = text[: self._whole(text)] if is_cut else text
        for pattern, shown in self._masks:
            text = shown.join(pattern.split(text))
        return text

    def _whole(self, text: str) -> int:
        """Return up to where a cut text holds whole secrets only."""
        end, before = max(len(text) - self._longest, 0), -1
        while end != before:
            before = end
            for pattern, _ in self._masks:
                end = min(
                    [end, *(each.start() for each in pattern.finditer(text) if each.end() > end)]
                )
        return end


def is_readable(environment: Environment) -> bool:
    """Return whether the secrets can be decrypted; the field gives ciphertext back if not."""
    return isinstance(environment.secrets or {}, Mapping)


def kept(environment: Environment) -> list[Kept]:
    """Return what may be told of each secret, by name; of unreadable ones, nothing."""
    stored = environment.secrets if is_readable(environment) else {}
    return [_kept(name, entry) for name, entry in sorted((stored or {}).items())]


def filled(headers: Mapping[str, str], environment: Environment) -> Filled:
    """Write the environment's secrets into the headers. Raises SecretError."""
    wanted = secrets.of_headers(headers)
    if not wanted:
        return Filled(headers)
    if not is_readable(environment):
        raise SecretError(_UNREADABLE.format(environment))
    values = {name: _value(entry) for name, entry in (environment.secrets or {}).items()}
    missing = [name for found in wanted.values() for name in found if not values.get(name)]
    if missing:
        raise SecretError(_missing(missing[0], environment))
    used = {name: values[name] for found in wanted.values() for name in found}
    sent = {
        header: secrets.REFERENCE.sub(lambda match: values[match[1]], value)
        for header, value in headers.items()
    }
    longest_first = sorted(used.items(), key=lambda each: -len(each[1]))
    masks = tuple((_pattern(text), _shown(name)) for name, text in longest_first)
    return Filled(sent, masks, max(map(_longest, used.values())))


def lacking(document: spec.Experiment, environment: Environment) -> list[SpecError]:
    """Return an error for each header whose secret the environment does not have."""
    found = []
    for index, probe in enumerate(document.probes):
        wanted = secrets.of_headers(probe.http.headers) if probe.http else {}
        for header, names in wanted.items():
            path = ("probes", index, "http", "headers", header)
            if not is_readable(environment):
                found.append(SpecError(path, _UNREADABLE.format(environment)))
                continue
            there = environment.secrets or {}
            found += [
                SpecError(path, _missing(name, environment)) for name in names if name not in there
            ]
    return found


def unfit(text: str) -> str:
    """Return why a text cannot be a secret; empty when it can."""
    if not SHORTEST <= len(text) <= LONGEST:
        return f"must have {SHORTEST} to {LONGEST} characters"
    if not text.isascii() or not text.isprintable() or text != text.strip():
        return "must be one line of plain ASCII text, without blanks around it, as headers take it"
    return ""


def save(*, user: User, environment: Environment, changes: Mapping[str, str | None]) -> None:
    """Set or (None) remove secrets; those that are not named stay. Raises PermissionDenied.

    Where the stored ones cannot be decrypted, those that are set replace them all.
    """
    people.require(user, "administer", "change secrets")
    now = clock.now().isoformat()
    with transaction.atomic():
        row = Environment.objects.select_for_update().get(pk=environment.pk)
        stored = dict(row.secrets or {}) if is_readable(row) else {}
        for name, text in changes.items():
            if text is None:
                stored.pop(name, None)
                continue
            if not re.fullmatch(secrets.NAME, name) or unfit(text):
                raise ValueError(f"“{name}” cannot be kept")  # forms check, and tell, before
            stored[name] = {"text": text, "set_at": now, "set_by": user.username}
        row.secrets = stored
        row.save(update_fields=["secrets"])


def _value(entry: object) -> str:
    found = entry.get("text") if isinstance(entry, Mapping) else entry
    return found if isinstance(found, str) else ""


def _kept(name: str, entry: object) -> Kept:
    told = entry if isinstance(entry, Mapping) else {}
    return Kept(name, parse_datetime(str(told.get("set_at", ""))), str(told.get("set_by", "")))


def _missing(name: str, environment: Environment) -> str:
    return f"{environment} has no secret “{name}”: an admin enters it on the environment's page"


def _shown(name: str) -> str:
    return f"${{secret:{name}}}"


def _pattern(text: str) -> re.Pattern[str]:
    """Return what finds the text in an answer, as JSON, URLs and HTML escape it, too."""
    return re.compile("".join(map(_spellings, text)))


def _longest(text: str) -> int:
    """Return how many characters the longest spelling of a text takes (``&#x0000nn;``)."""
    return sum(1 if letter.isalnum() else len("&#x0000nn;") for letter in text)


def _spellings(letter: str) -> str:
    if letter.isalnum():
        return letter
    code = f"{ord(letter):02x}"
    plain = sorted({letter, f"\\{letter}", html.escape(letter)}, key=len, reverse=True)
    blank = r"|\+" if letter == " " else ""
    written = "|".join(map(re.escape, plain))
    coded = rf"\\u00(?i:{code})|%(?i:{code})|&#(?i:x0{{0,4}}{code}|0{{0,4}}{ord(letter)});"
    return f"(?:{written}|{coded}{blank})"
