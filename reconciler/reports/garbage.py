"""What `gc` found and did, for a terminal or a log, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from reconciler.plan.garbage import Kind, Selection, Tally
from reconciler.reports.inert import inert
from reconciler.reports.style import PLAIN, Style
from reconciler.reports.wording import counted, size_text
from reconciler.values.canonical import Json

FORMAT_VERSION = 1
_MAX_FOREIGN = 10
_WORDS = {
    Kind.WHEEL: "wheel",
    Kind.PACKAGE: "Debian package",
    Kind.PYTHON: "Python archive",
    Kind.LAYER: "layer",
    Kind.ENVIRONMENT: "environment",
    Kind.INTERPRETER: "interpreter",
    Kind.BLOB: "blob",
    Kind.LEFTOVER: "leftover",
}


class Collection(Protocol):
    """What was chosen and done (``reconcile.collection.Collected``)."""

    @property
    def selection(self) -> Selection:
        """What goes."""

    @property
    def kept(self) -> Tally:
        """What the registry needs."""

    @property
    def deleted(self) -> bool:
        """Whether it was deleted."""

    @property
    def foreign(self) -> tuple[str, ...]:
        """What is none of ours."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be judged."""

    @property
    def failures(self) -> Mapping[str, str]:
        """What could not be deleted, and why."""


def collection_text(one: Collection, folder: Path, style: Style = PLAIN) -> str:
    """Write what there is and what goes, a kind a line; what it came to as the last line."""
    lines = [style.paint(f"reconciler gc · {inert(_typed(str(folder)), 60)}", "bold"), ""]
    lines += _table(one)
    if style.verbose:
        goes = zip(one.selection.taken, one.selection.frees, strict=True)
        lines += [f"  - {inert(_typed(entry.place))}  {size_text(size)}" for entry, size in goes]
    lines += [f"  not ours, left alone: {inert(_typed(path))}" for path in one.foreign[:_MAX_FOREIGN]]
    if len(one.foreign) > _MAX_FOREIGN:
        lines.append(f"  and {len(one.foreign) - _MAX_FOREIGN} more")
    lines += [f"  can't be removed: {inert(reason)}" for reason in one.failures.values()]
    lines += [f"note: {inert(note)}" for note in one.notes]
    gap = [""] if len(lines) > 2 else []  # noqa: PLR2004  # the title and the line below it
    return "\n".join([*lines, *gap, style.paint(_verdict(one), "bold")]) + "\n"


def collection_json(one: Collection, folder: Path) -> dict[str, Json]:
    """Write the same as a JSON document; sizes are in bytes."""
    selection = one.selection
    goes = zip(selection.taken, selection.frees, strict=True)
    return {
        "format_version": FORMAT_VERSION,
        "folder": str(folder),
        "deleted": one.deleted,
        "freed_bytes": _freed(one),
        "cache_bytes": selection.held,
        "kinds": {
            kind.value: {"there": _tally_json(_there(one, kind)), "goes": _tally_json(selection.tally(kind))}
            for kind in Kind
        },
        "goes": [
            {"kind": entry.kind.value, "name": entry.name, "path": entry.place, "frees_bytes": size}
            for entry, size in goes
        ],
        "foreign": list(one.foreign),
        "failures": dict(one.failures),
        "notes": list(one.notes),
    }


def _table(one: Collection) -> Iterator[str]:
    rows = [("", "there", "", "goes", "")]
    for kind in Kind:
        there, goes = _there(one, kind), one.selection.tally(kind)
        if there.count:
            gone = (str(goes.count), size_text(goes.size)) if goes.count else ("-", "")
            rows.append((kind.value, str(there.count), size_text(there.size), *gone))
    if len(rows) == 1:
        return
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for first, *numbers in rows:
        cells = [number.rjust(width) for number, width in zip(numbers, widths[1:], strict=True)]
        yield "  " + "  ".join([first.ljust(widths[0]), *cells]).rstrip()


def _there(one: Collection, kind: Kind) -> Tally:
    there = one.selection.there[kind]
    if kind is not Kind.BLOB:
        return there
    return Tally(count=there.count + one.kept.count, size=there.size + one.kept.size)


def _verdict(one: Collection) -> str:
    if not one.selection.taken:
        return f"Nothing to delete; the caches hold {size_text(one.selection.held)}."
    kinds = [(kind, one.selection.tally(kind).count) for kind in Kind]
    what = ", ".join(_counted(count, kind) for kind, count in kinds if count)
    if not one.deleted:
        return f"Would free {size_text(_freed(one))}: {what}; `gc --delete` with the same options does."
    if one.failures:
        return f"Freed {size_text(_freed(one))}; {counted(len(one.failures), 'thing')} can't be removed."
    return f"Freed {size_text(_freed(one))}: {what}."


def _counted(count: int, kind: Kind) -> str:
    if kind is Kind.DERIVED:
        return f"{counted(count, 'file')} of derived values"
    return counted(count, _WORDS[kind])


def _freed(one: Collection) -> int:
    """Count what is freed, without what could not be removed."""
    goes = zip(one.selection.taken, one.selection.frees, strict=True)
    return sum(size for entry, size in goes if entry.place not in one.failures)


def _tally_json(tally: Tally) -> dict[str, Json]:
    return {"count": tally.count, "bytes": tally.size}


def _typed(path: str) -> str:
    """Write a path as people type it: from where they are, where it is below that."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path
