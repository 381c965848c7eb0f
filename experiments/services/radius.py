"""Says in plain sentences what a plan breaks, where, for how long, and how that ends.

Nothing is estimated: the sentences are the drivers', the times those of the plan.
"""

from __future__ import annotations

from collections.abc import Sequence

from drivers.protocol import Document, FaultParams, Target
from experiments.models import Environment
from experiments.selectors import schedule, words

_MOST_NAMED = 3
_NOTHING = "; nothing matches now"


def of_action(
    sentence: str,
    planned: schedule.Planned | None,
    documents: Sequence[Document],
    targets: Sequence[Target] | None,
) -> str:
    """Say what one fault does, for how long, and to whom; ``targets`` are those that match now."""
    lasts = f"For {words.length(planned.stop_s - planned.start_s)} at most, it " if planned else ""
    where = ""
    if targets is not None:
        where = f" on {_named([each.name for each in targets])}" if targets else _NOTHING
    elif documents:
        where = f" through {_named(list(dict.fromkeys(each.target for each in documents)))}"
    said = f"{lasts}{sentence}{where}."
    return f"{said[:1].upper()}{said[1:]}"


def end_of(
    model: type[FaultParams], planned: schedule.Planned | None, whole: schedule.Schedule | None
) -> str:
    """Say when the fault is removed."""
    if model.undo == "none" or planned is None or whole is None:
        return ""
    at = words.clock(whole.baseline_s + planned.stop_s)
    later = " at the latest" if whole.waits_for_people else ""
    ends = "is removed" if model.undo == "restores" else "ends"
    return f"It {ends} {at} into the run{later}, and at once when the run is stopped."


def of_all(
    whole: schedule.Schedule | None,
    sentences: Sequence[tuple[str, type[FaultParams], str]],
    environment: Environment | None,
) -> str:
    """Say what the whole plan breaks; ``sentences`` are each fault's name, model and sentence."""
    if not sentences:
        return ""
    what = "; ".join(sentence for _, _, sentence in sentences[:_MOST_NAMED])
    if len(sentences) > _MOST_NAMED:
        what += f"; and {words.counted(len(sentences) - _MOST_NAMED, 'more fault')}"
    where = f" in {environment}" if environment else ""
    count = "one fault is" if len(sentences) == 1 else f"{len(sentences)} faults are"
    if whole is None or not whole.faults:
        said = f"{count} injected{where}: {what}."
        return f"{said[:1].upper()}{said[1:]}"
    begins = min(action.start_s for action in whole.faults)
    ends = max(action.stop_s for action in whole.faults)
    at_once = most_at_once(whole.faults)
    together = f", {'both' if at_once == 2 else at_once} at once" if at_once > 1 else ""
    if 1 < at_once < len(sentences):
        together = f", up to {at_once} at once"
    times = f"{words.clock(whole.baseline_s + begins)} to {words.clock(whole.baseline_s + ends)}"
    upto = "up to " if whole.waits_for_people else ""
    return (
        f"For {upto}{words.length(ends - begins)}, from {times} of the run,"
        f" {count} live{where}{together}: {what}. {_ends([each[:2] for each in sentences])}"
    )


def most_at_once(faults: Sequence[schedule.Planned]) -> int:
    """Return how many faults are live at the same moment, at most."""
    return max(
        (sum(other.start_s <= each.start_s < other.stop_s for other in faults) for each in faults),
        default=0,
    )


def _ends(faults: Sequence[tuple[str, type[FaultParams]]]) -> str:
    lost = [name for name, model in faults if model.undo == "none"]
    healing = [name for name, model in faults if model.undo == "self_heals"]
    said = []
    if len(lost) + len(healing) < len(faults):
        others = "Everything else" if lost or healing else "Everything"
        said.append(f"{others} is put back when its time is over, and at once on Stop.")
    if healing:
        said.append(f"{_named(healing)}: the targets heal by themselves.")
    if lost:
        said.append(f"{_named(lost)} cannot be undone.")
    return " ".join(said)


def _named(names: Sequence[str]) -> str:
    if len(names) > _MOST_NAMED:
        return f"{', '.join(names[:_MOST_NAMED])} and {len(names) - _MOST_NAMED} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
