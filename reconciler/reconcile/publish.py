"""The write protocol: how a version of an environment gets into a registry. It is written here and nowhere else.

Order of writes: blobs, manifests by digest, ``build-``, side tags, ``vN``, read back and verify, ``current`` last.
``current`` is the commit point: a crash before it leaves only what the next run adopts. ``build-`` and ``vN`` are
written once; a number that is taken by something else is skipped.

A remote registry keeps nobody out. There every tag is looked at right before it is written, what another writer has is
a ConflictError, and whoever comes second puts the tags of the first back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from reconciler.errors import ConflictError, CorruptError, NotFoundError
from reconciler.oci.descriptor import Content
from reconciler.ports import Registry
from reconciler.reconcile import tags
from reconciler.reconcile.images import push_image
from reconciler.reconcile.tagged import expected_tags, names_version, read_record
from reconciler.reconcile.tagging import claim_tags, move_tag, names, offer_tag, put_tags, read_back
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
    """The artifact of one platform: its build key, and its manifest as it is in the registry.

    ``below`` is the build key of what it is built on, where that is another environment.
    """

    key: Digest
    manifest: Content
    below: Digest | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A version that is to be registered.

    ``facts`` still holds the number of the version below (0 where there is none), and no parent.
    """

    facts: Facts
    artifacts: Mapping[Platform, Artifact]
    bodies: Bodies

    @property
    def below(self) -> dict[Platform, Digest]:
        """What the artifacts are built on, where that is another environment."""
        return {platform: one.below for platform, one in self.artifacts.items() if one.below is not None}


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A record that ``current`` names; ``adopted`` where another writer of the same bytes had put it there."""

    record: Record
    digest: Digest
    adopted: bool = False


def nothing_else() -> None:
    """Check nothing more before ``current`` is written."""


def publish(
    registry: Registry, draft: Draft, *, expected: Digest | None, check: Callable[[], None] = nothing_else
) -> Published:
    """Register a new version on top of ``expected`` (what ``current`` named when the step was derived).

    ``check`` is asked right before ``current`` moves. A ConflictError says that another writer was first.
    """
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
        below=draft.below,
    )
    placed, content = _place(registry, record)
    try:
        _write_version(registry, placed, content, draft, sides)
    except ConflictError:
        mend_version(registry, name, placed.facts.version)  # ours may have gone over some tags of who was first
        raise
    return _move_current(registry, placed, content, expected, check)


def publish_metadata(
    registry: Registry, record: Record, *, expected: Digest | None, check: Callable[[], None] = nothing_else
) -> Published:
    """Register a change of metadata: a record of the same version that ``current`` alone names."""
    return _move_current(registry, record, to_index(record), expected, check)


def _place(registry: Registry, record: Record) -> tuple[Record, Content]:
    """Give the record the first number that is free, or that holds these very bytes (a crash left them)."""
    name = record.facts.name
    there = registry.tags(name)
    taken = tags.versions(there)
    number = record.facts.version + 1
    while True:
        below = next((version for version in taken if version < number), None)
        parent = _named(registry, name, tags.version_tag(below)) if below else None
        placed = replace(record, facts=replace(record.facts, version=number, parent=parent))
        content = to_index(placed)
        if number in taken:
            free = registry.resolve(name, tags.version_tag(number)) == content.digest
        else:
            free = not registry.remote or _is_unclaimed(registry, placed, there)
        if free:
            return placed, content
        number += 1


def _named(registry: Registry, name: str, tag: str) -> Digest | None:
    """Say which record a tag names, from its content: what is written down is not a registry's word alone."""
    try:
        return registry.fetch(name, tag).digest
    except NotFoundError:
        return None
    except CorruptError:
        return registry.resolve(name, tag)


def _is_unclaimed(registry: Registry, record: Record, there: tuple[str, ...]) -> bool:
    """Tell whether nobody is about to write a number: its other tags come before it."""
    own = dict(side_tags(record))
    others = [tag for tag in there if tag.startswith(f"{tags.version_tag(record.facts.version)}-")]
    return all(tag in own and registry.resolve(record.facts.name, tag) == own[tag] for tag in others)


