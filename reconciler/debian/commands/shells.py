"""Commands that list login shells: update-shells(8), add-shell(8)."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.debian.commands.files import Action
from reconciler.debian.commands.machine import Machine, options_of
from reconciler.debian.shell.truth import Truth
from reconciler.oci.member import Kind

_SHELLS = "etc/shells"
_FIRST_SHELL = "/bin/sh"


def add_shell(arguments: Sequence[str]) -> Action:
    """List some shells."""
    names = options_of(arguments).rest
    return lambda machine: _add(machine, names)


def update_shells(_: Sequence[str]) -> Action:
    """List the shells that packages declare."""
    return _update


def _update(machine: Machine) -> Truth:
    found = [_FIRST_SHELL]
    for path in machine.tree.glob("/usr/share/debianutils/shells.d/*"):
        lines = (machine.tree.text(path) or "").splitlines()
        found += [shell for line in lines if (shell := line.partition("#")[0].strip())]
    return _add(machine, [name for shell in found for name in (shell, _other_name(machine, shell)) if name])


def _other_name(machine: Machine, shell: str) -> str:
    """Give the name that merged-/usr gives a shell besides."""
    node = machine.tree.lstat("bin")
    is_merged = node is not None and node.kind is Kind.LINK
    return f"/usr{shell}" if shell.startswith("/bin/") and is_merged else ""


def _add(machine: Machine, names: Sequence[str]) -> Truth:
    before = machine.tree.text(_SHELLS) or "# /etc/shells: valid login shells\n"
    added = [name for name in dict.fromkeys(names) if name not in before.splitlines()]
    machine.tree.write(_SHELLS, (before + "".join(f"{name}\n" for name in added)).encode())
    return Truth.YES
