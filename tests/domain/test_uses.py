"""``use: orders.p95``: what it stands for is copied into the version, and stays there."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.domain import services, spec, uses
from tests.domain.documents import CATALOGUE, full

P95 = {
    "name": "p95",
    "title": "carts p95",
    "quantile": {"histogram": 'seconds_bucket{service="carts"}', "q": 0.95},
    "limit": {"max": "500ms"},
    "margin": {"relative": "20%"},
}
ERRORS = {"name": "errors", "ratio": {"bad": "bad_total", "total": "all_total"}}
NAMED = {"carts": {"p95": P95, "errors": ERRORS}, "orders": {"p99": {"name": "p99", "value": "x"}}}


def using(*slis):
    return full(slis=list(slis), guardrails=[])


def parsed(raw, named=NAMED):
    return spec.parse(raw, faults=CATALOGUE, named=named)


def errors(raw, named=NAMED):
    return {error.dotted: error.message for error in parsed(raw, named).errors}


def test_a_use_measures_what_its_service_says():
    sli = (
        parsed(using({"name": "slow", "use": "carts.p95", "expect": "degrades"})).or_raise().slis[0]
    )
    assert sli.measure.quantile is not None
    assert sli.measure.quantile.histogram == P95["quantile"]["histogram"]
    assert (sli.label, sli.source) == ("carts p95", "metrics")
    assert sli.limit is not None
    assert sli.limit.max == "500ms"


def test_what_the_document_says_goes_before_what_the_service_says():
    own = {"title": "mine", "source": "other", "limit": {"max": "2s"}, "margin": {"relative": "5%"}}
    sli = parsed(using({"name": "slow", "use": "carts.p95", **own})).or_raise().slis[0]
    assert (sli.title, sli.source) == ("mine", "other")
    assert sli.limit is not None
    assert sli.limit.max == "2s"
    assert str(sli.margin.relative) == "5%"


def test_the_copy_goes_before_what_the_service_says_now():
    kept, found = uses.resolve(using({"name": "slow", "use": "carts.p95"}), NAMED)
    assert found == []
    later = {"carts": {"p95": {"name": "p95", "value": "another"}}}
    for named in (later, {}):
        sli = parsed(kept, named).or_raise().slis[0]
        assert sli.measure.quantile is not None


def test_documents_without_use_stay_the_very_same():
    raw = full()
    assert uses.resolve(raw, NAMED)[0] == raw
    assert uses.written_in(raw) == raw
    assert uses.bare(raw) == raw


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("cart.p95", "there is no service “cart”; did you mean “carts.p95”?"),
        ("carts.p59", "carts has no SLI “p59”; did you mean “carts.p95”?"),
        ("p95", "names no SLI: write service.name"),
        ("", "is missing: choose an SLI of a service"),
        (7, "must be a text such as carts.p95, not 7"),
        (["carts.p95"], "must be a text such as carts.p95"),
    ],
)
def test_a_reference_that_leads_nowhere_is_one_error_with_the_nearest_name(reference, told):
    found = errors(using({"name": "slow", "use": reference}))
    assert list(found) == ["slis[0].use"]
    assert told in found["slis[0].use"]


def test_without_any_named_sli_it_says_so():
    found = errors(using({"name": "slow", "use": "carts.p95"}), {})
    assert found == {
        "slis[0].use": "there is no service “carts”; no service has an SLI yet",
    }


def test_what_the_service_says_cannot_be_said_again():
    sli = {"name": "slow", "use": "carts.p95", "unit": "ms", "ratio": {"bad": "a", "total": "b"}}
    found = errors(using(sli))
    assert sorted(found) == ["slis[0].ratio", "slis[0].unit"]
    assert "leave it out" in found["slis[0].unit"]


def test_a_copy_without_use_is_an_error():
    found = errors(
        using({"name": "slow", "value": "x", "limit": {"max": 1}, "copied": {"value": "y"}})
    )
    assert found == {"slis[0].copied": "belongs to use, and there is none"}


def test_a_limit_in_a_unit_that_the_service_does_not_have_is_told():
    found = errors(using({"name": "bad", "use": "carts.errors", "limit": {"max": "500ms"}}))
    assert list(found) == ["slis[0].limit.max"]


def test_an_sli_that_must_hold_needs_a_margin_or_limit_of_its_own_or_of_its_service():
    told = errors(using({"name": "bad", "use": "carts.errors"}))
    assert "needs a margin" in told["slis[0].margin"]
    assert errors(using({"name": "slow", "use": "carts.p95"})) == {}


def test_the_schema_knows_use():
    properties = spec.json_schema(CATALOGUE)["$defs"]["Sli"]["properties"]
    assert "use" in properties
    assert "copied" not in properties, "nobody writes a copy"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
odd_slis = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "name": st.just("slow") | anything,
            "use": st.sampled_from(["carts.p95", "carts.", ".", "a.b.c"]) | anything,
            "copied": anything,
            "limit": anything,
            "unit": anything,
        },
    )
    | anything,
    max_size=4,
)


@given(odd_slis)
def test_nothing_makes_it_raise_and_a_bare_document_holds_no_copy(slis):
    raw = using(*slis)
    before = copy.deepcopy(raw)
    result = parsed(raw)
    assert (result.spec is None) == bool(result.errors)
    kept, _ = uses.resolve(uses.bare(raw), NAMED)
    assert uses.bare(kept) == uses.bare(raw)
    assert all(not (isinstance(sli, dict) and "copied" in sli) for sli in uses.bare(raw)["slis"])
    assert raw == before


measures = st.one_of(
    st.fixed_dictionaries({"value": st.sampled_from(["up", "sum(x)", "vector(1)"])}),
    st.fixed_dictionaries(
        {
            "quantile": st.fixed_dictionaries(
                {"histogram": st.just("s_bucket"), "q": st.floats(0.1, 0.9)}
            )
        }
    ),
    st.just({"ratio": {"bad": "bad_total", "total": "all_total"}}),
)
named_slis = st.builds(
    lambda measure, limit, margin: {"name": "p95", **measure, **limit, **margin},
    measures,
    st.sampled_from([{}, {"limit": {"max": "50%"}}, {"limit": {"max": 3}}]),
    st.sampled_from([{}, {"margin": {"relative": "5%"}}]),
)


@given(named_slis, named_slis)
def test_a_version_stays_what_it_was_whatever_its_service_says_later(first, second):
    now = {"carts": {"p95": first}}
    kept, told = uses.resolve(using({"name": "slow", "use": "carts.p95"}), now)
    assert told == []
    before = parsed(kept, now)
    after = parsed(kept, {"carts": {"p95": second}})
    assert after == before
    assert uses.resolve(kept, {"carts": {"p95": second}})[0] == kept
    same = {key: first[key] for key in first if key != "name"} == {
        key: second[key] for key in second if key != "name"
    }
    assert (
        uses.is_changed("carts.p95", kept["slis"][0]["copied"], {"carts": {"p95": second}}) != same
    )


def description(**changes):
    return {"name": "carts", "slis": [P95], **changes}


def refused(**changes):
    found, told = services.read(description(**changes), environments=["staging"])
    assert found is None
    return {error.dotted: error.message for error in told}


def test_a_description_is_read_whole():
    raw = description(
        runbook="",
        dashboards=[{"title": "Latency", "url": "https://grafana/d/1"}],
        places={"staging": {"where": "namespace shop", "labels": {"app": "carts"}}},
    )
    found, told = services.read(raw, environments=["staging"])
    assert told == ()
    assert found is not None
    assert found.runbook is None
    assert [services.sli_to_json(sli) for sli in found.slis] == [P95]


def test_every_error_of_a_description_is_told_at_once():
    found = refused(
        name="import",
        runbook="javascript:alert(1)",
        dashboards=[{"url": "ftp://x"}],
        places={"stagin": {}},
        slis=[
            {"name": "p95"},
            {"name": "p95", "value": "x", "margin": "20%", "expect": "holds"},
            {"name": "c", "ratio": {"bad": "sum(x)", "total": "x${y}"}},
        ],
    )
    assert set(found) == {
        "name",
        "runbook",
        "dashboards[0].url",
        "places.stagin",
        "slis[0]",
        "slis[1].name",
        "slis[1].margin",
        "slis[1].expect",
        "slis[2].ratio.bad",
        "slis[2].ratio.total",
    }
    assert "did you mean “staging”?" in found["places.stagin"]
    assert "parameters" in found["slis[2].ratio.total"]


def test_a_service_need_not_say_what_counts_as_worse():
    found, told = services.read(description(slis=[ERRORS]), environments=[])
    assert told == ()
    assert found is not None


@given(anything)
def test_whatever_a_description_is_it_is_read_or_refused(raw):
    found, told = services.read(raw, environments=[])
    assert (found is None) == bool(told)