def side_tags(record: Record) -> Iterator[tuple[str, Digest]]:
    """Say what each of the tags of a version's entries has to name."""
    number = record.facts.version
    for platform, entry in sorted(record.artifacts.items()):
        yield tags.platform_tag(number, platform), entry.digest
    yield tags.side_tag(number, "lock"), record.lock_entry.digest
    yield tags.side_tag(number, "request"), record.request_entry.digest


def _write_version(
    registry: Registry, record: Record, content: Content, draft: Draft, sides: Mapping[str, Content]
) -> None:
    name, number = record.facts.name, record.facts.version
    _tag_builds(registry, draft)
    for tag, entry in _entry_tags(number, draft, sides):
        if registry.remote:
            claim_tags(registry, name, entry, (tag,))
        else:
            put_tags(registry, name, entry, (tag,))
    own = tags.version_tag(number)
    claim_tags(registry, name, content, (own,))
    read_back(registry, name, own, content.digest)
    if registry.remote:  # whoever comes second may have written these before it saw that the number is ours
        _tag_entries(registry, number, draft, sides)


def _entry_tags(number: int, draft: Draft, sides: Mapping[str, Content]) -> Iterator[tuple[str, Content]]:
    for platform, artifact in sorted(draft.artifacts.items()):
        yield tags.platform_tag(number, platform), artifact.manifest
    for entry, content in sorted(sides.items()):
        yield tags.side_tag(number, entry), content


def _tag_entries(registry: Registry, number: int, draft: Draft, sides: Mapping[str, Content]) -> None:
    for tag, entry in _entry_tags(number, draft, sides):
        put_tags(registry, draft.facts.name, entry, (tag,))


def _tag_builds(registry: Registry, draft: Draft) -> None:
    for _, artifact in sorted(draft.artifacts.items()):
        offer_tag(registry, draft.facts.name, artifact.manifest, tags.build_tag(artifact.key))


def _push_sides(registry: Registry, draft: Draft) -> dict[str, Content]:
    """Write what a record holds beside its artifacts: the request and the lock."""
    name = draft.facts.name
    return {
        "request": push_image(registry, name, components_content(draft.bodies.components)),
        "lock": push_image(registry, name, lock_content(draft.bodies.lock)),
    }


def mend_version(registry: Registry, name: str, number: int) -> None:
    """Put the tags of a version's entries back to what its record says."""
    try:
        record, _ = read_record(registry, name, tags.version_tag(number), number)
    except (NotFoundError, CorruptError):
        return
    for tag, digest in side_tags(record):
        _put_back(registry, name, tag, digest)


def _move_current(
    registry: Registry, record: Record, content: Content, expected: Digest | None, check: Callable[[], None]
) -> Published:
    name = record.facts.name
    check()
    found = registry.resolve(name, tags.CURRENT)
    if found not in (expected, content.digest):
        raise ConflictError(
            f"{name} was changed by another writer: current was {expected}, now it is {found}",
            hint="run apply again",
        )
    adopted = found == content.digest and names(registry, name, tags.CURRENT, content)
    if not adopted:
        move_tag(registry, name, content, tags.CURRENT)
    read_back(registry, name, tags.CURRENT, content.digest)
    return Published(record=record, digest=content.digest, adopted=adopted)


def heal(registry: Registry, record: Record, draft: Draft) -> None:
    """Write again what a record names and what is not there any more, or is not what its digest says; and its tags."""
    _tag_entries(registry, record.facts.version, draft, _push_sides(registry, draft))
    _tag_builds(registry, draft)
    mend_tags(registry, record)


def mend_tags(registry: Registry, record: Record) -> None:
    """Put the tags of a record, and of the versions before it, back to what they have to name, where that is there."""
    name = record.facts.name
    for tag, digest in expected_tags(registry, name, record):
        _put_back(registry, name, tag, digest)
    own = tags.version_tag(record.facts.version)
    named = registry.resolve(name, own)
    if named is None or not names_version(registry, name, record, named):
        content = to_index(record)
        put_tags(registry, name, content, (own,))
        read_back(registry, name, own, content.digest)


def _put_back(registry: Registry, name: str, tag: str, digest: Digest) -> None:
    if registry.resolve(name, tag) == digest:
        return
    try:
        content = registry.fetch(name, digest)
    except (NotFoundError, CorruptError):
        return  # what is lost is made anew by whoever can
    put_tags(registry, name, content, (tag,))
