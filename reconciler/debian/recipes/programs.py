"""What single programs register at their installation."""

from __future__ import annotations

from reconciler.debian.alternatives import Offer
from reconciler.debian.commands.machine import Machine

_GIT_LFS = """[filter "lfs"]
\tclean = git-lfs clean -- %f
\tsmudge = git-lfs smudge -- %f
\tprocess = git-lfs filter-process
\trequired = true
"""
_R, _SITE = "usr/lib/R/etc/Renviron.ucf", "usr/local/lib/R/site-library"


def git_lfs(machine: Machine) -> None:
    """Let git know the filter, for all users."""
    before = machine.tree.text("etc/gitconfig") or ""
    if '[filter "lfs"]' not in before:
        machine.tree.write("etc/gitconfig", (before + _GIT_LFS).encode())


def mariadb(machine: Machine) -> None:
    """Be the configuration that clients of MySQL read."""
    path = "/etc/mysql/mariadb.cnf"
    machine.offers.append(Offer(name="my.cnf", link="/etc/mysql/my.cnf", path=path, priority=500))


def paper(machine: Machine) -> None:
    """Say which paper is used, as the question's answer is where no language is set."""
    if machine.tree.stat("etc/papersize") is None:
        machine.tree.write("etc/papersize", b"a4\n")


def r_base(machine: Machine) -> None:
    """Put R's environment in place, and make the folder of the packages that users install."""
    data = machine.tree.data(_R)
    if data is not None and machine.tree.stat("etc/R/Renviron") is None:
        machine.tree.write("etc/R/Renviron", data)
    machine.tree.make_folder(_SITE)
