"""What the registry holds of an environment: read, verified, and told apart from what it would not say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from enum import IntEnum

from reconciler.errors import CorruptError, DeniedError, NotFoundError, ReconcilerError, RegistryError
from reconciler.oci.descriptor import Descriptor
from reconciler.oci.manifest import parse_image
from reconciler.plan.observed import Absent, Denied, Moved, Observation, Past, Present, Unknown, Witness
from reconciler.ports import Executor, Registry
from reconciler.reconcile.bodies import read_bodies, read_components, read_lock, with_bodies
from reconciler.reconcile.salvage import salvage
from reconciler.reconcile.tagged import PAST_LIMIT, fault, read_record, with_tags
from reconciler.reconcile.tags import CURRENT, version_tag, versions
from reconciler.record import Record
from reconciler.values.digest import Digest

__all__ = ["Depth", "entries", "history", "observe", "past", "past_of", "read_bodies", "with_bodies"]
SMALL = 1 << 20
"""Bytes of a blob that is read as soon as it is asked for: that costs one request either way."""
_NOT_THERE = 'the registry answers "denied", as some do for what is not there; apply asks with the right to push'


class Depth(IntEnum):
    """How much of a record's content is asked for."""

    RECORD = 0
    """Nothing but the record itself: one request, or none where a cache holds what ``current`` names."""
    ENTRIES = 1
    """Every artifact and side entry is there."""
    MANIFESTS = 2
    """Each is read and is what its digest says, so are its small blobs; the larger are there; so are all tags."""
    BLOBS = 3
    """Every blob is read."""


def observe(  # noqa: PLR0913  # one argument a thing that is known beforehand
    registry: Registry,
    name: str,
    *,
    depth: Depth = Depth.ENTRIES,
    witness: Witness | None = None,
    vouched: bool = False,
    claim: bool = False,
) -> Observation:
    """Tell what ``current`` of an environment is; never raises for what the registry answers.

    ``witness`` is what the manager's state says of it. It tells where ``current`` went back to an earlier version,
    which nothing of ours does, and whose an environment was whose record is lost.

    Some registries answer "denied" for what is not there. ``vouched`` says that the state could be read with these
    credentials: denied is then Absent for a name that it does not know. ``claim``, for who is about to write, asks for
    such a name whether we may push; after that the registry itself says what is there.
    """
    unknown = witness is None
    try:
        try:
            return _observe(registry, name, depth, witness, vouched=vouched and unknown and not claim)
        except DeniedError:
            if not claim or not unknown:
                raise
            registry.claim(name)
            return _observe(registry, name, depth, witness)
    except DeniedError as error:
        return Denied(str(error))
    except RegistryError as error:
        return Unknown(str(error), corrupt=isinstance(error, CorruptError))
    except ReconcilerError as error:
        return Unknown(str(error))


def _observe(
    registry: Registry, name: str, depth: Depth, witness: Witness | None, *, vouched: bool = False
) -> Observation:
    try:
        record, digest = read_record(registry, name, CURRENT)
    except DeniedError:
        if vouched:
            return Absent(note=_NOT_THERE)
        raise
    except NotFoundError as error:
        return _recover(registry, name, depth, witness, error)
    except CorruptError as error:
        recovered = _recover(registry, name, depth, witness, error)
        if isinstance(recovered, Absent):
            raise
        return recovered
    present = Present(record=record, digest=digest)
    if witness is not None and witness.record != digest:
        present = _put_forward(registry, name, present, witness)
    return _complete(registry, name, present, depth)


def _put_forward(registry: Registry, name: str, present: Present, witness: Witness) -> Present:
    """Read what the state names where ``current`` names an earlier version; versions only grow."""
    try:
        record, digest = read_record(registry, name, witness.record)
    except (NotFoundError, CorruptError):
        return present
    if record.facts.version <= present.record.facts.version or record.facts.manager != witness.manager:
        return present
    moved = {CURRENT: Moved(expected=digest, found=present.digest)}
    return Present(record=record, digest=digest, recovered=True, tampered=(CURRENT,), moved=moved)


