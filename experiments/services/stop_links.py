"""Makes, reads and uses stop links: signed addresses that stop, and can do nothing else.

The signature stands for the row's id, so that an address can be shown again, and holds no secret
that the database would have to keep. Errors::

    BrokenLinkError (ValueError)   no address of ours: mistyped, cut off, or signed with another key
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core import signing
from django.utils.crypto import constant_time_compare

from experiments.domain.states import EndedBy
from experiments.models import Environment, Run, StopLink, User
from experiments.selectors import words
from experiments.services import clock, halting, launching, people

_SALT = "experiments.stop_link"
_SEPARATOR = "."
_NOTE_LENGTH = 80
_ID_LENGTH = 18

LASTS: dict[str, timedelta] = {
    "8h": timedelta(hours=8),
    "1d": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
"""For how long a link may be made."""


class BrokenLinkError(ValueError):
    """There is no such link."""


@dataclass(frozen=True, slots=True)
class Pressed:
    """What one use of a link did."""

    runs_stopped: int
    failed: dict[int, str]


def make(
    *,
    user: User,
    lasts: timedelta,
    run: Run | None = None,
    environment: Environment | None = None,
    note: str = "",
) -> StopLink:
    """Make a link that stops the run, or halts the environment, or everything (both None).

    Raises PermissionDenied for anybody who may not launch runs.
    """
    people.require(user, "launch_run", "make stop links")
    now = clock.now()
    return StopLink.objects.create(
        run=run,
        environment=environment if run is None else None,
        note=note.strip(),
        created_by=user,
        created_at=now,
        expires_at=now + lasts,
    )


def revoke(*, link: StopLink, user: User) -> bool:
    """Make the link useless. Return whether this call did. Raises PermissionDenied."""
    people.require(user, "launch_run", "revoke stop links")
    revoked = StopLink.objects.filter(pk=link.pk, revoked_at__isnull=True)
    return bool(revoked.update(revoked_at=clock.now()))


def token_of(link: StopLink) -> str:
    """Return the signed part of the link's address."""
    return signing.Signer(sep=_SEPARATOR, salt=_SALT).sign(_signed(link))


def _signed(link: StopLink) -> str:
    """Return what is signed: an id may be given again after a restored backup, a moment is not."""
    return f"{link.pk}-{int(link.created_at.timestamp() * 1000)}"


def read(token: str) -> StopLink:
    """Return the link that the token is of, whether or not it still works.

    Raises BrokenLinkError.
    """
    try:
        found = signing.Signer(sep=_SEPARATOR, salt=_SALT).unsign(token)
    except signing.BadSignature as error:
        raise BrokenLinkError("the signature does not fit") from error
    number, _, _ = found.partition("-")
    if not (number.isascii() and number.isdigit() and len(number) <= _ID_LENGTH):
        raise BrokenLinkError("no id was signed")
    rows = StopLink.objects.select_related(
        "environment", "created_by", "run__environment", "run__version__experiment"
    )
    link = rows.filter(pk=int(number)).first()
    if link is None or not constant_time_compare(_signed(link), found):
        raise BrokenLinkError("the link is gone")
    return link


def why_useless(link: StopLink, now: datetime) -> str:
    """Say why the link stops nothing any more; empty while it works."""
    if link.revoked_at is not None:
        return "revoked"
    return "expired" if link.expires_at <= now else ""


def actor_of(link: StopLink) -> str:
    """Return who the journal says it was."""
    called = f"“{link.note[:_NOTE_LENGTH]}”" if link.note else str(link.pk)
    by = link.created_by.username[: _NOTE_LENGTH // 2] if link.created_by else words.person(None)
    return f"stop link {called} (made by {by})"


def press(link: StopLink) -> Pressed:
    """Stop the run, or halt the scope; idempotent. The link was read and still works."""
    actor = actor_of(link)
    if link.run is not None:
        stopped = launching.stop_run(
            run=link.run, actor=actor, reason=f"stopped by {actor}", ended_by=EndedBy.PERSON
        )
        pressed = Pressed(int(stopped), {})
    else:
        halted = halting.halt(
            environment=link.environment, actor=actor, reason="somebody used the stop link"
        )
        pressed = Pressed(halted.runs_stopped, halted.failed)
    StopLink.objects.filter(pk=link.pk).update(last_used_at=clock.now())
    return pressed
