"""Which package has which recipe."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from reconciler.debian.commands.machine import Machine
from reconciler.debian.recipes import graphviz, programs, system, trust

Recipe = Callable[[Machine], None]

_NOTHING = (
    # They check or restart what runs, or compile modules, which Python does again by itself.
    "libc6",
    "python3",
    "dpkg",
    "ucf",
    "udev",
    # The root is merged always.
    "usrmerge",
    "usr-is-merged",
    # They divert what another package would have.
    "vim-runtime",
    "parallel",
    # C.UTF-8 is there; others nobody asked for, as their answer to debconf is.
    "locales",
    # Pictures other than PNG and JPEG, which the library has built in, are found by a list that it makes itself.
    r"libgdk-pixbuf-2\.0-0|libgdk-pixbuf2\.0-0",
    # Folders that nothing looks for, and links of manual pages.
    "zsh-common",
    "man-db",
    "libdebuginfod-common",
    r"postgresql-client-\d+",
)
_RECIPES: Mapping[str, Recipe] = {
    "base-passwd": system.base_passwd,
    "passwd": system.passwd,
    "adduser": system.adduser,
    "dash": system.dash,
    "tzdata": system.tzdata,
    "ca-certificates": trust.ca_certificates,
    "ca-certificates-java": trust.ca_certificates_java,
    "libpam-runtime": trust.pam,
    r"libpaper\d+(t64)?": programs.paper,
    "git-lfs": programs.git_lfs,
    "mariadb-common": programs.mariadb,
    "r-base-core": programs.r_base,
    r"libgvc\d+": graphviz.plugins,
    **dict.fromkeys(_NOTHING, system.nothing),
}
"""By patterns of package names."""


def recipe_of(package: str) -> Recipe | None:
    """Give what is made in place of a package's scripts; none where nobody has read them."""
    if (found := _RECIPES.get(package)) is not None:
        return found
    return next((recipe for pattern, recipe in _RECIPES.items() if re.fullmatch(pattern, package)), None)
