"""One thing done for many rows: in order, errors left out, and nobody waited for too long."""

from __future__ import annotations

import threading

from experiments.services import abreast


def test_what_was_found_comes_in_order_without_what_failed():
    def half(number):
        if number % 2:
            raise ValueError(number)
        return number // 2

    assert abreast.for_each([8, 3, 2, 0], half, threads=2) == [4, 1, 0]
    assert abreast.for_each([], half, threads=2) == []


def test_a_row_that_is_late_is_left_out_and_does_not_hold_the_caller():
    going_on, begun = threading.Event(), []

    def wait(number):
        begun.append(number)
        if number:
            going_on.wait(30)
        return number

    assert abreast.for_each([1, 2, 0], wait, threads=3, within_s=0.3) == [0]
    assert not going_on.is_set(), "the caller went on before the others did"
    # Rows whose turn has not come by then are not begun any more.
    begun.clear()
    assert abreast.for_each([1, 2], wait, threads=1, within_s=0.05) == []
    going_on.set()
    assert begun == [1]
