"""What a shell script consists of (POSIX.1-2017, Shell Command Language), as values."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.errors import BuildError

UNKNOWN_OPERATOR = "unknown"
"""Of an expansion that is not understood, which matters only where the script comes to it."""


class UnreadableError(BuildError):
    """A script has what is not understood here; the message says what in a few words."""


@dataclass(frozen=True, slots=True)
class Literal:
    """Text; what is quoted is neither split nor a pattern."""

    text: str
    is_quoted: bool = False


@dataclass(frozen=True, slots=True)
class Variable:
    """A parameter expansion: ``${name}``, or with an operator and its word (``:-``, ``%`` …)."""

    name: str
    operator: str = ""
    word: Word = ()
    is_quoted: bool = False


@dataclass(frozen=True, slots=True)
class Substitution:
    """What commands print, in place of them."""

    body: Body
    is_quoted: bool = False


Part = Literal | Variable | Substitution
Word = tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Redirect:
    """A redirection; ``operator`` is ``<``, ``>``, ``>>``, ``>&`` or ``<<`` (whose word is the text itself)."""

    operator: str
    word: Word
    number: str = ""


@dataclass(frozen=True, slots=True)
class Simple:
    """Assignments, and a command with its arguments."""

    assignments: tuple[tuple[str, Word], ...]
    words: tuple[Word, ...]
    redirects: tuple[Redirect, ...] = ()


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands whose output goes into the next."""

    commands: Body
    is_negated: bool = False


@dataclass(frozen=True, slots=True)
class Chain:
    """Commands that run where those before succeeded (``&&``) or failed (``||``); the first operator is empty."""

    items: tuple[tuple[str, Command], ...]


@dataclass(frozen=True, slots=True)
class If:
    """Conditions with what follows from each, and what else happens."""

    clauses: tuple[tuple[Body, Body], ...]
    otherwise: Body = ()


@dataclass(frozen=True, slots=True)
class Case:
    """A word, and what happens where it matches one of some patterns."""

    word: Word
    items: tuple[tuple[tuple[Word, ...], Body], ...]


@dataclass(frozen=True, slots=True)
class For:
    """A body for each word; without words for each argument."""

    name: str
    words: tuple[Word, ...] | None
    body: Body


@dataclass(frozen=True, slots=True)
class While:
    """A body as long as a condition holds, or until it does."""

    condition: Body
    body: Body
    is_until: bool = False


@dataclass(frozen=True, slots=True)
class Function:
    """A body by a name."""

    name: str
    body: Command


@dataclass(frozen=True, slots=True)
class Group:
    """Commands that are redirected together, or run in a shell of their own."""

    body: Body
    is_subshell: bool = False
    redirects: tuple[Redirect, ...] = ()


Command = Simple | Pipeline | Chain | If | Case | For | While | Function | Group
Body = tuple[Command, ...]
