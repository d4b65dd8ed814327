"""A manifest as values: what one file under ``environments/`` declares, every default filled in.

Field names and defaults are those of ``schemas/environment.schema.json``. Paths are as written, relative to the
manifest. Mappings are not to be changed by who reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.values.location import Location
from reconciler.values.platform import Platform

DEFAULT_PLATFORMS = (Platform("linux", "amd64"),)
DEFAULT_PYTHON = "3.11"


@dataclass(frozen=True, kw_only=True, slots=True)
class Conda:
    """``python.conda``: channels in order, and match specifications. ``pip`` holds the nested pip requirements."""

    channels: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Python:
    """``python``: the interpreter, and what is installed for it."""

    version: str = DEFAULT_PYTHON
    provider: str = "auto"
    pip: tuple[str, ...] = ()
    pip_file: tuple[str, ...] = ()
    project: str | None = None
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    local: tuple[str, ...] = ()
    conda: Conda | None = None
    conda_file: str | None = None
    constraints: str | tuple[str, ...] | None = None
    overrides: str | tuple[str, ...] | None = None
    indexes: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    build_from_source: tuple[str, ...] = ()
    exclude_newer: str | None = None
    base_packages: str = "keep"
    bytecode: bool = True
    user_managed_dependencies: bool = False
    interpreter_path: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Build:
    """``docker.build``: what a Dockerfile is built with. ``secrets`` are names, never values."""

    context: str | None = None
    target: str | None = None
    args: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseImageRegistry:
    """``docker.base_image_registry``: where a base image comes from; ``credential`` is a name, never a value."""

    address: str
    credential: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Docker:
    """``docker``: a container image (the default), or the compute target itself."""

    enabled: bool = True
    base: str = "standard"
    base_image: str | None = None
    base_image_registry: BaseImageRegistry | None = None
    base_environment: str | None = None
    base_dockerfile: str | None = None
    build: Build = field(default_factory=Build)
    user: str | None = None
    workdir: str | None = None
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    shm_size: str | None = None
    arguments: tuple[str, ...] = ()

    @property
    def base_credential(self) -> str | None:
        """The name of the credential that the base image's registry is asked with."""
        return self.base_image_registry.credential if self.base_image_registry else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Checks:
    """``checks``: modules that must import, and a command that must succeed."""

    imports: tuple[str, ...] = ()
    command: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """One environment as declared.

    ``path`` is the manifest's own, relative to the repository. ``lines`` holds where each field stands, by its
    path in the file (``python.version``, ``python.pip[0]``); ask :meth:`locate`.
    """

    name: str
    path: str
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    owner: str = ""
    protected: bool = False
    renamed_from: str | None = None
    extends: str | None = None
    compute: str = "cpu"
    cuda: str | None = None
    platforms: tuple[Platform, ...] = DEFAULT_PLATFORMS
    builder: str = "auto"
    python: Python = field(default_factory=Python)
    docker: Docker = field(default_factory=Docker)
    system_packages: tuple[str, ...] = ()
    system_repositories: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    checks: Checks = field(default_factory=Checks)
    lines: Mapping[str, tuple[int, int]] = field(default_factory=dict, compare=False, repr=False)

    def locate(self, field_path: str) -> Location:
        """Say where a field stands; the nearest enclosing field where it is not written itself."""
        path = field_path
        while path:
            position = self.lines.get(path)
            if position is not None:
                return Location(self.path, *position)
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return Location(self.path, 1, 1)
