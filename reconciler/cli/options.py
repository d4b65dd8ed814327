"""Options that several commands share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, TextIO, TypeVar

import click

from reconciler.errors import UsageError
from reconciler.reports.style import Style
from reconciler.values.names import Reference

Command = TypeVar("Command", bound=Callable[..., Any])
WIDTH_FALLBACK = 100


def directory(command: Command) -> Command:
    """Add ``-C DIR``."""
    return click.option(
        "-C", "--directory", metavar="DIR", help="Work on the repository that holds this folder (default: here)."
    )(command)


def registry(command: Command) -> Command:
    """Add ``--registry ADDRESS``."""
    return click.option(
        "--registry",
        metavar="ADDRESS",
        help="The registry: a folder, or HOST/PREFIX "
        "(default: $RECONCILER_REGISTRY, reconciler.yaml, .reconciler/registry).",
    )(command)


def output(*formats: str) -> Callable[[Command], Command]:
    """Add ``-o FORMAT``."""
    return click.option(
        "-o",
        "--output",
        "form",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="How to print.",
    )


def at(command: Command) -> Command:
    """Add ``--at REV``."""
    return click.option("--at", metavar="REV", help="Read manifests from this commit, not from the working tree.")(
        command
    )


def tag(command: Command) -> Command:
    """Add ``--tag KEY=VALUE``."""
    return click.option(
        "--tag", "tags", multiple=True, metavar="KEY=VALUE", help="Only environments with this tag; may be repeated."
    )(command)


verbose = click.option(
    "-v", "--verbose", is_flag=True, help="Show everything: what is unchanged too, and every difference in full."
)


def terminal(stream: TextIO) -> bool:
    """Tell whether a stream is a terminal that takes movements of the cursor."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def colour(stream: TextIO) -> bool:
    """Tell whether a stream takes colour: such a terminal, and NO_COLOR is not set."""
    return terminal(stream) and not os.environ.get("NO_COLOR")


def style(stream: TextIO | None = None, *, verbose: bool = False) -> Style:
    """Fit the style to where it is shown: standard output, or another stream."""
    stream = stream or sys.stdout
    return Style(colour=colour(stream), width=_width(stream), verbose=verbose)


def _width(stream: TextIO) -> int:
    """Ask the terminal, and no one else; some that are none of their own say that they are 0 wide."""
    columns = os.get_terminal_size(stream.fileno()).columns if stream.isatty() else 0
    return columns or WIDTH_FALLBACK


def reference(text: str) -> Reference:
    """Read ``NAME[:VERSION]`` from the command line."""
    try:
        return Reference.parse(text)
    except ValueError as error:
        raise UsageError(str(error)) from error
