"""A record as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.lock.model import Lock
from reconciler.oci.descriptor import Descriptor
from reconciler.values.canonical import Json
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform


@dataclass(frozen=True, kw_only=True, slots=True)
class Metadata:
    """What a manifest says about an environment, and how it is run; a change of it builds nothing.

    ``run`` holds the run-time settings: ``shm_size``, ``arguments``, ``checks``.
    """

    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    owner: str = ""
    protected: bool = False
    renamed_from: str | None = None
    run: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What a record's annotations say.

    ``version`` counts from 1. ``manager`` is who registered it, ``manifest`` the path of its manifest in the
    repository, ``commit`` the git commit (none outside git), ``dirty`` whether files differed from it. ``parent`` is
    the record that is tagged with the previous version. ``builder`` and ``recipe`` made the artifacts. ``components``
    are the request's, name to digest. ``base`` names what an image is built on, as its lock does.
    """

    name: str
    version: int
    request: Digest
    lock: Digest
    components: Mapping[str, Digest]
    builder: str
    recipe: int
    manager: str
    manifest: str
    commit: str | None = None
    dirty: bool = False
    base: str | None = None
    parent: Digest | None = None
    archived: bool = False
    taken_over: bool = False
    metadata: Metadata = field(default_factory=Metadata)


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """Facts, and the entries: an artifact a platform (with its build key), the request and the lock.

    ``below`` are the build keys of what the artifacts are built on, where that is another environment.
    """

    facts: Facts
    artifacts: Mapping[Platform, Descriptor]
    build_keys: Mapping[Platform, Digest]
    request_entry: Descriptor
    lock_entry: Descriptor
    below: Mapping[Platform, Digest] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bodies:
    """What a record's side entries hold: the components by value, and the lock."""

    components: Mapping[str, Json]
    lock: Lock
