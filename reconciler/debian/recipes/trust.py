"""Who is trusted: certificates of authorities, and how users are authenticated (PAM)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from reconciler.debian.certificates import Certificate, bundle_of, hashed_names, key_store, parse_certificate
from reconciler.debian.commands.machine import Machine
from reconciler.debian.control import stanzas
from reconciler.oci.member import Kind

_FOLDER, _LOCAL = "usr/share/ca-certificates", "usr/local/share/ca-certificates"
_CERTIFICATES = "etc/ssl/certs"
_CONFIGURATION = "etc/ca-certificates.conf"
_STACKS = ("auth", "account", "password", "session", "session-noninteractive")


def ca_certificates(machine: Machine) -> None:
    """Trust every authority that is there: the bundle, a link for each, and the hashes that OpenSSL looks for."""
    found = [*_authorities(machine)]
    for one in found:
        machine.tree.link(f"{_CERTIFICATES}/{one.name}.pem", f"/{one.source}")
    for hashed, name in hashed_names(found).items():
        machine.tree.link(f"{_CERTIFICATES}/{hashed}", f"{name}.pem")
    machine.tree.write(f"{_CERTIFICATES}/ca-certificates.crt", bundle_of(found))
    own = [one.source.removeprefix(f"{_FOLDER}/") for one in found if one.source.startswith(_FOLDER)]
    machine.tree.write(_CONFIGURATION, "".join(f"{name}\n" for name in own).encode())
    machine.tree.make_folder(_LOCAL)


def ca_certificates_java(machine: Machine) -> None:
    """Write the store in which Java looks for authorities."""
    machine.tree.write(f"{_CERTIFICATES}/java/cacerts", key_store([*_authorities(machine)]))


def _authorities(machine: Machine) -> Iterator[Certificate]:
    for path in sorted(_below(machine, _FOLDER)):
        data = machine.tree.data(path) if path.endswith(".crt") else None
        one = parse_certificate(path, data) if data is not None else None
        if one is not None:
            yield one


def _below(machine: Machine, folder: str) -> Iterator[str]:
    for name in machine.tree.children(folder):
        path = f"{folder}/{name}"
        node = machine.tree.lstat(path)
        if node is not None and node.kind is Kind.FOLDER:
            yield from _below(machine, path)
        else:
            yield path


def pam(machine: Machine) -> None:
    """Write what all services have in common, from the profiles that packages bring (pam-auth-update(8))."""
    profiles = [profile for profile in _profiles(machine) if profile.get("default", "").strip() == "yes"]
    profiles.sort(key=lambda profile: (int(profile.get("priority", "0")), profile["name"]), reverse=True)
    for stack in _STACKS:
        text = machine.tree.text(f"usr/share/pam/common-{stack}")
        if text is None or machine.tree.stat(f"etc/pam.d/common-{stack}") is not None:
            continue
        kind = stack.partition("-")[0]
        for position in ("primary", "additional"):
            lines = _lines(profiles, stack, position.capitalize())
            if position == "primary" and not lines:
                lines = [f"{kind}\t[default=1]\t\t\tpam_permit.so\n"]
            text = text.replace(f"${kind}_{position}\n", "".join(lines))
            text = text.replace(f"${stack.replace('-', '_')}_{position}\n", "".join(lines))
        machine.tree.write(f"etc/pam.d/common-{stack}", text.encode())


def _profiles(machine: Machine) -> Iterator[Mapping[str, str]]:
    for name in machine.tree.children("usr/share/pam-configs"):
        for profile in stanzas((machine.tree.text(f"usr/share/pam-configs/{name}") or "").splitlines()):
            yield {**{field.lower(): value for field, value in profile.items()}, "name": name}


def _lines(profiles: Sequence[Mapping[str, str]], stack: str, position: str) -> list[str]:
    """Give the lines of one block; ``end`` in them is how many lines are left to what comes behind the block."""
    kind = stack.partition("-")[0]
    found: list[str] = []
    for profile in profiles:
        is_other = profile.get(f"{kind}-type", "").strip() != position
        if is_other or (stack != kind and profile.get(f"{kind}-interactive-only", "").strip() == "yes"):
            continue
        initial = profile.get(f"{kind}-initial") if not found else None
        text = initial if initial is not None else profile.get(kind, "")
        found += [line.strip() for line in text.splitlines() if line.strip()]
    left = range(len(found), 0, -1)
    return [f"{kind}\t{line.replace('end', str(count), 1)}\n" for line, count in zip(found, left, strict=True)]
