"""The alternatives system in automatic mode (update-alternatives(1)): what is offered, and the links that follow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reconciler.debian.shell.syntax import UnreadableError
from reconciler.debian.shell.truth import certainty
from reconciler.debian.tree import Tree
from reconciler.oci.member import Kind

FOLDER = "etc/alternatives"
_FLAGS = frozenset(["--quiet", "--verbose", "--force", "--debug", "--skip-auto"])
_VALUES = frozenset(["--log", "--altdir", "--admindir", "--root", "--instdir"])
_IDLE = frozenset(["--remove", "--remove-all", "--auto"])
_OFFER, _SLAVE = 4, 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Slave:
    """A link that goes with another: its name, its place, and where it leads."""

    name: str
    link: str
    path: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """One candidate for a name: the place of the link, where it would lead, its priority, and the links with it."""

    name: str
    link: str
    path: str
    priority: int
    slaves: tuple[Slave, ...] = ()


def parse_offer(arguments: Sequence[str]) -> Offer | None:
    """Read the arguments of update-alternatives; none where they take away, which a first installation needs not.

    What only a running system can answer, or what is not known, is an UnreadableError.
    """
    words = [*_without_options(arguments)]
    if not words or words[0] in _IDLE:
        return None
    if words[0] != "--install" or len(words) <= _OFFER:
        raise UnreadableError(f"they run update-alternatives {words[0][:20]}")
    if certainty(*words).is_open:
        return None  # asked again when the root is there
    link, name, path, priority = words[1 : 1 + _OFFER]
    return Offer(name=name, link=link, path=path, priority=_number(priority), slaves=tuple(_slaves(words[5:])))


def _without_options(arguments: Sequence[str]) -> Iterator[str]:
    words = iter(arguments)
    for word in words:
        if word in _VALUES:
            next(words, None)
        elif word not in _FLAGS:
            yield word


def _number(text: str) -> int:
    return int(text) if text.lstrip("-").isdecimal() else 0


def _slaves(words: Sequence[str]) -> Iterator[Slave]:
    for place in range(0, len(words), 1 + _SLAVE):
        option, *rest = words[place : place + 1 + _SLAVE]
        if option != "--slave" or len(rest) != _SLAVE:
            raise UnreadableError("they run update-alternatives with arguments that are not known")
        yield Slave(link=rest[0], name=rest[1], path=rest[2])


def link_alternatives(offers: Sequence[Offer], tree: Tree) -> None:
    """Make the links of every name: those of the highest priority, of the first path where there are several.

    A candidate that is not there is none, and neither is a link with it that leads nowhere.
    """
    for name in sorted({offer.name for offer in offers}):
        candidates = {offer.path: offer for offer in offers if offer.name == name and tree.stat(offer.path) is not None}
        if not candidates:
            continue
        best = min(candidates.values(), key=lambda offer: (-offer.priority, offer.path))
        _link(best.name, best.link, best.path, tree)
        for slave in best.slaves:
            if tree.stat(slave.path) is not None:
                _link(slave.name, slave.link, slave.path, tree)


def _link(name: str, link: str, path: str, tree: Tree) -> None:
    """Make both links; what is no link in its place is never replaced, as update-alternatives does."""
    there = tree.lstat(link)
    if there is not None and there.kind is not Kind.LINK:
        return
    tree.link(f"{FOLDER}/{name}", path)
    tree.link(link, f"/{FOLDER}/{name}")