def _recover(registry: Registry, name: str, depth: Depth, witness: Witness | None, cause: RegistryError) -> Observation:
    """Read the highest version that can be read; ``current`` missing is not Absent while there is one."""
    numbers = versions(registry.tags(name))
    damaged: list[str] = [CURRENT] if isinstance(cause, CorruptError) else []
    for number in numbers:
        try:
            record, digest = _newest(registry, name, number, witness)
        except (NotFoundError, CorruptError):
            damaged.append(version_tag(number))
            left = salvage(registry, name, number, witness) if witness is not None else None
            if left is not None and left.bodies is not None:
                return _blame(registry, name, left, damaged)
            continue
        return _complete(registry, name, _blame(registry, name, Present(record=record, digest=digest), damaged), depth)
    if not numbers:
        return Absent()
    if witness is not None:
        return _blame(registry, name, salvage(registry, name, numbers[0], witness), damaged)
    raise CorruptError(
        f"no record of {name} in {registry.address} can be read",
        hint="restore the registry from a copy; nothing is built over damaged records",
    ) from cause


def _newest(registry: Registry, name: str, number: int, witness: Witness | None) -> tuple[Record, Digest]:
    """Read a version's record: the one that restated it last, where the state still names it."""
    if witness is not None:
        try:
            return read_record(registry, name, witness.record, number)
        except (NotFoundError, CorruptError):
            pass
    return read_record(registry, name, version_tag(number), number)


def _blame(registry: Registry, name: str, present: Present, damaged: list[str]) -> Present:
    for tag in damaged:
        present = fault(registry, name, present, tag)
    return replace(present, recovered=True)


def _complete(registry: Registry, name: str, present: Present, depth: Depth) -> Present:
    if depth is Depth.RECORD:
        return present
    if depth is Depth.ENTRIES:
        lacking = [label for label, entry in entries(present.record) if registry.resolve(name, entry.digest) is None]
        return replace(present, missing=(*present.missing, *lacking)) if lacking else present
    missing: list[str] = []
    tampered: list[str] = []
    for label, entry in entries(present.record):
        try:
            _check_entry(registry, name, entry, depth)
            _check_body(registry, name, present.record, label)
        except NotFoundError:
            missing.append(label)
        except CorruptError:
            tampered.append(label)
    found = replace(present, missing=(*present.missing, *missing), tampered=(*present.tampered, *tampered))
    return with_tags(registry, name, found)


def _check_entry(registry: Registry, name: str, entry: Descriptor, depth: Depth) -> None:
    image = parse_image(registry.fetch(name, entry.digest))
    for blob in (image.config, *image.layers):
        if depth is Depth.BLOBS or blob.size <= SMALL:
            for _ in registry.fetch_blob(name, blob):
                pass
        elif not registry.has_blob(name, blob):
            raise NotFoundError(f"blob {blob.digest} of {name} is not there")


def _check_body(registry: Registry, name: str, record: Record, label: str) -> None:
    if label == "request":
        read_components(registry, name, record)
    elif label == "lock":
        read_lock(registry, name, record)


def entries(record: Record) -> Iterator[tuple[str, Descriptor]]:
    """List a record's entries by what people call them: the platform, ``request``, ``lock``."""
    for platform, descriptor in sorted(record.artifacts.items()):
        yield str(platform), descriptor
    yield "request", record.request_entry
    yield "lock", record.lock_entry


def past(registry: Registry, name: str, request: Digest) -> tuple[Past, ...]:
    """Find earlier versions that were made for this request and whose artifacts are still there, newest first."""
    found: list[Past] = []
    for number in versions(registry.tags(name))[:PAST_LIMIT]:
        try:
            record, digest = read_record(registry, name, version_tag(number), number)
        except RegistryError:
            continue
        if record.facts.request != request:
            continue
        if all(registry.resolve(name, entry.digest) is not None for _, entry in entries(record)):
            found.append(past_of(name, record, digest))
    return tuple(found)


def past_of(name: str, record: Record, digest: Digest) -> Past:
    """Describe a record as something to go back to."""
    return Past(
        name=name,
        version=record.facts.version,
        record=digest,
        request=record.facts.request,
        lock=record.facts.lock,
        platforms=tuple(sorted(record.artifacts)),
        keys=record.build_keys,
        below=record.below,
    )


def history(registry: Registry, name: str, executor: Executor) -> tuple[tuple[Record, Digest], ...]:
    """List the tagged records, newest first; what can't be read is a RegistryError."""
    numbers = versions(registry.tags(name))
    read = dict(executor.map(lambda number: read_record(registry, name, version_tag(number), number), numbers))
    return tuple(read[number] for number in numbers)
