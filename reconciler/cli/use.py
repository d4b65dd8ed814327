"""The command that uses an environment: ``run``."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import click

from reconciler.cli import options
from reconciler.cli.wiring import Workspace, open_workspace
from reconciler.errors import BuildError, UsageError
from reconciler.plan.observed import Present
from reconciler.ports import Reporter, Run
from reconciler.reconcile.inspect import get
from reconciler.reconcile.observe import read_bodies
from reconciler.record import Bodies
from reconciler.values.canonical import Json
from reconciler.values.expansion import expand
from reconciler.values.platform import Platform


class _Run(click.Command):
    """A command of which everything after ``--`` is somebody else's."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse options after the script where no ``--`` says whose they are."""
        before = args[: args.index("--")] if "--" in args else None
        try:
            rest = super().parse_args(ctx, [*args])
        except click.NoSuchOption as error:
            hint = "what belongs to the script stands after `--`: reconciler run NAME -- SCRIPT ..."
            raise click.UsageError(f"no option {error.option_name}; {hint}", ctx) from error
        first = (ctx.params.get("command") or ("",))[0]
        if before is None and first in args and any(arg.startswith("-") for arg in args[args.index(first) :]):
            raise click.UsageError(f"whose options are these? Put `--` before {first}", ctx)
        return rest


@click.command(
    cls=_Run,
    epilog="\b\nExample:\n  reconciler run training -- train.py --epochs 3\n"
    "  reconciler run training:2 --source src -- python -m risk.train\n",
)
@click.argument("reference", metavar="NAME[:VERSION]")
@click.option("--source", metavar="DIR", default=".", help="The folder to run in (default: here).")
@options.directory
@options.registry
@click.argument("command", nargs=-1, required=True, metavar="-- SCRIPT.py|COMMAND [ARGS]...")
def run_command(
    reference: str, source: str, directory: str | None, registry: str | None, command: tuple[str, ...]
) -> int:
    """Run a script or a command in a registered environment, which is made first where this machine lacks it.

    A first word that ends in .py goes to the environment's Python; anything else is a command. Signals and the exit
    status are the command's own.

    A container image runs in a Docker Engine (DOCKER_HOST, else as the docker client finds it), with the source folder
    at /workspace and under your own ids.
    """
    from reconciler.runners.table import RUNNERS  # noqa: PLC0415  # start-up

    wanted = options.reference(reference)
    workspace = open_workspace(directory=directory, registry=registry)
    entry = get(workspace.quick, wanted)
    builder = entry.record.facts.builder
    if builder not in RUNNERS:
        raise BuildError(f"{wanted} was made by the {builder} builder, which this version can't run")
    if entry.record.facts.archived:
        name, version = entry.record.facts.name, entry.record.facts.version
        click.echo(f"note: {name} is archived; version {version} still runs", err=True)
    tools = workspace.tools
    runner = RUNNERS[builder](tools.hosts, tools.uv, _display(), tools.index_addresses)
    run = _run(workspace, entry, command, Path(source))
    workspace.remember()  # the command takes this process's place
    return runner.run(run)


def _display() -> Reporter:
    """Show what is waited for as lines: the screen is the command's."""
    from reconciler.reports.progress import Lines  # noqa: PLC0415  # start-up

    return Lines(sys.stderr, options.style(sys.stderr))


def _run(workspace: Workspace, entry: Present, command: tuple[str, ...], folder: Path) -> Run:
    from reconciler.clients.interpreter import this_platform  # noqa: PLC0415  # start-up
    from reconciler.runners.table import CONTAINERS  # noqa: PLC0415  # the same

    facts = entry.record.facts
    if not folder.is_dir():
        raise UsageError(f"--source: no folder {folder}")
    bodies = read_bodies(workspace.quick, facts.name, entry.record)
    if facts.builder in CONTAINERS:
        return _contained(
            workspace, entry, _filled(entry, bodies, min(bodies.lock.platforms), command, folder.resolve())
        )
    platform = this_platform()
    if platform not in bodies.lock.platforms:
        known = ", ".join(str(item) for item in sorted(bodies.lock.platforms))
        raise BuildError(
            f"{facts.name} v{facts.version} is for {known}, this machine is {platform}",
            hint="add it to the manifest's `platforms`",
        )
    return _filled(entry, bodies, platform, command, folder.resolve())


def _filled(entry: Present, bodies: Bodies, platform: Platform, command: tuple[str, ...], folder: Path) -> Run:
    python = _mapping(bodies.components.get("python"))
    path = python.get("interpreter_path")
    return Run(
        name=entry.record.facts.name,
        key=entry.record.build_keys[platform],
        request=entry.record.facts.request,
        lock=bodies.lock.platforms[platform],
        platform=platform,
        command=command,
        folder=folder,
        variables=_variables(_mapping(bodies.components.get("variables"))),
        interpreter_path=path if isinstance(path, str) else None,
    )


def _contained(workspace: Workspace, entry: Present, run: Run) -> Run:
    """Add what a container needs: which image it is, the engine decides by its platform."""
    from reconciler.reconcile.images import read_image  # noqa: PLC0415  # start-up

    record = entry.record
    images = {
        platform: read_image(workspace.registry, record.facts.name, artifact.digest)
        for platform, artifact in record.artifacts.items()
    }
    base = _mapping(read_bodies(workspace.quick, record.facts.name, record).components.get("base"))
    settings = {**record.facts.metadata.run, "gpus": base.get("compute") == "gpu"}
    reference = f"{record.facts.name}:v{record.facts.version}"
    return replace(run, images=images, reference=reference, settings=settings)


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def _variables(written: Mapping[str, Json]) -> dict[str, str]:
    """Expand ``${VAR}`` from the caller's own environment, at the last moment and nowhere else."""
    return {name: expand(str(text), os.environ) for name, text in written.items()}
