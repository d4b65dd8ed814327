"""The write protocol: how a version of an environment gets into a registry. It is written here and nowhere else.

Order of writes: blobs, manifests by digest, ``build-``, side tags, ``vN``, read back and verify, ``current`` last.
``current`` is the commit point: a crash before it leaves only what the next run adopts. ``build-`` and ``vN`` are
written once; a number that is taken by something else is skipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from reconciler.errors import ConflictError, CorruptError, NotFoundError
from reconciler.oci.descriptor import Content
from reconciler.ports import Registry
from reconciler.reconcile import tags
from reconciler.reconcile.images import push_image
from reconciler.reconcile.tagged import expected_tags, names_version
from reconciler.record import (
    Bodies,
    Facts,
    Record,
    components_content,
    lock_content,
    to_index,
)
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """The artifact of one platform: its build key, and its manifest as it is in the registry."""

    key: Digest
    manifest: Content


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A version that is to be registered.

    ``facts`` still holds the number of the version below (0 where there is none), and no parent.
    """

    facts: Facts
    artifacts: Mapping[Platform, Artifact]
    bodies: Bodies


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A record that ``current`` names."""

    record: Record
    digest: Digest


def publish(registry: Registry, draft: Draft, *, expected: Digest | None) -> Published:
    """Register a new version on top of ``expected`` (what ``current`` named when the step was derived)."""
    name = draft.facts.name
    sides = _push_sides(registry, draft)
    record = Record(
        facts=draft.facts,
        artifacts={
            platform: artifact.manifest.describe(platform=platform) for platform, artifact in draft.artifacts.items()
        },
        build_keys={platform: artifact.key for platform, artifact in draft.artifacts.items()},
        request_entry=sides["request"].describe(),
        lock_entry=sides["lock"].describe(),
    )
    placed, content = _place(registry, record)
    _tag_entries(registry, name, placed, draft, sides)
    _write_once(registry, name, content, tags.version_tag(placed.facts.version))
    return _move_current(registry, placed, content, expected)


def publish_metadata(registry: Registry, record: Record, *, expected: Digest | None) -> Published:
    """Register a change of metadata: a record of the same version that ``current`` alone names."""
    return _move_current(registry, record, to_index(record), expected)


def _place(registry: Registry, record: Record) -> tuple[Record, Content]:
    """Give the record the first number that is free, or that holds these very bytes (a crash left them)."""
    name = record.facts.name
    taken = tags.versions(registry.tags(name))
    number = record.facts.version + 1
    while True:
        below = next((version for version in taken if version < number), None)
        parent = registry.resolve(name, tags.version_tag(below)) if below else None
        placed = replace(record, facts=replace(record.facts, version=number, parent=parent))
        content = to_index(placed)
        if number not in taken or registry.resolve(name, tags.version_tag(number)) == content.digest:
            return placed, content
        number += 1


def _tag_entries(registry: Registry, name: str, record: Record, draft: Draft, sides: Mapping[str, Content]) -> None:
    number = record.facts.version
    for platform, artifact in sorted(draft.artifacts.items()):
        names = (tags.build_tag(artifact.key), tags.platform_tag(number, platform))
        registry.push(name, artifact.manifest, tags=names)
    for entry, content in sorted(sides.items()):
        registry.push(name, content, tags=(tags.side_tag(number, entry),))


def _push_sides(registry: Registry, draft: Draft) -> dict[str, Content]:
    """Write what a record holds beside its artifacts: the request and the lock."""
    name = draft.facts.name
    return {
        "request": push_image(registry, name, components_content(draft.bodies.components)),
        "lock": push_image(registry, name, lock_content(draft.bodies.lock)),
    }


def _write_once(registry: Registry, name: str, content: Content, tag: str) -> None:
    if not _is_at(registry, name, tag, content):
        registry.push(name, content, tags=(tag,))
    _read_back(registry, name, tag, content.digest)


def _move_current(registry: Registry, record: Record, content: Content, expected: Digest | None) -> Published:
    name = record.facts.name
    found = registry.resolve(name, tags.CURRENT)
    if found not in (expected, content.digest):
        raise ConflictError(
            f"{name} was changed by another writer: current was {expected}, now it is {found}",
            hint="run apply again",
        )
    if not _is_at(registry, name, tags.CURRENT, content):
        registry.push(name, content, tags=(tags.CURRENT,))
    _read_back(registry, name, tags.CURRENT, content.digest)
    return Published(record=record, digest=content.digest)


def _is_at(registry: Registry, name: str, tag: str, content: Content) -> bool:
    """Tell whether a tag names this content and that is there: a tag outlives what it names."""
    try:
        return registry.fetch(name, tag).digest == content.digest
    except (NotFoundError, CorruptError):
        return False


def _read_back(registry: Registry, name: str, tag: str, digest: Digest) -> None:
    """Read what was written: that a write was acknowledged proves nothing."""
    found = registry.fetch(name, tag).digest
    if found != digest:
        raise ConflictError(
            f"{name}:{tag} reads back as {found}, not as {digest} that was written",
            hint="another writer was at work; run apply again",
        )


def heal(registry: Registry, record: Record, draft: Draft) -> None:
    """Write again what a record names and what is not there any more, or is not what its digest says; and its tags."""
    _tag_entries(registry, record.facts.name, record, draft, _push_sides(registry, draft))
    mend_tags(registry, record)


def mend_tags(registry: Registry, record: Record) -> None:
    """Put the tags of a record, and of the versions before it, back to what they have to name, where that is there."""
    name = record.facts.name
    for tag, digest in expected_tags(registry, name, record):
        if registry.resolve(name, tag) == digest:
            continue
        try:
            registry.push(name, registry.fetch(name, digest), tags=(tag,))
        except (NotFoundError, CorruptError):
            continue  # what is lost is made anew by whoever can
    own = tags.version_tag(record.facts.version)
    named = registry.resolve(name, own)
    if named is None or not names_version(registry, name, record, named):
        _write_once(registry, name, to_index(record), own)
