"""What this run wrote under tags of a registry that may still serve what was there before."""

from __future__ import annotations

import threading
from collections import defaultdict

from reconciler.values.digest import Digest

_Key = tuple[str, str]


class Written:
    """For each repository and tag: what this run wrote, and what was seen or written there before; safe for threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._wanted: dict[_Key, Digest] = {}
        self._before: defaultdict[_Key, set[Digest | None]] = defaultdict(set)

    def __contains__(self, key: _Key) -> bool:
        return key in self._wanted

    def note(self, repository: str, tag: str, digest: Digest) -> None:
        """Keep what was written; what this run wrote there before is an old answer from now on."""
        key = (repository, tag)
        with self._guard:
            if (former := self._wanted.get(key)) not in (None, digest):
                self._before[key].add(former)
            self._wanted[key] = digest

    def believes(self, repository: str, tag: str, found: Digest | None) -> bool:
        """Tell whether an answer is no old one: what was never there before this run wrote, another writer wrote."""
        key = (repository, tag)
        with self._guard:
            wanted = self._wanted.get(key)
            if wanted is None:
                self._before[key].add(found)
            elif found is not None and found != wanted and key in self._before and found not in self._before[key]:
                del self._wanted[key]
                self._before[key] |= {wanted, found}
                return True
            return wanted in (None, found)

    def forget(self, repository: str, reference: str | Digest) -> None:
        """Expect nothing of a tag, or of every tag that names a digest: it was deleted."""
        with self._guard:
            for key, digest in list(self._wanted.items()):
                if key == (repository, reference) or (key[0] == repository and digest == reference):
                    del self._wanted[key]
