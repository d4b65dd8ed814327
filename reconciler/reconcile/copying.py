"""One registered version from one registry to another, without building anything.

Blobs, manifests and records go over as they are, so that digests are the same and every fact is kept; or with the
media types of the other family, and then every digest above the blobs is another one. The order of writes is that of
the write protocol: blobs, manifests, ``build-``, side tags, ``vN``, read back, ``current`` last.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from reconciler.errors import (
    ConflictError,
    CorruptError,
    DeniedError,
    GuardError,
    NotFoundError,
    RegistryError,
    UnavailableError,
)
from reconciler.oci.conversion import Family, convert_image, convert_index
from reconciler.oci.descriptor import Content, Descriptor
from reconciler.oci.manifest import parse_image, parse_index
from reconciler.plan.observed import Denied, Present, Unknown
from reconciler.ports import Executor, Progress, Registry, Reporter, Stage
from reconciler.reconcile import ledger
from reconciler.reconcile.access import open_state
from reconciler.reconcile.inspect import get
from reconciler.reconcile.observe import observe
from reconciler.reconcile.publish import mend_version, side_tags
from reconciler.reconcile.tagged import names_version, read_record
from reconciler.reconcile.tagging import claim_tags, move_tag, names, offer_tag, put_tags, read_back
from reconciler.reconcile.tags import CURRENT, build_tag, version_tag
from reconciler.reconcile.transit import Tally, carry
from reconciler.record import Record, parse_record
from reconciler.values.digest import Digest
from reconciler.values.names import Reference


@dataclass(frozen=True, kw_only=True, slots=True)
class Copying:
    """What is to be copied, from where, to where, and how.

    Without a version in ``reference`` it is what ``current`` names, and ``current`` moves in the target too. Without a
    ``family`` everything goes over byte for byte. ``adopt`` goes over what another manager has under that name.
    """

    source: Registry
    target: Registry
    reference: Reference
    family: Family | None = None
    adopt: bool = False
    executor: Executor | None = None
    reporter: Reporter

    @property
    def name(self) -> str:
        """The environment."""
        return self.reference.name


@dataclass(frozen=True, kw_only=True, slots=True)
class Copied:
    """What became of it: the record in the source and in the target, and what its blobs took.

    ``current`` says in a few words what became of ``current`` in the target, none where it was not asked for.
    ``changed`` tells whether anything was written.
    """

    name: str
    version: int
    source: str
    target: str
    source_digest: Digest
    digest: Digest
    tally: Tally
    changed: bool
    current: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Edition:
    """A record with the manifests that its entries name, as both are to be in the target."""

    record: Record
    content: Content
    manifests: tuple[Content, ...]

    @property
    def by_digest(self) -> dict[Digest, Content]:
        return {manifest.digest: manifest for manifest in self.manifests}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Version:
    """A version: the record under its number, and the one that ``current`` is to name where that is wanted."""

    numbered: _Edition
    current: _Edition | None
    source_digest: Digest
    blobs: tuple[Descriptor, ...]
    is_current: bool

    @property
    def shown(self) -> _Edition:
        return self.current or self.numbered

    @property
    def tag(self) -> str:
        return version_tag(self.numbered.record.facts.version)


def copy(work: Copying) -> Copied:
    """Copy a version; what is there already is not written again, and a copy that was cut off goes on.

    A GuardError says that the target's environment is another manager's, or that the number names another record there.
    """
    version, target = _read(work), work.target
    with target.writing(work.name):
        before, named = _look(work, version), target.resolve(work.name, CURRENT)
        is_there = names(target, work.name, version.tag, version.numbered.content)
        tally = carry(
            work.source,
            target,
            work.name,
            version.blobs,
            executor=work.executor,
            say=partial(_tell, work, Stage.PUBLISHING),
        )
        _write(work, version)
        fate, moved = _settle(work, version, before, named)
    facts = version.shown.record.facts
    if tally.is_large:
        _tell(work, Stage.DONE, f"v{facts.version}")
    return Copied(
        name=work.name,
        version=facts.version,
        source=work.source.address,
        target=target.address,
        source_digest=version.source_digest,
        digest=version.shown.content.digest,
        tally=tally,
        changed=moved or not is_there or tally.copied + tally.mounted > 0,
        current=fate,
        notes=(*_noted(work, version), *_remember(work, version, before)),
    )


def _noted(work: Copying, version: _Version) -> Iterator[str]:
    if not version.is_current:
        yield f"{work.name} has no `current` in {work.source.address}: its newest version is copied"
    if version.shown.record.facts.archived:
        yield f"{work.name} is archived, in {work.target.address} as in {work.source.address}"
    if work.family is Family.DOCKER and not work.target.remote:
        yield "other tools read nothing but OCI's media types from a folder; those of Docker are for registries"


def _tell(work: Copying, stage: Stage, detail: str) -> None:
    work.reporter.report(Progress(name=str(work.reference), stage=stage, detail=detail))


# -- reading ----------------------------------------------------------------------------------------------------


def _read(work: Copying) -> _Version:
    """Read all but the blobs."""
    one = get(work.source, work.reference)
    if one.recovered and (one.missing or one.tampered):
        raise CorruptError(
            f"`current` of {work.name} in {work.source.address} is damaged",
            hint=f"`reconciler apply` mends it; {work.name}:{one.record.facts.version} is the newest that can be read",
        )
    editions: dict[Digest, _Edition] = {}
    blobs: dict[Digest, Descriptor] = {}
    digests = [one.digest] if work.reference.version else [_numbered(work, one), one.digest]
    for digest in digests:
        if digest not in editions:
            editions[digest] = _edition(work, digest, blobs)
    return _Version(
        numbered=editions[digests[0]],
        current=None if work.reference.version else editions[one.digest],
        source_digest=one.digest,
        blobs=tuple(blobs.values()),
        is_current=not one.recovered,
    )


def _numbered(work: Copying, one: Present) -> Digest:
    """Find the record under the version's number; a change of metadata has put another one behind ``current``."""
    number = one.record.facts.version
    try:
        _, digest = read_record(work.source, work.name, version_tag(number), number)
    except (NotFoundError, CorruptError):
        return one.digest  # the tag is lost, and what restates the version stands for it
    return digest if names_version(work.source, work.name, one.record, digest) else one.digest


