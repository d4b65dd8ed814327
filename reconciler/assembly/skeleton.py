"""The layer under all packages: the virtual environment itself, the user and its home."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.assembly.account import Account
from reconciler.assembly.layers import inherits, is_stacked
from reconciler.assembly.place import PREFIX
from reconciler.assembly.venv import environment_of
from reconciler.lock.model import PlatformLock
from reconciler.manifest.desired import Desired
from reconciler.oci.member import Member, file_of, folder_of, opaque_of

_ANYBODY = 0o1777
"""Whoever runs the image may write to the home, whatever the id."""


def skeleton_of(desired: Desired, lock: PlatformLock, account: Account) -> Iterator[Member]:
    """Give the members, in no order and without the folders above them.

    Over another environment its virtual environment is built on, or with ``base_packages: ignore`` is hidden whole.
    """
    if not is_stacked(desired):
        yield from environment_of(lock, inherits=inherits(desired))
    elif not inherits(desired):
        yield opaque_of(PREFIX)
        yield from environment_of(lock, inherits=False)
    if account.passwd is not None and account.group is not None:
        yield file_of("etc/passwd", account.passwd.encode())
        yield file_of("etc/group", account.group.encode())
        yield folder_of(account.home, mode=_ANYBODY, uid=account.uid, gid=account.gid)
    workdir = (desired.manifest.docker.workdir or "").strip("/")
    if workdir and workdir != account.home:
        yield folder_of(workdir, uid=account.uid, gid=account.gid)
