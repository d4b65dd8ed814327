"""How a command ends: the exit code, and what is said on standard error. Decided here and nowhere else."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import click

from reconciler.errors import InterruptedByUserError, ManifestError, ReconcilerError, StoreError, UsageError
from reconciler.manifest.problem import Problem

CHANGES = 2
DRIFT = 3
_MAX_LINE = 2000
"""Cells of an error's line: long enough for two paths, and short enough to be read."""


def guarded(command: Callable[[], int | None]) -> int:  # noqa: PLR0911  # one return a way to end
    """Run a command and give its exit code; what it raises on purpose is said in one line."""
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
        complain(error.format_message())
        return ReconcilerError.exit_code
    except (KeyboardInterrupt, click.Abort):
        complain("interrupted")
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
    from reconciler.reports.inert import inert  # noqa: PLC0415  # only what goes wrong pays

    if isinstance(error, ManifestError) and error.problems:
        _list(error)
        return
    if isinstance(error, InterruptedByUserError) and sys.stderr.isatty():
        print(file=sys.stderr)  # the terminal shows ^C, and stays in that line
    complain(str(error))
    for line in (error.detail or "").strip().splitlines():
        print(f"  {inert(line)}", file=sys.stderr)


def _list(error: ManifestError) -> None:
    """Say every problem at its place, and how many there are as the last line."""
    from reconciler.reports.problems import count_text, to_text  # noqa: PLC0415  # only these errors pay

    found = [problem for problem in error.problems if isinstance(problem, Problem)]
    for line in to_text(found):
        print(line, file=sys.stderr)
    complain(f"{count_text(found)}, nothing was done")


def complain(message: str) -> None:
    """Say what went wrong, in one line that no terminal and no log takes for anything else."""
    from reconciler.reports.inert import inert  # noqa: PLC0415  # only what goes wrong pays

    print(f"error: {inert(' '.join(message.split()), _MAX_LINE)}", file=sys.stderr)


def _say_usage(error: click.UsageError) -> None:
    context = error.ctx
    if type(error).__name__ == "NoArgsIsHelpError" and context is not None:  # click 8.1 has no such class
        print(context.get_help(), file=sys.stderr)
        return
    hint = f" (see `{context.command_path} --help`)" if context is not None else ""
    complain(f"{error.format_message().rstrip('.')}{hint}")
