"""What a YAML file is read into: nodes with their place, nothing converted yet. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from reconciler.manifest.problem import Problem

# A reader in Python takes 2 µs a character and 35 µs a node: at these limits, under one second.
MAX_BYTES = 128 * 1024
MAX_NODES = 10_000
MAX_DEPTH = 50
MAX_PROBLEMS = 100

_NULL = frozenset(["", "~", "null", "Null", "NULL"])


@dataclass(frozen=True, slots=True)
class Place:
    """A line and a column, counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Scalar:
    """Text as written; ``plain`` says that it stands without quotes."""

    text: str
    plain: bool
    place: Place

    @property
    def is_null(self) -> bool:
        """Whether this is YAML's null."""
        return self.plain and self.text in _NULL


@dataclass(frozen=True, kw_only=True, slots=True)
class Sequence:
    """A list. ``size`` counts its nodes with all inside, ``depth`` how many collections stand in one another."""

    items: tuple[Node, ...]
    place: Place
    size: int
    depth: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Mapping:
    """A mapping of text to nodes, in order, each key once."""

    entries: tuple[tuple[Scalar, Node], ...]
    place: Place
    size: int
    depth: int


Node: TypeAlias = Scalar | Sequence | Mapping


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """One file: its root (none in an empty file), and what is wrong with it that did not stop the reading."""

    path: str
    root: Node | None
    problems: tuple[Problem, ...] = ()
