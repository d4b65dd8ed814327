"""What can't be assembled: the first field that asks for it, in one line. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.manifest.arguments import parse_arguments
from reconciler.manifest.config import Config
from reconciler.manifest.desired import Desired
from reconciler.manifest.model import Docker, Manifest, Python
from reconciler.manifest.refusal import Refusal, unsolvable

_LATER = "is not in this version"


def refuse(desired: Desired) -> Refusal | None:
    """Say which field no image can be assembled for, and what to write instead, or nothing."""
    return next(_refusals(desired), None)


def _refusals(desired: Desired) -> Iterator[Refusal]:
    manifest = desired.manifest
    parts = (
        _whole(manifest),
        _docker(manifest.docker),
        _stacked(manifest),
        _python(manifest.python),
        _system(manifest),
    )
    named = [item for part in (*parts, _catalog(desired)) for item in part]
    yield from (Refusal(field=field, message=message) for field, message in named)
    found = unsolvable(desired)
    if found is not None:
        yield found


def _whole(manifest: Manifest) -> Iterator[tuple[str, str]]:
    if manifest.builder == "docker":
        yield "builder", f"builder: the docker builder {_LATER}; remove it"
    elif not manifest.docker.enabled:
        yield "builder", "builder: assemble makes images, and `docker.enabled` is false; remove one of them"


def _docker(docker: Docker) -> Iterator[tuple[str, str]]:
    if docker.base_dockerfile is not None:
        yield "docker.base_dockerfile", f"docker.base_dockerfile needs the docker builder, which {_LATER}"
    try:
        parse_arguments(docker.arguments)
    except ValueError as error:
        yield "docker.arguments", f"docker.arguments: {error}"
    if docker.build != Docker().build:
        yield "docker.build", "docker.build goes with docker.base_dockerfile; remove the field"


def _catalog(desired: Desired) -> Iterator[tuple[str, str]]:
    """Refuse the catalog that stands where nobody wrote one: it names no registry, and brings no Python."""
    base = desired.components["base"]
    entry = base.get("catalog") if isinstance(base, dict) else None
    if entry in {image for images in Config().bases.values() for image in images.values()}:
        yield "docker", f"no base image is named, and {entry} {_LATER}; write docker.base_image: HOST/NAME:TAG"


def _stacked(manifest: Manifest) -> Iterator[tuple[str, str]]:
    if manifest.docker.base_environment is not None and manifest.python.base_packages == "replace":
        message = "what another environment holds is kept, or with `ignore` hidden; change it in that one"
        yield "python.base_packages", f"python.base_packages: replace is for images as bases: {message}"


def _python(python: Python) -> Iterator[tuple[str, str]]:
    if python.provider not in ("auto", "image"):
        yield (
            "python.provider",
            f"python.provider: {python.provider} {_LATER}; with `image` the base image brings Python",
        )
    if python.user_managed_dependencies:
        message = "is for the compute target; in an image nothing is observed, remove the field"
        yield "python.user_managed_dependencies", f"python.user_managed_dependencies {message}"


def _system(manifest: Manifest) -> Iterator[tuple[str, str]]:
    for name in ("system_packages", "system_repositories"):
        if getattr(manifest, name):
            yield name, f"{name} {_LATER}; take a base image that has them"
    if manifest.cuda is not None:
        yield "cuda", f"cuda {_LATER}; name the index of CUDA wheels under python.sources"
    for platform in manifest.platforms:
        if platform.os != "linux":
            yield "platforms", f"platforms: {platform} is for environments on the compute target, images are for Linux"
