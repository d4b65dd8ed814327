"""What archives offer, written for tests in a few words a package."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

from reconciler.debian.candidate import Candidate
from reconciler.debian.closure import Choice, Wish
from reconciler.debian.index import pack_index, read_index
from reconciler.debian.offer import Indexed, Offer
from reconciler.lock.system import Archive, Part

ARCHIVE = Archive(
    alias="debian", suite="bookworm", component="main", date="2026-01-01T00:00:00Z", digest="sha256:" + "1" * 64
)


def stanza(name: str, version: str = "1", depends: str = "", **fields: str) -> str:
    """Write a stanza of an index; ``pre_depends`` is written ``Pre-Depends``."""
    found = {
        "Package": name,
        "Version": version,
        "Architecture": "amd64",
        "Filename": f"pool/main/{name}_{version.replace(':', '%3a')}_amd64.deb",
        "Size": "1000",
        "SHA256": sha256(f"{name} {version}".encode()).hexdigest(),
        **({"Depends": depends} if depends else {}),
        **{key.replace("_", "-").title(): value for key, value in fields.items()},
    }
    return "".join(f"{key}: {value}\n" for key, value in found.items()) + "\n"


def offer(*stanzas: str) -> Offer:
    """Give an offer of one archive."""
    return offers([stanzas])


def offers(archives: Sequence[Iterable[str]]) -> Offer:
    """Give an offer of several archives, which are called ``debian/bookworm/0`` and so on behind the first."""
    parts = []
    for number, stanzas in enumerate(archives):
        index = read_index(pack_index([line.encode() for line in "".join(stanzas).splitlines()]))
        assert index is not None
        component = ARCHIVE.component if not number else str(number)
        archive = Archive(
            alias=ARCHIVE.alias,
            suite=ARCHIVE.suite,
            component=component,
            date=ARCHIVE.date,
            digest=ARCHIVE.digest,
        )
        parts.append(Indexed(archive=archive, indexes=(index,)))
    return Offer(parts=parts)


def wishes(*names: str, part: Part = Part.BASE) -> tuple[Wish, ...]:
    """Ask for packages, ``name`` or ``name=version``."""
    pairs = (name.partition("=") for name in names)
    return tuple(Wish(name=name, part=part, version=version) for name, _, version in pairs)


def versions(choices: Iterable[Choice]) -> dict[str, str]:
    """Give names and versions of what was chosen."""
    return {choice.candidate.name: choice.candidate.version for choice in choices}


def kept(found: Offer, **chosen: str) -> dict[str, Candidate]:
    """Give packages of an offer that stay; ``_`` in a name is written for ``-``."""
    named = {name.replace("_", "-"): version for name, version in chosen.items()}
    return {name: next(one for one in found.named(name) if one.version == version) for name, version in named.items()}