def _edition(work: Copying, digest: Digest, blobs: dict[Digest, Descriptor]) -> _Edition:
    """Read a record and its manifests, and write them as the target is to have them; their blobs are added."""
    content = work.source.fetch(work.name, digest)
    converted: dict[Digest, Content] = {}
    for entry in parse_index(content).manifests:
        manifest = _entry(work, digest, entry)
        image = parse_image(manifest)
        blobs.update((blob.digest, blob) for blob in (image.config, *image.layers))
        converted[entry.digest] = convert_image(manifest, work.family) if work.family else manifest
    if work.family:
        content = convert_index(content, work.family, converted)
    return _Edition(record=parse_record(content), content=content, manifests=tuple(converted.values()))


def _entry(work: Copying, record: Digest, entry: Descriptor) -> Content:
    try:
        return work.source.fetch(work.name, entry.digest)
    except NotFoundError as error:
        raise CorruptError(
            f"{work.name}@{record} in {work.source.address} names {entry.digest}, which is not there",
            hint="`reconciler drift` says what is missing, `reconciler apply` mends it",
        ) from error


# -- looking ----------------------------------------------------------------------------------------------------


def _look(work: Copying, version: _Version) -> Present | None:
    """See what the target has under that name, and refuse before anything is written."""
    observation = observe(work.target, work.name, claim=True)
    if isinstance(observation, Denied):
        raise DeniedError(observation.reason)
    if isinstance(observation, Unknown):
        raise (CorruptError if observation.corrupt else UnavailableError)(observation.reason)
    there = observation if isinstance(observation, Present) else None
    if there is not None:
        _refuse_other_manager(work, there, version)
    _refuse_taken(work, version)
    return there


