"""What this version can't make: the first field that asks for it, in one line. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.manifest.model import Docker, Manifest, Python

CONTAINERS = (
    "container images need the assemble builder, which is not in this version; "
    "`docker: {enabled: false}` makes the environment directly on the compute target"
)
_PLAIN_DOCKER = Docker()
_PROVIDERS = ("auto", "host")
_DOCKER_FIELDS = (
    "base",
    "base_image",
    "base_image_registry",
    "base_environment",
    "base_dockerfile",
    "build",
    "user",
    "workdir",
    "entrypoint",
    "command",
    "labels",
    "shm_size",
    "arguments",
)


def refuse(manifest: Manifest) -> str | None:
    """Say in one line which field can't be met on the compute target, or nothing."""
    return next(_refusals(manifest), None)


def _refusals(manifest: Manifest) -> Iterator[str]:
    if manifest.builder in ("assemble", "docker"):
        yield f"builder: the {manifest.builder} builder is not in this version; remove it or write `host`"
    if manifest.docker.enabled:
        yield CONTAINERS
    yield from _docker(manifest.docker)
    yield from _whole(manifest)
    yield from _python(manifest.python)
    yield from _user_managed(manifest.python)


def _docker(docker: Docker) -> Iterator[str]:
    for name in _DOCKER_FIELDS:
        if getattr(docker, name) != getattr(_PLAIN_DOCKER, name):
            yield f"docker.{name} is for container images, and `docker.enabled` is false; remove one of them"


def _whole(manifest: Manifest) -> Iterator[str]:
    if manifest.system_packages:
        yield "system_packages are for container images; install them on the compute target and remove the field"
    if manifest.system_repositories:
        yield "system_repositories are for container images; remove the field"
    if manifest.files:
        yield "files are copied into container images only; pass them with `run --source`, and remove the field"


def _python(python: Python) -> Iterator[str]:
    if python.conda is not None:
        yield "python.conda is not in this version; name the packages in python.pip"
    if python.conda_file is not None:
        yield "python.conda_file is not in this version; name the packages in python.pip"
    if python.provider not in _PROVIDERS:
        yield (
            f"python.provider: {python.provider} is not in this version; with `auto` "
            "the compute target's own interpreter is used"
        )
    if python.project is not None:
        yield "python.project is not in this version; name the packages in python.pip or python.pip_file"
    if python.local:
        yield "python.local is not in this version; build wheels and name them in python.pip"
    if python.base_packages != "keep":
        yield f"python.base_packages: {python.base_packages} is for container images; remove the field"


def _user_managed(python: Python) -> Iterator[str]:
    path = python.interpreter_path
    if not python.user_managed_dependencies:
        if path is not None:
            yield "python.interpreter_path goes with `python.user_managed_dependencies: true`"
        return
    if path is not None and "/" in path and not path.startswith("/"):
        yield f"python.interpreter_path: {path!a} is relative; write an absolute path, or a command on PATH"
    for name in ("pip", "pip_file", "project", "groups", "extras", "constraints", "overrides", "build_from_source"):
        if getattr(python, name):
            yield (
                f"python.{name} does not go with `python.user_managed_dependencies`: "
                "what that interpreter has is observed and never changed"
            )
