"""Checking up the wheels that a registry keeps of what was built from source; losing one costs building it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.errors import CorruptError, DeniedError, StoreError
from reconciler.plan.diagnosis import Mark, Remark, Remedy, counted
from reconciler.ports import Inspected, Registry
from reconciler.reconcile.contents import Contents
from reconciler.reconcile.storage import judge_stored, unnamed
from reconciler.reconcile.wheels import REPOSITORY

_ANEW = "delete the tag, and the blob where the registry keeps it; whoever needs the wheel builds it again"


@dataclass(frozen=True, kw_only=True, slots=True)
class ExaminedWheels:
    """What was found; ``unnamed`` are how many blobs nothing names, and their bytes."""

    remarks: Sequence[Remark]
    unnamed: tuple[int, int] = (0, 0)


def examine_wheels(registry: Registry, inspected: Inspected | None) -> ExaminedWheels | None:
    """Read every wheel that is kept, of all managers; none where there are none or we may not look."""
    try:
        tags = registry.tags(REPOSITORY)
    except DeniedError:
        return None
    except (CorruptError, StoreError) as error:
        return ExaminedWheels(remarks=[_problem("", error.message)])
    if not tags:
        return None
    contents = Contents(registry, REPOSITORY)
    for tag in tags:
        digest = registry.resolve(REPOSITORY, tag)
        if digest is not None:
            contents.read_tag(tag, digest, remedy=Remedy.REMOVE)
    remarks = [_problem(damage.part, damage.text) for damage in contents.damages]
    if not remarks:
        text = f"{counted(len(tags), 'wheel')}, {counted(contents.size, 'byte')}, all whole"
        remarks = [Remark(mark=Mark.OK, subject=REPOSITORY, text=text)]
    if inspected is None:
        return ExaminedWheels(remarks=remarks)
    stored = tuple(inspected.inspect(REPOSITORY, contents.known))
    remarks += judge_stored(REPOSITORY, stored, contents.known)
    return ExaminedWheels(remarks=remarks, unnamed=unnamed(stored, contents.known))


def _problem(part: str, text: str) -> Remark:
    return Remark(mark=Mark.PROBLEM, subject=REPOSITORY, part=part, text=text, hint=_ANEW)
