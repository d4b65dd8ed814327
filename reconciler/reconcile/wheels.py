"""Wheels that were made from source distributions, in the registry: made once for all machines that share it.

They are in a repository of their own, under a tag of the key and the manager: what another manager put there is
neither read nor overwritten by an honest one, and not believed where a dishonest one put it under our tag.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from reconciler.assembly.built import BuiltWheel
from reconciler.errors import CorruptError, DeniedError, NotFoundError
from reconciler.oci.descriptor import Content
from reconciler.ports import Registry
from reconciler.reconcile.images import push_image
from reconciler.record.wheel import WheelEntry, parse_wheel_image, to_wheel_image, wheel_blob
from reconciler.values.canonical import digest_of
from reconciler.values.digest import Digest

REPOSITORY = "reconciler-wheels"


def wheel_tag(key: Digest, manager: str) -> str:
    """Name a manager's wheel of a key; managers have any characters, tags do not."""
    return f"built-{digest_of({'key': str(key), 'manager': manager}).hex}"


@dataclass(frozen=True, kw_only=True, slots=True)
class RegistryWheels:
    """The wheels that a manager put into a registry."""

    registry: Registry
    manager: str

    def find(self, key: Digest) -> BuiltWheel | None:
        """Give the wheel with that key; what is damaged, or another manager's, counts as not there."""
        try:
            entry = parse_wheel_image(self._fetch(wheel_tag(key, self.manager)))
        except (NotFoundError, CorruptError):
            return None
        if (entry.key, entry.manager) != (key, self.manager):
            return None
        return BuiltWheel(
            file=entry.file,
            sha256=entry.blob.digest.hex,
            size=entry.blob.size,
            read=partial(self.registry.fetch_blob, REPOSITORY, entry.blob),
        )

    def keep(self, key: Digest, wheel: BuiltWheel, *, anew: bool = False) -> BuiltWheel:
        """Put a wheel there, unless one is there already; what is there in the end counts."""
        with self.registry.writing(REPOSITORY):
            there = None if anew else self.find(key)
            if there is not None:
                return there
            blob = wheel_blob(wheel.sha256, wheel.size)
            entry = WheelEntry(file=wheel.file, key=key, manager=self.manager, blob=blob)
            image = to_wheel_image(entry, wheel.read)
            push_image(self.registry, REPOSITORY, image, wheel_tag(key, self.manager))
            return wheel if anew else self.find(key) or wheel

    def _fetch(self, tag: str) -> Content:
        try:
            return self.registry.fetch(REPOSITORY, tag)
        except DeniedError:  # some registries deny what is not there yet
            self.registry.claim(REPOSITORY)
            return self.registry.fetch(REPOSITORY, tag)
