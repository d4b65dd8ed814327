"""The commands that are a shell's own (POSIX.1-2017, Special Built-In Utilities, and those that every shell has)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from reconciler.debian.shell.conditions import evaluate
from reconciler.debian.shell.syntax import UnreadableError
from reconciler.debian.shell.truth import LATER_MARK, UNKNOWN_MARK, Truth, any_of, certainty


class Files(Protocol):
    """Answers for tests of files."""

    def test(self, operator: str, path: str) -> Truth:
        """Answer for an operator and a path."""


class Shell(Protocol):
    """What built-in commands see of the shell."""

    variables: dict[str, str]
    arguments: list[str]

    @property
    def host(self) -> Files:
        """What files are tested against."""

    def say(self, text: str) -> None:
        """Print something."""

    def call(self, name: str, arguments: Sequence[str]) -> Truth:
        """Run a command."""

    def set_arguments(self, arguments: Sequence[str]) -> None:
        """Put other arguments in place of those that are there."""


class Leave(Exception):  # noqa: N818  # no error
    """How a script, a function or a loop ends before its last command: ``kind`` is the command that ends it."""

    def __init__(self, kind: str, truth: Truth = Truth.YES) -> None:
        super().__init__(kind)
        self.kind, self.truth = kind, truth


def _leave(kind: str) -> Callable[[Shell, Sequence[str]], Truth]:
    def leave(_: Shell, arguments: Sequence[str]) -> Truth:
        code = arguments[0] if arguments and kind in ("exit", "return") else "0"
        raise Leave(kind, Truth.UNKNOWN if certainty(code).is_open else Truth.of(code == "0"))

    return leave


def _test(shell: Shell, arguments: Sequence[str]) -> Truth:
    return evaluate(arguments, shell.host.test)


def _bracket(shell: Shell, arguments: Sequence[str]) -> Truth:
    if not arguments or arguments[-1] != "]":
        raise UnreadableError("a condition without its bracket")
    return evaluate(arguments[:-1], shell.host.test)


def _set(shell: Shell, arguments: Sequence[str]) -> Truth:
    if arguments and arguments[0] == "--":
        shell.set_arguments(arguments[1:])
    elif arguments and arguments[0][:1] not in "-+":
        shell.set_arguments(arguments)
    return Truth.YES


def _shift(shell: Shell, arguments: Sequence[str]) -> Truth:
    count = int(arguments[0]) if arguments and arguments[0].isdecimal() else 1
    is_enough = len(shell.arguments) >= count
    shell.set_arguments(shell.arguments[count:])
    return Truth.of(is_enough)


def _assign(shell: Shell, arguments: Sequence[str]) -> Truth:
    for argument in arguments:
        name, separator, value = argument.partition("=")
        if separator:
            shell.variables[name] = value
    return Truth.YES


def _unset(shell: Shell, arguments: Sequence[str]) -> Truth:
    for name in arguments:
        shell.variables.pop(name, None)
    return Truth.YES


def _echo(shell: Shell, arguments: Sequence[str]) -> Truth:
    is_open_ended = arguments[:1] == ["-n"]
    words = arguments[1:] if arguments[:1] in (["-n"], ["-e"]) else arguments
    shell.say(" ".join(words) + ("" if is_open_ended else "\n"))
    return Truth.YES


def _printf(shell: Shell, arguments: Sequence[str]) -> Truth:
    form, *values = arguments or [""]
    text = form.replace("\\n", "\n").replace("\\t", "\t")
    if text.count("%s") == len(values) and text.count("%") == len(values):
        for value in values:
            text = text.replace("%s", value, 1)
        shell.say(text)
    else:
        shell.say(UNKNOWN_MARK)
    return Truth.YES


def _command_word(shell: Shell, arguments: Sequence[str]) -> Truth:
    """Look programs up (``command -v``, ``which``), or run one."""
    names = [word for word in arguments if not word.startswith("-")]
    if not any(word in ("-v", "-V") for word in arguments):
        return shell.call(names[0], arguments[arguments.index(names[0]) + 1 :]) if names else Truth.YES
    return _which(shell, names)


def _which(shell: Shell, arguments: Sequence[str]) -> Truth:
    names = [word for word in arguments if not word.startswith("-")]
    if any(name.startswith("/") for name in names):
        return any_of(shell.host.test("-x", name) for name in names)
    truths = []
    for name in names:
        places = [f"{folder}/{name}" for folder in ("/usr/local/bin", "/usr/sbin", "/usr/bin")]
        found = {place: shell.host.test("-x", place) for place in places}
        truths.append(any_of(found.values()))
        missing = LATER_MARK if any_of(found.values()).is_open else ""
        shell.say(next((f"{place}\n" for place, truth in found.items() if truth is Truth.YES), missing))
    return any_of(truths)


def _exec(shell: Shell, arguments: Sequence[str]) -> Truth:
    if arguments:
        raise Leave("exit", shell.call(arguments[0], arguments[1:]))
    return Truth.YES


def _read(shell: Shell, arguments: Sequence[str]) -> Truth:
    for name in arguments:
        if not name.startswith("-"):
            shell.variables[name] = UNKNOWN_MARK
    return Truth.UNKNOWN


BUILTINS: Mapping[str, Callable[[Shell, Sequence[str]], Truth]] = {
    **{name: lambda _, __: Truth.YES for name in (":", "true", "trap", "hash", "wait")},
    **{name: _leave(name) for name in ("exit", "return", "break", "continue")},
    "false": lambda _, __: Truth.NO,
    "[": _bracket, "test": _test, "set": _set, "shift": _shift, "unset": _unset, "read": _read,
    "export": _assign, "local": _assign, "readonly": _assign, "declare": _assign,
    "echo": _echo, "printf": _printf, "command": _command_word, "which": _which, "type": _which, "exec": _exec,
}  # fmt: skip
