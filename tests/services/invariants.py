"""What must hold of the ledger, the journal and the backend after every step, whatever happens."""

from __future__ import annotations

from itertools import combinations

from hypothesis.stateful import RuleBasedStateMachine, invariant

from experiments.domain.states import LIVE, MAY_EXIST, SETTLED, InjectionPhase
from experiments.models import Claim, Injection, Orphan, Run
from experiments.services import removing
from tests.engine import moves
from tests.services.rehearsal import Rehearsal

_LIVE = sorted(status.value for status in LIVE)


class Invariants(RuleBasedStateMachine):
    """The runs of one example, and what is held against the tables and the backend."""

    rehearsal: Rehearsal

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[Run] = []
        self.ledger: list[Injection] = []
        self.noted = 0
        self.statuses: dict[int, list[tuple[str, str]]] = {}

    def read_ledger(self) -> None:
        rows = Injection.objects.filter(run__in=[run.pk for run in self.runs])
        unread = ("params", "handle", "observation", "evidence", "run__judgement", "run__problems")
        self.ledger = list(rows.select_related("run").defer(*unread))

    @invariant()
    def all_is_as_it_must_be(self) -> None:
        self.read_ledger()
        self.nothing_that_must_never_happen_has_happened()
        self.every_move_is_one_of_the_tables_and_is_in_the_journal()
        self.every_fault_on_the_backend_is_looked_after()
        self.an_unanswered_fault_is_read_back_again_and_again()
        self.whatever_may_exist_keeps_its_claims()
        self.no_ended_run_holds_or_leaves_anything()
        self.a_removal_that_fails_is_loud()

    def nothing_that_must_never_happen_has_happened(self) -> None:
        assert self.rehearsal.broken == []
        assert self.rehearsal.loud.exceptions == [], "no exception that nobody expected"

    def every_move_is_one_of_the_tables_and_is_in_the_journal(self) -> None:
        for number, found in moves.seen(self.noted).items():
            self.noted = number
            assert moves.wrong(found) == ""
            if found.kind == "status":
                self.statuses.setdefault(found.row, []).append((found.old, found.new))
        for run in self.runs:
            lines = list(run.events.filter(kind="status"))
            assert [(line.old, line.new) for line in lines] == self.statuses.get(run.pk, [])
            assert all(line.message and line.actor for line in lines)

    def every_fault_on_the_backend_is_looked_after(self) -> None:
        rows = {row.token: row for row in self.ledger}
        orphans = Orphan.objects.filter(gone_at__isnull=True).values_list("token", flat=True)
        known = {token for token, row in rows.items() if row.phase in MAY_EXIST} | set(orphans)
        known |= {token for token, row in rows.items() if row.unchecked_since is not None}
        there = set(self.rehearsal.marks().values())
        assert there - self.rehearsal.loose <= known
        assert self.rehearsal.coming() <= known, "a call that may yet take effect is waited for"

    def an_unanswered_fault_is_read_back_again_and_again(self) -> None:
        for row in self.ledger:
            is_read_back = row.phase == InjectionPhase.RECOVERED and row.by_hand_at is None
            if is_read_back and row.is_unanswered and row.token not in self.rehearsal.loose:
                assert row.settle_reads == len(removing.SETTLE_READS_S)

    def whatever_may_exist_keeps_its_claims(self) -> None:
        held = set(Claim.objects.filter(released_at__isnull=True).values_list("run_id", "key"))
        rows = [row for row in self.ledger if row.phase in MAY_EXIST]
        for row in rows:
            missing = {key for key in row.claims if (row.run_id, key) not in held}
            assert not missing or self.is_told(row, "is held by run"), f"{row} without {missing}"
        for one, two in combinations(rows, 2):
            if set(one.claims) & set(two.claims):
                assert any(self.has_come_back(row) for row in (one, two)), f"{one} and {two}"

    def no_ended_run_holds_or_leaves_anything(self) -> None:
        rows = self.ledger
        for row in rows:
            if row.run.status not in _LIVE:
                assert row.phase in SETTLED or self.has_come_back(row)
        kept = {
            (row.run_id, key)
            for row in rows
            for key in row.claims
            if row.phase in MAY_EXIST or row.unchecked_since is not None
        }
        ended = Claim.objects.filter(released_at__isnull=True).exclude(run__status__in=_LIVE)
        assert set(ended.values_list("run_id", "key")) <= kept

    def a_removal_that_fails_is_loud(self) -> None:
        for row in self.ledger:
            if row.phase == InjectionPhase.RECOVERING and row.failures >= 3:
                told = [text for text in self.rehearsal.loud.critical if row.action in text]
                assert any(f"run {row.run_id}:" in text for text in told)

    @staticmethod
    def has_come_back(row: Injection) -> bool:
        """Tell whether the fault was found again after it had been called recovered."""
        return row.recovered_at is not None and row.phase in MAY_EXIST

    @staticmethod
    def is_told(row: Injection, what: str) -> bool:
        lines = row.run.events.filter(kind="error", message__startswith=f"{row.action}:")
        return lines.filter(message__contains=what).exists()
