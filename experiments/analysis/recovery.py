"""Recovery: how long after the fault's removal a measure took to be itself again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.analysis.bins import Measure, PhaseBins
from experiments.analysis.series import Floats, Mask

CONSECUTIVE = 3
LEAST_BASELINE_BINS = 10
_BAND = (5.0, 95.0)


@dataclass(frozen=True)
class Recovery:
    """Whether a measure came back: None where it was not assessed, ``note`` says why.

    ``after_s`` counts from the removal to the start of the first of three consecutive bins in the
    band: the measure was back by then at the latest. ``watched_s`` is how long the window was.
    """

    is_recovered: bool | None
    after_s: float | None = None
    watched_s: float = 0.0
    note: str = ""


def worse_edge(values: Floats, events: Floats, worse_sign: float, is_share: bool) -> float:
    """Return the worse edge of the baseline's 5–95 % band, over bins of shape (n,).

    A share's band is widened by one event of an average bin, else a single error after a
    baseline without any would never count as recovered.
    """
    edge = float(np.percentile(values, _BAND[1] if worse_sign > 0 else _BAND[0]))
    return edge + worse_sign / float(events.mean()) if is_share else edge


def first_streak(inside: Mask, length: int = CONSECUTIVE) -> int | None:
    """Return where the first run of ``length`` True values begins, None without one."""
    if len(inside) < length:
        return None
    streaks = np.lib.stride_tricks.sliding_window_view(inside, length).all(axis=1)
    return int(np.argmax(streaks)) if streaks.any() else None


def assess(
    measure: Measure,
    baseline: PhaseBins,
    recovery: PhaseBins,
    *,
    removed_at: float,
    watched_until: float,
    worse_sign: float,
    is_share: bool,
) -> Recovery:
    """Find when the measure came back to its baseline band and stayed for three bins.

    Only the worse edge of the band counts. A missing or empty bin is never inside.

    Args:
        measure: what is computed of each bin.
        baseline: bins of the baseline, merged like those of the recovery.
        recovery: bins from the removal on, settle time included.
        removed_at: when the fault's removal was read back, unix seconds.
        watched_until: the end of the recovery phase, unix seconds.
        worse_sign: +1 where a rise is worse, −1 where a fall is.
        is_share: whether the measure is a ratio of events.
    """
    before = baseline.values(measure)
    kept = np.isfinite(before)
    watched_s = watched_until - removed_at
    if int(kept.sum()) < LEAST_BASELINE_BINS:
        return Recovery(None, watched_s=watched_s, note="too few baseline bins for a band")
    after = recovery.values(measure)
    if int(np.isfinite(after).sum()) < CONSECUTIVE:
        return Recovery(None, watched_s=watched_s, note="too few bins after the removal")
    events = measure.events(baseline.grid)[kept]
    edge = worse_edge(before[kept], events, worse_sign, is_share)
    # A relative hair of room: equal counts need not divide to equal floats.
    room = 1e-9 * max(abs(edge), 1e-300)
    inside = np.isfinite(after) & (worse_sign * (np.nan_to_num(after) - edge) <= room)
    streak = first_streak(inside)
    if streak is None:
        return Recovery(False, watched_s=watched_s)
    return Recovery(True, max(0.0, float(recovery.starts[streak]) - removed_at), watched_s)
