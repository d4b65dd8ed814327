"""The archive keys that are shipped, read and checked against their fingerprints."""

from __future__ import annotations

from functools import cache
from importlib import resources

from reconciler.clients.openpgp import Keys, joined, read_keys
from reconciler.debian.archivekeys import ARCHIVE_KEYS
from reconciler.errors import CorruptError


@cache
def archive_keys(distribution: str) -> Keys:
    """Give the keys of a distribution; a file that holds another key than it should is a CorruptError."""
    folder = resources.files("reconciler.debian") / "keys"
    found = []
    for key in ARCHIVE_KEYS[distribution]:
        keys = read_keys((folder / key.file).read_bytes(), name=key.file)
        if keys.fingerprints != (key.fingerprint,):
            raise CorruptError(f"{key.file} is not the key {key.fingerprint}", hint="install the reconciler again")
        found.append(keys)
    return joined(found)
