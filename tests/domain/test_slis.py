"""Quantities in the unit of their SLI, and what a measure comes down to."""

from __future__ import annotations

import pytest

from drivers.units import UnitError
from experiments.domain.slis import to_unit
from tests.domain.documents import full, read


@pytest.mark.parametrize(
    ("quantity", "unit", "number"),
    [
        ("1%", "ratio", 0.01),
        (" 0.5 % ", "ratio", 0.005),
        ("500ms", "s", 0.5),
        ("1h30m", "s", 5400.0),
        ("2", "s", 2.0),
        (2, "s", 2.0),
        ("500ms", "ms", 500.0),
        ("1s", "ms", 1000.0),
        ("2", "ms", 2.0),
        ("3ms", "us", 3000.0),
        ("5 rps", "rps", 5.0),
        ("5", "rps", 5.0),
        (5, "rps", 5.0),
        ("5%", "%", 5.0),
        ("-3", "", -3.0),
    ],
)
def test_a_quantity_is_converted_to_the_unit(quantity, unit, number):
    assert to_unit(quantity, unit) == pytest.approx(number)


@pytest.mark.parametrize(
    ("quantity", "unit"),
    [
        (0.01, "ratio"),
        ("0.01", "ratio"),
        ("much%", "ratio"),
        ("5%", "s"),
        ("5%", "rps"),
        ("5 bananas", "rps"),
        ("5ms", "rps"),
        ("5%", ""),
        ("", ""),
        ("nan", "s"),
        ("inf", "ms"),
        ("nan", "rps"),
        ("nan%", "ratio"),
        (float("inf"), "rps"),
        (float("nan"), "s"),
    ],
)
def test_what_is_no_quantity_of_the_unit_is_refused(quantity, unit):
    with pytest.raises(UnitError):
        to_unit(quantity, unit)


def test_each_kind_of_sli_comes_down_to_its_measure():
    measures = {sli.name: sli.measure for sli in read(full()).slis}
    assert [measures[name].kind for name in ("carts", "orders", "errors", "rate")] == [
        "quantile",
        "quantile",
        "ratio",
        "value",
    ]
    assert [measures[name].unit for name in ("carts", "orders", "errors", "rate")] == [
        "s",
        "s",
        "ratio",
        "rps",
    ]
    assert measures["carts"].quantile.histogram == (
        'request_duration_seconds_bucket{service="carts"}'
    )


def test_limits_are_read_in_the_unit_of_the_sli():
    document = read(full())
    assert document.sli("carts").in_unit(document.sli("carts").limit.max) == 0.5
    assert document.sli("errors").in_unit(document.sli("errors").limit.max) == 0.01
    assert document.sli("rate").in_unit(document.sli("rate").limit.min) == 5
    with pytest.raises(KeyError):
        document.sli("nothing")
