"""Commands that write down what packages bring: fonts of Ghostscript, drivers of ODBC, hooks."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.debian.commands.files import Action
from reconciler.debian.commands.machine import Machine, options_of
from reconciler.debian.shell.syntax import UnreadableError
from reconciler.debian.shell.truth import Truth

_DRIVERS = "etc/odbcinst.ini"
_FONTS = {"cidfmap.d": "cidfmap", "fontmap.d": "Fontmap"}


def join_fonts(_: Sequence[str]) -> Action:
    """Put the lists of fonts that packages bring together (update-gsfontmap)."""
    return _join_fonts


def _join_fonts(machine: Machine) -> Truth:
    for folder, name in _FONTS.items():
        paths = machine.tree.glob(f"/etc/ghostscript/{folder}/*.conf")
        text = b"".join(machine.tree.data(path) or b"" for path in paths)
        machine.tree.write(f"var/lib/ghostscript/fonts/{name}", text)
    return Truth.YES


def odbcinst(arguments: Sequence[str]) -> Action:
    """Register drivers from a template, where none of that name is registered (odbcinst -i -d)."""
    options = options_of(arguments, "-f -n")
    template = options.get("-f")
    if not options.has("-i") or not options.has("-d") or template is None:
        raise UnreadableError("they run odbcinst with arguments that are not known")

    def act(machine: Machine) -> Truth:
        before = machine.tree.text(_DRIVERS) or ""
        added = [text for name, text in _sections(machine.tree.text(template) or "") if f"[{name}]" not in before]
        machine.tree.write(_DRIVERS, (before + "".join(added)).encode())
        return Truth.YES

    return act


def _sections(text: str) -> list[tuple[str, str]]:
    """Cut into sections, with ``UsageCount`` as the first registration leaves it."""
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        if line.startswith("["):
            found.append((line.strip("[] "), f"{line.strip()}\n"))
        elif "=" in line and found:
            key, _, value = line.partition("=")
            found[-1] = (found[-1][0], f"{found[-1][1]}{key.strip()}={value.strip()}\n")
    return [(name, f"{body}UsageCount=1\n\n") for name, body in found]


def run_parts(arguments: Sequence[str]) -> Action:
    """Run the hooks of a folder, which has to have none."""
    folder = options_of(arguments, "--arg -a --regex").rest[-1:]

    def act(machine: Machine) -> Truth:
        if any(machine.tree.children(path) for path in folder):
            raise UnreadableError(f"they run the programs in {folder[0][:40]}")
        return Truth.YES

    return act
