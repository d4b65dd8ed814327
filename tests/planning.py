"""Values for tests of plans and reports: manifests, records and locks with little in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reconciler.lock.model import Base, Interpreter, Lock, Package, PlatformLock
from reconciler.manifest.desired import Desired
from reconciler.manifest.model import Manifest, Python
from reconciler.oci.descriptor import Descriptor
from reconciler.plan.change import Action, Plan, Policy
from reconciler.plan.metadata import metadata_of
from reconciler.plan.observed import Observation, Observed, Past, Present
from reconciler.plan.planner import plan
from reconciler.record import Bodies, Facts, Record
from reconciler.values.canonical import Json
from reconciler.values.commit import Commit, Revision
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform

AMD = Platform("linux", "amd64")
ARM = Platform("linux", "arm64")
MANAGER = "ml-platform"
REGISTRY = ".reconciler/registry"
REVISION = Revision(commit=Commit("1a2b3c4d" * 5), dirty=True)
POLICY = Policy(manager=MANAGER)


def digest(text: str) -> Digest:
    return Digest.of(text.encode())


def manifest(name: str, pip: tuple[str, ...] = ("numpy>=2",), **fields: object) -> Manifest:
    lines = {"name": (1, 1), "python": (4, 1), "python.pip": (5, 3)}
    lines |= {f"python.pip[{position}]": (6 + position, 7) for position in range(len(pip))}
    lines |= {"description": (2, 1), "tags": (3, 1), "platforms": (20, 1), "environment_variables": (30, 1)}
    lines |= {"renamed_from": (40, 1), "docker.base_environment": (41, 3)}
    one = Manifest(name=name, path=f"environments/{name}.yaml", python=Python(pip=pip), lines=lines)
    return replace(one, **fields)  # type: ignore[arg-type]  # fields of Manifest


def components(one: Manifest, below: Desired | None = None) -> dict[str, Json]:
    """Give components in the shape of ``manifest.identity``, as far as these tests vary them."""
    environment: Json = {"name": one.docker.base_environment, "request": str(below.request) if below else None}
    return {
        "base": {
            "compute": one.compute,
            "environment": environment if one.docker.base_environment else None,
            "catalog": None,
        },
        "python": {"version": one.python.version},
        "packages": {"requirements": [*sorted(set(one.python.pip))], "constraints": []},
        "system": {"packages": [*sorted(one.system_packages)], "repositories": []},
        "variables": dict(one.environment_variables),
    }


def desired(
    one: Manifest | str, lock: Lock | None = None, refusal: str | None = None, below: Desired | None = None
) -> Desired:
    one = manifest(one) if isinstance(one, str) else one
    if below is not None:
        one = replace(one, docker=replace(one.docker, base_environment=below.name))
    return Desired(
        manifest=one,
        components=components(one, below),
        filled={"compute": "cpu"},
        lock=lock,
        refusal=refusal,
        below=below,
    )


def package(name: str, version: str, size: int = 1000) -> Package:
    file = f"{name}-{version}-py3-none-any.whl"
    return Package(name=name, version=version, file=file, size=size, sha256=digest(file).hex)


def lock_of(
    wanted: Desired, *packages: Package, platforms: tuple[Platform, ...] | None = None, below: Lock | None = None
) -> Lock:
    python = Interpreter(implementation="cpython", version="3.11", abi="cp311", provider="image")
    part = PlatformLock(interpreter=python, libc="glibc 2.36", packages=packages)
    parts = dict.fromkeys(platforms or wanted.manifest.platforms, part)
    if below is not None and wanted.below is not None:
        image = f"environment:{wanted.below.name}"
        bases = {
            one: Base(image=image, digest=str(below.platforms[one].digest), python="usr/bin/python3") for one in parts
        }
        parts = {one: replace(part, base=bases[one]) for one in parts}
    return Lock(inputs=wanted.inputs, platforms=parts)


def locked(one: Manifest | str, *packages: Package) -> Desired:
    """Give an environment with a committed lock that is up to date."""
    plain = desired(one)
    return desired(plain.manifest, lock=lock_of(plain, *packages))


def present(  # noqa: PLR0913  # one argument a fact that tests vary
    wanted: Desired,
    *,
    lock: Lock | None = None,
    version: int = 1,
    manager: str = MANAGER,
    archived: bool = False,
    bodies: bool = True,
    key: str = "key",
    on: str = "key",
    **more: object,
) -> Present:
    """Give what the registry holds after ``wanted`` was applied; ``key`` tells builds apart, ``on`` those below."""
    lock = lock or wanted.current_lock or lock_of(wanted, package("numpy", "2.0.0"))
    base = wanted.manifest.docker.base_environment
    facts = Facts(
        name=wanted.name,
        version=version,
        request=wanted.request,
        lock=lock.digest,
        components=wanted.digests,
        builder="host",
        recipe=1,
        manager=manager,
        manifest=wanted.manifest.path,
        commit="1a2b3c4d" * 5,
        archived=archived,
        metadata=metadata_of(wanted.manifest),
    )
    entry = Descriptor(media_type="m", digest=digest(f"artifact of {wanted.name}"), size=1)
    record = Record(
        facts=facts,
        artifacts=dict.fromkeys(wanted.manifest.platforms, entry),
        build_keys=dict.fromkeys(wanted.manifest.platforms, digest(f"{key} of {wanted.name}")),
        request_entry=replace(entry, digest=digest(f"request of {wanted.name}")),
        lock_entry=replace(entry, digest=digest(f"lock of {wanted.name}")),
        below={} if base is None else dict.fromkeys(wanted.manifest.platforms, digest(f"{on} of {base}")),
    )
    body = Bodies(components=wanted.components, lock=lock) if bodies else None
    own = digest(f"{facts} {lock.digest}")
    return Present(record=record, digest=own, bodies=body, **more)  # type: ignore[arg-type]  # fields of Present


def past(wanted: Desired, *, version: int = 1, lock: Lock | None = None, name: str | None = None) -> Past:
    lock = lock or lock_of(wanted, package("numpy", "2.0.0"))
    return Past(
        name=name or wanted.name,
        version=version,
        record=digest(f"{wanted.name} {version}"),
        request=wanted.request,
        lock=lock.digest,
        platforms=wanted.manifest.platforms,
    )


def observed(environments: Mapping[str, Observation]) -> Observed:
    return Observed(registry=REGISTRY, environments=environments)


def planned(wanted: list[Desired] | Desired, environments: Mapping[str, Observation], policy: Policy = POLICY) -> Plan:
    wanted = [wanted] if isinstance(wanted, Desired) else wanted
    return plan(wanted, observed(environments), policy, REVISION)


def actions(one: Plan) -> dict[str, Action]:
    return {step.name: step.action for step in one.steps}
