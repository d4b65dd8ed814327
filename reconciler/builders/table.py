"""The builders by name, and which one makes an environment. A builder is a module and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from reconciler.builders.host import HostBuilder
from reconciler.builders.usermanaged import UserManagedBuilder
from reconciler.clients.uv import Uv
from reconciler.manifest.model import Manifest
from reconciler.ports import Builder
from reconciler.store.hosts import Hosts

BUILDERS: Mapping[str, Callable[[Hosts, Uv], Builder]] = MappingProxyType(
    {
        "host": lambda hosts, uv: HostBuilder(hosts=hosts, uv=uv),
        "user-managed": lambda _hosts, _uv: UserManagedBuilder(),
    }
)
"""Name to factory, which takes the folder of the environments (``.reconciler/hosts``) and uv.

``assemble`` and ``docker`` are not there yet: :func:`reconciler.builders.unsupported.refuse`.
"""


def choose(manifest: Manifest) -> str:
    """Name the builder that a manifest asks for; it may be one that is not in :data:`BUILDERS`."""
    if manifest.builder not in ("auto", "host"):
        return manifest.builder
    if manifest.builder == "auto" and manifest.docker.enabled:
        return "docker" if manifest.docker.base_dockerfile is not None else "assemble"
    return "user-managed" if manifest.python.user_managed_dependencies else "host"
