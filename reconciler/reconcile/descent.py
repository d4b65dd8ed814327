"""The records of one environment and how they hang together: versions, parents, ``current``, and the tags of each.

What is read here says which tags have to be there and what each has to name.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from reconciler.errors import CorruptError, NotFoundError, ReconcilerError, StoreError
from reconciler.plan.diagnosis import Damage, Remedy, listed
from reconciler.plan.observed import Present
from reconciler.plan.state import State
from reconciler.ports import Registry
from reconciler.reconcile.contents import content_reason, reason
from reconciler.reconcile.observe import observe
from reconciler.reconcile.survey import witness_of
from reconciler.reconcile.tagged import expected_tags, names_version, read_record
from reconciler.reconcile.tags import CURRENT, build_tag, platform_tag, side_tag, version_tag, versions
from reconciler.record import Record
from reconciler.values.digest import Digest

_UNREADABLE = (NotFoundError, CorruptError, StoreError)
_ENTRY = re.compile(r"v([1-9][0-9]{0,8})-.+|build-[0-9a-f]{64}")


class Descent:
    """What the tags of an environment name: records, and what each record says of tags.

    ``start`` is the record that apply starts from, none where there is none that can be read.
    """

    def __init__(self, registry: Registry, name: str, tags: Sequence[str], witness: State | None) -> None:
        self._registry = registry
        self._name = name
        self.tags = frozenset(tags)
        self.numbers = versions(tuple(tags))
        self.named = {tag: registry.resolve(name, tag) for tag in tags}
        self.records: dict[str, tuple[Record, Digest]] = {}
        """By ``current`` and version tag; those that can be read."""
        self.broken: dict[str, ReconcilerError] = {}
        """Why the others can't be read."""
        self._read_records()
        seen = observe(registry, name, witness=witness_of(witness, name))
        self.start = seen if isinstance(seen, Present) and not seen.salvaged else None
        self.mended = dict(expected_tags(registry, name, self.start.record)) if self.start else {}
        """What apply puts back: tags, and what they have to name."""

    def _read_records(self) -> None:
        wanted: list[tuple[str, int | None]] = [(version_tag(number), number) for number in self.numbers]
        if CURRENT in self.tags:
            wanted.append((CURRENT, None))
        for tag, number in wanted:
            try:
                self.records[tag] = read_record(self._registry, self._name, tag, number)
            except _UNREADABLE as error:
                self.broken[tag] = error

    def damages(self) -> Iterator[Damage]:
        """Tell which records can't be read, and which tags do not name what records say; each tag once."""
        blamed: set[str] = set()
        for damage in (*self._broken(), *self._own(), *self._parents(), *self._entries(), *self._described()):
            if not damage.tag or damage.tag not in blamed:
                blamed.add(damage.tag)
                yield damage

    # -- records ------------------------------------------------------------------------------------------------

    def _broken(self) -> Iterator[Damage]:
        """Tell of tags whose record can't be read; those of one damaged record together."""
        lost: defaultdict[Digest, list[str]] = defaultdict(list)
        for tag in sorted(self.broken):
            found, expected = self.named[tag], self.mended.get(tag)
            if found is None or (expected is not None and expected != found):
                yield self._moved(tag, expected, Remedy.APPLY)
            elif self._is_whole(found):
                yield Damage(
                    part=tag, tag=tag, text=reason(self.broken[tag]), remedy=self._remedy_of_tag(tag), digest=expected
                )
            else:
                lost[found].append(tag)
        for digest, tags in lost.items():
            text = content_reason(self.broken[tags[0]], digest)
            yield Damage(
                part=f"{listed(tags)}: record", text=text, remedy=self._remedy_of_record(digest, tags), digest=digest
            )

    def _remedy_of_tag(self, tag: str) -> Remedy:
        """Say what helps where a tag names something whole that is not its record, or is described wrongly."""
        if tag == CURRENT:
            return Remedy.APPLY
        if self.start is not None and tag == version_tag(self.start.record.facts.version):
            found = self.named[tag]
            same = found is not None and names_version(self._registry, self._name, self.start.record, found)
            return Remedy.REMOVE_AND_APPLY if same else Remedy.APPLY
        return Remedy.REMOVE_AND_APPLY if tag in self.mended else Remedy.RETAG

    def _remedy_of_record(self, digest: Digest, tags: Sequence[str]) -> Remedy:
        own = version_tag(self.start.record.facts.version) if self.start else None
        if own in tags or tags == [CURRENT]:
            kept = self._registry.remote and self._registry.resolve(self._name, digest) is not None
            return Remedy.REMOVE_AND_APPLY if kept else Remedy.APPLY
        return Remedy.APPLY_OR_RESTORE if CURRENT in tags or self.start is None else Remedy.RESTORE

    def _own(self) -> Iterator[Damage]:
        """Tell where the version that apply starts from is not tagged as such."""
        if self.start is None:
            return
        own = version_tag(self.start.record.facts.version)
        found = self.named.get(own)
        if found is None or (
            own in self.records and not names_version(self._registry, self._name, self.start.record, found)
        ):
            yield self._moved(own, self.start.digest, Remedy.APPLY)

    def _parents(self) -> Iterator[Damage]:
        """Tell where a version's tag is gone, or names another record than the version above it says."""
        named = set(self.named.values())
        for tag, (record, _) in sorted(self.records.items()):
            parent = record.facts.parent
            if parent is None or parent in named:
                continue
            try:
                below, _ = read_record(self._registry, self._name, parent)
            except NotFoundError:
                continue  # a gap, see `gaps`
            except (CorruptError, StoreError) as error:
                text = content_reason(error, parent)
                yield Damage(part=f"{tag}: parent", text=text, remedy=Remedy.RESTORE, digest=parent)
                continue
            lower = version_tag(below.facts.version)
            if below.facts.version >= record.facts.version:
                yield Damage(part=tag, tag=tag, text=f"its parent is {lower}", remedy=Remedy.RESTORE)
            else:
                yield self._moved(lower, parent, Remedy.APPLY if lower in self.mended else Remedy.RETAG)

    def gaps(self) -> Iterator[str]:
        """Name the versions whose parent is gone, tag and record: nothing says what it was."""
        named = set(self.named.values())
        for tag, (record, _) in sorted(self.records.items()):
            parent = record.facts.parent
            if tag == CURRENT or parent is None or parent in named:
                continue
            if self._registry.resolve(self._name, parent) is None:
                yield tag

    # -- tags of entries ----------------------------------------------------------------------------------------

    def expected(self) -> Mapping[str, set[Digest]]:
        """Say what the tags of entries may name: of a build key, what any version has for it."""
        found: defaultdict[str, set[Digest]] = defaultdict(set)
        for record in self._all():
            number = record.facts.version
            for platform, entry in record.artifacts.items():
                found[build_tag(record.build_keys[platform])].add(entry.digest)
                found[platform_tag(number, platform)].add(entry.digest)
            found[side_tag(number, "request")].add(record.request_entry.digest)
            found[side_tag(number, "lock")].add(record.lock_entry.digest)
        return found

    def _all(self) -> Iterator[Record]:
        if self.start is not None:
            yield self.start.record
        yield from (record for record, _ in self.records.values())

    def _entries(self) -> Iterator[Damage]:
        for tag, digests in sorted(self.expected().items()):
            if self.named.get(tag) not in digests:
                remedy = Remedy.APPLY if tag in self.mended else Remedy.RETAG
                yield self._moved(tag, self.mended.get(tag) or min(digests), remedy)

    def _described(self) -> Iterator[Damage]:
        """Tell where an index describes what a tag names as something else than it is."""
        for tag in sorted(self.tags - self.records.keys() - self.broken.keys()):
            digest = self.named[tag]
            try:
                self._registry.fetch(self._name, tag)
            except _UNREADABLE as error:
                if digest is not None and self._is_whole(digest):
                    remedy = Remedy.REMOVE_AND_APPLY if tag in self.mended else Remedy.RETAG
                    yield Damage(part=tag, tag=tag, text=reason(error), remedy=remedy, digest=digest)

    @property
    def foreign(self) -> bool:
        """Tell whether nothing that is tagged here is a record or an entry of one: another tool's images."""
        return bool(self.tags) and not self.records and not any(_ENTRY.fullmatch(tag) for tag in self.tags)

    def unfinished(self) -> tuple[str, ...]:
        """Name the tags of entries that no record explains: an apply that was cut off left them."""
        broken = {tag.removeprefix("v") for tag in self.broken}
        found = ((tag, _ENTRY.fullmatch(tag)) for tag in sorted(self.tags - self.expected().keys()))
        return tuple(tag for tag, match in found if match and match[1] not in broken and (match[1] or not self.broken))

    # -- small --------------------------------------------------------------------------------------------------

    def _moved(self, tag: str, expected: Digest | None, remedy: Remedy) -> Damage:
        found = self.named.get(tag)
        if found is None:
            text = "is gone" + (f", it has to name {expected}" if expected else "")
        else:
            text = f"names {found}" + (f" instead of {expected}" if expected else "")
        return Damage(part=tag, tag=tag, text=text, remedy=remedy, digest=expected)

    def _is_whole(self, digest: Digest) -> bool:
        try:
            self._registry.fetch(self._name, digest)
        except _UNREADABLE:
            return False
        return True
