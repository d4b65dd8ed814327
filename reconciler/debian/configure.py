"""The files and links that maintainer scripts would have made, computed from what a root has. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from reconciler.debian.accounts import Accounts
from reconciler.debian.alternatives import link_alternatives
from reconciler.debian.commands.machine import Machine
from reconciler.debian.control import stanzas
from reconciler.debian.recipes.table import recipe_of
from reconciler.debian.scripts import HINT, TEMPLATES, Kind, Verdict, follow
from reconciler.debian.shell.syntax import UnreadableError
from reconciler.debian.tree import Tree
from reconciler.errors import BuildError
from reconciler.oci.member import Member
from reconciler.oci.rootfs import Rootfs

_MAX_READ = 1 << 20
_READ = re.compile(
    r"""
    etc/.*
    | usr/share/(base-files|base-passwd|libc-bin|ca-certificates|pam|pam-configs|debianutils|sensible-utils)/.*
    | usr/lib/(sysusers|tmpfiles)\.d/.*
    | usr/(share|lib)/.*\.(conf|cfg|ini|ucf|template|default|dist)(\.ucf)?
    | usr/bin/(ssh-agent|crontab|ping|ping6|fping|at|screen|dotlockfile|mtr-packet|sudo|pkexec)
    | usr/lib/[^/]+/gstreamer1\.0/gstreamer-1\.0/gst-ptp-helper
    | usr/lib/libreoffice/share/\.registry/.*
    | usr/lib/dbus-1\.0/dbus-daemon-launch-helper
    """,
    re.VERBOSE,
)
_MAX_DEFAULT = 1 << 14
_DEFAULT = re.compile(r"usr/(share|lib)/[^/]+/([^/]+/)?[^/]+")
"""Where packages keep what their scripts copy to /etc."""
_FIRST = ("base-passwd", "base-files", "libc-bin", "passwd", "debianutils", "dash")
"""Packages that others build on, in the order in which they are configured."""
_STICKY, _EMPTY = 0o1777, b""


def wanted(path: str, size: int) -> int:
    """Say how many of a file's first bytes :func:`configure` reads (:data:`reconciler.oci.rootfs.Wanted`)."""
    most = _MAX_READ if _READ.fullmatch(path) else _MAX_DEFAULT if _DEFAULT.fullmatch(path) else 0
    return size if size <= most else 0


def configure(root: Rootfs, verdicts: Mapping[str, Verdict], *, architecture: str) -> tuple[Member, ...]:
    """Give what stands over a root when its packages are configured, sorted by path.

    ``verdicts`` are those of all packages of the root, by name. ``architecture`` is Debian's (``amd64``). A package
    whose scripts would have to be run is a BuildError.
    """
    tree = Tree(root)
    machine = Machine(
        tree=tree,
        accounts=Accounts(tree),
        architecture=architecture,
        packages=frozenset(verdicts),
        answers=dict(_answers(verdicts)),
    )
    _configure_all(verdicts, machine)
    link_alternatives(machine.offers, tree)
    for folder in ("tmp", "var/tmp"):
        tree.make_folder(folder)
        tree.own(folder, mode=_STICKY)
    if tree.lstat("etc/machine-id") is None and tree.stat("etc") is not None:
        tree.write("etc/machine-id", _EMPTY)
    return tree.members()


def _configure_all(verdicts: Mapping[str, Verdict], machine: Machine) -> None:
    """Configure packages by name; one that names an account which is not there yet waits for the others."""
    waiting = [*(name for name in _FIRST if name in verdicts), *sorted(verdicts.keys() - {*_FIRST})]
    while waiting:
        late: dict[str, BuildError] = {}
        for name in waiting:
            try:
                _configure(verdicts[name], machine)
            except BuildError as error:
                late[name] = error
        if len(late) == len(waiting):
            raise late[waiting[0]]
        waiting = [*late]


def _answers(verdicts: Mapping[str, Verdict]) -> Iterator[tuple[str, str]]:
    """Give what debconf answers where nobody is asked: the default of each question."""
    for name in sorted(verdicts):
        for question in stanzas(verdicts[name].scripts.get(TEMPLATES, "").splitlines()):
            lowered = {field.lower(): value for field, value in question.items()}
            if "template" in lowered:
                yield lowered["template"], lowered.get("default", "")


def _configure(verdict: Verdict, machine: Machine) -> None:
    machine.tree.umask = 0o022
    if verdict.is_refused:
        raise refusal(verdict.package, verdict.why)
    try:
        recipe = recipe_of(verdict.package) if verdict.kind is Kind.RECIPE else None
        if recipe is not None:
            recipe(machine)
        else:
            follow(verdict.package, verdict.scripts, machine)
    except UnreadableError as error:
        raise refusal(verdict.package, error.message) from error


def refusal(package: str, why: str) -> BuildError:
    """Say that a package can't be had without running its scripts."""
    return BuildError(f"the Debian package {package} can't be installed without running its scripts: {why}", hint=HINT)
