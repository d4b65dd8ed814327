"""Commands that add users and groups: adduser(8), useradd(8), systemd-sysusers(8), systemd-tmpfiles(8) and the like."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence

from reconciler.debian.accounts import NOGROUP, NOLOGIN
from reconciler.debian.commands.files import Action, mode_of
from reconciler.debian.commands.machine import Machine, Options, options_of
from reconciler.debian.shell.syntax import UnreadableError
from reconciler.debian.shell.truth import Truth

_ADDUSER = "--home --shell --ingroup --gecos --comment --uid --gid --firstuid --lastuid --conf -c"
_USERADD = "-g --gid -G --groups -d --home-dir --home -s --shell -c --comment -u --uid -b -k -p -e -K"
_SYSUSERS = ("etc/sysusers.d", "usr/lib/sysusers.d")
_TMPFILES = ("etc/tmpfiles.d", "usr/lib/tmpfiles.d")
_DASH = "-"


def adduser(arguments: Sequence[str]) -> Action:
    """Add a system user, or put one into a group."""
    options = options_of(arguments, _ADDUSER)
    if len(options.rest) == 2 and not options.has("--system"):  # noqa: PLR2004
        return lambda machine: _join(machine, *options.rest)
    if len(options.rest) != 1 or not options.has("--system"):
        raise UnreadableError("they run adduser with arguments that are not known")
    return lambda machine: _adduser(machine, options.rest[0], options)


def _adduser(machine: Machine, name: str, options: Options) -> Truth:
    ingroup, number, gid = options.get("--ingroup"), options.get("--uid"), options.get("--gid")
    group = None if options.has("--group") else NOGROUP
    if ingroup or gid:
        group = machine.accounts.gid_of(ingroup or gid or "")
    home = options.get("--home") or "/nonexistent"
    is_new = machine.accounts.user(name) is None
    machine.accounts.add_user(
        name,
        uid=int(number) if number else None,
        gid=group,
        gecos=options.get("--gecos", "--comment", "-c") or "",
        home=home,
        shell=options.get("--shell") or NOLOGIN,
    )
    if is_new and not options.has("--no-create-home") and home != "/nonexistent":
        _make_home(machine, name, home)
    return Truth.YES


def _make_home(machine: Machine, name: str, home: str) -> None:
    is_new = machine.tree.stat(home) is None
    machine.tree.make_folder(home)
    row = machine.accounts.user(name)
    if is_new and row is not None:
        machine.tree.own(home, uid=int(row[2]), gid=int(row[3]))


def _join(machine: Machine, user: str, group: str) -> Truth:
    machine.accounts.add_member(user, group)
    return Truth.YES


def addgroup(arguments: Sequence[str]) -> Action:
    """Add a system group."""
    options = options_of(arguments, "--gid --conf -g -K")
    number = options.get("--gid", "-g")
    if len(options.rest) != 1:
        raise UnreadableError("they add a group with arguments that are not known")
    return lambda machine: _add_group(machine, options.rest[0], number, downwards=False)


def groupadd(arguments: Sequence[str]) -> Action:
    """Add a group as the shadow tools do, which count system groups downwards."""
    options = options_of(arguments, "--gid -g -K -p")
    number = options.get("--gid", "-g")
    if len(options.rest) != 1:
        raise UnreadableError("they add a group with arguments that are not known")
    return lambda machine: _add_group(machine, options.rest[0], number, downwards=True)


def _add_group(machine: Machine, name: str, number: str | None, *, downwards: bool) -> Truth:
    machine.accounts.add_group(name, gid=int(number) if number else None, downwards=downwards)
    return Truth.YES


def useradd(arguments: Sequence[str]) -> Action:
    """Add a system user as the shadow tools do."""
    options = options_of(arguments, _USERADD)
    if len(options.rest) != 1 or not options.has("-r", "--system"):
        raise UnreadableError("they run useradd with arguments that are not known")

    def act(machine: Machine) -> Truth:
        group, number = options.get("-g", "--gid"), options.get("-u", "--uid")
        machine.accounts.add_user(
            options.rest[0],
            uid=int(number) if number else None,
            gid=machine.accounts.gid_of(group) if group else None,
            gecos=options.get("-c", "--comment") or "",
            home=options.get("-d", "--home-dir", "--home") or "/nonexistent",
            shell=options.get("-s", "--shell") or NOLOGIN,
            downwards=True,
        )
        return Truth.YES

    return act


def usermod(arguments: Sequence[str]) -> Action:
    """Put a user into groups; anything else is not known."""
    options = options_of(arguments, "-G --groups")
    groups = options.get("-G", "--groups")
    if groups is None or len(options.rest) != 1 or not options.has("-a", "--append"):
        raise UnreadableError("they run usermod with arguments that are not known")

    def act(machine: Machine) -> Truth:
        for group in groups.split(","):
            _join(machine, options.rest[0], group)
        return Truth.YES

    return act


def sysusers(arguments: Sequence[str]) -> Action:
    """Add the users and groups that files of sysusers.d(5) declare."""
    names = options_of(arguments, "--replace --root").rest

    def act(machine: Machine) -> Truth:
        for fields in _declared(machine, names, _SYSUSERS):
            _add_declared(machine, [*fields, *([_DASH] * 6)][:6])
        return Truth.YES

    return act


def _declared(machine: Machine, names: Sequence[str], folders: Sequence[str]) -> Iterator[list[str]]:
    """Read the lines of declarations, each from the first folder that has the file."""
    for name in names:
        places = [name] if name.startswith("/") else [f"{folder}/{name}" for folder in folders]
        text = next((text for place in places if (text := machine.tree.text(place)) is not None), "")
        for line in text.splitlines():
            if line.strip() and not line.lstrip().startswith("#"):
                yield shlex.split(line)


def _add_declared(machine: Machine, fields: Sequence[str]) -> None:
    kind, name, number, gecos, home, shell = fields
    accounts = machine.accounts
    own, _, group = number.partition(":")
    uid = int(own) if own.isdecimal() else None
    if kind.startswith("g"):
        accounts.add_group(name, gid=uid, downwards=True)
    elif kind.startswith("u"):
        accounts.add_user(
            name,
            uid=uid,
            gid=accounts.gid_of(group) if group else None,
            gecos="" if gecos == _DASH else gecos,
            home="/" if home == _DASH else home,
            shell=NOLOGIN if shell == _DASH else shell,
            downwards=True,
        )
    elif kind == "m":
        accounts.add_member(name, number)


def tmpfiles(arguments: Sequence[str]) -> Action:
    """Make the folders and links that files of tmpfiles.d(5) declare; the rest is for a system that starts."""
    names = options_of(arguments, "--prefix --exclude-prefix --root --replace").rest

    def act(machine: Machine) -> Truth:
        for fields in _declared(machine, names, _TMPFILES):
            kind, path, mode, user, group, _, argument = [*fields, *([_DASH] * 7)][:7]
            user, group = user.lstrip(":"), group.lstrip(":")
            if "%" in path or machine.tree.stat(path) is not None:
                continue
            if kind[0] in "dDv":
                machine.tree.make_folder(path)
                machine.tree.own(
                    path,
                    mode=mode_of(mode.lstrip("~:"), 0o755) if mode != _DASH else 0o755,
                    uid=machine.accounts.uid_of(user) if user != _DASH else 0,
                    gid=machine.accounts.gid_of(group) if group != _DASH else 0,
                )
            elif kind[0] == "L" and argument != _DASH:
                machine.tree.link(path, argument)
        return Truth.YES

    return act


PEOPLE: Mapping[str, Callable[[Sequence[str]], Action]] = {
    "adduser": adduser, "addgroup": addgroup, "useradd": useradd, "groupadd": groupadd, "usermod": usermod,
    "systemd-sysusers": sysusers, "systemd-tmpfiles": tmpfiles,
}  # fmt: skip
