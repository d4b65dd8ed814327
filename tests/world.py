"""A small world for tests of ``reconcile``: a package index, a resolver, a builder, and repositories to reconcile.

They implement the ports; nothing of ours is replaced.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from reconciler.errors import BuildError, UnavailableError
from reconciler.executors.serial import Serial
from reconciler.lock.model import Base, Interpreter, Lock, Package, PlatformLock
from reconciler.manifest.desired import Desired
from reconciler.manifest.identity import desire
from reconciler.manifest.model import Docker, Manifest, Python
from reconciler.oci.descriptor import Blob, Content, Descriptor, Image
from reconciler.oci.image import ImageConfig, to_image
from reconciler.plan.change import Plan, Policy
from reconciler.plan.observed import Observed
from reconciler.plan.planner import plan
from reconciler.ports import Executor, Feature, Progress, Registry, Resolution, Resolved, Task
from reconciler.reconcile.apply import apply
from reconciler.reconcile.ledger import read_state_if_whole
from reconciler.reconcile.means import Means
from reconciler.reconcile.outcome import Outcome
from reconciler.reconcile.survey import known_names, survey
from reconciler.values.canonical import to_canonical
from reconciler.values.commit import Commit, Revision
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform

LINUX = Platform("linux", "amd64")
ARM = Platform("linux", "arm64")
MANAGER = "test#environments"


def read_nothing(path: str, *, limit: int = 0) -> bytes:
    raise AssertionError(f"{path} is read, up to {limit} bytes")


def wanted(  # noqa: PLR0913  # one argument a field that tests vary
    name: str,
    pip: Sequence[str] = ("numpy",),
    *,
    platforms: Sequence[Platform] = (LINUX,),
    lock: Lock | None = None,
    variables: Mapping[str, str] | None = None,
    description: str = "",
    protected: bool = False,
    renamed_from: str | None = None,
    below: Desired | None = None,
) -> Desired:
    manifest = Manifest(
        name=name,
        path=f"environments/{name}.yaml",
        description=description,
        protected=protected,
        renamed_from=renamed_from,
        platforms=tuple(platforms),
        python=Python(pip=tuple(pip)),
        docker=Docker(base_environment=None if below is None else below.name),
        environment_variables=variables or {},
    )
    return desire(manifest, read_nothing, lambda _: (), lock=lock, below=below)


class Index:
    """A package index with one version a package; ``move`` releases a newer one."""

    def __init__(self) -> None:
        self.versions: dict[str, int] = {}
        self.solved = 0

    def move(self, name: str) -> None:
        self.versions[name] = self.versions.get(name, 1) + 1

    def resolve(self, resolution: Resolution) -> Resolved:
        self.solved += 1
        desired = resolution.desired
        kept = _kept(resolution)
        packages = desired.components["packages"]
        assert isinstance(packages, dict)
        requirements = packages["requirements"]
        assert isinstance(requirements, list)
        platforms = {
            platform: PlatformLock(
                interpreter=Interpreter(implementation="cpython", version="3.11", abi="cp311", provider="host"),
                libc="glibc 2.28",
                packages=tuple(
                    _package(str(name), kept.get(str(name), str(self.versions.get(str(name), 1))))
                    for name in requirements
                ),
                base=_base(resolution, platform),
            )
            for platform in desired.manifest.platforms
        }
        return Resolved(lock=Lock(inputs=desired.inputs, platforms=platforms))


def _base(resolution: Resolution, platform: Platform) -> Base | None:
    below, lock = resolution.desired.below, resolution.below
    if below is None or lock is None:
        return None
    return Base(
        image=f"environment:{below.name}", digest=str(lock.platforms[platform].digest), python="usr/bin/python3"
    )


def _kept(resolution: Resolution) -> dict[str, str]:
    if resolution.preference is None or resolution.upgrade is None:
        return {}
    return {
        package.name: package.version
        for lock in resolution.preference.platforms.values()
        for package in lock.packages
        if package.name not in resolution.upgrade
    }


def _package(name: str, version: str) -> Package:
    file = f"{name}-{version}-py3-none-any.whl"
    return Package(name=name, version=version, file=file, size=1, sha256=Digest.of(file.encode()).hex)


class Factory:
    """A builder whose artifacts are pure functions of the key; it counts, and fails for the names it is told."""

    name = "host"
    recipe = 1

    def __init__(self) -> None:
        self.built: list[tuple[str, Platform]] = []
        self.failing: set[str] = set()
        self._guard = threading.Lock()

    def refusal(self, desired: Desired) -> str | None:
        return desired.refusal

    def prepare(self, desired: Desired) -> None:
        """Every machine can."""

    def build(self, task: Task) -> Image:
        if task.desired.name in self.failing:
            raise BuildError(f"{task.desired.name} can't be built")
        with self._guard:
            self.built.append((task.desired.name, task.platform))
        layer = Content(media_type="application/vnd.oci.image.layer.v1.tar", data=to_canonical({"key": str(task.key)}))
        return to_image(ImageConfig(platform=task.platform), [layer])


class Silent:
    def report(self, progress: Progress) -> None:
        """Show nothing."""


class Killed(BaseException):
    """The process died here; no handler may catch it."""


class Mortal:
    """A registry whose process dies at the n-th write (before it, or right after it)."""

    def __init__(self, registry: Registry, *, dies_at: int = -1, after: bool = False) -> None:
        self.inner = registry
        self.dies_at = dies_at
        self.after = after
        self.writes = 0

    @property
    def address(self) -> str:
        return self.inner.address

    @property
    def remote(self) -> bool:
        return self.inner.remote

    def _write(self, write: Callable[[], None]) -> None:
        number = self.writes
        self.writes += 1
        if number == self.dies_at and not self.after:
            raise Killed
        write()
        if number == self.dies_at:
            raise Killed

    def fetch(self, repository: str, reference: str | Digest) -> Content:
        return self.inner.fetch(repository, reference)

    def resolve(self, repository: str, reference: str | Digest) -> Digest | None:
        return self.inner.resolve(repository, reference)

    def fetch_blob(self, repository: str, descriptor: Descriptor) -> Iterator[bytes]:
        return self.inner.fetch_blob(repository, descriptor)

    def has_blob(self, repository: str, descriptor: Descriptor) -> bool:
        return self.inner.has_blob(repository, descriptor)

    def push_blob(self, repository: str, blob: Blob, *, mount_from: str | None = None) -> None:
        self._write(lambda: self.inner.push_blob(repository, blob, mount_from=mount_from))

    def push(self, repository: str, content: Content, *, tags: Sequence[str] = ()) -> None:
        self._write(lambda: self.inner.push(repository, content, tags=tags))

    def delete(self, repository: str, reference: str | Digest) -> None:
        self._write(lambda: self.inner.delete(repository, reference))

    def claim(self, repository: str) -> None:
        self.inner.claim(repository)

    def features(self, repository: str) -> tuple[Feature, ...]:
        return self.inner.features(repository)

    def tags(self, repository: str) -> tuple[str, ...]:
        return self.inner.tags(repository)

    def repositories(self) -> tuple[str, ...] | None:
        return self.inner.repositories()

    def writing(self, repository: str) -> AbstractContextManager[None]:
        return self.inner.writing(repository)


class Silenced(Mortal):
    """A registry that does not answer for some repositories."""

    def __init__(self, registry: Registry, silent: set[str]) -> None:
        super().__init__(registry)
        self.silent = silent

    def fetch(self, repository: str, reference: str | Digest) -> Content:
        if repository in self.silent:
            raise UnavailableError(f"{repository} does not answer")
        return self.inner.fetch(repository, reference)


@dataclass
class World:
    """One registry, and the means to reconcile repositories with it."""

    registry: Registry
    index: Index = field(default_factory=Index)
    factory: Factory = field(default_factory=Factory)
    executor: Executor = field(default_factory=Serial)

    def policy(self, **rest: object) -> Policy:
        return Policy(manager=MANAGER, **rest)  # type: ignore[arg-type]  # forwarded as they came

    def plan(self, desired: Sequence[Desired], policy: Policy | None = None, *, commit: str = "a" * 40) -> Plan:
        return plan(desired, self.observed(desired), policy or self.policy(), revision(commit))

    def observed(self, desired: Sequence[Desired]) -> Observed:
        state = read_state_if_whole(self.registry, MANAGER)
        return survey(self.registry, desired, known_names(self.registry, state.records), self.executor, state=state)

    def apply(
        self, desired: Sequence[Desired], policy: Policy | None = None, *, commit: str = "a" * 40
    ) -> tuple[Outcome, ...]:
        policy = policy or self.policy()
        return apply(self.plan(desired, policy, commit=commit), policy, self.means())

    def means(self) -> Means:
        return Means(
            registry=self.registry,
            builders={"host": self.factory},
            resolvers={"host": self.index},
            executor=self.executor,
            reporter=Silent(),
        )


def revision(commit: str) -> Revision:
    return Revision(commit=Commit.parse(commit))