def _refuse_other_manager(work: Copying, there: Present, version: _Version) -> None:
    theirs, ours = there.record.facts.manager, version.shown.record.facts.manager
    if theirs != ours and not work.adopt:
        raise GuardError(
            f"{work.name} in {work.target.address} was registered by {theirs}, and the one to copy by {ours}",
            hint="--adopt copies it all the same",
        )


def _refuse_taken(work: Copying, version: _Version) -> None:
    found, ours = work.target.resolve(work.name, version.tag), version.numbered.content.digest
    if found not in (None, ours):
        raise GuardError(
            f"{work.name} {version.tag} is {found} in {work.target.address}, and would be {ours}",
            hint="a number is given once; copy a version whose number is free there, with the same --media-types",
        )


# -- writing ----------------------------------------------------------------------------------------------------


def _write(work: Copying, version: _Version) -> None:
    """Write manifests, their tags and the version's record, whatever of it is not there."""
    target, name, numbered = work.target, work.name, version.numbered
    for manifest in (*numbered.manifests, *version.shown.manifests):
        if target.resolve(name, manifest.digest) is None:
            target.push(name, manifest)
    record, manifests = numbered.record, numbered.by_digest
    for platform, entry in sorted(record.artifacts.items()):
        offer_tag(target, name, manifests[entry.digest], build_tag(record.build_keys[platform]))
    try:
        _tag_entries(work, numbered)
        claim_tags(target, name, numbered.content, (version.tag,))
    except ConflictError:
        mend_version(target, name, record.facts.version)  # ours may have gone over some tags of who was first
        raise
    read_back(target, name, version.tag, numbered.content.digest)
    if target.remote:  # whoever comes second may have written these before it saw that the number is ours
        _tag_entries(work, numbered)


def _tag_entries(work: Copying, edition: _Edition) -> None:
    for tag, digest in side_tags(edition.record):
        put_tags(work.target, work.name, edition.by_digest[digest], (tag,))


def _settle(work: Copying, version: _Version, there: Present | None, named: Digest | None) -> tuple[str | None, bool]:
    """Move ``current`` where that is wanted and does not go back; say what became of it, and whether it moved."""
    target, wanted = work.target, version.current
    if wanted is None:
        return None, False
    ours, content = wanted.record.facts.version, wanted.content
    if there is not None and there.record.facts.version > ours:
        return f"stays at v{there.record.facts.version}, which is newer", False
    found = target.resolve(work.name, CURRENT)
    if found not in (named, content.digest):
        raise ConflictError(
            f"{work.name} in {target.address} was changed by another writer: current was {named}, now it is {found}",
            hint="copy again",
        )
    if names(target, work.name, CURRENT, content):
        return f"names v{ours} already", False
    move_tag(target, work.name, content, CURRENT)
    read_back(target, work.name, CURRENT, content.digest)
    return f"names v{ours}" if there is None else f"names v{ours}, was v{there.record.facts.version}", True


def _remember(work: Copying, version: _Version, there: Present | None) -> tuple[str, ...]:
    """Enter the name in the state of its manager in the target, which is where ``list`` finds names.

    The copy is complete without it, so that a registry that refuses is told as a note.
    """
    target, notes, ours = work.target, list[str](), version.shown
    digest = target.resolve(work.name, CURRENT) or ours.content.digest
    is_ours = digest == ours.content.digest
    manager = (ours if is_ours or there is None else there).record.facts.manager
    try:
        state = open_state(target, manager, notes.append, claim=True).state
        if is_ours or work.name not in state.records:
            ledger.finish(target, manager, ledger.Entry(commit=None, records={work.name: digest}, marks=False))
    except RegistryError as error:
        return (*notes, f"it is there, and `list` may not find it: {error}")
    return tuple(notes)
