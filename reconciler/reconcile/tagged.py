"""Which tags a record has to have, and which of them are gone or name something else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from reconciler.errors import CorruptError, NotFoundError
from reconciler.plan.observed import Moved, Present
from reconciler.ports import Registry
from reconciler.reconcile.tags import CURRENT, build_tag, platform_tag, side_tag, version_tag
from reconciler.record import Record, parse_record
from reconciler.values.digest import Digest

PAST_LIMIT = 100
"""How many earlier versions are asked for."""


def read_record(
    registry: Registry, name: str, reference: str | Digest, version: int | None = None
) -> tuple[Record, Digest]:
    """Read a record of this environment (and version); another's is a CorruptError, as what is no record is."""
    content = registry.fetch(name, reference)
    record = parse_record(content)
    if record.facts.name != name:
        raise CorruptError(f"{name}: {content.digest} is a record of {record.facts.name}")
    if version is not None and record.facts.version != version:
        raise CorruptError(f"{name}: {content.digest} is a record of version {record.facts.version}, not {version}")
    return record, content.digest


def with_tags(registry: Registry, name: str, present: Present) -> Present:
    """Add which tags of the record, and of the versions before it, are missing or name something else."""
    missing, moved = list(present.missing), dict(present.moved)
    for tag, digest in expected_tags(registry, name, present.record):
        found = registry.resolve(name, tag)
        if tag in moved:
            continue
        if found is None:
            missing.append(tag)
        elif found != digest:
            moved[tag] = Moved(expected=digest, found=found)
    own = version_tag(present.record.facts.version)
    named = registry.resolve(name, own)
    if own not in {*missing, *moved, *present.tampered}:
        if named is None:
            missing.append(own)
        elif not names_version(registry, name, present.record, named):
            moved[own] = Moved(expected=None, found=named)
    elsewhere = [tag for tag in moved if tag not in present.moved]
    return replace(present, missing=tuple(missing), tampered=(*present.tampered, *elsewhere), moved=moved)


def expected_tags(registry: Registry, name: str, record: Record) -> Iterator[tuple[str, Digest]]:
    """Say what each tag has to name: of the record's entries, and of the versions before it.

    The record's own version is left out: after a change of metadata it names an earlier record, see
    :func:`names_version`. A version whose record is gone ends the list, since nothing says what was before it.
    """
    number = record.facts.version
    for platform, entry in sorted(record.artifacts.items()):
        yield build_tag(record.build_keys[platform]), entry.digest
        yield platform_tag(number, platform), entry.digest
    yield side_tag(number, "request"), record.request_entry.digest
    yield side_tag(number, "lock"), record.lock_entry.digest
    parent = record.facts.parent
    for _ in range(PAST_LIMIT):
        if parent is None:
            return
        try:
            below, digest = read_record(registry, name, parent)
        except (NotFoundError, CorruptError):
            return
        yield version_tag(below.facts.version), digest
        parent = below.facts.parent


def names_version(registry: Registry, name: str, record: Record, digest: Digest) -> bool:
    """Tell whether ``digest`` is this record, or the one of the same version that it restates."""
    try:
        found, _ = read_record(registry, name, digest, record.facts.version)
    except (NotFoundError, CorruptError):
        return False
    return _registered(found) == _registered(record)


def _registered(record: Record) -> tuple[object, ...]:
    """Give what all records of one version have in common: everything but metadata and where it was read from."""
    facts = record.facts
    return (
        (facts.request, facts.lock, facts.components, facts.builder, facts.recipe, facts.base, facts.parent),
        (record.artifacts, record.build_keys, record.below, record.request_entry, record.lock_entry),
    )


def fault(registry: Registry, name: str, present: Present, tag: str) -> Present:
    """Add that a tag names what can't be used: whether that is gone or changed, and its digest."""
    found = registry.resolve(name, tag)
    if found is None:
        return replace(present, missing=(*present.missing, tag))
    moved = {**present.moved, tag: Moved(expected=present.digest if tag == CURRENT else None, found=found)}
    if registry.resolve(name, found) is None:
        return replace(present, missing=(*present.missing, tag), moved=moved)
    return replace(present, tampered=(*present.tampered, tag), moved=moved)
