"""What maintainer scripts find and change: files, accounts, alternatives, and the answers to debconf's questions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.debian.accounts import Accounts
from reconciler.debian.alternatives import Offer
from reconciler.debian.tree import Tree


@dataclass(eq=False, kw_only=True, slots=True)
class Machine:
    """A root that is being configured. ``architecture`` is Debian's, ``packages`` the names of what is installed."""

    tree: Tree
    accounts: Accounts
    architecture: str
    packages: frozenset[str] = frozenset()
    offers: list[Offer] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """A command's arguments: options with their values (empty where they have none), and the rest."""

    given: Mapping[str, str]
    rest: tuple[str, ...]

    def has(self, *names: str) -> bool:
        """Tell whether one of some options is given."""
        return any(name in self.given for name in names)

    def get(self, *names: str) -> str | None:
        """Give the value of the first of some options that is given."""
        return next((self.given[name] for name in names if name in self.given), None)


def options_of(arguments: Sequence[str], valued: str = "") -> Options:
    """Tell options from the rest, wherever they stand; ``valued`` lists those that take a value."""
    takes = frozenset(valued.split())
    given: dict[str, str] = {}
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += words
        elif word.startswith("--"):
            name, separator, value = word.partition("=")
            given[name] = value if separator or name not in takes else next(words, "")
        elif word.startswith("-") and len(word) > 1:
            given |= _short(word, takes, words)
        else:
            rest.append(word)
    return Options(given=given, rest=tuple(rest))


def _short(word: str, takes: frozenset[str], words: Iterator[str]) -> dict[str, str]:
    """Read letters behind one dash, of which one may take the rest or the next word as its value."""
    given: dict[str, str] = {}
    for place, letter in enumerate(word[1:], start=1):
        name = f"-{letter}"
        if name in takes:
            given[name] = word[place + 1 :] or next(words, "")
            break
        given[name] = ""
    return given
