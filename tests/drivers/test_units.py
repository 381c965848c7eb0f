"""Units are read as people write them and written back the same way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from drivers.units import Duration, Percentage, Rate, Size, Unit, UnitError


class Holder(BaseModel):
    wait: Duration
    share: Percentage = Percentage(50)


@pytest.mark.parametrize(
    ("unit", "text", "number", "written"),
    [
        (Duration, "90ms", 0.09, "90ms"),
        (Duration, "1.5s", 1.5, "1.5s"),
        (Duration, " 3m ", 180, "3m"),
        (Duration, "1h30m", 5400, "1h30m"),
        (Duration, "1h 30m", 5400, "1h30m"),
        (Duration, "250us", 0.00025, "0.25ms"),
        (Duration, "2d", 172800, "2d"),
        (Duration, "30", 30, "30s"),
        (Duration, "0", 0, "0s"),
        (Duration, "-2s", -2, "-2s"),
        (Duration, "61.5s", 61.5, "1m1.5s"),
        (Percentage, "50%", 50, "50%"),
        (Percentage, "0.5 %", 0.5, "0.5%"),
        (Percentage, "7", 7, "7%"),
        (Rate, "25/s", 25, "25/s"),
        (Rate, "90/m", 1.5, "1.5/s"),
        (Rate, "36 per h", 0.01, "0.01/s"),
        (Size, "64KiB", 65536, "64KiB"),
        (Size, "1.5MiB", 1572864, "1.5MiB"),
        (Size, "10b", 10, "10B"),
        (Size, "1g", 2**30, "1GiB"),
    ],
)
def test_text_is_read_and_written_back(
    unit: type[Unit], text: str, number: float, written: str
) -> None:
    value = unit(text)
    assert float(value) == pytest.approx(number)
    assert str(value) == written
    assert float(unit(written)) == pytest.approx(number)


@pytest.mark.parametrize(
    ("unit", "value"),
    [
        (Duration, "soon"),
        (Duration, "1:30"),
        (Duration, ""),
        (Duration, True),
        (Duration, None),
        (Duration, "5 parsecs"),
        (Duration, float("nan")),
        (Duration, 10**400),
        pytest.param(Duration, 10**5000, id="too long to be written"),
        (Percentage, "50%%"),
        (Percentage, float("inf")),
        (Rate, "5/day"),
        (Size, "3 apples"),
        (Size, [1]),
    ],
)
def test_nonsense_is_refused(unit: type[Unit], value: object) -> None:
    with pytest.raises(UnitError):
        unit(value)


def test_the_refusal_shows_what_would_be_right() -> None:
    with pytest.raises(ValidationError, match="“soon” is not a duration; write for example 90ms"):
        Holder.model_validate({"wait": "soon"})


def test_models_write_units_as_text_and_read_them_back() -> None:
    held = Holder.model_validate({"wait": 0.09})
    assert held.model_dump_json() == '{"wait":"90ms","share":"50%"}'
    assert Holder.model_validate_json(held.model_dump_json()) == held
    assert Holder.model_json_schema()["properties"]["wait"]["format"] == "duration"
    assert held.share.ratio == 0.5


@given(st.integers(0, 10**9))
def test_every_whole_millisecond_survives(millis: int) -> None:
    seconds = millis / 1000
    assert float(Duration(str(Duration(seconds)))) == pytest.approx(seconds, abs=1e-6)


@given(st.integers(0, 10**6))
def test_every_percentage_survives(parts: int) -> None:
    percentage = Percentage(parts / 10_000)
    assert Percentage(str(percentage)) == percentage


@given(st.integers(0, 2**50))
def test_every_whole_size_survives(size: int) -> None:
    assert float(Size(str(Size(size)))) == size
