"""Parameters: typed, written in, frozen."""

from __future__ import annotations

import pytest

from drivers.units import Duration
from experiments.domain.parameters import coerce
from tests.domain.documents import edited, errors, full, read


def with_parameters(**parameters):
    return edited("parameters", {"delay": {"type": "duration", "default": "90ms"}} | parameters)


def test_a_value_given_replaces_the_default():
    assert read(full()).method[0].params.fixed_delay == Duration("90ms")
    assert read(full(), {"delay": "2s"}).method[0].params.fixed_delay == Duration("2s")


def test_a_value_must_be_of_its_type():
    assert "“soon” is not a duration" in errors(full(), {"delay": "soon"})["parameters.delay"]


def test_a_value_that_nobody_declared_is_refused():
    found = errors(full(), {"dealy": "2s"})
    assert found == {"parameters.dealy": "is not a parameter of this experiment"}


def test_a_default_must_be_of_its_type():
    raw = with_parameters(share={"type": "percentage", "default": "much"})
    assert "is not a percentage" in errors(raw)["parameters.share.default"]


def test_a_name_must_be_a_small_word():
    assert (
        "is no name of a parameter"
        in errors(with_parameters(**{"No-Name": {}}))["parameters.No-Name"]
    )


def test_a_reference_that_nobody_declared_is_told_where_it_is():
    raw = edited("method.0.with.percentage", "${share}")
    assert errors(raw)["method[0].with.percentage"].startswith("${share} is not among")


def test_a_document_may_wait_for_a_value_but_a_run_may_not():
    raw = with_parameters(share={"type": "percentage"})
    raw["method"][0]["with"]["percentage"] = "${share}"
    assert read(raw).metadata.name == "only-carts"
    assert errors(raw, {})["parameters.share"] == "needs a value: it has no default"
    assert read(raw, {"share": "5%"}).method[0].params.percentage == 5


def test_a_default_is_asked_for_where_the_type_alone_tells_too_little():
    raw = with_parameters(status={"type": "integer"})
    raw["method"][0] |= {"fault": "fake.abort", "with": {"http_status": "${status}"}}
    assert "give its parameter a default" in errors(raw)["method[0].with.http_status"]
    assert read(raw, {"status": 503}).method[0].params.http_status == 503


def test_a_whole_reference_keeps_its_type_and_a_part_is_written_in():
    raw = with_parameters(status={"type": "integer", "default": 418})
    raw["method"][0] |= {"fault": "fake.abort", "with": {"http_status": "${status}"}}
    raw["hypothesis"] = "It answers ${status} after ${delay}."
    document = read(raw)
    assert document.method[0].params.http_status == 418
    assert document.hypothesis == "It answers 418 after 90ms."


@pytest.mark.parametrize(
    ("kind", "given", "read_as"),
    [
        ("duration", 90, "1m30s"),
        ("duration", "1500ms", "1.5s"),
        ("percentage", "5 %", "5%"),
        ("rate", "60/m", "1/s"),
        ("size", "64KiB", "64KiB"),
        ("number", "2.5", 2.5),
        ("number", 3, 3.0),
        ("integer", "3", 3),
        ("integer", 3.0, 3),
        ("text", 3, "3"),
        ("text", "three", "three"),
        ("boolean", False, False),
    ],
)
def test_a_value_is_read_as_its_type(kind, given, read_as):
    made = coerce(kind, given)
    assert made == read_as
    assert type(made) is type(read_as)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("duration", "soon"),
        ("duration", True),
        ("duration", None),
        ("percentage", []),
        ("number", "many"),
        ("number", True),
        ("number", "inf"),
        ("number", "nan"),
        ("number", 10**400),
        ("integer", 2.5),
        ("integer", "inf"),
        ("integer", {}),
        ("text", []),
        ("text", None),
        ("boolean", "yes"),
        ("boolean", 1),
    ],
)
def test_a_value_of_another_type_is_refused(kind, given):
    with pytest.raises(ValueError):
        coerce(kind, given)
