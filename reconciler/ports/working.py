"""How long work is done, shown and remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeVar

from reconciler.values.canonical import Json

Input = TypeVar("Input")
Output = TypeVar("Output")


class Executor(Protocol):
    """Does independent work side by side."""

    def map(self, work: Callable[[Input], Output], items: Iterable[Input]) -> Iterator[tuple[Input, Output]]:
        """Give each item with its result as it is done. The first exception that ``work`` raises ends it all."""


class Stage(Enum):
    """What is happening to an environment."""

    RESOLVING = "resolving"
    BUILDING = "building"
    PUBLISHING = "publishing"
    CHECKING = "checking"
    LOADING = "loading"
    EXPORTING = "exporting"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """One event of a long work; a ``passing`` one is worth nothing once the next is there, and stands in no log."""

    name: str
    stage: Stage
    detail: str = ""
    passing: bool = False


class Tell(Protocol):
    """Says how far a builder is."""

    def __call__(self, detail: str, *, passing: bool = False) -> None:
        """Show a detail of the stage that is under way. Called from any thread."""


def tell_nobody(detail: str, *, passing: bool = False) -> None:
    """Show nothing."""
    del detail, passing


class Reporter(Protocol):
    """Shows what is going on."""

    def report(self, progress: Progress) -> None:
        """Show an event. Called from any thread."""


class Cache(Protocol):
    """Derived values by the key of all that they were derived from; one that is lost is derived again."""

    def get(self, key: str) -> Json | None:
        """Give the value, none where it is not there or was damaged."""

    def put_many(self, values: Mapping[str, Json]) -> None:
        """Keep these values."""
