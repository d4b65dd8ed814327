"""How a command ends: the exit code, and what is said on standard error. Decided here and nowhere else."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from reconciler.errors import InterruptedByUserError, ManifestError, ReconcilerError, StoreError, UsageError
from reconciler.manifest.problem import Problem

CHANGES = 2
DRIFT = 3


def guarded(command: Callable[[], int | None]) -> int:  # noqa: PLR0911  # one return a way to end
    """Run a command and give its exit code; what it raises on purpose is said in one line."""
    import click  # noqa: PLC0415  # the entry point of a broken install should still say what is wrong

    try:
        return command() or 0
    except ReconcilerError as error:
        say(error)
        return error.exit_code
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.UsageError as error:
        _say_usage(error)
        return UsageError.exit_code
    except click.ClickException as error:
        print(f"error: {error.format_message()}", file=sys.stderr)
        return ReconcilerError.exit_code
    except (KeyboardInterrupt, click.Abort):
        print("error: interrupted", file=sys.stderr)
        return InterruptedByUserError.exit_code
    except BrokenPipeError:
        # The reader has gone; nothing more can be said to it, not even at interpreter shutdown.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ReconcilerError.exit_code
    except OSError as error:
        say(StoreError(f"{error.strerror or error}: {error.filename}" if error.filename else str(error)))
        return StoreError.exit_code


def say(error: ReconcilerError) -> None:
    """Say what went wrong, and what another program said about it."""
    if isinstance(error, ManifestError):
        from reconciler.reports.problems import to_text  # noqa: PLC0415  # only these errors pay

        for line in to_text(problem for problem in error.problems if isinstance(problem, Problem)):
            print(line, file=sys.stderr)
    print(f"error: {_one_line(error)}", file=sys.stderr)
    if error.detail:
        for line in error.detail.strip().splitlines():
            print(f"  {_printable(line)}", file=sys.stderr)


def complain(message: str) -> None:
    """Say that something went wrong which does not end the command."""
    print(f"error: {_printable(message)}", file=sys.stderr)


def _one_line(error: ReconcilerError) -> str:
    return _printable(" ".join(str(error).split()))


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)


def _say_usage(error: object) -> None:
    message = error.format_message()  # type: ignore[attr-defined]  # a click.UsageError
    context = getattr(error, "ctx", None)
    hint = f" (see `{context.command_path} --help`)" if context is not None else ""
    print(f"error: {message}{hint}", file=sys.stderr)
