"""The files of the repository that an image holds, where the manifest wants them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from reconciler.assembly.account import Account
from reconciler.errors import BuildError
from reconciler.manifest.desired import Desired
from reconciler.oci.member import Member
from reconciler.values import paths
from reconciler.values.canonical import Json

Read = Callable[[str], bytes]
"""Gives a file of the repository, whole."""
_EXECUTABLE = "100755"


def files_of(desired: Desired, account: Account, read: Read) -> Iterator[Member]:
    """Give the files, owned by who runs; one that changed since it was hashed is a BuildError, when it is read."""
    declared = desired.components["files"]
    assert isinstance(declared, Mapping)  # noqa: S101  # the form is fixed in manifest.identity
    folder = paths.folder_of(desired.manifest.path)
    for target, found in declared.items():
        source = paths.join(folder, desired.manifest.files[target])
        assert isinstance(found, list)  # noqa: S101  # as above
        for file in found:
            yield _member(file, target, source, account, read)


def _member(file: Json, target: str, source: str, account: Account, read: Read) -> Member:
    assert isinstance(file, Mapping)  # noqa: S101  # as above
    name, sha256 = str(file["name"]), str(file["sha256"])
    own = source.rpartition("/")[2]
    # Where the destination is a folder, a file alone goes into it by its own name.
    inside = "" if target.endswith("/") and name == own else name
    data = partial(_read, read, f"{source}/{inside}" if inside else source, sha256)
    return Member(
        path=f"{target.strip('/')}/{name}" if name else target.strip("/"),
        mode=0o755 if file["mode"] == _EXECUTABLE else 0o644,
        size=len(data()),
        read=lambda: iter((data(),)),
        uid=account.uid,
        gid=account.gid,
    )


def _read(read: Read, path: str, sha256: str) -> bytes:
    data = read(path)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise BuildError(f"{path} has changed while it was read", hint="run the command again")
    return data
