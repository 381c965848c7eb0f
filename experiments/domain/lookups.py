"""Where Prometheus holds the values that a field of a ready-made SLI may have. Pure, and frozen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from experiments.domain import promql


@dataclass(frozen=True, slots=True)
class Lookup:
    """A question to Prometheus: the values of a label, or the names of labels, of some series."""

    asks: Literal["values", "labels"]
    metric: str = ""
    """Of which metric; may name other fields of the SLI: ``{metric}_count``. Empty: of all."""
    label: str = ""
    within: tuple[tuple[str, str], ...] = ()
    """Pairs of a label and the field that holds its value, matched once that is written."""
    ending: str = ""
    """What every value ends with and the field does not want: ``_bucket``."""
    without: frozenset[str] = frozenset()
    """Values that the field refuses."""
    first: tuple[str, ...] = ()
    """Values that are shown before all others, where they exist."""

    def selector(self, given: Mapping[str, str]) -> str:
        """Return the series to look at. Raises SelectorError where the fields make no selector.

        Args:
            given: the text of the SLI's fields, defaults filled in.
        """
        if not self.metric:
            return f'{{__name__=~".+{self.ending}"}}'
        matchers = [
            promql.matcher(label, text)
            for label, field in self.within
            if (text := given.get(field, "")) and "${" not in text
        ]
        selector = promql.with_matchers(self._metric(given), *matchers)
        problem = promql.check_selector(selector)
        if problem:
            raise promql.SelectorError(problem)
        return selector

    def says(self, given: Mapping[str, str]) -> str:
        """Say in words what is looked up: “label service of request_duration_seconds_count”."""
        if not self.metric:
            return f"metrics named …{self.ending}"
        what = f"label {self.label}" if self.asks == "values" else "labels"
        return f"{what} of {self._metric(given)}"

    def values(self, found: Iterable[str]) -> list[str]:
        """Return what the field may hold, from what Prometheus answered."""
        wanted = {
            each.removesuffix(self.ending)
            for each in found
            if each and each.endswith(self.ending) and each not in self.without
        }
        return [each for each in self.first if each in wanted] + sorted(
            wanted.difference(self.first)
        )

    def _metric(self, given: Mapping[str, str]) -> str:
        return self.metric.format_map(given)


def label_of(metric: str, label: str, **within: str) -> Lookup:
    """Return the lookup of a label's values; keywords are labels with the field that they match."""
    return Lookup("values", metric, label, within=tuple(within.items()))
