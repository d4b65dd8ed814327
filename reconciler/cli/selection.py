"""Which of the declared environments a command line names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reconciler.errors import UsageError
from reconciler.manifest.desired import Desired


def select(desired: Sequence[Desired], names: Sequence[str], tags: Sequence[str]) -> frozenset[str] | None:
    """Choose environments by name and by tag (``KEY=VALUE``); none where nothing was asked."""
    if not names and not tags:
        return None
    known = {item.name for item in desired}
    for name in names:
        if name not in known:
            raise UsageError(f"no environment `{name}` is declared{close(name, known)}")
    wanted = set(names)
    for tag in tags:
        key, separator, value = tag.partition("=")
        if not separator:
            raise UsageError(f"--tag: `{tag}` is no tag", hint="write KEY=VALUE")
        tagged = {item.name for item in desired if item.manifest.tags.get(key) == value}
        if not tagged:
            raise UsageError(f"--tag: no declared environment has the tag {tag}", hint="`tags` stands in a manifest")
        wanted |= tagged
    return frozenset(wanted)


def close(name: str, known: Iterable[str]) -> str:
    """Ask whether the nearest known name was meant, where one is near."""
    import difflib  # noqa: PLC0415  # only a mistyped name pays

    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f", did you mean `{close[0]}`?" if close else ""


def require(desired: Sequence[Desired], name: str) -> Desired:
    """Find one declared environment by its name."""
    for item in desired:
        if item.name == name:
            return item
    raise UsageError(f"no environment `{name}` is declared{close(name, [item.name for item in desired])}")
