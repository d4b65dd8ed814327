"""What can't be assembled: the first field that asks for it, in one line. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.debian.suites import parse_entry
from reconciler.manifest.arguments import parse_arguments
from reconciler.manifest.desired import Desired
from reconciler.manifest.model import Docker, Manifest
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
        _python(desired),
        _system(desired),
        _platforms(manifest),
    )
    named = [item for part in parts for item in part]
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


def _stacked(manifest: Manifest) -> Iterator[tuple[str, str]]:
    if manifest.docker.base_environment is not None and manifest.python.base_packages == "replace":
        message = "what another environment holds is kept, or with `ignore` hidden; change it in that one"
        yield "python.base_packages", f"python.base_packages: replace is for images as bases: {message}"


def _python(desired: Desired) -> Iterator[tuple[str, str]]:
    python, entry = desired.manifest.python, desired.entry
    if python.provider == "conda":
        yield "python.provider", f"python.provider: conda {_LATER}; write auto"
    elif python.provider != "auto":
        yield from _provider(python.provider, entry)
    if python.interpreter_path is not None and (_is_made(entry) or python.provider == "standalone"):
        message = "is for the Python of an image, and here python.provider says which it is; remove the field"
        yield "python.interpreter_path", f"python.interpreter_path {message}"
    if python.user_managed_dependencies:
        message = "is for the compute target; in an image nothing is observed, remove the field"
        yield "python.user_managed_dependencies", f"python.user_managed_dependencies {message}"


def _provider(provider: str, entry: str | None) -> Iterator[tuple[str, str]]:
    """Refuse a provider that the base has no room for: an environment below brings its Python."""
    if provider == "image" and _is_made(entry):
        instead = "write auto, debian or standalone, or name a docker.base_image"
        yield "python.provider", f"python.provider: image is for images as bases, and {entry} is none; {instead}"
    elif provider != "image" and entry is None:
        message = "is not for an environment over another, which brings the Python; remove the field"
        yield "python.provider", f"python.provider: {provider} {message}"
    elif provider == "debian" and not _is_made(entry):
        instead = "write image or standalone, or docker.base_image: debian"
        yield (
            "python.provider",
            f"python.provider: debian is for a base of Debian packages, and {entry} is an image; {instead}",
        )


def _is_made(entry: str | None) -> bool:
    """Tell whether a base is made of packages; a suite that nobody knows is refused elsewhere."""
    try:
        return entry is not None and parse_entry(entry) is not None
    except ValueError:
        return True


def _system(desired: Desired) -> Iterator[tuple[str, str]]:
    """Refuse packages for a base that nobody can add any to, and a suite that nobody knows."""
    entry = desired.entry
    try:
        if entry is not None and parse_entry(entry) is not None:
            return
    except ValueError as error:
        yield "docker.base_image", f"docker.base_image: {error}"
        return
    below = desired.manifest.docker.base_environment
    for name in ("system_packages", "system_repositories"):
        if getattr(desired.manifest, name) and below is not None:
            yield name, f"{name} go with a base of Debian packages; write them in the manifest of {below}"
        elif getattr(desired.manifest, name):
            instead = "write docker.base_image: debian, or take an image that has them"
            yield name, f"{name} go with a base of Debian packages, and {entry} is an image; {instead}"


def _platforms(manifest: Manifest) -> Iterator[tuple[str, str]]:
    for platform in manifest.platforms:
        if platform.os != "linux":
            yield "platforms", f"platforms: {platform} is for environments on the compute target, images are for Linux"
