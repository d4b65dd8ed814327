"""What scripts are followed against: a machine, or before there is one only the tables of commands."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.debian.commands.machine import Machine
from reconciler.debian.commands.queries import IS_QUERY, QUERIES
from reconciler.debian.commands.table import EFFECTS, IDLE
from reconciler.debian.shell.interpreter import Interpreter
from reconciler.debian.shell.syntax import UnreadableError
from reconciler.debian.shell.truth import LATER_MARK, UNKNOWN_MARK, Truth, certainty
from reconciler.oci.member import Kind
from reconciler.oci.rootfs import Node

_CONFMODULE = "/usr/share/debconf/confmodule"
_KINDS = {"-f": Kind.FILE, "-d": Kind.FOLDER}
_MODES = {"-u": 0o4000, "-g": 0o2000, "-k": 0o1000}
_NEVER = frozenset(["-b", "-c", "-p", "-S"])


class ScriptHost:
    """Implements :class:`reconciler.debian.shell.interpreter.Host`; ``called`` are the commands that were asked for."""

    def __init__(self, machine: Machine | None = None) -> None:
        self.machine = machine
        self.changes = 0
        self.called: list[str] = []

    def test(self, operator: str, path: str) -> Truth:
        """Answer for a test of a file; no machine that runs is ever there, and root may do anything."""
        if path.startswith(("/run/systemd/", "/proc/", "/sys/")):
            return Truth.NO
        if self.machine is None:
            return Truth.LATER
        tree = self.machine.tree
        if operator in ("-L", "-h"):
            link = tree.lstat(path)
            return Truth.of(link is not None and link.kind is Kind.LINK)
        node = tree.stat(path)
        return Truth.of(node is not None and operator not in _NEVER and _is_so(operator, node))

    def glob(self, pattern: str) -> Sequence[str]:
        """Give the paths that match a pattern, sorted."""
        return [LATER_MARK] if self.machine is None else self.machine.tree.glob(pattern)

    def write(self, path: str, text: str, *, is_added: bool) -> None:
        """Write a file anew, or behind what it has."""
        self.changes += 1
        if not self._is_ready(path, text) or self.machine is None:
            return
        before = (self.machine.tree.text(path) or "") if is_added else ""
        self.machine.tree.write(path, (before + text).encode(errors="surrogateescape"))

    @staticmethod
    def _is_ready(*texts: str) -> bool:
        known = certainty(*texts)
        if known is Truth.UNKNOWN:
            raise UnreadableError("what they change depends on what only a running system knows")
        return not known.is_open

    def run(self, command: str, arguments: Sequence[str], shell: Interpreter) -> Truth:
        """Do what a command does; one that is in no table is an UnreadableError."""
        name = command.rpartition("/")[2]
        self.called.append(name)
        if name in IDLE:
            shell.say(UNKNOWN_MARK)
            return Truth.YES
        if _is_compiling(name, arguments) or (command == "." and [*arguments] == [_CONFMODULE]):
            return Truth.YES
        if name in QUERIES and (name not in EFFECTS or IS_QUERY & {*arguments}):
            return QUERIES[name](self.machine, arguments, shell)
        if name not in EFFECTS:
            raise UnreadableError(f"they run {' '.join([command, *arguments])[:60]!a}")
        is_ready = self._is_ready(*arguments)
        action = EFFECTS[name](arguments)
        self.changes += 1
        return action(self.machine) if self.machine is not None and is_ready else Truth.YES


def _is_so(operator: str, node: Node) -> bool:
    if operator in _KINDS:
        return node.kind is _KINDS[operator]
    if operator in _MODES:
        return bool(node.mode & _MODES[operator])
    is_folder = node.kind is Kind.FOLDER
    if operator == "-s":
        return is_folder or bool(node.size)
    return is_folder or operator != "-x" or bool(node.mode & 0o111)


def _is_compiling(name: str, arguments: Sequence[str]) -> bool:
    """Tell whether Python compiles modules, which it does again by itself."""
    return name.startswith("python3") and any(word.endswith("/py_compile.py") for word in arguments)
