"""What a package's maintainer scripts would do at a first installation, told without running one (Debian Policy 6)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

from reconciler.debian.commands.host import ScriptHost
from reconciler.debian.commands.machine import Machine
from reconciler.debian.recipes.table import recipe_of
from reconciler.debian.sections import IDLE_TOOLS, without_sections
from reconciler.debian.shell.interpreter import Interpreter
from reconciler.debian.shell.syntax import UnreadableError
from reconciler.debian.shell.truth import LATER_MARK

RUN_AT_FIRST: Mapping[str, str] = MappingProxyType({"preinst": "install", "postinst": "configure"})
"""The scripts that a first installation runs, in their order, each with its first argument."""
TEMPLATES = "templates"
HINT = "name an image that has it in docker.base_image; it is for builder: docker, which is not in this version"
_SHEBANG = re.compile(r"#!\s*/bin/(?:ba|da)?sh\b")
_PROGRAMS = frozenset([("bash", "preinst")])
"""Scripts that were a program once, and what it did was to look whether /bin/sh is there."""
_VARIABLES = {"DPKG_ROOT": "", "DEBIAN_FRONTEND": "noninteractive", "HOME": "/root", "LC_ALL": "C.UTF-8"}


class Kind(Enum):
    """How it is known what a package's scripts would do."""

    NONE = "none"
    GENERATED = "generated"
    ALTERNATIVES = "alternatives"
    COMMANDS = "commands"
    RECIPE = "recipe"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What is known of a package's scripts.

    ``why`` says in a few words what is not known where ``kind`` is ``REFUSED``, else nothing. ``scripts`` are those
    that :func:`reconciler.debian.configure.configure` interprets, by name.
    """

    package: str
    kind: Kind
    why: str = ""
    scripts: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_refused(self) -> bool:
        """Tell whether the package can't be installed without running its scripts."""
        return self.kind is Kind.REFUSED


def classify(package: str, version: str, scripts: Mapping[str, str]) -> Verdict:
    """Judge the scripts of a package, by their names (``preinst``, ``postinst`` …); others are passed over."""
    del version  # a recipe is for the package as it is: what it makes is computed from the files that are there
    own = {name: scripts[name] for name in RUN_AT_FIRST if scripts.get(name, "").strip()}
    if recipe_of(package) is not None:
        return Verdict(package=package, kind=Kind.RECIPE)
    if not own:
        return Verdict(package=package, kind=Kind.NONE)
    try:
        host = follow(package, own, None)
        remaining = follow(package, {name: without_sections(text, lambda _: True) for name, text in own.items()}, None)
    except UnreadableError as error:
        return Verdict(package=package, kind=Kind.REFUSED, why=error.message)
    kind = Kind.GENERATED if not remaining.called else Kind.COMMANDS
    kind = Kind.ALTERNATIVES if "update-alternatives" in host.called else kind
    kept = {name: text for name, text in scripts.items() if name in (*RUN_AT_FIRST, TEMPLATES)}
    return Verdict(package=package, kind=kind, scripts=kept)


def follow(package: str, scripts: Mapping[str, str], machine: Machine | None) -> ScriptHost:
    """Follow the scripts of a package against a machine, or to see what they would run.

    What is not understood is an UnreadableError.
    """
    host = ScriptHost(machine)
    for name, argument in RUN_AT_FIRST.items():
        text = scripts.get(name, "")
        if not text.strip():
            continue
        if (package, name) in _PROGRAMS and text.startswith("\x7fELF"):
            continue
        if not _SHEBANG.match(text):
            raise UnreadableError(f"the {name} is no shell script")
        variables = {
            **_VARIABLES,
            "DPKG_MAINTSCRIPT_NAME": name,
            "DPKG_MAINTSCRIPT_PACKAGE": package,
            "DPKG_MAINTSCRIPT_ARCH": LATER_MARK if machine is None else machine.architecture,
        }
        arguments = [argument] if name == "preinst" else [argument, ""]
        kept = without_sections(text, IDLE_TOOLS.__contains__)
        Interpreter(host, variables, arguments).run(kept)
    return host
