"""Reading everything that a repository of the registry holds of an environment, and hashing it.

What is damaged is told by where it is and who needs it: what the record that apply starts from reaches is mended by
apply, what earlier versions alone reach is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar, cast

from reconciler.errors import CorruptError, NotFoundError, ReconcilerError, StoreError
from reconciler.oci import media
from reconciler.oci.descriptor import Content, Descriptor
from reconciler.oci.manifest import ImageManifest, Index, parse_image, parse_index
from reconciler.plan.diagnosis import Damage, Remedy, listed
from reconciler.ports import Registry
from reconciler.reconcile.bodies import read_components, read_lock
from reconciler.reconcile.observe import SMALL, entries
from reconciler.record import Record
from reconciler.values.digest import Digest

Found = TypeVar("Found")


@dataclass(slots=True)
class _Bad:
    """Content that is damaged: what it is, of which versions, and whether apply sees it and mends it."""

    what: str
    text: str
    remedy: Remedy
    digest: Digest
    versions: list[str] = field(default_factory=list)

    def damage(self) -> Damage:
        return Damage(
            part=f"{listed(self.versions)}: {self.what}", text=self.text, remedy=self.remedy, digest=self.digest
        )


class Contents:
    """What was read of one repository. Each content is read once, however many versions have it."""

    def __init__(self, registry: Registry, name: str) -> None:
        self._registry = registry
        self._name = name
        self._checked: dict[Digest, object] = {}
        self._others: list[_Bad] = []
        """Side entries that are whole and of another identity."""
        self.known: set[Digest] = set()
        """What something names, whole or not."""
        self.size = 0
        """Bytes that were read."""

    @property
    def damages(self) -> Iterator[Damage]:
        """What is damaged, in the order that it was found."""
        found = [bad for bad in self._checked.values() if isinstance(bad, _Bad)]
        return (bad.damage() for bad in (*found, *self._others))

    def read(self, record: Record, version: str, *, mended: bool) -> None:
        """Read all that a record names; ``mended`` says that apply starts from it."""
        for label, entry in entries(record):
            remedy = Remedy.APPLY if mended else Remedy.RESTORE
            if self._read_image(entry, label, version, remedy) and label in {"request", "lock"}:
                self._read_body(record, label, entry, version, remedy)

    def read_tag(self, tag: str, digest: Digest, *, remedy: Remedy) -> None:
        """Read what a tag names that no record does."""
        if digest in self.known:
            return
        self.known.add(digest)
        read = self._check(digest, "manifest", tag, remedy, lambda: self._form(digest))
        if isinstance(read, Index):
            for place, entry in enumerate(read.manifests):
                self._read_image(entry, f"manifests[{place}]", tag, remedy)
        elif read is not None:
            self._read_blobs(read, "image", tag, remedy)

    def _form(self, digest: Digest) -> Index | ImageManifest:
        content = self._registry.fetch(self._name, digest)
        self.size += len(content.data)
        return parse_index(content) if content.media_type in media.INDEXES else parse_image(content)

    def _read_image(self, entry: Descriptor, label: str, version: str, remedy: Remedy) -> bool:
        """Read a manifest and its blobs; tell whether all of it is whole."""
        self.known.add(entry.digest)
        image = self._check(entry.digest, label, version, remedy, lambda: self._image(entry))
        return image is not None and self._read_blobs(image, label, version, remedy)

    def _read_blobs(self, image: ImageManifest, label: str, version: str, remedy: Remedy) -> bool:
        whole = True
        for place, blob in enumerate((image.config, *image.layers)):
            layer = f"layer {place}" if len(image.layers) > 1 else "layer"
            what = f"{label}, {layer if place else 'configuration'}"
            whole = self._read_blob(blob, what, version, remedy) and whole
        return whole

    def _image(self, entry: Descriptor) -> ImageManifest:
        content = self._registry.fetch(self._name, entry.digest)
        self.size += len(content.data)
        _refuse_difference(content, entry)
        return parse_image(content)

    def _read_blob(self, blob: Descriptor, what: str, version: str, remedy: Remedy) -> bool:
        self.known.add(blob.digest)
        if remedy is Remedy.APPLY and blob.size > SMALL and self._registry.has_blob(self._name, blob):
            remedy = Remedy.REMOVE_AND_APPLY  # apply asks of large blobs only whether they are there
        return bool(self._check(blob.digest, what, version, remedy, lambda: self._stream(blob)))

    def _stream(self, blob: Descriptor) -> bool:
        for chunk in self._registry.fetch_blob(self._name, blob):
            self.size += len(chunk)
        return True

    def _read_body(self, record: Record, label: str, entry: Descriptor, version: str, remedy: Remedy) -> None:
        read = read_components if label == "request" else read_lock
        try:
            read(self._registry, self._name, record)
        except CorruptError as error:
            self._others.append(_Bad(label, f"{entry.digest}: {reason(error)}", remedy, entry.digest, [version]))

    def _check(
        self, digest: Digest, what: str, version: str, remedy: Remedy, read: Callable[[], Found]
    ) -> Found | None:
        """Read something once; where it is damaged, remember for which versions."""
        if digest in self._checked:
            found = self._checked[digest]
            if isinstance(found, _Bad):
                found.versions.append(version)
                return None
            return cast("Found", found)
        try:
            whole = read()
        except NotFoundError:
            self._checked[digest] = _Bad(what, f"{digest} is not there", remedy, digest, [version])
        except (CorruptError, StoreError) as error:
            if remedy is Remedy.APPLY and self._registry.remote:
                remedy = Remedy.REMOVE_AND_APPLY  # servers keep what they have, and answer a push with success
            self._checked[digest] = _Bad(what, content_reason(error, digest), remedy, digest, [version])
        else:
            self._checked[digest] = whole
            return whole
        return None


def content_reason(error: ReconcilerError, digest: Digest) -> str:
    """Say what is wrong with content, which is named once."""
    told = reason(error)
    return f"{digest} {told.rpartition(str(digest))[2].strip()}" if f"{digest} " in told else f"{digest}: {told}"


def reason(error: ReconcilerError) -> str:
    """Give what an error says without the place that it begins with: that is told in other words."""
    return error.message.partition(": ")[2] or error.message


def _refuse_difference(content: Content, entry: Descriptor) -> None:
    if (content.media_type, len(content.data)) != (entry.media_type, entry.size):
        raise CorruptError(
            f"it is {content.media_type} of {len(content.data)} bytes, described as {entry.media_type} of {entry.size}"
        )
