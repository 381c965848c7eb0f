"""From the PromQL that people write for dashboards to measures that ChaosWeb writes itself.

A measure of selectors is worth more than a query: its bins, totals and totals at the edges of a
phase are exact. What is recognised becomes one; what is not stays a query.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from experiments.domain import promql

_SUM = re.compile(r"sum\s*\((?P<inner>.*)\)", re.DOTALL)
_RATE = re.compile(r"(?:rate|irate|increase)\s*\((?P<inner>.*)\[[^\[\]]+\]\s*\)", re.DOTALL)
_QUANTILE = re.compile(
    r"histogram_quantile\s*\(\s*(?P<q>0?\.\d+)\s*,\s*"
    r"sum\s+by\s*\(\s*le\s*\)\s*\((?P<first>.*)\)\s*\)"
    r"|histogram_quantile\s*\(\s*(?P<q2>0?\.\d+)\s*,\s*"
    r"sum\s*\((?P<second>.*)\)\s*by\s*\(\s*le\s*\)\s*\)",
    re.DOTALL,
)
_SELECTOR = re.compile(r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{(?P<body>.*)\})?", re.DOTALL)
_MATCHER = re.compile(r"(?P<label>[a-zA-Z_]\w*)\s*(?P<operator>=~|!~|!=|=)(?P<value>.*)", re.DOTALL)
_OPPOSITE = {"=": "!=", "!=": "=", "=~": "!~", "!~": "=~"}
_WINDOW = "1m"


@dataclass(frozen=True, slots=True)
class Made:
    """The measure of an SLI, and what it changed, in words."""

    sli: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def counter_of(query: str) -> tuple[str, bool] | None:
    """Return the counter selector that a query sums, and whether the query was more than that.

    None where it is no sum of one counter.
    """
    inner = _unwrapped(_unwrapped(query.strip(), _SUM), _RATE).strip()
    return None if promql.check_selector(inner) else (inner, inner != query.strip())


def ratio(queries: Mapping[str, str], *, is_raw_good: bool) -> tuple[Made | None, str]:
    """Return the measure of a ratio's good, bad, total or raw queries, or why there is none."""
    if "raw" in queries:
        direction = {"direction": "higher_is_better"} if is_raw_good else {}
        return Made({"value": queries["raw"], "unit": "ratio", **direction}), ""
    if "total" not in queries or not {"good", "bad"} & set(queries):
        return None, "is a ratio without good or bad events of a total"
    total = counter_of(queries["total"])
    bad = counter_of(queries["bad"]) if "bad" in queries else None
    if bad is None and "bad" not in queries and total is not None:
        good = counter_of(queries["good"])
        opposite = _bad_of(good[0], total[0]) if good else ""
        bad = (opposite, True) if opposite else None
    if bad is not None and total is not None:
        notes = ("ChaosWeb writes sums and windows itself: only the selectors are kept",)
        is_changed = bad[1] or total[1]
        return Made({"ratio": {"bad": bad[0], "total": total[0]}}, notes if is_changed else ()), ""
    every = _rated(queries["total"])
    if "bad" in queries:
        value = f"({_rated(queries['bad'])}) / ({every})"
    else:
        value = f"1 - ({_rated(queries['good'])}) / ({every})"
    note = "becomes PromQL of its own, the share of bad events: its queries are no plain counters"
    return Made({"value": value, "unit": "ratio"}, (note,)), ""


def threshold(query: str) -> Made:
    """Return the measure of a query whose value is compared with a limit."""
    found = _QUANTILE.fullmatch(query.strip())
    if found:
        histogram = _unwrapped((found["first"] or found["second"]).strip(), _RATE).strip()
        if promql.check_histogram(histogram) is None:
            q = float(found["q"] or found["q2"])
            note = f"becomes the {q:g} quantile of {histogram}, in the unit of its buckets (s)"
            return Made({"quantile": {"histogram": histogram, "q": q}}, (note,))
    return Made({"value": query.strip()})


def _unwrapped(query: str, call: re.Pattern[str]) -> str:
    found = call.fullmatch(query)
    return found["inner"].strip() if found else query


def _rated(query: str) -> str:
    """Return a query that gives a rate: a counter's own value says nothing of the last minute."""
    plain = promql.check_selector(query) is None
    return f"sum(rate({query}[{_WINDOW}]))" if plain else query


def _bad_of(good: str, total: str) -> str:
    """Return the selector of what is in total and not in good; empty where no selector can say it.

    One can where good has one matcher more than total: its opposite gives the others.
    """
    one, every = _SELECTOR.fullmatch(good), _SELECTOR.fullmatch(total)
    if one is None or every is None or one["name"] != every["name"]:
        return ""
    wide = list(promql.read_matchers(every["body"] or ""))
    more = [each for each in promql.read_matchers(one["body"] or "") if each not in wide]
    kept = [each for each in wide if each in promql.read_matchers(one["body"] or "")]
    if len(more) != 1 or len(kept) != len(wide):
        return ""
    found = _MATCHER.fullmatch(more[0])
    if found is None:
        return ""
    turned = f"{found['label']}{_OPPOSITE[found['operator']]}{found['value']}"
    return promql.with_matchers(total, turned)
