"""The entry point: finds a command's module by its name, so that only the command that is used is loaded."""

from __future__ import annotations

import gc
import importlib
import signal
import sys
from collections.abc import Sequence
from types import FrameType

import click

from reconciler.cli import streams
from reconciler.cli.exit import guarded
from reconciler.errors import InterruptedByUserError

_COMMANDS = {
    "validate": ("declare", "Check every manifest, report every problem."),
    "lock": ("declare", "Resolve packages and write NAME.lock.json."),
    "explain": ("declare", "Show what an environment's identity is made of."),
    "plan": ("change", "Show what apply would do."),
    "apply": ("change", "Build and register what changed."),
    "drift": ("change", "Check that the registry is what was last applied."),
    "list": ("read", "List registered environments."),
    "get": ("read", "Show one registered environment."),
    "history": ("read", "List an environment's versions."),
    "run": ("use", "Run a script or a command in an environment."),
    "export": ("exporting", "Write a registered image for other tools."),
    "copy": ("exchange", "Copy a registered version to another registry."),
    "doctor": ("care", "Check a registry: its answers, our rights, its contents."),
    "gc": ("care", "Delete what nothing needs from caches and the local registry."),
}


class _Commands(click.Group):
    """A group whose commands are imported when they are called; ``--help`` imports none."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"reconciler.cli.{_COMMANDS[cmd_name][0]}")
        command = getattr(module, f"{cmd_name}_command")
        return command if isinstance(command, click.Command) else None

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; click itself would answer an interrupt with an empty line, in logs too."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise InterruptedByUserError("interrupted") from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in _COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            import difflib  # noqa: PLC0415  # only a mistyped command pays

            close = difflib.get_close_matches(args[0], _COMMANDS, n=1)
            hint = f", did you mean `{close[0]}`?" if close else ""
            ctx.fail(f"no command `{args[0]}`{hint}")
        return super().resolve_command(ctx, args)


EPILOG = """\b
Example:
  reconciler plan            what would change
  reconciler apply           build and register what changed
  reconciler run training -- train.py
"""


@click.command(
    cls=_Commands,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="reconciler", message="%(prog)s %(version)s")
def cli() -> None:
    """Reconcile machine-learning environments declared in git with a registry."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the code of the README's table."""
    streams.secure()
    # A plan of ten thousand environments is millions of objects that live to its end, and hardly any garbage: looking
    # for it as often as Python does takes a fifth of the time.
    gc.set_threshold(100_000, 50, 50)
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(guarded(lambda: cli.main(args=arguments, prog_name="reconciler", standalone_mode=False)))


def _terminate(_signum: int, _frame: FrameType | None) -> None:
    """End on SIGTERM as on SIGINT: what is under way is undone on the way out."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
