"""What a package's maintainer scripts would do at a first installation, told without running one (Debian Policy 6)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from reconciler.debian.recipes import RECIPES
from reconciler.debian.sections import divide

RUN_AT_FIRST = ("preinst", "postinst")
"""The scripts that a first installation runs, in their order."""
HINT = "take an image as the base, with builder: docker"
_SHEBANG = re.compile(r"#!\s*/bin/(?:ba|da)?sh(?:\s+-e[ux]*|\s+-eu?)?\s*")
_FRAME = re.compile(r"""(?:set\s.*|:|true|exit\s+0|case\s+"?\$\{?1\}?"?\s+in|[\w|*-]+\)|;;|esac|fi|then|else)""")


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
    del version
    own = {name: scripts[name] for name in RUN_AT_FIRST if scripts.get(name, "").strip()}
    if package in RECIPES:
        return Verdict(package=package, kind=Kind.RECIPE)
    if not own:
        return Verdict(package=package, kind=Kind.NONE)
    left = [line for text in own.values() for line in _own_lines(text)]
    unknown = [line for line in left if not line.startswith("update-alternatives ")]
    if unknown:
        return Verdict(package=package, kind=Kind.REFUSED, why=f"its scripts run {unknown[0][:60]!a}")
    return Verdict(package=package, kind=Kind.ALTERNATIVES if left else Kind.GENERATED, scripts=own)


def _own_lines(text: str) -> list[str]:
    joined = divide(text).own.replace("\\\n", " ")
    lines = (line.strip() for line in joined.splitlines())
    return [line for line in lines if line and not line.startswith("#") and not _FRAME.fullmatch(line)]
