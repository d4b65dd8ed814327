"""Which layers an image gets over its base, under which keys: a pure function of lock and manifest **[format]**."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from reconciler.assembly.account import Account
from reconciler.assembly.key import layer_key
from reconciler.assembly.packing import Group, pack
from reconciler.assembly.place import PREFIX, place_of
from reconciler.assembly.replaced import replaced_names
from reconciler.assembly.venv import minor_of
from reconciler.errors import BuildError
from reconciler.lock.model import Base, Package, PlatformLock
from reconciler.manifest.desired import Desired
from reconciler.values.canonical import Json
from reconciler.values.digest import Digest

MAX_LAYERS = 120
"""Docker Engine's overlay holds 125, and the next environment may build on this one."""

ARCHIVE = "#sha256="
"""What stands between an address and the digest of the archive there."""


class Role(Enum):
    """What a layer holds."""

    REPLACED = "replaced"
    ENVIRONMENT = "environment"
    PACKAGES = "packages"
    BYTECODE = "bytecode"
    FILES = "files"


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerPlan:
    """One layer: what it holds, the key of all that goes into it, and the wheels that it needs where it is made."""

    name: str
    role: Role
    key: Digest
    packages: tuple[Package, ...] = ()


def plan_layers(desired: Desired, lock: PlatformLock, account: Account, base_layers: int) -> tuple[LayerPlan, ...]:
    """List the layers from the lowest: what is deleted, the environment itself, packages, their bytecode, files.

    ``base_layers`` is how many the base has. Where they don't leave room enough it is a BuildError.
    """
    base = _base_of(lock)
    python = desired.manifest.python
    files = desired.components["files"]
    assert isinstance(files, dict)  # noqa: S101  # the form is fixed in manifest.identity
    replaced = replaced_names(lock) if python.base_packages == "replace" else ()
    room = MAX_LAYERS - base_layers - 1 - bool(files) - bool(replaced)
    groups = pack(lock.packages, limit_layers=room // (2 if python.bytecode else 1)) if room > 1 else ()
    if lock.packages and not groups:
        raise BuildError(
            f"the base {base.image} has {base_layers} layers already, and an image can have {MAX_LAYERS}",
            where=desired.manifest.locate("docker.base_environment" if is_stacked(desired) else "docker.base_image"),
            hint="join environments" if is_stacked(desired) else "squash the base image",
        )
    plans = [_replaced(replaced, lock)] if replaced else []
    plans += [_environment(desired, lock, account)] if _makes_environment(desired, account) else []
    plans += [_packages(group, lock) for group in groups]
    plans += [_bytecode(group, lock) for group in groups if python.bytecode]
    plans += [_files(files, base, account)] if files else []
    return tuple(plans)


def _base_of(lock: PlatformLock) -> Base:
    assert lock.base is not None  # noqa: S101  # what has none is made on the compute target
    return lock.base


def _replaced(names: Sequence[str], lock: PlatformLock) -> LayerPlan:
    base = _base_of(lock)
    python = minor_of(lock.interpreter.version)
    inputs: dict[str, Json] = {"base": base.digest, "interpreter": base.python, "python": python, "names": [*names]}
    return LayerPlan(name="replaced", role=Role.REPLACED, key=layer_key("replaced", inputs))


def _environment(desired: Desired, lock: PlatformLock, account: Account) -> LayerPlan:
    base = _base_of(lock)
    inputs: dict[str, Json] = {
        "python": base.python,
        "version": lock.interpreter.version,
        "inherits": inherits(desired),
        "workdir": desired.manifest.docker.workdir,
        "account": [account.uid, account.gid, account.home, account.passwd, account.group],
        "places": _places(base, (PREFIX, account.home, "etc", (desired.manifest.docker.workdir or "").strip("/"))),
    }
    kind = "environment" if not is_stacked(desired) else "account" if inherits(desired) else "environment anew"
    return LayerPlan(name="environment", role=Role.ENVIRONMENT, key=layer_key(kind, inputs))


def is_stacked(desired: Desired) -> bool:
    """Tell whether the base is another environment, which has a virtual environment in the same place."""
    return desired.manifest.docker.base_environment is not None


def _makes_environment(desired: Desired, account: Account) -> bool:
    """Tell whether there is anything to make before packages: over another environment there may be nothing."""
    if not is_stacked(desired) or not inherits(desired):
        return True
    return account.owned or bool((desired.manifest.docker.workdir or "").strip("/"))


def inherits(desired: Desired) -> bool:
    """Tell whether the base's packages are seen from the environment."""
    return desired.manifest.python.base_packages != "ignore"


def _packages(group: Group[Package], lock: PlatformLock) -> LayerPlan:
    inputs: dict[str, Json] = {
        "python": minor_of(lock.interpreter.version),
        "prefix": place_of(PREFIX, _base_of(lock).links),
        "wheels": [*_wheels(group.packages)],
    }
    key = layer_key("packages", inputs)
    return LayerPlan(name=group.name, role=Role.PACKAGES, key=key, packages=group.packages)


def _bytecode(group: Group[Package], lock: PlatformLock) -> LayerPlan:
    inputs: dict[str, Json] = {
        "python": lock.interpreter.version,
        "prefix": place_of(PREFIX, _base_of(lock).links),
        "wheels": [*_wheels(group.packages)],
    }
    key = layer_key("bytecode", inputs)
    return LayerPlan(name=f"{group.name} bytecode", role=Role.BYTECODE, key=key, packages=group.packages)


def _files(files: Mapping[str, Json], base: Base, account: Account) -> LayerPlan:
    inputs: dict[str, Json] = {
        "files": dict(files),
        "places": _places(base, [target.strip("/") for target in files]),
        "owner": [account.uid, account.gid],
    }
    return LayerPlan(name="files", role=Role.FILES, key=layer_key("files", inputs))


def _places(base: Base, paths: Sequence[str]) -> list[Json]:
    return [place_of(path, base.links) for path in paths]


def _wheels(packages: Sequence[Package]) -> Iterator[Json]:
    for package in sorted(packages):
        yield {"file": package.file, "sha256": package.sha256, "direct_url": direct_url_of(package)}


def direct_url_of(package: Package) -> str | None:
    """Give what pip would write down of where a package comes from that is from no index (PEP 610).

    A wheel that was built is known by the archive that it was built from, which stands behind the address.
    """
    kind, _, origin = package.source.partition(":")
    if kind != "url":
        return None
    address, _, archive = origin.partition(ARCHIVE)
    digest = archive or package.sha256
    about = {"archive_info": {"hash": f"sha256={digest}", "hashes": {"sha256": digest}}, "url": address}
    return json.dumps(about, sort_keys=True)
