"""Commands that only tell something, as far as it can be told without running them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import md5

from reconciler.debian.commands.machine import Machine, options_of
from reconciler.debian.shell.interpreter import Interpreter
from reconciler.debian.shell.syntax import UnreadableError
from reconciler.debian.shell.truth import LATER_MARK, UNKNOWN_MARK, Truth, all_of, certainty
from reconciler.debian.version import parse_version
from reconciler.oci.member import Kind
from reconciler.oci.rootfs import Node

IS_QUERY = frozenset(["--list", "--query", "--display", "--get-selections"])
"""Options with which update-alternatives only tells something."""
Query = Callable[["Machine | None", Sequence[str], Interpreter], Truth]
_LESS, _MORE, _SAME = frozenset(["lt", "le", "<<", "<=", "<"]), frozenset(["gt", "ge", ">>", ">=", ">"]), "eq ="
_NOT_PLAIN = re.compile(r"[\\+?(){}|]")
_PRINTS = re.compile(r"\s*\{\s*print \$([1-9])\s*;?\s*\}\s*")
_PAIR = 2
_FORMATS: Mapping[str, Callable[[Node], str]] = {
    "%a": lambda node: f"{node.mode:o}",
    "%u": lambda node: str(node.uid),
    "%g": lambda node: str(node.gid),
}
_MULTIARCH = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
_COMPARED = 4
_GUARD = ".usr-is-merged"


def _dpkg(machine: Machine | None, arguments: Sequence[str], shell: Interpreter) -> Truth:
    if "--compare-versions" in arguments:
        words = [word for word in arguments[arguments.index("--compare-versions") + 1 :] if word != "--"]
        return _compare(words)
    if "--print-architecture" in arguments:
        shell.say(LATER_MARK if machine is None else machine.architecture)
        return Truth.YES
    shell.say(UNKNOWN_MARK)
    return Truth.UNKNOWN


def _compare(words: Sequence[str]) -> Truth:
    """Compare versions; an empty one, of a package that was not there before, is earlier or later as asked for."""
    words = [*words, ""] if len(words) == _COMPARED - 2 else words
    if len(words) != _COMPARED - 1 or certainty(*words).is_open:
        return Truth.UNKNOWN
    left, relation, right = words
    plain = relation.removesuffix("-nl")
    if plain not in {*_LESS, *_MORE, *_SAME.split(), "ne"}:
        return Truth.UNKNOWN
    order = _order(left, right)
    if relation != plain and not (left and right):
        order = -order
    if plain in _LESS:
        return Truth.of(order < 0 or (order == 0 and plain in ("le", "<=", "<")))
    if plain in _MORE:
        return Truth.of(order > 0 or (order == 0 and plain in ("ge", ">=", ">")))
    return Truth.of((order == 0) == (plain != "ne"))


def _order(left: str, right: str) -> int:
    if not left or not right:
        return bool(left) - bool(right)
    first, second = parse_version(left), parse_version(right)
    return (first > second) - (first < second)


def _dpkg_query(machine: Machine | None, arguments: Sequence[str], shell: Interpreter) -> Truth:
    """Nothing is known of a package that is not installed; what is said of one that is, is not followed."""
    names = options_of(arguments, "-f --showformat").rest
    if machine is None or certainty(*names).is_open:
        shell.say(LATER_MARK)
        return Truth.LATER
    if names and names[0].partition(":")[0] not in machine.packages:
        return Truth.NO
    shell.say(UNKNOWN_MARK)
    return Truth.UNKNOWN


def _dpkg_architecture(machine: Machine | None, arguments: Sequence[str], shell: Interpreter) -> Truth:
    name = "".join(arguments).removeprefix("-q")
    if machine is None:
        shell.say(LATER_MARK)
    elif name.endswith("_MULTIARCH"):
        shell.say(_MULTIARCH.get(machine.architecture, UNKNOWN_MARK))
    else:
        shell.say(machine.architecture if name.endswith("_ARCH") else UNKNOWN_MARK)
    return Truth.YES


def _dpkg_divert(_: Machine | None, arguments: Sequence[str], shell: Interpreter) -> Truth:
    """Nothing is diverted before a first installation; adding a diversion is not known.

    One that only guards files while a machine gets merged-/usr has nothing to guard: a root is so from the beginning.
    """
    if "--truename" in arguments:
        shell.say(arguments[-1])
    elif any(word.endswith(_GUARD) for word in arguments):
        return Truth.YES
    elif "--add" in arguments or not {"--remove", "--list", "--listpackage"} & {*arguments}:
        raise UnreadableError("they divert files of other packages")
    return Truth.YES


def _debconf_get(machine: Machine | None, arguments: Sequence[str], shell: Interpreter) -> Truth:
    """Give the answer that nobody changed: the default of the question."""
    name = arguments[0] if arguments else ""
    found = None if machine is None else machine.answers.get(name)
    shell.variables["RET"] = found if found is not None else LATER_MARK if machine is None else ""
    return Truth.YES if found is not None else Truth.LATER if machine is None else Truth.NO


def _getent(machine: Machine | None, arguments: Sequence[str], shell: Interpreter) -> Truth:
    if machine is None:
        shell.say(LATER_MARK)
        return Truth.LATER
    if len(arguments) != 2 or arguments[0] not in ("passwd", "group"):  # noqa: PLR2004
        shell.say(UNKNOWN_MARK)
        return Truth.UNKNOWN
    row = (machine.accounts.user if arguments[0] == "passwd" else machine.accounts.group)(arguments[1])
    if row is not None:
        shell.say(f"{':'.join(row)}\n")
    return Truth.of(row is not None)


def _id(machine: Machine | None, arguments: Sequence[str], shell: Interpreter) -> Truth:
    if machine is None:
        shell.say(LATER_MARK)
        return Truth.LATER
    names = [word for word in arguments if not word.startswith("-")]
    row = machine.accounts.user(names[0]) if names else None
    shell.say("0" if not names else UNKNOWN_MARK if row is None else row[3 if "-g" in arguments else 2])
    return Truth.of(row is not None or not names)


def _statoverride(_: Machine | None, arguments: Sequence[str], shell: Interpreter) -> Truth:
    """Change owner and mode as an override says, of which none is there before a first installation."""
    if "--add" not in arguments or "--update" not in arguments:
        return Truth.NO
    user, group, mode, path = [word for word in arguments if not word.startswith("--")][:4]
    shell.call("chown", [f"{user}:{group}", path])
    return shell.call("chmod", [mode, path])


def _basename(_: Machine | None, arguments: Sequence[str], shell: Interpreter) -> Truth:
    path, *suffix = [word for word in arguments if word != "--"] or [""]
    name = path.rstrip("/").rpartition("/")[2]
    shell.say(name.removesuffix(suffix[0]) if suffix else name)
    return Truth.YES


def _dirname(_: Machine | None, arguments: Sequence[str], shell: Interpreter) -> Truth:
    path = arguments[-1] if arguments else ""
    shell.say(path.rstrip("/").rpartition("/")[0] or ("/" if path.startswith("/") else "."))
    return Truth.YES


def _readlink(machine: Machine | None, arguments: Sequence[str], shell: Interpreter) -> Truth:
    path = arguments[-1] if arguments else ""
    if machine is None or certainty(path).is_open:
        shell.say(LATER_MARK)
        return Truth.LATER
    if any(word.startswith("-") and set(word) & {*"efm"} for word in arguments):
        shell.say(f"/{machine.tree.place(path)}")
        return Truth.YES
    node = machine.tree.lstat(path)
    is_link = node is not None and node.kind is Kind.LINK
    shell.say(node.target if node is not None and is_link else "")
    return Truth.of(is_link)


def _cat(machine: Machine | None, arguments: Sequence[str], shell: Interpreter) -> Truth:
    paths = [word for word in arguments if not word.startswith("-")]
    if not paths and shell.document is not None:
        shell.say(shell.document)
        return Truth.YES
    if machine is None or not paths or certainty(*paths).is_open:
        shell.say(LATER_MARK if paths else UNKNOWN_MARK)
        return Truth.LATER if paths else Truth.YES
    texts = [machine.tree.text(path) for path in paths]
    shell.say("".join(text or "" for text in texts))
    return Truth.of(None not in texts)


def _ls(_: Machine | None, arguments: Sequence[str], shell: Interpreter) -> Truth:
    paths = [word for word in arguments if not word.startswith("-")]
    shell.say(UNKNOWN_MARK)
    return all_of(shell.host.test("-e", path) for path in paths) if paths else Truth.UNKNOWN


def _cut(_: Machine | None, arguments: Sequence[str], shell: Interpreter) -> Truth:
    """Give one field of each line, as ``cut -d: -f1`` does."""
    options = options_of(arguments, "-d -f")
    field, delimiter = options.get("-f") or "", options.get("-d") or "\t"
    if shell.document is None or certainty(shell.document).is_open or not field.isdecimal() or options.rest:
        shell.say(_open_mark(shell.document))
        return Truth.YES
    for line in shell.document.splitlines():
        parts = line.split(delimiter)
        shell.say(f"{line if len(parts) == 1 else ''.join(parts[int(field) - 1 : int(field)])}\n")
    return Truth.YES


def _open_mark(document: str | None) -> str:
    """Give what stands for the output of a command whose input is known later or never."""
    return LATER_MARK if document is not None and certainty(document) is Truth.LATER else UNKNOWN_MARK


def _grep(machine: Machine | None, arguments: Sequence[str], shell: Interpreter) -> Truth:
    """Look for a plain pattern in files or in what is read; other patterns are not followed."""
    options = options_of(arguments, "-e -m --regexp")
    pattern, *paths = [*filter(None, [options.get("-e", "--regexp")]), *options.rest] or [""]
    is_known = not certainty(pattern).is_open and (options.has("-F") or not _NOT_PLAIN.search(pattern))
    if machine is None or not is_known or not (paths or shell.document is not None):
        shell.say(LATER_MARK if machine is None and is_known else UNKNOWN_MARK)
        return Truth.LATER if machine is None and is_known else Truth.UNKNOWN
    text = "".join(machine.tree.text(path) or "" for path in paths) if paths else shell.document or ""
    if certainty(text).is_open:
        shell.say(UNKNOWN_MARK)
        return Truth.UNKNOWN
    found = re.compile(re.escape(pattern) if options.has("-F") else pattern, re.IGNORECASE if options.has("-i") else 0)
    search = found.fullmatch if options.has("-x") else found.search
    lines = [line for line in text.splitlines() if (search(line) is not None) != options.has("-v")]
    if not options.has("-q", "--quiet", "--silent"):
        shell.say("".join(f"{line}\n" for line in lines))
    return Truth.of(lines)


def _fgrep(machine: Machine | None, arguments: Sequence[str], shell: Interpreter) -> Truth:
    return _grep(machine, ["-F", *arguments], shell)


def _awk(_: Machine | None, arguments: Sequence[str], shell: Interpreter) -> Truth:
    """Give one word of each line, as the program ``{print $1}`` does; other programs are not followed."""
    found = _PRINTS.fullmatch(arguments[0]) if len(arguments) == 1 else None
    if found is None or shell.document is None or certainty(shell.document).is_open:
        shell.say(_open_mark(shell.document))
        return Truth.YES
    for line in shell.document.splitlines():
        shell.say(f"{' '.join(line.split()[int(found[1]) - 1 : int(found[1])])}\n")
    return Truth.YES


def _md5sum(machine: Machine | None, arguments: Sequence[str], shell: Interpreter) -> Truth:
    """Compare what files were with what they are: the digest is no secret and proves nothing here."""
    paths = options_of(arguments).rest
    if machine is None or not paths:
        shell.say(LATER_MARK if machine is None else UNKNOWN_MARK)
        return Truth.LATER if machine is None else Truth.UNKNOWN
    found = {path: machine.tree.data(path) for path in paths}
    for path, data in found.items():
        if data is not None:
            shell.say(f"{md5(data, usedforsecurity=False).hexdigest()}  {path}\n")
    return Truth.of(None not in found.values())


def _cmp(machine: Machine | None, arguments: Sequence[str], shell: Interpreter) -> Truth:
    """Compare two files."""
    paths = options_of(arguments).rest
    del shell
    if machine is None or len(paths) != _PAIR:
        return Truth.LATER if machine is None else Truth.UNKNOWN
    if any(machine.tree.stat(path) is None for path in paths):
        return Truth.NO
    return Truth.of(machine.tree.data(paths[0]) == machine.tree.data(paths[1]))


def _stat(machine: Machine | None, arguments: Sequence[str], shell: Interpreter) -> Truth:
    """Tell the mode, the owner or the group of a file."""
    options = options_of(arguments, "-c --format")
    form, path = options.get("-c", "--format") or "", options.rest[0] if options.rest else ""
    node = None if machine is None else machine.tree.stat(path)
    if node is None or form not in _FORMATS:
        shell.say(LATER_MARK if machine is None else UNKNOWN_MARK)
        return Truth.LATER if machine is None else Truth.of(node)
    shell.say(_FORMATS[form](node))
    return Truth.YES


def _alternatives(machine: Machine | None, arguments: Sequence[str], shell: Interpreter) -> Truth:
    """List what was offered so far."""
    if machine is None:
        shell.say(LATER_MARK)
        return Truth.LATER
    paths = [offer.path for offer in machine.offers if offer.name == arguments[-1]]
    shell.say("".join(f"{path}\n" for path in paths) if "--list" in arguments or not paths else UNKNOWN_MARK)
    return Truth.of(paths)


def _filter(_: Machine | None, arguments: Sequence[str], shell: Interpreter) -> Truth:
    """Pass over a command whose output is not computed; one that would change something is an UnreadableError."""
    if any(word.startswith(("-i", "--in-place", "-exec", "-delete", "-ok")) for word in arguments):
        raise UnreadableError("they change files with sed or find")
    shell.say(UNKNOWN_MARK)
    return Truth.UNKNOWN


def _chroot(_: Machine | None, arguments: Sequence[str], shell: Interpreter) -> Truth:
    return shell.call(arguments[1], arguments[2:]) if len(arguments) > 1 else Truth.UNKNOWN


def _uname(_: Machine | None, arguments: Sequence[str], shell: Interpreter) -> Truth:
    shell.say("Linux" if [*arguments] in ([], ["-s"]) else UNKNOWN_MARK)
    return Truth.YES


def _yes(*_: object) -> Truth:
    return Truth.YES


def _no(*_: object) -> Truth:
    return Truth.NO


_FILTERS = """
sed egrep zgrep tr sort uniq head tail wc find sha256sum sha512sum date
mktemp tempfile hostname expr seq diff file realpath pidof ps who od lsb_release getconf
db_metaget perl-version apt-config kpsewhich paperconf df ischroot getcap runlevel pathfind tty test
"""
QUERIES: Mapping[str, Query] = {
    **dict.fromkeys(_FILTERS.split(), _filter),
    "dpkg": _dpkg,
    "dpkg-architecture": _dpkg_architecture,
    "dpkg-query": _dpkg_query,
    "dpkg-divert": _dpkg_divert,
    "db_get": _debconf_get,
    "getent": _getent,
    "id": _id,
    "dpkg-statoverride": _statoverride,
    "basename": _basename,
    "dirname": _dirname,
    "readlink": _readlink,
    "cat": _cat,
    "ls": _ls,
    "cut": _cut,
    "grep": _grep,
    "fgrep": _fgrep,
    "awk": _awk,
    "mawk": _awk,
    "gawk": _awk,
    "md5sum": _md5sum,
    "cmp": _cmp,
    "stat": _stat,
    "mountpoint": _yes,
    "update-alternatives": _alternatives,
    "uname": _uname,
    # A file system in an archive has no capabilities, and no service runs in it.
    "setcap": _no,
    "chroot": _chroot,
    "systemd-detect-virt": _no,
}
