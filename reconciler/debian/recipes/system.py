"""What the packages of the base system make: accounts, shells, time zone, the passwords' files."""

from __future__ import annotations

from reconciler.debian.commands.machine import Machine

_MASTERS = {"etc/passwd": "usr/share/base-passwd/passwd.master", "etc/group": "usr/share/base-passwd/group.master"}
_ZONE = "Etc/UTC"


def nothing(_: Machine) -> None:
    """Make nothing: what the scripts do is for upgrades, for services that run, or for caches."""


def base_passwd(machine: Machine) -> None:
    """Take the users and groups that every Debian system has."""
    for path, master in _MASTERS.items():
        if machine.tree.stat(path) is None:
            machine.tree.write(path, machine.tree.data(master) or b"")


def passwd(machine: Machine) -> None:
    """Move passwords to their own files, and begin the tables of subordinate ids."""
    machine.accounts.add_group("shadow", gid=42)
    machine.accounts.hide_passwords()
    for path in ("etc/subuid", "etc/subgid"):
        if machine.tree.stat(path) is None:
            machine.tree.write(path, b"")


def adduser(machine: Machine) -> None:
    """Put its configuration in place, which some releases bring elsewhere."""
    data = machine.tree.data("usr/share/adduser/adduser.conf")
    if data is not None and machine.tree.stat("etc/adduser.conf") is None:
        machine.tree.write("etc/adduser.conf", data)


def dash(machine: Machine) -> None:
    """Be the shell of the system, where no other one is."""
    if machine.tree.lstat("bin/sh") is None:
        machine.tree.link("bin/sh", "dash")


def tzdata(machine: Machine) -> None:
    """Set the clock's zone to UTC, which is the answer that nobody changed."""
    if machine.tree.lstat("etc/localtime") is None:
        machine.tree.link("etc/localtime", f"/usr/share/zoneinfo/{_ZONE}")
    if machine.tree.lstat("etc/timezone") is None:
        machine.tree.write("etc/timezone", f"{_ZONE}\n".encode())
