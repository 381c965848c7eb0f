"""Series: what was read of one SLI, bin by bin, in arrays that can be stored and merged."""

from __future__ import annotations

import io
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_SAME_TIME_DIGITS = 3
"""Bin ends that agree to the millisecond are the same bin: ends are multiples of the step."""
_DAMAGED = (
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,  # zipfile: damaged flags read as a compression that it does not have
    OSError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    TypeError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What numpy and zipfile raise, beside ValueError, for bytes that are no npz or no longer one."""


def _frozen(values: npt.ArrayLike) -> Floats:
    array = np.array(values, dtype=np.float64)
    array.flags.writeable = False
    return array


def _whole(rows: Floats) -> Mask:
    """Return which rows of (n, k) have no missing value."""
    return np.asarray(np.isfinite(rows).all(axis=1), dtype=np.bool_)


def _union(first: Floats, second: Floats, replaces: Mask) -> tuple[Floats, npt.NDArray[np.intp]]:
    """Return the united bin ends and, for each, its row in the two series laid end to end.

    Args:
        first: bin ends of the earlier read, shape (n,).
        second: bin ends of the later read, shape (m,).
        replaces: shape (m,); where False, a row of the later read yields to an earlier one.
    """
    keys = np.round(np.concatenate([first, second]), _SAME_TIME_DIGITS)
    rank = np.concatenate([np.ones(len(first)), np.where(replaces, 2, 0)])
    order = np.lexsort((rank, keys))
    last_of_its_time = np.ones(len(keys), dtype=bool)
    last_of_its_time[:-1] = np.diff(keys[order]) > 0
    rows = order[last_of_its_time]
    return np.concatenate([first, second])[rows], rows


@dataclass(frozen=True, eq=False)
class _Series:
    """Common ground: bin ends in unix seconds, the step between them, the window each covers."""

    times: Floats
    step_s: float = field(kw_only=True)
    window_s: float = field(kw_only=True)
    arrays: ClassVar[tuple[str, ...]] = ("times",)

    def __post_init__(self) -> None:
        if not (self.step_s > 0 and self.window_s > 0):
            raise ValueError("step_s and window_s must be positive")
        for name in self.arrays:
            object.__setattr__(self, name, _frozen(getattr(self, name)))
        if self.times.ndim != 1 or np.any(np.diff(self.times) <= 0):
            raise ValueError("times must be one-dimensional and increasing")

    def to_bytes(self) -> bytes:
        """Return the arrays as a compressed npz, the same bytes for the same arrays."""
        buffer = io.BytesIO()
        stored: dict[str, Floats] = {name: getattr(self, name) for name in self.arrays}
        timing = np.array([self.step_s, self.window_s], dtype=np.float64)
        np.savez_compressed(buffer, allow_pickle=False, timing=timing, **stored)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, stored: bytes) -> Self:
        """Read what ``to_bytes`` wrote. Raises ValueError when it is not such a file."""
        try:
            with np.load(io.BytesIO(stored), allow_pickle=False) as archive:
                read: Mapping[str, Floats] = {name: archive[name] for name in archive.files}
            step_s, window_s = (float(value) for value in read["timing"])
            arrays = {name: read[name] for name in cls.arrays}
            return cls(**arrays, step_s=step_s, window_s=window_s)
        except _DAMAGED as error:
            raise ValueError(f"not a stored {cls.__name__}: {error}") from error

    def since(self, start: float, *, most: int | None = None) -> Self:
        """Return the bins that end at ``start`` (unix seconds) or later, at most the newest."""
        first = int(np.searchsorted(self.times, start))
        if most is not None:
            first = max(first, len(self.times) - most)
        kept = {name: getattr(self, name)[first:] for name in self.arrays if name != "bounds"}
        return replace(self, **kept)

    def _check_mergeable(self, other: _Series) -> None:
        if (self.step_s, self.window_s) != (other.step_s, other.window_s):
            raise ValueError("series of different step or window cannot be merged")


@dataclass(frozen=True, eq=False)
class RatioSeries(_Series):
    """Bad events and all events per bin, both of shape (n,).

    ``bad`` missing where ``total`` is present means 0 (a counter that no error ever created);
    ``total`` missing means that the bin is missing.
    """

    bad: Floats
    total: Floats
    arrays: ClassVar[tuple[str, ...]] = ("times", "bad", "total")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.bad.shape == self.total.shape == self.times.shape:
            raise ValueError("times, bad and total must have the same shape")

    def merge(self, other: Self) -> Self:
        """Return both reads as one; a later bin wins over an earlier one unless it is missing.

        Raises ValueError when step or window differ.
        """
        self._check_mergeable(other)
        times, rows = _union(self.times, other.times, np.isfinite(other.total))
        return type(self)(
            times=times,
            step_s=self.step_s,
            window_s=self.window_s,
            bad=np.concatenate([self.bad, other.bad])[rows],
            total=np.concatenate([self.total, other.total])[rows],
        )


@dataclass(frozen=True, eq=False)
class HistogramSeries(_Series):
    """Increase of each cumulative bucket per bin.

    ``bounds`` are the ``le`` upper bounds in the SLI's unit, increasing and ending in +inf, shape
    (k,); ``counts`` has shape (n, k) and is cumulative in ``le``, as Prometheus gives it. A row
    with any missing bucket is a missing bin.
    """

    bounds: Floats
    counts: Floats
    arrays: ClassVar[tuple[str, ...]] = ("times", "bounds", "counts")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bounds(self.bounds)
        if self.counts.size == 0 and not len(self.times):
            object.__setattr__(self, "counts", _frozen(np.empty((0, len(self.bounds)))))
        if self.counts.shape != (len(self.times), len(self.bounds)):
            raise ValueError("counts must have the shape (bins, bounds)")

    def merge(self, other: Self) -> Self:
        """Return both reads as one; a later bin wins over an earlier one unless it is missing.

        Where the two reads know different buckets, the common ones are kept: cumulative counts
        lose resolution by that, never truth. Raises ValueError when step or window differ.
        """
        self._check_mergeable(other)
        bounds = np.intersect1d(self.bounds, other.bounds)
        later = other.counts[:, np.isin(other.bounds, bounds)]
        earlier = self.counts[:, np.isin(self.bounds, bounds)]
        times, rows = _union(self.times, other.times, _whole(later))
        return type(self)(
            times=times,
            step_s=self.step_s,
            window_s=self.window_s,
            bounds=bounds,
            counts=np.concatenate([earlier, later])[rows],
        )

    def of_newest_buckets(self) -> Self:
        """Return it in the buckets that its newest bin has; a bin that lacks one is missing.

        A read across a change of the target's buckets knows the old and the new ones, and no bin
        has them all.
        """
        known = np.flatnonzero(np.isfinite(self.counts).any(axis=1))
        if not len(known):
            return self
        has = np.isfinite(self.counts[known[-1]])
        if not has[-1]:
            return self
        return replace(self, bounds=self.bounds[has], counts=self.counts[:, has])


@dataclass(frozen=True, eq=False)
class ValueSeries(_Series):
    """One value per bin, shape (n,), in the SLI's unit; NaN is missing."""

    values: Floats
    arrays: ClassVar[tuple[str, ...]] = ("times", "values")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.values.shape != self.times.shape:
            raise ValueError("times and values must have the same shape")

    def merge(self, other: Self) -> Self:
        """Return both reads as one; a later bin wins over an earlier one unless it is missing.

        Raises ValueError when step or window differ.
        """
        self._check_mergeable(other)
        times, rows = _union(self.times, other.times, np.isfinite(other.values))
        return type(self)(
            times=times,
            step_s=self.step_s,
            window_s=self.window_s,
            values=np.concatenate([self.values, other.values])[rows],
        )


Series = RatioSeries | HistogramSeries | ValueSeries


def fits(earlier: Series, later: Series) -> bool:
    """Return whether the two reads are of one kind, step and window, and in the same buckets.

    Only then merging them loses nothing.
    """
    if type(earlier) is not type(later):
        return False
    if (earlier.step_s, earlier.window_s) != (later.step_s, later.window_s):
        return False
    if isinstance(earlier, HistogramSeries) and isinstance(later, HistogramSeries):
        return np.array_equal(earlier.bounds, later.bounds)
    return True


def check_bounds(bounds: Floats) -> None:
    """Raise ValueError unless the bounds increase and end in +inf."""
    if bounds.ndim != 1 or not len(bounds) or not np.isposinf(bounds[-1]):
        raise ValueError("bounds must be one-dimensional and end in +inf")
    if np.any(np.diff(bounds) <= 0):
        raise ValueError("bounds must increase")
