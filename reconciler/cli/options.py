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
        help="The registry: a folder (default: $RECONCILER_REGISTRY, reconciler.yaml, .reconciler/registry).",
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


def colour(stream: TextIO) -> bool:
    """Tell whether a stream takes colour: a terminal, and NO_COLOR is not set."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def style(stream: TextIO | None = None, *, verbose: bool = False) -> Style:
    """Fit the style to where it is shown: standard output, or another stream."""
    stream = stream or sys.stdout
    width = os.get_terminal_size(stream.fileno()).columns if stream.isatty() else WIDTH_FALLBACK
    return Style(colour=colour(stream), width=width, verbose=verbose)


def reference(text: str) -> Reference:
    """Read ``NAME[:VERSION]`` from the command line."""
    try:
        return Reference.parse(text)
    except ValueError as error:
        raise UsageError(str(error)) from error
