"""What the database itself saw: every status that a run left, every phase that an injection left.

Triggers note each change in a table of their own, so that no writer can pass them by and what was
rolled back was never noted.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

from experiments.domain.states import (
    INJECTION_MOVES,
    MAY_EXIST,
    TERMINAL,
    TRANSITIONS,
    InjectionPhase,
    Status,
)

_MAY_EXIST = ", ".join(f"'{phase.value}'" for phase in sorted(MAY_EXIST))
_STILL_LIVE = (
    "(SELECT COUNT(*) FROM experiments_injection"
    f" WHERE run_id = NEW.id AND phase IN ({_MAY_EXIST}))"
)
_WATCHED = (
    ("status", "experiments_run", _STILL_LIVE),
    ("phase", "experiments_injection", "0"),
)


@dataclass(frozen=True, slots=True)
class Seen:
    """One change of one row; ``live``: how many faults of a run may have existed as it moved."""

    kind: str
    row: int
    old: str
    new: str
    live: int


def install() -> None:
    """Begin to note."""
    remove()
    is_postgresql = connection.vendor == "postgresql"
    number = "BIGSERIAL PRIMARY KEY" if is_postgresql else "INTEGER PRIMARY KEY AUTOINCREMENT"
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE seen_moves (id {number}, kind TEXT, pk BIGINT, old TEXT, new TEXT,"
            " live BIGINT)"
        )
        for column, table, live in _WATCHED:
            note = (
                "INSERT INTO seen_moves (kind, pk, old, new, live)"
                f" VALUES ('{column}', NEW.id, OLD.{column}, NEW.{column}, {live});"
            )
            when = f"WHEN (OLD.{column} <> NEW.{column})"
            head = f"CREATE TRIGGER seen_{column} AFTER UPDATE OF {column} ON {table}"
            if is_postgresql:
                cursor.execute(
                    f"CREATE FUNCTION seen_{column}() RETURNS trigger AS $$"
                    f" BEGIN {note} RETURN NULL; END $$ LANGUAGE plpgsql"
                )
                cursor.execute(f"{head} FOR EACH ROW {when} EXECUTE FUNCTION seen_{column}()")
            else:
                cursor.execute(f"{head} {when} BEGIN {note} END")


def remove() -> None:
    """Note nothing any more, and forget what was noted."""
    with connection.cursor() as cursor:
        for column, table, _ in _WATCHED:
            if connection.vendor == "postgresql":
                cursor.execute(f"DROP TRIGGER IF EXISTS seen_{column} ON {table}")
                cursor.execute(f"DROP FUNCTION IF EXISTS seen_{column}()")
            else:
                cursor.execute(f"DROP TRIGGER IF EXISTS seen_{column}")
        cursor.execute("DROP TABLE IF EXISTS seen_moves")


def forget() -> None:
    """Forget what was noted so far."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM seen_moves")


def seen(after: int = 0) -> dict[int, Seen]:
    """Return what was noted after the given number, in its order, by number."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, kind, pk, old, new, live FROM seen_moves WHERE id > %s ORDER BY id", [after]
        )
        return {row[0]: Seen(*row[1:]) for row in cursor.fetchall()}


def wrong(found: Seen) -> str:
    """Say what is wrong with a change; empty when the tables hold it."""
    if found.kind == "phase":
        if found.new not in INJECTION_MOVES[InjectionPhase(found.old)]:
            return f"injection {found.row} went from {found.old} to {found.new}"
    elif found.new not in TRANSITIONS[Status(found.old)]:
        return f"run {found.row} went from {found.old} to {found.new}"
    elif found.new in TERMINAL and found.live:
        return f"run {found.row} was {found.new} while {found.live} fault(s) may have existed"
    return ""
