"""A registry over HTTP that holds something: two images, one of them tagged, in ``team/alpha``."""

from __future__ import annotations

import copy
from dataclasses import dataclass

from reconciler.oci import media
from reconciler.oci.descriptor import Content, Image
from reconciler.oci.image import side_entry
from reconciler.registries.http import HttpRegistry
from tests.registry_server import RegistryServer
from tests.registry_store import Repository, Store
from tests.remote import opened

NAME = "alpha"
STORED = "team/alpha"


@dataclass(frozen=True, kw_only=True)
class Stock:
    """What ``v1`` and ``current`` name, what is there without a tag, and a blob that is not there."""

    first: Content
    second: Content
    blob: Content
    new: Content


def image(text: str) -> Image:
    return side_entry(media.LOCK, text.encode())


def stock(server: RegistryServer, registry: HttpRegistry | None = None) -> Stock:
    """Fill the registry."""
    registry = registry or opened(server.address)
    first, second = image("a" * 5000), image("b" * 5000)
    for made, tags in ((first, ("current", "v1")), (second, ())):
        for blob in made.blobs:
            registry.push_blob(NAME, blob)
        registry.push(NAME, made.manifest, tags=tags)
    new = Content(media_type=media.LOCK, data=b"new" * 1000)
    return Stock(first=first.manifest, second=second.manifest, blob=first.blobs[-1], new=new)


def copied(store: Store) -> Store:
    """Give a store of its own with the same content."""
    with store.lock:
        repositories: dict[str, Repository] = copy.deepcopy(store.repositories)
        return Store(repositories=repositories, created=set(store.created))
