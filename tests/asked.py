"""Remote registries in memory that keep a list of what they were asked, and some that deny what is not there."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence

from reconciler.errors import DeniedError
from reconciler.oci.descriptor import Blob, Content, Descriptor
from reconciler.registries.memory import MemoryRegistry
from reconciler.values.digest import Digest

WRITES = frozenset({"push", "push_blob", "delete", "claim"})


class Asked(MemoryRegistry):
    """A remote registry that counts requests."""

    def __init__(self) -> None:
        super().__init__("registry.example.com/team", remote=True)
        self.asked: list[tuple[str, str]] = []
        self._list = threading.Lock()

    def ask(self, what: str, repository: str) -> None:
        with self._list:
            self.asked.append((what, repository))

    def since(self) -> Counter[str]:
        """Count what was asked since the last time, but for the managers' states."""
        with self._list:
            found = Counter(what for what, repository in self.asked if repository != "reconciler-state")
            self.asked.clear()
        return found

    def fetch(self, repository: str, reference: str | Digest) -> Content:
        self.ask("fetch", repository)
        return super().fetch(repository, reference)

    def resolve(self, repository: str, reference: str | Digest) -> Digest | None:
        self.ask("resolve", repository)
        return super().resolve(repository, reference)

    def fetch_blob(self, repository: str, descriptor: Descriptor) -> Iterator[bytes]:
        self.ask("fetch_blob", repository)
        return super().fetch_blob(repository, descriptor)

    def has_blob(self, repository: str, descriptor: Descriptor) -> bool:
        self.ask("has_blob", repository)
        return super().has_blob(repository, descriptor)

    def push_blob(self, repository: str, blob: Blob, *, mount_from: str | None = None) -> None:
        self.ask("push_blob", repository)
        super().push_blob(repository, blob, mount_from=mount_from)

    def push(self, repository: str, content: Content, *, tags: Sequence[str] = ()) -> None:
        self.ask("push", repository)
        super().push(repository, content, tags=tags)

    def delete(self, repository: str, reference: str | Digest) -> None:
        self.ask("delete", repository)
        super().delete(repository, reference)

    def tags(self, repository: str) -> tuple[str, ...]:
        self.ask("tags", repository)
        return super().tags(repository)

    def repositories(self) -> tuple[str, ...] | None:
        self.ask("repositories", "")
        return super().repositories()

    def claim(self, repository: str) -> None:
        self.ask("claim", repository)
        super().claim(repository)


class Denying(Asked):
    """A registry that answers "denied" for what is not there, until it was claimed.

    ``unreadable`` and ``unwritable`` are denied whatever is there; ``*`` stands for everything, as an expired token.
    """

    def __init__(self) -> None:
        super().__init__()
        self.claimed: set[str] = set()
        self.unreadable: set[str] = set()
        self.unwritable: set[str] = set()

    def ask(self, what: str, repository: str) -> None:
        super().ask(what, repository)
        if {repository, "*"} & (self.unwritable if what in WRITES else self.unreadable):
            raise DeniedError(f"{repository}: denied")
        known = self.claimed | self.blobs.keys()
        if what not in WRITES and repository and repository not in known:
            raise DeniedError(f"{repository}: denied")

    def claim(self, repository: str) -> None:
        super().claim(repository)
        self.claimed.add(repository)
