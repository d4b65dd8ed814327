"""What this version can't make: the first field that asks for it, in one line. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.manifest.desired import Desired
from reconciler.manifest.model import Docker, Manifest, Python
from reconciler.manifest.refusal import Refusal, unsolvable

CONTAINERS = (
    "the host builder makes environments directly on the compute target; "
    "write `docker: {enabled: false}`, or remove `builder`"
)
_PLAIN_DOCKER = Docker()
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
_OF_INSTALLING = (
    "pip",
    "pip_file",
    "project",
    "extras",
    "groups",
    "local",
    "conda",
    "conda_file",
    "constraints",
    "overrides",
    "indexes",
    "sources",
    "build_from_source",
    "exclude_newer",
)


def refuse(desired: Desired) -> Refusal | None:
    """Say which field can't be met on the compute target, and what to write instead, or nothing."""
    return next(_refusals(desired), None)


def _refusals(desired: Desired) -> Iterator[Refusal]:
    manifest = desired.manifest
    named = [*_whole(manifest), *_docker(manifest.docker), *_target(manifest), *_python(manifest)]
    named += _user_managed(manifest.python)
    yield from (Refusal(field=field, message=message) for field, message in named)
    found = unsolvable(desired)
    if found is not None:
        yield found


def _whole(manifest: Manifest) -> Iterator[tuple[str, str]]:
    if manifest.builder in ("assemble", "docker"):
        message = "makes images, and `docker.enabled` is false; remove one of them"
        yield "builder", f"builder: {manifest.builder} {message}"
    if manifest.docker.enabled:
        yield "builder", CONTAINERS


def _docker(docker: Docker) -> Iterator[tuple[str, str]]:
    for name in _DOCKER_FIELDS:
        if getattr(docker, name) != getattr(_PLAIN_DOCKER, name):
            field = f"docker.{name}"
            yield field, f"{field} is for container images, and `docker.enabled` is false; remove one of them"


def _target(manifest: Manifest) -> Iterator[tuple[str, str]]:
    if manifest.system_packages:
        yield (
            "system_packages",
            "system_packages are for container images; install them on the compute target and remove the field",
        )
    if manifest.system_repositories:
        yield "system_repositories", "system_repositories are for container images; remove the field"
    if manifest.files:
        yield (
            "files",
            "files are copied into container images only; pass them with `run --source`, and remove the field",
        )
    if manifest.cuda is not None:
        yield (
            "cuda",
            "cuda is for container images; name the index of CUDA wheels under python.sources, and remove the field",
        )


def _python(manifest: Manifest) -> Iterator[tuple[str, str]]:
    python = manifest.python
    if python.provider != "auto":
        message = "is for container images; with `auto` the compute target's own interpreter is used"
        yield "python.provider", f"python.provider: {python.provider} {message}"
    if python.base_packages != "keep":
        yield (
            "python.base_packages",
            f"python.base_packages: {python.base_packages} is for container images; remove the field",
        )
    # Its default means what a container image has; written out, somebody expects something of it.
    if not python.bytecode or "python.bytecode" in manifest.lines:
        message = "on the compute target Python compiles a module when it is first imported; remove the field"
        yield "python.bytecode", f"python.bytecode is for container images, {message}"


def _user_managed(python: Python) -> Iterator[tuple[str, str]]:
    path = python.interpreter_path
    if not python.user_managed_dependencies:
        if path is not None:
            yield (
                "python.interpreter_path",
                "python.interpreter_path goes with `python.user_managed_dependencies: true`",
            )
        if python.project is None:
            for name in ("extras", "groups"):
                if getattr(python, name):
                    yield f"python.{name}", f"python.{name} goes with python.project; remove the field"
        return
    if path is not None and "/" in path and not path.startswith("/"):
        yield (
            "python.interpreter_path",
            f"python.interpreter_path: {path!a} is relative; write an absolute path, or a command on PATH",
        )
    for name in _OF_INSTALLING:
        if getattr(python, name):
            message = "what that interpreter has is observed and never changed"
            yield f"python.{name}", f"python.{name} does not go with `python.user_managed_dependencies`: {message}"
