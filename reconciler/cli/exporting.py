"""The command that brings a registered image to other tools: ``export``."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from reconciler.cli import options
from reconciler.cli.wiring import Workspace, open_workspace
from reconciler.errors import BuildError, InterruptedByUserError, UsageError
from reconciler.oci.descriptor import Image
from reconciler.plan.observed import Present
from reconciler.ports import Progress, Stage
from reconciler.reconcile.inspect import get
from reconciler.reports.progress import reporter
from reconciler.values.platform import Platform

_KINDS = ("oci-archive", "docker-archive", "docker", "dir")
_STANDARD_OUTPUT = "-"


@click.command(
    epilog="\b\nExample:\n  reconciler export training --to docker\n"
    "  reconciler export training:3 --to oci-archive --output training.tar\n"
)
@click.argument("reference", metavar="NAME[:VERSION]")
@click.option(
    "--to",
    "kind",
    type=click.Choice(_KINDS),
    required=True,
    help="An OCI layout in a tar file, what `docker load` takes, a Docker Engine, or a folder that is an OCI layout.",
)
@click.option(
    "--output", metavar="FILE", help="The file or folder to write; - is standard output. An engine needs none."
)
@click.option(
    "--platform", metavar="OS/ARCH", help="Only this platform (default: all, or this machine's where one is taken)."
)
@options.directory
@options.registry
def export_command(  # noqa: PLR0913, PLR0917  # one argument an option
    reference: str, kind: str, output: str | None, platform: str | None, directory: str | None, registry: str | None
) -> int:
    """Write a registered image as a file or folder that other tools read, or load it into a Docker Engine.

    What is written is what is registered, byte by byte: the digests in an OCI form are those of the registry.
    """
    wanted = options.reference(reference)
    if (output is None) is not (kind == "docker"):
        hint = "leave --output away" if output else f"--to {kind} --output FILE"
        raise UsageError("an engine takes no file" if output else "nothing says where to write", hint=hint)
    if output == _STANDARD_OUTPUT and (kind == "dir" or sys.stdout.isatty()):
        raise UsageError("--output - is for a pipe, and for one file", hint="name a file")
    workspace = open_workspace(directory=directory, registry=registry)
    entry = get(workspace.quick, wanted)
    images = _images(workspace, entry, _chosen(entry, platform, several=kind in ("oci-archive", "dir")))
    try:
        with reporter(sys.stderr, options.style(sys.stderr), live=options.terminal(sys.stderr)) as display:
            name = entry.record.facts.name
            display.report(Progress(name=name, stage=Stage.EXPORTING, detail=f"to {output or 'the Docker Engine'}"))
            said = _load(entry, images) if output is None else _write(entry, images, kind, output)
            display.report(Progress(name=name, stage=Stage.DONE, detail=said))
    except KeyboardInterrupt:
        raise InterruptedByUserError("interrupted", hint="nothing was written") from None
    if output != _STANDARD_OUTPUT:
        click.echo(said)
    return 0


def _chosen(entry: Present, platform: str | None, *, several: bool) -> tuple[Platform, ...]:
    from reconciler.clients.interpreter import this_platform  # noqa: PLC0415  # start-up
    from reconciler.runners.table import CONTAINERS  # noqa: PLC0415  # the same

    facts, there = entry.record.facts, sorted(entry.record.artifacts)
    if facts.builder not in CONTAINERS:
        hint = "`reconciler run` makes it, `reconciler copy` brings it to another registry"
        raise BuildError(f"{facts.name} is made on the compute target and has no image", hint=hint)
    if platform is not None:
        found = [one for one in there if str(one) == platform]
        if not found:
            raise UsageError(f"{facts.name} v{facts.version} is for {', '.join(map(str, there))}, not for {platform}")
        return tuple(found)
    if several or len(there) == 1:
        return tuple(there)
    own = Platform("linux", this_platform().architecture)
    if own not in there:
        raise UsageError(f"{facts.name} is for {', '.join(map(str, there))}", hint="choose one with --platform")
    return (own,)


def _images(workspace: Workspace, entry: Present, platforms: tuple[Platform, ...]) -> Mapping[Platform, Image]:
    from reconciler.reconcile.images import read_image  # noqa: PLC0415  # start-up

    record = entry.record
    return {
        platform: read_image(workspace.registry, record.facts.name, record.artifacts[platform].digest)
        for platform in platforms
    }


def _load(entry: Present, images: Mapping[Platform, Image]) -> str:
    from reconciler.clients.engine import connect  # noqa: PLC0415  # start-up
    from reconciler.runners.container import REPOSITORY, provide  # noqa: PLC0415  # the same

    facts = entry.record.facts
    (image,) = images.values()
    engine = connect(os.environ)
    try:
        found = provide(engine, image, f"{facts.name}:v{facts.version}")
        engine.tag(found, f"{REPOSITORY}/{facts.name}:v{facts.version}")
    finally:
        engine.close()
    return f"{facts.name} v{facts.version} is in the Docker Engine as {REPOSITORY}/{facts.name}:v{facts.version}"


def _write(entry: Present, images: Mapping[Platform, Image], kind: str, output: str) -> str:
    from reconciler.exchange.formats import FORMATS, Export  # noqa: PLC0415  # start-up
    from reconciler.runners.container import REPOSITORY  # noqa: PLC0415  # the same

    facts, chosen = entry.record.facts, FORMATS[kind]
    export = Export(images=images, name=f"{REPOSITORY}/{facts.name}", version=facts.version, output=Path(output))
    platforms = ", ".join(map(str, images))
    if output == _STANDARD_OUTPUT and chosen.archive is not None:
        for chunk in chosen.archive(export):
            sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
    else:
        chosen.write(export)
    return f"{facts.name} v{facts.version} ({platforms}) is in {output}"
