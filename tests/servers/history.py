"""Twenty minutes of a small shop's metrics up to now, as OpenMetrics text for a real Prometheus."""

from __future__ import annotations

from collections.abc import Mapping

SCRAPE_S = 5
LENGTH_S = 1200
GAP_S = (300, 720)
"""From when to when, before now, ``gap_total`` was not scraped."""
_COUNTERS: Mapping[str, float] = {
    'requests_total{service="orders",code="200"}': 10.0,
    'requests_total{service="orders",code="500"}': 0.1,
    'wrong_total{service="orders"}': 40.0,
    'seconds_bucket{service="orders",le="0.025"}': 9.0,
    'seconds_bucket{service="orders",le="0.05"}': 10.0,
    'seconds_bucket{service="orders",le="0.1"}': 10.0,
    'seconds_bucket{service="orders",le="+Inf"}': 10.0,
    'rare_bucket{le="0.1"}': 0.3,
    'rare_bucket{le="+Inf"}': 0.4,
    'far_bucket{le="0.1"}': 1.0,
    'far_bucket{le="+Inf"}': 10.0,
    'open_bucket{le="0.1"}': 9.0,
    'open_bucket{le="0.5"}': 10.0,
    "gap_total": 10.0,
    "still_total": 0.0,
}
"""Events per second by series."""
_GAUGES: Mapping[str, float] = {'queue_length{pod="a"}': 12.0, 'queue_length{pod="b"}': 30.0}


def history(now: float) -> str:
    """Return the text; a metric's samples lie together, as the format wants it."""
    lines: list[str] = []
    moments = range(int(now) - LENGTH_S, int(now) + 1, SCRAPE_S)
    for series, rate in _COUNTERS.items():
        for at in moments:
            if series == "gap_total" and now - GAP_S[1] < at < now - GAP_S[0]:
                continue
            lines.append(f"{series} {rate * (at - moments[0]):.2f} {at}")
    for series, value in _GAUGES.items():
        lines += [f"{series} {value} {at}" for at in moments]
    return "\n".join([*lines, "# EOF", ""])
