"""What a person removed by hand, and the faults that no run looks after."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from drivers import fake
from drivers.fake import FakeAbort, FakeControl, Step
from drivers.protocol import ConnectionConfig, FaultRequest
from experiments import backends
from experiments.models import Claim, Connection, Orphan
from experiments.services import checking
from tests import factories
from tests.views.conftest import assert_kept_by_csp, assert_sent_to_sign_in, client_of

pytestmark = pytest.mark.django_db
WHY = "ran the command on mesh-1"


def text(response: Any) -> str:
    return str(response.content.decode())


@pytest.fixture
def stuck(version, place, alice):
    return factories.unconfirmed(version, place, alice)


def remove(client: Any, run: Any, reason: str = WHY, action: str = "slow-carts") -> Any:
    return client.post(f"/runs/{run.pk}/faults/{action}/removed/", {"reason": reason})


class TestRemovedByHand:
    def test_an_operator_says_so_and_the_run_page_tells_it(self, operator, stuck):
        html = text(operator.get(f"/runs/{stuck.pk}/"))
        assert "I removed it by hand" in html
        assert f'action="/runs/{stuck.pk}/faults/slow-carts/removed/"' in html
        assert html.index("runtime_modify") < html.index("I removed it by hand")
        assert_kept_by_csp(html)
        response = remove(operator, stuck)
        assert response["Location"] == f"/runs/{stuck.pk}/"
        html = text(operator.get(f"/runs/{stuck.pk}/"))
        assert "removed by hand by alice" in html
        assert "not yet checked" in html
        assert WHY in html
        assert "I removed it by hand" not in html
        assert "This may still be broken" in html
        assert "it may still be there" in html
        assert ", as read back" not in html.split("Journal")[0]
        assert_kept_by_csp(html)

    def test_the_overview_and_the_badge_keep_counting_it_until_it_is_checked(self, operator, stuck):
        remove(operator, stuck)
        html = text(operator.get("/"))
        assert "it may still be there" in html
        assert "1 not confirmed as removed" in html
        assert "1 fault live" in text(operator.get("/live-badge/"))
        now = timezone.now()
        stuck.injections.update(
            unchecked_since=None, observed_at=now, observation=factories.observed("gone")
        )
        assert "Nothing is broken on purpose" in text(operator.get("/"))
        assert "nothing live" in text(operator.get("/live-badge/"))
        html = text(operator.get(f"/runs/{stuck.pk}/"))
        assert "checked gone" in html
        assert f"{now:%H:%M:%S}" in html

    def test_one_that_was_still_there_is_told(self, operator, stuck):
        remove(operator, stuck)
        stuck.injections.update(unchecked_since=None, phase="recovering")
        assert "it was still there, and is being removed" in text(
            operator.get(f"/runs/{stuck.pk}/")
        )
        later = timezone.now() + timedelta(seconds=9)
        stuck.injections.update(phase="recovered", recovered_at=later)
        html = text(operator.get(f"/runs/{stuck.pk}/"))
        assert "it was still there, and was removed" in html
        assert ", as read back" in html

    def test_an_unchecked_fault_of_an_ended_run_has_no_stop(self, operator, stuck):
        remove(operator, stuck)
        type(stuck).objects.filter(pk=stuck.pk).update(status="stopped", ended_at=timezone.now())
        html = text(operator.get("/"))
        assert "it may still be there" in html
        assert f'action="/runs/{stuck.pk}/stop/"' not in html
        assert "every 15s" in text(operator.get(f"/runs/{stuck.pk}/")), "the page goes on asking"

    def test_a_reason_is_required(self, operator, stuck):
        response = remove(operator, stuck, reason="  ")
        assert response.status_code == 422
        html = text(response)
        assert "say what you did, and where" in html
        assert_kept_by_csp(html)
        assert stuck.injections.get().phase == "recovering"

    def test_others_may_not(self, viewer, bob, outsider, stuck):
        assert_sent_to_sign_in(remove(outsider, stuck))
        for client in (viewer, client_of(bob)):
            assert "An operator can say so" in text(client.get(f"/runs/{stuck.pk}/"))
            response = remove(client, stuck)
            assert response.status_code == 403
            assert "You may not say that a fault was removed by hand" in text(response)
        assert stuck.injections.get().phase == "recovering"

    def test_it_is_not_offered_before_a_removal_has_failed(self, operator, live):
        assert "I removed it by hand" not in text(operator.get(f"/runs/{live.pk}/"))
        response = remove(operator, live)
        assert response.status_code == 302
        assert live.injections.get().phase == "active"
        assert "no removal of it has failed" in text(operator.get(f"/runs/{live.pk}/"))

    def test_what_there_is_not_is_not_found(self, operator, stuck):
        assert remove(operator, stuck, action="other").status_code == 404
        assert operator.post("/runs/999/faults/slow-carts/removed/").status_code == 404
        assert operator.get(f"/runs/{stuck.pk}/faults/slow-carts/removed/").status_code == 405

    def test_a_reason_is_escaped(self, operator, stuck):
        remove(operator, stuck, reason="<script>alert(1)</script>")
        for page in (f"/runs/{stuck.pk}/", "/"):
            assert "<script>alert" not in text(operator.get(page))

    def test_a_fault_without_a_command_can_be_closed_too(self, operator, stuck):
        plan = stuck.injections.get().plan | {"by_hand": []}
        stuck.injections.update(plan=plan)
        for page in (f"/runs/{stuck.pk}/", "/"):
            assert "I removed it by hand" in text(operator.get(page))


@pytest.fixture
def mesh(place):
    fake.forget()
    backends.forget()
    yield Connection.objects.get(name="staging-mesh")
    backends.forget()
    fake.forget()


@pytest.fixture
def control(mesh):
    return FakeControl(ConnectionConfig("fake", mesh.name))


@pytest.fixture
def lost(mesh):
    """Return the token of a fault that the ledger does not know."""
    token = f"{checking.own_prefix()}9-0-lost"
    driver = backends.driver(mesh)
    driver.inject(driver.prepare(FaultRequest(FakeAbort(target="carts"), token, 10.0)))
    return token


def orphan(connection: Connection, **fields: Any) -> Orphan:
    now = timezone.now()
    values = {
        "token": "cw-lost",
        "targets": [{"name": "mesh-1:9901", "detail": ""}],
        "by_hand": ["curl -X POST mesh-1:9901/runtime_modify"],
        "first_seen_at": now,
        "last_seen_at": now,
        "attempts": 3,
        "last_error": "mesh-1:9901: It does not answer.",
    }
    return Orphan.objects.create(connection=connection, **(values | fields))


class TestOrphans:
    def test_the_overview_shows_one_with_its_command(self, viewer, mesh):
        orphan(mesh)
        html = text(viewer.get("/"))
        for told in (
            "A fault that no run looks after",
            "mesh-1:9901",
            "staging-mesh",
            "tried 3 times",
            "It does not answer.",
            "curl -X POST mesh-1:9901/runtime_modify",
            "The ledger does not know it",
            "This may still be broken",
        ):
            assert told in html, told
        assert "Nothing is broken on purpose" not in html
        assert_kept_by_csp(html)

    def test_the_badge_counts_it_where_its_connection_is_used(self, viewer, mesh, live):
        orphan(mesh)
        html = text(viewer.get("/live-badge/"))
        assert "2 faults live" in html
        assert "· staging" in html

    def test_one_on_a_connection_that_no_environment_uses_is_counted_too(self, viewer):
        orphan(Connection.objects.create(name="edge", kind="fake"))
        html = text(viewer.get("/live-badge/"))
        assert "1 fault live" in html
        assert "edge" in html

    def test_one_that_is_gone_is_past(self, viewer, mesh):
        orphan(mesh, gone_at=timezone.now(), last_error="")
        assert "Nothing is broken on purpose" in text(viewer.get("/"))
        assert "nothing live" in text(viewer.get("/live-badge/"))

    def test_one_that_the_ledger_removes_is_not_shown_twice(self, viewer, mesh, stuck):
        orphan(mesh, token=stuck.injections.get().token)
        html = text(viewer.get("/"))
        assert "slow-carts" in html
        assert "A fault that no run looks after" not in html
        assert "1 fault live" in text(viewer.get("/live-badge/"))

    def test_the_panel_moves_when_it_was_tried_again(self, viewer, mesh):
        row = orphan(mesh)
        first = viewer.get("/?part=live")
        again = viewer.get("/?part=live", headers={"If-None-Match": first["ETag"]})
        assert again.status_code == 304
        Orphan.objects.filter(pk=row.pk).update(attempts=4)
        moved = viewer.get("/?part=live", headers={"If-None-Match": first["ETag"]})
        assert moved.status_code == 200

    @pytest.mark.parametrize("who", ["viewer", "admin"])
    def test_the_connection_lists_what_is_there_and_what_was(
        self, who, charlie, admin, mesh, finished
    ):
        orphan(mesh)
        orphan(mesh, token=finished.injections.get().token, gone_at=timezone.now())
        client = client_of(charlie if who == "viewer" else admin)
        html = text(client.get(f"/connections/{mesh.name}/"))
        assert html.index("may be there") < html.index("gone</span>")
        assert f'<a href="/runs/{finished.pk}/">run {finished.pk}</a>' in html
        assert ("Compare with the ledger now" in html) == (who == "admin")
        assert_kept_by_csp(html)

    def test_a_prometheus_has_none(self, admin, place):
        html = text(client_of(admin).get("/connections/staging-metrics/"))
        assert "Faults that no run looks after" not in html


class TestCompare:
    def compare(self, client: Any, follow: bool = True) -> Any:
        return client.post("/connections/staging-mesh/compare/", follow=follow)

    def test_an_operator_has_an_orphan_removed_at_once(self, operator, control, lost):
        assert control.live() == {lost}
        html = text(self.compare(operator))
        assert "1 fault that no run looked after: removed, as read back." in html
        assert control.live() == set()
        assert lost in html
        assert_kept_by_csp(html)

    def test_one_that_cannot_be_removed_is_said(self, operator, control, lost):
        control.cut_off("carts")
        html = text(self.compare(operator))
        assert "1 fault that no run looks after is not confirmed as removed" in html
        assert "It does not answer." in html

    def test_nothing_found_is_said(self, operator, control):
        html = text(self.compare(operator))
        assert "Every fault of ours on staging-mesh is looked after by its run." in html
        assert "None was ever found." in html

    def test_a_backend_that_does_not_answer_is_said(self, operator, control):
        control.script(Step(method="owned", do="fail", message="It is being restarted."))
        html = text(self.compare(operator))
        assert "could not be compared with the ledger: It is being restarted." in html

    def test_others_may_not(self, viewer, bob, outsider, control, lost):
        assert_sent_to_sign_in(self.compare(outsider, follow=False))
        for client in (viewer, client_of(bob)):
            assert self.compare(client).status_code == 403
        assert control.live() == {lost}
        assert not Claim.objects.exists()
