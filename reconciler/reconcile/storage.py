"""What stands in a registry's storage beside what is named, where the storage can be looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet

from reconciler.plan.diagnosis import Mark, Remark
from reconciler.ports import Stored
from reconciler.values.digest import Digest


def judge_stored(name: str, stored: Sequence[Stored], known: AbstractSet[Digest]) -> Iterator[Remark]:
    """Judge what is odd, left over, or damaged and named by nothing; what is named is told by who names it."""
    for one in stored:
        if one.fault and one.digest not in known:
            mark = Mark.NOTE if one.digest is None else Mark.PROBLEM
            hint = f"remove {one.path}; nothing needs it"
            yield Remark(mark=mark, subject=name, part=one.path, text=one.fault, hint=hint)
    left = [one.path for one in stored if one.leftover]
    if left:
        text = f"{len(left)} left over from a write that was cut off, or is under way"
        hint = "the next apply that writes there tidies up"
        yield Remark(mark=Mark.NOTE, subject=name, part=left[0], text=text, hint=hint)


def unnamed(stored: Iterable[Stored], known: AbstractSet[Digest]) -> tuple[int, int]:
    """Count the blobs that are whole and that nothing names, and their bytes."""
    sizes = [one.size for one in stored if one.digest is not None and one.digest not in known and not one.fault]
    return len(sizes), sum(sizes)
