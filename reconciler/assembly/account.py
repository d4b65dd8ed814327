"""Who runs in an image: a user with a home, beside those that the base has (passwd(5), group(5))."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.lock.model import Base
from reconciler.manifest.model import Docker

NAME, IDENTITY = "user", 1000
_PASSWD_FIELDS, _GROUP_FIELDS = 7, 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """A user of an image: its ids, its home, and how the configuration names it.

    ``passwd`` and ``group`` are the files with the user in them, none where the base has it already. ``owned`` tells
    whether the home is ours to make.
    """

    user: str
    name: str
    uid: int
    gid: int
    home: str
    passwd: str | None = None
    group: str | None = None

    @property
    def owned(self) -> bool:
        """Whether the user is ours, and with it the home."""
        return self.passwd is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Line:
    name: str
    uid: int
    gid: int
    home: str


def account_of(base: Base, declared: str | None, inherited: str = "") -> Account:
    """Say who runs: the declared user, else one of id 1000, which is made where the base has none.

    A declared id that nobody has runs as it is, with a home that anybody may write to. ``inherited`` is who runs in the
    environment below, where the base is one: it goes on without a declared user.
    """
    lines = list(_users(base.passwd))
    if not declared and inherited:
        return _inherited(lines, inherited)
    wanted, _, group = (declared or "").partition(":")
    if not wanted:
        there = next((line for line in lines if line.uid == IDENTITY), None)
        return _of(there, f"{there.uid}:{there.gid}") if there is not None else _made(base, lines, NAME, None)
    if wanted.isdecimal():
        there = next((line for line in lines if line.uid == int(wanted)), None)
        return _of(there, declared or "") if there is not None else _made(base, lines, NAME, declared)
    there = next((line for line in lines if line.name == wanted), None)
    if there is not None:
        return _of(there, declared or "")
    return _made(base, lines, wanted, declared if group else None)


def accounts_over(base: Base, docker: Docker) -> tuple[str, str]:
    """Give the accounts of an environment on this base, ``passwd`` and ``group``, for what builds on it."""
    if docker.base_environment is not None and not docker.user:
        return base.passwd, base.group
    account = account_of(base, docker.user)
    return account.passwd or base.passwd, account.group or base.group


def _inherited(lines: list[_Line], user: str) -> Account:
    """Find who runs below; an id that nobody has lives where the environment below made it a home, in the last line."""
    wanted = user.partition(":")[0]
    there = next((line for line in lines if wanted in (line.name, str(line.uid))), lines[-1])
    return _of(there, user)


def _of(line: _Line, user: str) -> Account:
    return Account(user=user, name=line.name, uid=line.uid, gid=line.gid, home=line.home.strip("/"))


def _made(base: Base, lines: list[_Line], name: str, user: str | None) -> Account:
    """Make a user of id 1000, or of the next that is free, in a group of the same name and id."""
    groups = {int(fields[2]) for fields in _fields(base.group, _GROUP_FIELDS) if fields[2].isdecimal()}
    taken = {line.uid for line in lines} | groups
    number = next(number for number in range(IDENTITY, 1 << 31) if number not in taken)
    names = {line.name for line in lines} | {fields[0] for fields in _fields(base.group, _GROUP_FIELDS)}
    free = next(candidate for candidate in _candidates(name) if candidate not in names)
    home = f"home/{free}"
    return Account(
        user=user or f"{number}:{number}",
        name=free,
        uid=number,
        gid=number,
        home=home,
        passwd=f"{_closed(base.passwd)}{free}:x:{number}:{number}::/{home}:/bin/sh\n",
        group=f"{_closed(base.group)}{free}:x:{number}:\n",
    )


def _candidates(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}{number}" for number in range(2, 1 << 16))


def _closed(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"


def _users(passwd: str) -> Iterator[_Line]:
    for name, _, uid, gid, _, home, _ in _fields(passwd, _PASSWD_FIELDS):
        if uid.isdecimal() and gid.isdecimal():
            yield _Line(name=name, uid=int(uid), gid=int(gid), home=home)


def _fields(text: str, count: int) -> Iterator[list[str]]:
    for line in text.splitlines():
        fields = line.split(":")
        if len(fields) == count:
            yield fields
