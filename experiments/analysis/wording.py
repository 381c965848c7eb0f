"""Wording: numbers, ranges and sentences that a person understands at 3 a.m."""

from __future__ import annotations

import math
from collections.abc import Callable

from experiments.analysis.compare import Comparison
from experiments.analysis.evidence import SliEvidence
from experiments.analysis.exact import Interval


def number(value: float) -> str:
    """Write three significant digits, never in exponent form for everyday sizes."""
    if not math.isfinite(value):
        return "unknown"
    if value == 0:
        return "0"
    digits = 2 - math.floor(math.log10(abs(value)))
    if digits > 9 or digits < -12:
        return f"{value:.2e}".replace("-", "−")
    rounded = round(value, digits)
    text = f"{rounded:,.{max(digits, 0)}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace("-", "−").replace(",", "\u202f")


def amount(value: float, unit: str) -> str:
    """Write a value in its unit: a ratio as percent, seconds under one as milliseconds."""
    if unit == "ratio":
        return f"{number(100 * value)} %"
    if unit == "s" and 0 < abs(value) < 1:
        return f"{number(1000 * value)} ms"
    return f"{number(value)} {unit}".rstrip()


def change(value: float, unit: str) -> str:
    """Write a difference with its sign: that of a ratio in percentage points."""
    points = number(100 * value)
    text = amount(value, unit)
    if unit == "ratio":
        text = f"{points} point" if points == "1" else f"{points} points"
    return text if value < 0 else f"+{text}"


def percent(share: float) -> str:
    """Write a relative change with its sign, in whole percent from 10 % on."""
    value = 100 * share
    text = f"{value:+.0f}" if abs(value) >= 10 else f"{value:+.1f}".removesuffix(".0")
    return f"{text.replace('-', '−')} %"


def spread(interval: Interval, write: Callable[[float], str]) -> str:
    """Write an interval; an end that the data do not bound is said to be so."""
    if math.isinf(interval.high):
        return f"at least {write(interval.low)}" if math.isfinite(interval.low) else "unbounded"
    if math.isinf(interval.low):
        return f"at most {write(interval.high)}"
    return f"{write(interval.low)} to {write(interval.high)}"


def _effect(sli: SliEvidence, comparison: Comparison) -> str:
    by_share = sli.margin_relative is not None and sli.margin_absolute is None
    plain = sli.margin_absolute is None and sli.unit != "ratio"
    if comparison.relative is not None and comparison.baseline > 0 and (by_share or plain):
        return spread(comparison.relative, percent)
    if sli.unit == "ratio":
        return f"{spread(comparison.absolute.scaled(100), lambda end: change(end, ''))} points"
    return spread(comparison.absolute, lambda value: change(value, sli.unit))


def margin(sli: SliEvidence) -> str:
    """Write the declared margin: “20 %”, “0.5 points”, or both."""
    parts = []
    if sli.margin_relative is not None:
        parts.append(f"{number(100 * sli.margin_relative)} %")
    if sli.margin_absolute is not None:
        parts.append(change(sli.margin_absolute, sli.unit).removeprefix("+"))
    if sli.margin_relative is not None and sli.unit == "ratio":
        parts[0] += " of its baseline"
    return " or ".join(parts)


def limit(sli: SliEvidence) -> str:
    """Write the declared limit: “below 1 %”, “above 20”, or both."""
    parts = []
    if sli.limit_min is not None:
        parts.append(f"above {amount(sli.limit_min, sli.unit)}")
    if sli.limit_max is not None:
        parts.append(f"below {amount(sli.limit_max, sli.unit)}")
    return " and ".join(parts)


def moved(sli: SliEvidence, comparison: Comparison) -> str:
    """Write from where to where: “orders_p95 rose from 62 ms to 155 ms (+140 % to +158 %)”."""
    before = amount(comparison.baseline, sli.unit)
    after = amount(comparison.fault, sli.unit)
    if before == after:
        return f"{sli.name} stayed at {after} ({_effect(sli, comparison)})"
    verb = "rose" if comparison.fault > comparison.baseline else "fell"
    return f"{sli.name} {verb} from {before} to {after} ({_effect(sli, comparison)})"


def beyond_margin(sli: SliEvidence, comparison: Comparison) -> str:
    """Say that an SLI left its margin."""
    return f"{moved(sli, comparison)} though it was to hold within {margin(sli)}."


def beyond_limit(sli: SliEvidence, value: float, level: Interval) -> str:
    """Say that the fault phase broke a limit."""
    likely = spread(level, lambda end: amount(end, sli.unit))
    return (
        f"{sli.name} was {amount(value, sli.unit)} during the fault ({likely})"
        f" though it was to stay {limit(sli)}."
    )


def as_expected(sli: SliEvidence, comparison: Comparison) -> str:
    """Say that a prediction came true, and how closely."""
    if sli.expect == "degrades":
        return f"{moved(sli, comparison)}, as predicted."
    promises = []
    if sli.expect == "holds" and margin(sli):
        promises.append(f"within {margin(sli)}")
    if limit(sli):
        promises.append(limit(sli))
    return f"{moved(sli, comparison)}: {' and '.join(promises)}, as predicted."


def better(sli: SliEvidence, comparison: Comparison) -> str:
    """Say that a predicted harm did not come."""
    return f"{moved(sli, comparison)} though it was predicted to degrade: better than predicted."


def open_question(sli: SliEvidence, comparison: Comparison, about_limit: bool) -> str:
    """Say which question the intervals leave open."""
    if about_limit:
        likely = spread(comparison.level, lambda end: amount(end, sli.unit))
        question = f"whether it stays {limit(sli)} ({likely} during the fault)"
    elif sli.expect == "degrades":
        question = (
            f"whether it degrades by more than {margin(sli)}"
            if margin(sli)
            else ("whether it degrades")
        )
    else:
        question = f"whether it holds within {margin(sli)}"
    return f"{moved(sli, comparison)}; the data leave open {question}."


def coarse(sli: SliEvidence, low: float, high: float) -> str:
    """Say that a bucket is wider than the margin."""
    ends = f"{amount(low, sli.unit)} to {amount(high, sli.unit)}"
    return f"its quantile lies in the bucket {ends}, which is wider than the margin"


def too_coarse(sli: SliEvidence, low: float, high: float) -> str:
    """Say that the histogram cannot tell what was asked, and what would."""
    return (
        f"{sli.name} cannot be judged: {coarse(sli, low, high)} of {margin(sli)};"
        " finer buckets or a wider margin would tell."
    )


def listed(names: list[str]) -> str:
    """Join names as a person would: “a”, “a and b”, “a, b and c”."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def counted(count: int, noun: str) -> str:
    """Write a count with its noun: “1 SLI”, “3 SLIs”."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
