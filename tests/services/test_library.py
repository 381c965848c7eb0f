"""The rehearsals of the library run from request to verdict."""

from __future__ import annotations

import pytest

from experiments import backends
from experiments.models import Alias, Connection, Environment
from experiments.services import authoring, launching, library
from tests.services.rehearsal import Sources
from tests.services.worlds import ENDED

pytestmark = pytest.mark.django_db(transaction=True)
REHEARSALS = [each for each in library.starters() if each.is_rehearsal]


@pytest.fixture
def rehearsal(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """Bind the alias that rehearsals name, to a source that answers every query with 1."""
    monkeypatch.setattr(backends, "prometheus", lambda connection: Sources())
    connection = Connection.objects.get(name="fake")
    Alias.objects.create(environment=environment, name="rehearsal", connection=connection)
    return environment


@pytest.mark.parametrize("starter", REHEARSALS, ids=[each.name for each in REHEARSALS])
def test_a_rehearsal_runs_to_its_verdict(starter, rehearsal, alice, pump, control):
    raw = library.fresh(starter)
    version = authoring.save(raw=raw, author=alice, written=library.written(starter.name, raw))
    run = launching.request_run(
        version=version, environment=rehearsal, user=alice, idempotency_key="k"
    )
    questions = [action.name for action in starter.document.method if hasattr(action, "checkpoint")]
    for name in questions:
        pump.run_until(run, "injecting", *ENDED)
        for _ in range(900):
            run.refresh_from_db()
            if run.waiting_for == "checkpoint":
                break
            pump.pass_time(2)
        assert launching.answer_checkpoint(run=run, name=name, user=alice)
    pump.run_until(run, *ENDED, step_s=2)
    assert (run.status, run.ended_by) == ("completed", "plan"), run.reason
    assert run.verdict == "held", run.judgement
    phases = {row.action: row.phase for row in run.injections.all()}
    assert phases == {action.name: "recovered" for action in starter.document.faults}
    assert control.live() == set()
