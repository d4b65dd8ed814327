"""The work of ``gc``: what it looks at, and what may stay."""

from __future__ import annotations

import re
import time
from dataclasses import replace

from reconciler.cli.wiring import Workspace
from reconciler.errors import UsageError
from reconciler.plan.garbage import Rule
from reconciler.ports import Registry
from reconciler.reconcile.collection import Collected, Holdings, Means, collect
from reconciler.registries.layout import LayoutRegistry
from reconciler.store.holdings import CacheFolder

_DAY_S = 86_400.0
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kKMGT]?)(i?)B?")
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def collect_garbage(workspace: Workspace, *, keep_size: str, older_than: float, delete: bool) -> Collected:
    """Choose what goes, and with ``delete`` delete it."""
    rule = Rule(now_s=time.time(), older_than_s=older_than * _DAY_S, keep_bytes=parse_size(keep_size))
    opened = _registry(workspace)
    holdings: list[Holdings] = [CacheFolder(path=workspace.folder)]
    if isinstance(opened, LayoutRegistry):
        holdings.append(opened.unreached())
    means = Means(
        registry=None if opened is None else workspace.quick, executor=workspace.executor, holdings=tuple(holdings)
    )
    found = collect(means, rule, delete=delete)
    if opened is None or not opened.remote:
        return found
    workspace.remember()
    note = f"nothing in {opened.address} is deleted: registries collect what nothing names by themselves"
    return replace(found, notes=(*found.notes, note))


def _registry(workspace: Workspace) -> Registry | None:
    """Open the registry; outside a repository there may be none, and caches all the same."""
    try:
        return workspace.opened
    except UsageError:
        if workspace.inside:
            raise
        return None


def parse_size(text: str) -> int:
    """Read a size such as ``500MB``, ``1.5G`` or ``2GiB``; a UsageError where it is none."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"--keep-size: {text[:40]!a} is no size", hint="write it as 500MB, 20GB or 2GiB")
    number, power, binary = match.groups()
    return int(float(number) * (1024 if binary else 1000) ** _POWERS[power.lower()])
