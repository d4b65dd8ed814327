"""Commands that change files: mkdir, rm, ln, chmod, chown, cp, mv, install, touch (POSIX.1-2017; coreutils)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from reconciler.debian.commands.machine import Machine, Options, options_of
from reconciler.debian.shell.syntax import UnreadableError
from reconciler.debian.shell.truth import Truth, certainty
from reconciler.oci.member import Kind, Member, file_of

Action = Callable[[Machine], Truth]
_SYMBOLIC = re.compile(r"([ugoa]*)([-+=])([rwxXst]*)")
_SHIFT = {"u": 6, "g": 3, "o": 0}
_BITS = {"r": 4, "w": 2, "x": 1, "X": 1}
_SETUID, _SETGID, _STICKY = 0o4000, 0o2000, 0o1000


def mkdir(arguments: Sequence[str]) -> Action:
    """Make folders."""
    options = options_of(arguments, "-m --mode")
    mode = options.get("-m", "--mode")

    def act(machine: Machine) -> Truth:
        for path in options.rest:
            is_new = machine.tree.stat(path) is None
            machine.tree.make_folder(path)
            if mode is not None and is_new:
                machine.tree.own(path, mode=mode_of(mode, 0o755))
        return Truth.YES

    return act


def rmdir(arguments: Sequence[str]) -> Action:
    """Delete folders that are empty."""
    paths = options_of(arguments).rest

    def act(machine: Machine) -> Truth:
        for path in paths:
            node = machine.tree.lstat(path)
            if node is not None and node.kind is Kind.FOLDER and not machine.tree.children(path):
                machine.tree.remove(path)
        return Truth.YES

    return act


def remove(arguments: Sequence[str]) -> Action:
    """Delete files, and folders where that is asked for."""
    options = options_of(arguments)

    def act(machine: Machine) -> Truth:
        for path in options.rest:
            node = machine.tree.lstat(path)
            if node is not None and (node.kind is not Kind.FOLDER or options.has("-r", "-R", "--recursive")):
                machine.tree.remove(path)
        return Truth.YES

    return act


def link(arguments: Sequence[str]) -> Action:
    """Make symbolic links; a second name for a file is a copy of it."""
    options = options_of(arguments, "-t")
    if len(options.rest) != 2 or options.has("-t", "-r"):  # noqa: PLR2004
        raise UnreadableError("they run ln with arguments that are not known")
    target, path = options.rest

    def act(machine: Machine) -> Truth:
        place = path
        node = (machine.tree.lstat if options.has("-n", "-T") else machine.tree.stat)(path)
        if node is not None and node.kind is Kind.FOLDER:
            place = f"{path}/{target.rpartition('/')[2]}"
        if machine.tree.lstat(place) is not None and not options.has("-f"):
            return Truth.NO
        if not options.has("-s"):
            return _copy(machine, target, place)
        machine.tree.link(place, target)
        return Truth.YES

    return act


def touch(arguments: Sequence[str]) -> Action:
    """Make files that are not there; times are not kept anyway."""
    options = options_of(arguments, "-r -d -t --reference --date")

    def act(machine: Machine) -> Truth:
        for path in options.rest:
            if machine.tree.stat(path) is None and not options.has("-c", "-h", "--no-dereference"):
                machine.tree.write(path, b"")
        return Truth.YES

    return act


def chmod(arguments: Sequence[str]) -> Action:
    """Change permissions."""
    words = [word for word in arguments if word not in ("-R", "-f", "-v", "--", "--recursive", "--quiet", "-c")]
    if not words or any(word.startswith("--") for word in words):
        raise UnreadableError("they run chmod with arguments that are not known")
    mode, *paths = words
    mode_of(mode, 0)
    is_deep = "-R" in arguments or "--recursive" in arguments

    def act(machine: Machine) -> Truth:
        found = [place for path in paths for place in _places(machine, path, is_deep=is_deep)]
        for path in found:
            node = machine.tree.stat(path)
            assert node is not None  # noqa: S101  # what is not there was left out
            machine.tree.own(path, mode=mode_of(mode, node.mode))
        return Truth.of(found)

    return act


def chown(arguments: Sequence[str]) -> Action:
    """Change who owns files."""
    return _chown(options_of(arguments), is_group=False)


def chgrp(arguments: Sequence[str]) -> Action:
    """Change which group owns files."""
    return _chown(options_of(arguments), is_group=True)


def _chown(options: Options, *, is_group: bool) -> Action:
    if not options.rest or options.has("--reference", "--from"):
        raise UnreadableError("they change owners with arguments that are not known")
    owner, *paths = options.rest

    def act(machine: Machine) -> Truth:
        uid, gid = _owner(machine, f":{owner}" if is_group else owner)
        found = [path for name in paths for path in _places(machine, name, is_deep=options.has("-R", "--recursive"))]
        for path in found:
            machine.tree.own(path, uid=uid, gid=gid)
        return Truth.of(found)

    return act


def _owner(machine: Machine, owner: str) -> tuple[int | None, int | None]:
    user, separator, group = owner.partition(":")
    row = machine.accounts.user(user) if user else None
    uid = machine.accounts.uid_of(user) if user else None
    if separator and not group and row is not None:
        return uid, int(row[3])
    return uid, machine.accounts.gid_of(group) if group else None


def _places(machine: Machine, path: str, *, is_deep: bool) -> Iterator[str]:
    node = machine.tree.stat(path)
    if node is None:
        return
    yield path
    for name in machine.tree.children(path) if is_deep and node.kind is Kind.FOLDER else ():
        below = machine.tree.lstat(f"{path}/{name}")
        if below is not None and below.kind is not Kind.LINK:
            yield from _places(machine, f"{path}/{name}", is_deep=True)


def mode_of(text: str, before: int) -> int:
    """Read a mode, octal or symbolic, that changes the one before."""
    if certainty(text).is_open:
        return before
    if re.fullmatch(r"[0-7]{3,5}", text):
        return int(text, 8)
    mode = before
    for clause in text.split(","):
        found = _SYMBOLIC.fullmatch(clause)
        if found is None:
            raise UnreadableError(f"they set the mode {text[:20]!a}")
        mode = _changed(mode, found[1] or "a", found[2], found[3])
    return mode


def _changed(mode: int, who: str, operator: str, what: str) -> int:
    people = "ugo" if "a" in who else who
    bits = sum({_BITS[letter] << _SHIFT[person] for letter in set(what) & {*_BITS} for person in people})
    bits |= (_SETUID if "u" in people else 0) | (_SETGID if "g" in people else 0) if "s" in what else 0
    bits |= _STICKY if "t" in what else 0
    if operator == "=":
        mode &= ~sum(7 << _SHIFT[person] for person in people)
    return mode & ~bits if operator == "-" else mode | bits


def copy(arguments: Sequence[str]) -> Action:
    """Copy one file."""
    return _two(arguments, "cp", _copy)


def move(arguments: Sequence[str]) -> Action:
    """Give a file or link another place."""
    return _two(arguments, "mv", _move)


def _two(arguments: Sequence[str], name: str, act: Callable[[Machine, str, str], Truth]) -> Action:
    options = options_of(arguments)
    if len(options.rest) != 2 or options.has("-r", "-R", "-t"):  # noqa: PLR2004
        raise UnreadableError(f"they run {name} with arguments that are not known")
    source, target = options.rest
    return lambda machine: act(machine, source, _into(machine, source, target))


def _into(machine: Machine, source: str, target: str) -> str:
    node = machine.tree.stat(target)
    return f"{target}/{source.rpartition('/')[2]}" if node is not None and node.kind is Kind.FOLDER else target


def _copy(machine: Machine, source: str, target: str) -> Truth:
    node, data = machine.tree.stat(source), machine.tree.data(source)
    if node is None or data is None:
        return Truth.NO
    machine.tree.put(file_of(machine.tree.place(target), data, mode=node.mode, uid=node.uid, gid=node.gid))
    return Truth.YES


def _move(machine: Machine, source: str, target: str) -> Truth:
    node = machine.tree.lstat(source)
    if node is None or node.kind is Kind.FOLDER:
        return Truth.NO
    data = machine.tree.data(source) or b"" if node.kind is Kind.FILE else b""
    place = machine.tree.place(target, follows=False)
    machine.tree.put(
        replace(
            Member(path=place, kind=node.kind, mode=node.mode, uid=node.uid, gid=node.gid, target=node.target),
            size=len(data),
            read=lambda: iter((data,)),
        )
    )
    machine.tree.remove(source)
    return Truth.YES


def install(arguments: Sequence[str]) -> Action:
    """Make folders or copy one file, with a mode and an owner."""
    options = options_of(arguments, "-m --mode -o --owner -g --group")
    mode = mode_of(options.get("-m", "--mode") or "755", 0)

    def act(machine: Machine) -> Truth:
        if options.has("-d", "--directory"):
            paths = [*options.rest]
            for path in paths:
                machine.tree.make_folder(path)
        elif len(options.rest) == 2:  # noqa: PLR2004
            paths = [_into(machine, *options.rest)]
            if _copy(machine, options.rest[0], paths[0]) is Truth.NO:
                return Truth.NO
        else:
            return Truth.NO
        owner, group = options.get("-o", "--owner"), options.get("-g", "--group")
        for path in paths:
            machine.tree.own(
                path,
                mode=mode,
                uid=machine.accounts.uid_of(owner) if owner else 0,
                gid=machine.accounts.gid_of(group) if group else 0,
            )
        return Truth.YES

    return act


def copy_default(arguments: Sequence[str]) -> Action:
    """Put a configuration file in place where there is none (ucf)."""
    options = options_of(arguments, "--package --state-dir --src-dir -p --sum-file")
    if len(options.rest) != 2:  # noqa: PLR2004
        return lambda _: Truth.YES
    source, target = options.rest
    return lambda machine: Truth.YES if machine.tree.stat(target) is not None else _copy(machine, source, target)


def umask(arguments: Sequence[str]) -> Action:
    """Say what files that are made may not be allowed."""
    mask = arguments[0] if arguments else ""
    if not re.fullmatch(r"[0-7]{1,4}", mask):
        raise UnreadableError("they run umask with arguments that are not known")

    def act(machine: Machine) -> Truth:
        machine.tree.umask = int(mask, 8)
        return Truth.YES

    return act


FILES: Mapping[str, Callable[[Sequence[str]], Action]] = {
    "mkdir": mkdir, "rmdir": rmdir, "rm": remove, "ln": link, "touch": touch, "chmod": chmod, "chown": chown,
    "chgrp": chgrp, "cp": copy, "mv": move, "install": install, "ucf": copy_default,
    "umask": umask,
}  # fmt: skip
