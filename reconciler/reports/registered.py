"""What a registered environment is made of, from its record alone: for a terminal and as JSON."""

from __future__ import annotations

from reconciler.plan.observed import Present
from reconciler.reports.environments import environment_json, reference
from reconciler.reports.inert import cells, inert, pad
from reconciler.reports.style import PLAIN, Style
from reconciler.reports.wording import counted, value_text
from reconciler.values.canonical import Json
from reconciler.values.digest import Digest

FORMAT_VERSION = 1
_SHOWN = len("sha256:") + 12
"""How much of a digest tells it from the others of one environment."""
_NAME = 12
_NARROW, _LONGEST = 40, 2000


def registered_text(one: Present, registry: str, style: Style = PLAIN) -> str:
    """Write what a record says, the components with their values where those fit in a line, and the verdict last."""
    facts = one.record.facts
    archived = ", archived" if facts.archived else ""
    commit = f"{facts.commit}{' (dirty)' if facts.dirty else ''}" if facts.commit else "none, made outside git"
    lines = [
        style.paint(f"{inert(facts.name)}  version {facts.version}{archived}  {inert(facts.manifest)}", "bold"),
        f"  request   {facts.request}",
        f"  lock      {facts.lock}{_lock(one)}",
        f"  builder   {inert(facts.builder)}, recipe {facts.recipe}",
        *([f"  base      {inert(facts.base)}"] if facts.base else []),
        f"  manager   {inert(facts.manager)}",
        f"  commit    {inert(commit)}",
        f"  registry  {inert(reference(one, registry))}",
        "  components",
        *(_component(one, name, digest, style) for name, digest in sorted(facts.components.items())),
        style.paint(f"Verdict: {_verdict(one)}.", "bold"),
    ]
    return "\n".join(lines) + "\n"


def registered_json(one: Present, registry: str) -> dict[str, Json]:
    """Write everything that a record and its bodies say; ``values`` is null where these can't be read."""
    values = None if one.bodies is None else dict(one.bodies.components)
    return {"format_version": FORMAT_VERSION, **environment_json(one, registry), "values": values}


def _lock(one: Present) -> str:
    if one.bodies is None:
        return ""
    platforms = one.bodies.lock.platforms
    most = max((len(part.packages) for part in platforms.values()), default=0)
    return f"  {counted(most, 'package')} for {', '.join(map(str, sorted(platforms)))}"


def _component(one: Present, name: str, digest: Digest, style: Style) -> str:
    shown = str(digest) if style.verbose else str(digest)[:_SHOWN]
    line = f"      {pad(inert(name), _NAME)}  {shown}"
    value = _telling(None if one.bodies is None else one.bodies.components.get(name))
    if not value:
        return line
    width = max(style.width, _NARROW)
    text = value_text(value, _LONGEST)
    return f"{line}  {text}" if style.verbose or cells(line + text) + 2 <= width else line


def _telling(value: Json) -> Json:
    """Leave out the fields that say "nothing": a component holds every default."""
    if not isinstance(value, dict):
        return value
    return {key: item for key, item in value.items() if item or item is False}


def _verdict(one: Present) -> str:
    damage = [(one.missing, "missing"), (one.tampered, "changed")]
    found = [f"{', '.join(parts)} {word}" for parts, word in damage if parts]
    if found:
        return f"it is damaged ({inert('; '.join(found))}); `reconciler apply` where it is declared mends it"
    return "it is archived, and still runs" if one.record.facts.archived else "it is registered"
