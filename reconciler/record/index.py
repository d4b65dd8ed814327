"""Records to and from image indexes: the only place with annotation keys **[format]**.

Each fact stands once. Where the image specification has a key for it (annotations.md), it stands under that one, so
that any OCI tool shows it; all others are ours. Keys that are not known are left alone: a later release may add some.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from reconciler.errors import CorruptError
from reconciler.oci.descriptor import UNKNOWN_PLATFORM, Content, Descriptor
from reconciler.oci.document import as_texts, parse_object
from reconciler.oci.manifest import Index, parse_index
from reconciler.record.body import UPGRADE
from reconciler.record.model import Facts, Metadata, Record
from reconciler.values.canonical import Json, to_canonical
from reconciler.values.commit import Commit
from reconciler.values.digest import Digest
from reconciler.values.names import refusal
from reconciler.values.platform import Platform

RECORD_FORMAT = 1

_STANDARD = "org.opencontainers.image."
_NAME = f"{_STANDARD}title"
_VERSION = f"{_STANDARD}version"
_COMMIT = f"{_STANDARD}revision"
_DESCRIPTION = f"{_STANDARD}description"
_BASE = f"{_STANDARD}base.name"

_OURS = "dev.reconciler."
_FORMAT = f"{_OURS}format"
_REQUEST = f"{_OURS}request"
_LOCK = f"{_OURS}lock"
_COMPONENTS = f"{_OURS}components"
_BUILDER = f"{_OURS}builder"
_RECIPE = f"{_OURS}recipe"
_MANAGER = f"{_OURS}manager"
_MANIFEST = f"{_OURS}manifest"
_DIRTY = f"{_OURS}dirty"
_PARENT = f"{_OURS}parent"
_ARCHIVED = f"{_OURS}archived"
_TAKEN_OVER = f"{_OURS}taken-over"
_TAGS = f"{_OURS}tags"
_OWNER = f"{_OURS}owner"
_PROTECTED = f"{_OURS}protected"
_RENAMED_FROM = f"{_OURS}renamed-from"
_RUN = f"{_OURS}run"
# On entries.
_BUILD_KEY = f"{_OURS}build-key"
_BELOW = f"{_OURS}below"
_ENTRY = f"{_OURS}entry"

_COUNT = re.compile(r"0|[1-9][0-9]{0,8}")
Value = TypeVar("Value")


def to_index(record: Record) -> Content:
    """Write a record: artifacts sorted by platform, then the request, then the lock."""
    entries = [
        _describe(record.artifacts[platform], platform, _keys(record, platform))
        for platform in sorted(record.artifacts)
    ]
    entries.append(_describe(record.request_entry, UNKNOWN_PLATFORM, {_ENTRY: "request"}))
    entries.append(_describe(record.lock_entry, UNKNOWN_PLATFORM, {_ENTRY: "lock"}))
    return Index(manifests=tuple(entries), annotations=_to_annotations(record.facts)).to_content()


def parse_record(content: Content) -> Record:
    """Read a record; what is none, is malformed or is of a newer form is a CorruptError."""
    index = parse_index(content)
    try:
        _check_format(index.annotations, content.digest)
        facts = _Facts(index.annotations).parse()
        return _record(facts, index.manifests)
    except ValueError as error:
        raise CorruptError(f"record {content.digest}: {error}") from error


def _keys(record: Record, platform: Platform) -> dict[str, str]:
    keys = {_BUILD_KEY: str(record.build_keys[platform])}
    return {**keys, _BELOW: str(record.below[platform])} if platform in record.below else keys


def _describe(descriptor: Descriptor, platform: Platform, facts: Mapping[str, str]) -> Descriptor:
    return Descriptor(
        media_type=descriptor.media_type,
        digest=descriptor.digest,
        size=descriptor.size,
        platform=platform,
        annotations={**descriptor.annotations, **facts},
    )


def _to_annotations(facts: Facts) -> dict[str, str]:
    metadata = facts.metadata
    always = {
        _FORMAT: str(RECORD_FORMAT),
        _NAME: facts.name,
        _VERSION: str(facts.version),
        _REQUEST: str(facts.request),
        _LOCK: str(facts.lock),
        _COMPONENTS: _to_text({name: str(digest) for name, digest in facts.components.items()}),
        _BUILDER: facts.builder,
        _RECIPE: str(facts.recipe),
        _MANAGER: facts.manager,
        _MANIFEST: facts.manifest,
    }
    optional = {
        _COMMIT: facts.commit,
        _BASE: facts.base,
        _PARENT: str(facts.parent) if facts.parent else None,
        _DIRTY: _flag(facts.dirty),
        _ARCHIVED: _flag(facts.archived),
        _TAKEN_OVER: _flag(facts.taken_over),
        _DESCRIPTION: metadata.description or None,
        _TAGS: _to_text(dict(metadata.tags)) if metadata.tags else None,
        _OWNER: metadata.owner or None,
        _PROTECTED: _flag(metadata.protected),
        _RENAMED_FROM: metadata.renamed_from,
        _RUN: _to_text(dict(metadata.run)) if metadata.run else None,
    }
    return always | {key: value for key, value in optional.items() if value is not None}


def _flag(value: bool) -> str | None:  # noqa: FBT001  # the value of a fact, not a switch
    return "true" if value else None


def _to_text(value: Json) -> str:
    return to_canonical(value).decode("utf-8")


def _check_format(annotations: Mapping[str, str], digest: Digest) -> None:
    found = annotations.get(_FORMAT)
    if found == str(RECORD_FORMAT):
        return
    if found is not None and _COUNT.fullmatch(found) and int(found) > RECORD_FORMAT:
        raise CorruptError(f"record {digest} is of form {found}, known is {RECORD_FORMAT}", hint=UPGRADE)
    raise ValueError(f"annotations.{_FORMAT}: {'missing' if found is None else repr(found[:40])}; this is no record")


class _Facts:
    """Reads facts from annotations; what does not hold is a ValueError that begins with the annotation's path."""

    __slots__ = ("_annotations",)

    def __init__(self, annotations: Mapping[str, str]) -> None:
        self._annotations = annotations

    def parse(self) -> Facts:
        return Facts(
            name=self._need(_NAME, _name),
            version=self._need(_VERSION, _version),
            request=self._need(_REQUEST, Digest.parse),
            lock=self._need(_LOCK, Digest.parse),
            components=self._need(_COMPONENTS, _digests),
            builder=self._need(_BUILDER, str),
            recipe=self._need(_RECIPE, _count),
            manager=self._need(_MANAGER, str),
            manifest=self._need(_MANIFEST, str),
            commit=self._take(_COMMIT, _commit, None),
            dirty=self._take(_DIRTY, _true, False),  # noqa: FBT003  # the fact's value where it does not stand
            base=self._take(_BASE, str, None),
            parent=self._take(_PARENT, Digest.parse, None),
            archived=self._take(_ARCHIVED, _true, False),  # noqa: FBT003  # the same
            taken_over=self._take(_TAKEN_OVER, _true, False),  # noqa: FBT003  # the same
            metadata=self._metadata(),
        )

    def _metadata(self) -> Metadata:
        return Metadata(
            description=self._take(_DESCRIPTION, str, ""),
            tags=self._take(_TAGS, _texts, {}),
            owner=self._take(_OWNER, str, ""),
            protected=self._take(_PROTECTED, _true, False),  # noqa: FBT003  # the same
            renamed_from=self._take(_RENAMED_FROM, str, None),
            run=self._take(_RUN, _object, {}),
        )

    def _need(self, key: str, read: Callable[[str], Value]) -> Value:
        text = self._annotations.get(key)
        if text is None:
            raise ValueError(f"annotations.{key}: missing")
        try:
            return read(text)
        except ValueError as error:
            raise ValueError(f"annotations.{key}: {error}") from error

    def _take(self, key: str, read: Callable[[str], Value], default: Value) -> Value:
        return self._need(key, read) if key in self._annotations else default


