"""Users and groups of a root: passwd(5), group(5), shadow(5), gshadow(5), and who is added (Debian Policy 9.2)."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.debian.shell.syntax import UnreadableError
from reconciler.debian.tree import Tree

FIRST_SYSTEM, LAST_SYSTEM = 100, 999
NOGROUP = 65534
NOLOGIN = "/usr/sbin/nologin"
_PASSWD, _GROUP, _SHADOW, _GSHADOW = "etc/passwd", "etc/group", "etc/shadow", "etc/gshadow"
_SHADOW_GROUP, _SHADOW_MODE = 42, 0o640
_MEMBERS = 3


class Accounts:
    """The users and groups of a tree, which are read from it and written to it."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def _rows(self, path: str) -> list[list[str]]:
        return [line.split(":") for line in (self._tree.text(path) or "").splitlines() if line and line[0] not in "#+"]

    def _save(self, path: str, rows: Sequence[Sequence[str]]) -> None:
        self._tree.write(path, "".join(f"{':'.join(row)}\n" for row in rows).encode(errors="surrogateescape"))

    def user(self, name: str) -> list[str] | None:
        """Give the fields of a user, by name or number."""
        return next((row for row in self._rows(_PASSWD) if name in (row[0], row[2])), None)

    def group(self, name: str) -> list[str] | None:
        """Give the fields of a group, by name or number."""
        return next((row for row in self._rows(_GROUP) if name in (row[0], row[2])), None)

    def uid_of(self, name: str) -> int:
        """Give a user's number; one that is not known is an UnreadableError."""
        row = self.user(name)
        if row is None and not name.isdecimal():
            raise UnreadableError(f"they name the user {name[:40]!a}, who is not there")
        return int(name if row is None else row[2])

    def gid_of(self, name: str) -> int:
        """Give a group's number; one that is not known is an UnreadableError."""
        row = self.group(name)
        if row is None and not name.isdecimal():
            raise UnreadableError(f"they name the group {name[:40]!a}, which is not there")
        return int(name if row is None else row[2])

    def _free(self, *paths: str, downwards: bool) -> int:
        """Give the next number that is free in some tables; the tools that count downwards look in both."""
        taken = {int(row[2]) for path in ((_PASSWD, _GROUP) if downwards else paths) for row in self._rows(path)}
        numbers = range(FIRST_SYSTEM, LAST_SYSTEM + 1)
        found = next((number for number in (reversed(numbers) if downwards else numbers) if number not in taken), None)
        if found is None:
            raise UnreadableError("they add an account, and no number is free")
        return found

    def add_group(self, name: str, *, gid: int | None = None, downwards: bool = False) -> int:
        """Add a group unless it is there; give its number. Numbers are taken from 100 upwards or 999 downwards."""
        if (there := self.group(name)) is not None:
            return int(there[2])
        number = self._free(_GROUP, downwards=downwards) if gid is None else gid
        self._save(_GROUP, [*self._rows(_GROUP), [name, "x", str(number), ""]])
        if self._tree.stat(_GSHADOW) is not None:
            self._save(_GSHADOW, [*self._rows(_GSHADOW), [name, "!", "", ""]])
        return number

    def add_user(  # noqa: PLR0913  # the fields of passwd(5)
        self,
        name: str,
        *,
        uid: int | None = None,
        gid: int | None = None,
        gecos: str = "",
        home: str = "/nonexistent",
        shell: str = NOLOGIN,
        downwards: bool = False,
    ) -> None:
        """Add a system user without a password, unless he is there; without a group he has one of his own."""
        if self.user(name) is not None:
            return
        number = self._free(_PASSWD, downwards=downwards) if uid is None else uid
        if gid is None:
            is_shared = downwards and self.group(str(number)) is None
            gid = self.add_group(name, gid=number if is_shared else None, downwards=downwards)
        self._save(_PASSWD, [*self._rows(_PASSWD), [name, "x", str(number), str(gid), gecos, home, shell]])
        if self._tree.stat(_SHADOW) is not None:
            self._save(_SHADOW, [*self._rows(_SHADOW), [name, "!", "", "", "", "", "", "", ""]])

    def add_member(self, user: str, group: str) -> None:
        """Put a user into a group."""
        rows = self._rows(_GROUP)
        for row in rows:
            members = row[_MEMBERS].split(",") if row[0] == group and row[_MEMBERS] else []
            if row[0] == group and user not in members:
                row[_MEMBERS] = ",".join([*members, user])
        self._save(_GROUP, rows)

    def hide_passwords(self) -> None:
        """Move passwords to the files that only root reads, as pwconv(8) does.

        The day of the last change is left empty, which switches ageing off: it would be the day of the build.
        """
        users, groups = self._rows(_PASSWD), self._rows(_GROUP)
        if self._tree.stat(_SHADOW) is None:
            self._save(_SHADOW, [[row[0], row[1], "", "0", "99999", "7", "", "", ""] for row in users])
        if self._tree.stat(_GSHADOW) is None:
            self._save(_GSHADOW, [[row[0], row[1], "", row[_MEMBERS]] for row in groups])
        self._save(_PASSWD, [[row[0], "x", *row[2:]] for row in users])
        self._save(_GROUP, [[row[0], "x", *row[2:]] for row in groups])
        for path in (_SHADOW, _GSHADOW):
            self._tree.own(path, mode=_SHADOW_MODE, gid=_SHADOW_GROUP)
