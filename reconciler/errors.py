"""Every error that the reconciler raises on purpose, and the exit code that each one ends with.

::

    ReconcilerError                 1   what could not be done
    ├── UsageError                 64   the command line is wrong
    ├── ManifestError               9   manifests or configuration are invalid; carries every problem
    ├── SourceError                 1   a file of the repository is missing, unreadable or leads out
    ├── ResolveError                1   no lock: unsolvable, or only with sources that may not be built
    ├── BuildError                  1   an environment could not be made
    ├── StoreError                  1   the local disk refused: full, read-only, no permission
    ├── GuardError                  6   a guard refused: too many deletions, lock missing, another manager
    ├── StalePlanError              7   a saved plan no longer matches
    ├── ConflictError               8   lost to a concurrent writer
    ├── RegistryError               1   a registry answered, and what it answered can't be used
    │   ├── NotFoundError           1   not there (only a 404 of the registry's own kind)
    │   ├── CorruptError            1   the content is not what its digest or its format says
    │   │   └── DamagedCacheError   1   what this machine had kept is damaged, and forgotten now
    │   ├── UnavailableError       69   no answer
    │   │   └── TryLaterError      75   an answer that says: later
    │   └── DeniedError            77   not authorised
    ├── CommandMissingError       127   what `run` was to run is not there
    ├── CommandRefusedError       126   what `run` was to run can't be executed
    └── InterruptedByUserError    130   SIGINT or SIGTERM

Each says what happened, where, and what to do next. Library code raises them; ``cli`` alone prints them and
exits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from reconciler.values.location import Location


class ReconcilerError(Exception):
    """What could not be done, as one line; where; and what to do about it.

    ``message`` is a sentence without a final full stop, ``hint`` an instruction, ``detail`` what another
    program said, which may have several lines.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        message: str,
        *,
        where: Location | None = None,
        hint: str | None = None,
        detail: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint
        self.detail = detail

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text} ({self.hint})" if self.hint else text


class UsageError(ReconcilerError):
    """The command line asks for what does not exist or does not go together."""

    exit_code = 64


class ManifestError(ReconcilerError):
    """Manifests or configuration are invalid. ``problems`` holds every one that was found."""

    exit_code = 9

    def __init__(self, message: str, *, problems: tuple[object, ...] = (), **rest: object) -> None:
        super().__init__(message, **rest)  # type: ignore[arg-type]  # forwarded as they came
        self.problems = problems


class SourceError(ReconcilerError):
    """A file of the repository is missing, unreadable, too large, or leads out of it."""


class ResolveError(ReconcilerError):
    """No lock could be made."""


class BuildError(ReconcilerError):
    """An environment could not be made from its lock."""


class StoreError(ReconcilerError):
    """The local disk refused to hold or to give something."""


class GuardError(ReconcilerError):
    """A guard refused: nothing was written."""

    exit_code = 6


class StalePlanError(ReconcilerError):
    """A saved plan no longer matches what apply derives."""

    exit_code = 7


class ConflictError(ReconcilerError):
    """Another writer was first."""

    exit_code = 8


class RegistryError(ReconcilerError):
    """A registry answered with something that can't be used."""


class NotFoundError(RegistryError):
    """The registry itself says that this is not there."""


class CorruptError(RegistryError):
    """Content is not what its digest, its size or its format says."""


class DamagedCacheError(CorruptError):
    """What this machine had kept is damaged, and forgotten now: the same work done again makes it anew."""


class UnavailableError(RegistryError):
    """The registry does not answer."""

    exit_code = 69


class TryLaterError(UnavailableError):
    """The registry answers that it can't serve now."""

    exit_code = 75


class DeniedError(RegistryError):
    """The registry answers that we may not."""

    exit_code = 77


class CommandMissingError(ReconcilerError):
    """What was to run in an environment is not there; the status is a shell's."""

    exit_code = 127


class CommandRefusedError(ReconcilerError):
    """What was to run in an environment can't be executed; the status is a shell's."""

    exit_code = 126


class InterruptedByUserError(ReconcilerError):
    """SIGINT or SIGTERM arrived."""

    exit_code = 130
