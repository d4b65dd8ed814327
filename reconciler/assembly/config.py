"""How a container of an image starts: what the base says, then the environment, then the manifest (config.md)."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.assembly.account import Account
from reconciler.assembly.place import PREFIX
from reconciler.manifest.model import Manifest
from reconciler.oci.configuration import BaseConfig
from reconciler.oci.image import ImageConfig
from reconciler.values.digest import Digest
from reconciler.values.expansion import references
from reconciler.values.platform import Platform

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NVIDIA = {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}
_ROOT = frozenset(["root", "0"])


def configure(
    base: BaseConfig, manifest: Manifest, platform: Platform, account: Account, diff_ids: Sequence[Digest]
) -> ImageConfig:
    """Write the configuration; ``diff_ids`` are those of the layers over the base's, from the lowest."""
    docker = manifest.docker
    # A command of the base would be the argument of our entrypoint.
    command = docker.command or (() if docker.entrypoint else base.command)
    return ImageConfig(
        platform=platform,
        diff_ids=(*base.diff_ids, *diff_ids),
        environment=_environment(base, manifest, account),
        user=account.user,
        workdir=docker.workdir or _workdir(base, manifest) or f"/{account.home}",
        entrypoint=docker.entrypoint or base.entrypoint,
        command=command,
        labels={**base.labels, **docker.labels},
        ports=base.ports,
        volumes=base.volumes,
        stop_signal=base.stop_signal,
    )


def _workdir(base: BaseConfig, manifest: Manifest) -> str:
    """Give the base's folder, unless that is the home of whoever runs in the environment below and not in this one."""
    docker = manifest.docker
    is_left = docker.base_environment is not None and docker.user and base.workdir == base.environment.get("HOME")
    return "" if is_left else base.workdir


def _environment(base: BaseConfig, manifest: Manifest, account: Account) -> dict[str, str]:
    """Give the variables; one that refers to another is for ``run``, which expands it, and stands in no image."""
    found = {
        **base.environment,
        **_gpu(base, manifest),
        "LANG": base.environment.get("LANG", "C.UTF-8"),
        "VIRTUAL_ENV": f"/{PREFIX}",
    }
    if account.user.partition(":")[0] not in _ROOT:
        # Whoever runs it: an id that the base does not know has neither name nor home, and tools look for both.
        found |= _person(account)
    elif manifest.docker.base_environment is not None and manifest.docker.user:
        found |= _person(account)  # and not whoever runs in the environment below
    found |= {name: text for name, text in manifest.environment_variables.items() if not references(text)}
    path = manifest.environment_variables.get("PATH", base.environment.get("PATH", DEFAULT_PATH))
    own, path = f"/{PREFIX}/bin:", DEFAULT_PATH if references(path) else path
    return found | {"PATH": path if path.startswith(own) else f"{own}{path}"}


def _gpu(base: BaseConfig, manifest: Manifest) -> dict[str, str]:
    """Give what the NVIDIA container runtime reads: which devices and libraries of the driver, and which driver.

    Several conditions in one text are alternatives. A base for the same CUDA version names drivers that do as well.
    """
    if manifest.compute != "gpu":
        return {}
    found = {name: base.environment.get(name, text) for name, text in _NVIDIA.items()}
    if manifest.cuda is not None:
        needed = f"cuda>={'.'.join(manifest.cuda.split('.')[:2])}"
        brought = base.environment.get("NVIDIA_REQUIRE_CUDA", "")
        found["NVIDIA_REQUIRE_CUDA"] = brought if needed in brought.split() else needed
    return found


def _person(account: Account) -> dict[str, str]:
    return {"HOME": f"/{account.home}", "USER": account.name, "LOGNAME": account.name}