def _record(facts: Facts, entries: tuple[Descriptor, ...]) -> Record:
    artifacts: dict[Platform, Descriptor] = {}
    build_keys: dict[Platform, Digest] = {}
    below: dict[Platform, Digest] = {}
    side: dict[str, Descriptor] = {}
    for place, entry in enumerate(entries):
        path = f"manifests[{place}]"
        kind = entry.annotations.get(_ENTRY)
        if kind is not None:
            if kind in side:
                raise ValueError(f"{path}: a second {kind[:40]!r}")
            side[kind] = _strip(entry, _ENTRY)
            continue
        platform = entry.platform
        if platform is None or platform == UNKNOWN_PLATFORM:
            raise ValueError(f"{path}.platform: an artifact needs one")
        if platform in artifacts:
            raise ValueError(f"{path}.platform: a second {platform}")
        artifacts[platform] = _strip(entry, _BUILD_KEY, _BELOW)
        build_keys[platform] = _key(entry, _BUILD_KEY, path)
        if _BELOW in entry.annotations:
            below[platform] = _key(entry, _BELOW, path)
    for kind in ("request", "lock"):
        if kind not in side:
            raise ValueError(f"manifests: no entry for the {kind}")
    return Record(
        facts=facts,
        artifacts=artifacts,
        build_keys=build_keys,
        request_entry=side["request"],
        lock_entry=side["lock"],
        below=below,
    )


def _key(entry: Descriptor, name: str, path: str) -> Digest:
    try:
        return Digest.parse(entry.annotations.get(name, ""))
    except ValueError as error:
        raise ValueError(f"{path}.annotations.{name}: {error}") from error


def _strip(entry: Descriptor, *keys: str) -> Descriptor:
    return Descriptor(
        media_type=entry.media_type,
        digest=entry.digest,
        size=entry.size,
        platform=entry.platform,
        annotations={name: value for name, value in entry.annotations.items() if name not in keys},
    )


def _name(text: str) -> str:
    if reason := refusal(text):
        raise ValueError(reason)
    return text


def _count(text: str) -> int:
    if _COUNT.fullmatch(text) is None:
        raise ValueError(f"not a number: {text[:40]!r}")
    return int(text)


def _version(text: str) -> int:
    if text == "0":
        raise ValueError("versions count from 1")
    return _count(text)


def _commit(text: str) -> str:
    return Commit.parse(text).hex


def _true(text: str) -> bool:
    if text != "true":
        raise ValueError(f"{text[:40]!r} instead of 'true'")
    return True


def _object(text: str) -> dict[str, Json]:
    return parse_object(text.encode("utf-8"))


def _texts(text: str) -> Mapping[str, str]:
    return as_texts(_object(text), "value")


def _digests(text: str) -> Mapping[str, Digest]:
    return {name: Digest.parse(digest) for name, digest in _texts(text).items()}
