"""Which commands maintainer scripts may run, and what becomes of each (a reviewed table)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from reconciler.debian.alternatives import parse_offer
from reconciler.debian.commands.files import FILES, Action
from reconciler.debian.commands.machine import Machine
from reconciler.debian.commands.people import PEOPLE
from reconciler.debian.commands.registries import join_fonts, odbcinst, run_parts
from reconciler.debian.commands.shells import add_shell, update_shells
from reconciler.debian.shell.truth import Truth

IDLE: frozenset[str] = frozenset(
    """
    dpkg-maintscript-helper dpkg-trigger ucfr deb-systemd-helper deb-systemd-invoke systemctl invoke-rc.d
    update-rc.d service start-stop-daemon telinit initctl udevadm systemd-hwdb systemd-machine-id-setup journalctl
    loginctl dbus-send reload_dbus_config ldconfig nscd restorecon apparmor_parser aa-status aa-enabled
    update-initramfs modprobe sysctl sync sleep kill py3compile py3clean pypy3compile pycompile pyclean update-menus
    install-info update-mime update-desktop-database update-icon-caches gtk-update-icon-cache fc-cache
    update-binfmts mandb setpriv update-mime-database glib-compile-schemas gio-querymodules gdk-pixbuf-query-loaders
    gtk-query-immodules-2.0 gtk-query-immodules-3.0 dbus-uuidgen pam-auth-update locale-gen update-locale apt-key
    logger wall tput stty update-fonts-dir update-fonts-scale update-fonts-alias db_version db_capb db_input db_go
    db_stop db_title db_fset db_reset db_subst db_purge db_register db_settitle db_beginblock db_endblock db_info
    db_set db_unregister db_progress
    clean-up-unmanaged-libraries
    """.split()  # noqa: SIM905  # a list of words
)
"""Commands that do nothing to a root at rest: services, caches that are made again, debconf, bytecode.

What they would make and programs need nevertheless is made by a recipe.
"""


def _alternatives(arguments: Sequence[str]) -> Action:
    offer = parse_offer(arguments)

    def act(machine: Machine) -> Truth:
        if offer is not None:
            machine.offers.append(offer)
        return Truth.YES

    return act


EFFECTS: Mapping[str, Callable[[Sequence[str]], Action]] = {
    **FILES,
    **PEOPLE,
    "update-alternatives": _alternatives,
    "update-shells": update_shells,
    "update-gsfontmap": join_fonts,
    "odbcinst": odbcinst,
    "run-parts": run_parts,
    "add-shell": add_shell,
}
