"""Which adapters stand behind the ports: chosen here, from the command line, the environment and ``reconciler.yaml``.

Adapters are imported where they are made, so that a command loads only what it uses.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.errors import GuardError, SourceError, UsageError
from reconciler.manifest.config import Config, parse_config
from reconciler.manifest.desired import Desired
from reconciler.reconcile.declaration import Declared, Reading, declare, manifest_paths

if TYPE_CHECKING:
    from reconciler import ports
    from reconciler.cli.tools import Toolbox
    from reconciler.plan.observed import Observed
    from reconciler.plan.state import State
    from reconciler.ports import Executor, History, Registry, Reporter, Source
    from reconciler.reconcile.means import Means
    from reconciler.reconcile.survey import Sight
    from reconciler.registries.cached import CachedRegistry
    from reconciler.values.commit import Revision

CONFIG = "reconciler.yaml"
FOLDER = ".reconciler"
DEFAULT_REGISTRY = f"{FOLDER}/registry"
CACHES = ("cache", "debs", "hosts", "interpreters", "layers", "pythons", "wheels")
"""What in the folder is believed by its key."""
WORKERS = 4
"""How many environments are worked on at once: each is mostly waiting for an index or a disk."""
OBSERVERS = 16
"""How many environments of a remote registry are asked about at once: each is waiting for its answer."""
_MAX_BLOBS = 512 << 20
TRANSFERS = 8
"""How many blobs are on their way at once, whichever environments they are of."""


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """A repository of manifests, and everything that a command needs to work on it.

    ``at`` reads the manifests of a commit instead of the working tree. ``registry_option`` is what the command line
    says, over ``RECONCILER_REGISTRY`` and ``reconciler.yaml``. ``inside`` is false where no repository was found: then
    nothing is left in the folder.
    """

    root: Path
    at: str | None = None
    registry_option: str | None = None
    inside: bool = True

    @property
    def folder(self) -> Path:
        """Where caches and made environments are: in the clone, outside of one where a user's caches are."""
        if self.inside:
            return self.root / FOLDER
        chosen = os.environ.get("XDG_CACHE_HOME", "")  # a relative one is to be ignored, says the specification
        return (Path(chosen) if chosen.startswith("/") else Path.home() / ".cache") / "reconciler"

    @cached_property
    def _used(self) -> Path:
        """The folder, from which `gc` deletes nothing while this is held."""
        from reconciler.store.usage import use  # noqa: PLC0415  # `validate` uses nothing there

        use(self._trusted, self)
        return self._trusted

    @cached_property
    def _trusted(self) -> Path:
        """The folder, whose caches nobody committed: what stands there is believed by its key."""
        from reconciler.sources.git import GitHistory  # noqa: PLC0415  # loaded for every plan

        if self.inside and self.folder.is_dir():
            planted = [f"{FOLDER}/{name}" for name in CACHES if (self.folder / name).exists()]
            if planted and GitHistory(self.root).tracks(planted):
                raise GuardError(
                    f"git keeps files of {FOLDER}, and what stands there would be believed",
                    hint=f"git rm -r --cached {FOLDER}, and name it in .gitignore",
                )
        return self.folder

    @cached_property
    def source(self) -> Source:
        """Where manifests are read from."""
        return self.source_at(self.at)

    def source_at(self, revision: str | None) -> Source:
        """Read the working tree, or a commit's own objects."""
        if revision is None:
            from reconciler.sources.tree import WorkingTree  # noqa: PLC0415  # only one source is used

            return WorkingTree(self.root)
        from reconciler.sources.git import CommitSource  # noqa: PLC0415  # only `--at` and `--base` pay

        return CommitSource(self.root, revision)

    @cached_property
    def history(self) -> History:
        """What git knows."""
        from reconciler.sources.git import GitHistory  # noqa: PLC0415  # `validate` needs no git

        return GitHistory(self.root)

    @cached_property
    def config(self) -> Config:
        """The configuration, all defaults where there is none."""
        return self.config_of(self.source)

    @staticmethod
    def config_of(source: Source) -> Config:
        """Read ``reconciler.yaml`` of a source."""
        from reconciler.sources.schemas import read_schema  # noqa: PLC0415  # only commands on a repository

        there = any(entry.path == CONFIG for entry in source.entries(""))
        data = source.read(CONFIG) if there else None
        return parse_config(data, CONFIG, read_schema("config")) if data is not None else Config()

    @cached_property
    def revision(self) -> Revision:
        """The commit that is read, and whether files differ from it."""
        if self.at is not None:
            from reconciler.sources.git import CommitSource  # noqa: PLC0415  # only `--at` pays

            head = self.history.revision(())
            return replace(head, commit=CommitSource(self.root, self.at).commit, dirty=False)
        return self.history.revision((self.config.manifests, CONFIG, *self._reached))

    @property
    def _reached(self) -> tuple[str, ...]:
        """The files outside of the manifests' folder that declaring read: they make a commit dirty too."""
        from reconciler.sources.tree import WorkingTree  # noqa: PLC0415  # loaded already

        return self.source.reached(outside=(self.config.manifests,)) if isinstance(self.source, WorkingTree) else ()

    @cached_property
    def address(self) -> str:
        """The registry's address: the command line, the environment, the branch's, the configured one."""
        chosen = self.registry_option or os.environ.get("RECONCILER_REGISTRY")
        if chosen:
            return chosen
        if not self.inside:
            raise UsageError(
                f"{self.root} is no repository, and no registry is named",
                hint="name one with --registry: a folder, or HOST/PREFIX",
            )
        return self.config.registry_of(self.revision.branch) if self.config.branches else self.config.registry

    @cached_property
    def opened(self) -> Registry:
        """The registry, as its adapter gives it."""
        return self.open(self.address)

    def open(self, address: str, credential: str | None = None) -> Registry:
        """Open a registry by its address, as the configuration says for its host, with a credential that is named."""
        from reconciler.registries.table import Surroundings, open_registry  # noqa: PLC0415  # `validate` needs none

        hosts = self.config.registries if self.inside else {}
        surroundings = Surroundings(environ=os.environ, hosts=hosts, repository=self.root, credential=credential)
        return open_registry(address, self.root, surroundings)

    @property
    def registry(self) -> Registry:
        """The registry, asked for everything; what a remote one answers is kept for :attr:`quick`."""
        return self.opened if self._cached is None else self._cached.fresh

    @property
    def quick(self) -> Registry:
        """The registry for who only plans or shows: what a remote one gave before by digest is not asked again."""
        return self._cached or self.opened

    @cached_property
    def _cached(self) -> CachedRegistry | None:
        if not self.opened.remote:
            return None
        from reconciler.registries.cached import CachedRegistry  # noqa: PLC0415  # a folder is as quick itself
        from reconciler.store.cache import Cache  # noqa: PLC0415  # the same

        folder = self._trusted / "cache" / "remote"
        blobs = Cache(folder / "blobs", max_bytes=_MAX_BLOBS)
        return CachedRegistry(self.opened, Cache(folder / "manifests"), blobs=blobs)

    def remember(self) -> None:
        """Write to the cache what was read, before this process becomes another."""
        if self._cached is not None:
            self._cached.flush()

    @property
    def local(self) -> bool:
        """Tell whether the registry is this clone's own folder."""
        return self.address == DEFAULT_REGISTRY

    @cached_property
    def manager(self) -> str:
        """Who registers: the configured name, else the origin and the manifests' folder.

        The clone's own folder has one manager whatever the origin is called, so that adding a remote changes nothing.
        """
        if self.config.manager:
            return self.config.manager
        if self.local:
            return f"local#{self.config.manifests}"
        if self.revision.origin is None:
            raise GuardError(
                f"{self.registry.address} may be shared, and nothing says who registers from here",
                hint="write `manager: NAME` in reconciler.yaml, or give the repository an origin",
            )
        return f"{self.revision.origin}#{self.config.manifests}"

    @cached_property
    def cache(self) -> ports.Cache:
        """Derived values."""
        from reconciler.store.cache import Cache  # noqa: PLC0415  # `list` needs none

        return Cache(self._trusted / "cache")

    @cached_property
    def executor(self) -> Executor:
        """Who works side by side."""
        from reconciler.executors.threads import Threads  # noqa: PLC0415  # `validate` needs none

        return Threads(WORKERS)

    @cached_property
    def transfers(self) -> Executor:
        """Who moves blobs, also from within an environment's work."""
        from reconciler.executors.transfers import Transfers  # noqa: PLC0415  # the same

        return Transfers(TRANSFERS)

    @property
    def observer(self) -> Executor:
        """Who observes: a folder is read twice as fast by one thread as by four that share the interpreter."""
        if self.opened.remote:
            from reconciler.executors.threads import Threads  # noqa: PLC0415  # a folder needs none

            return Threads(OBSERVERS)
        from reconciler.executors.serial import Serial  # noqa: PLC0415  # `validate` needs none

        return Serial()

    # -- gathering ----------------------------------------------------------------------------------------------

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """Every manifest of the repository."""
        try:
            return manifest_paths(self.source, self.config.manifests)
        except SourceError as error:
            hint = "manifests stand there, unless `manifests` in reconciler.yaml names another folder"
            raise SourceError(error.message, hint=hint) from error

    @cached_property
    def declared(self) -> Declared:
        """Everything that the repository declares, valid or not."""
        return self.declared_by(self.source, self.config, self.paths)

    def declared_by(self, source: Source, config: Config, paths: Sequence[str]) -> Declared:
        """Read these manifests from this source."""
        from reconciler.builders.choice import judge  # noqa: PLC0415  # `list` needs none
        from reconciler.sources.schemas import read_schema  # noqa: PLC0415  # only commands on a repository

        reading = Reading(
            source=source, config=config, schema=read_schema("environment"), cache=self.cache, judge=judge
        )
        return declare(reading, paths)

    @cached_property
    def desired(self) -> tuple[Desired, ...]:
        """Every environment; any that is invalid raises all that is wrong."""
        self.declared.require_valid()
        return self.declared.desired

    def observed(
        self,
        recorded: Iterable[str],
        *,
        state: State | None = None,
        vouched: bool = False,
        sight: Sight | None = None,
    ) -> Observed:
        """Look at what is declared and at what else the registry holds, see :func:`reconcile.survey.survey`."""
        from reconciler.reconcile.survey import known_names, survey  # noqa: PLC0415  # `validate` needs no registry

        names = known_names(self.registry, recorded)
        return survey(self.registry, self.desired, names, self.observer, state=state, sight=sight, vouched=vouched)

    # -- acting -------------------------------------------------------------------------------------------------

    def means(self, reporter: Reporter) -> Means:
        """Bring together what applying works with."""
        from reconciler.builders.table import BUILDERS  # noqa: PLC0415  # only `apply` builds
        from reconciler.reconcile.means import Means  # noqa: PLC0415  # the same
        from reconciler.resolvers.table import resolvers  # noqa: PLC0415  # the same
        from reconciler.runners.table import checkers  # noqa: PLC0415  # the same

        tools = self.tools
        return Means(
            checkers=checkers(os.environ),
            registry=self.registry,
            builders={name: make(tools) for name, make in BUILDERS.items()},
            resolvers=resolvers(
                os.environ,
                bases=tools.bases,
                systems=tools.systems,
                cache=self.cache,
                indexes=tools.index_addresses,
                repository=self.root,
            ),
            executor=self.executor,
            reporter=reporter,
            transfers=self.transfers,
        )

    @cached_property
    def tools(self) -> Toolbox:
        """What builders, resolvers and runners are made of."""
        from reconciler.cli.tools import Toolbox  # noqa: PLC0415  # only what makes or uses environments

        return Toolbox(workspace=self, environ=os.environ)

    @property
    def used(self) -> Path:
        """The folder, from which `gc` deletes nothing while this is held."""
        return self._used


def open_workspace(*, directory: str | None, at: str | None = None, registry: str | None = None) -> Workspace:
    """Find the repository: the nearest folder upwards with ``reconciler.yaml`` or ``.git``, else the folder itself.

    Without either, a folder that holds ``environments`` or ``.reconciler`` is one; in any other only a registry can
    be looked at.
    """
    start = Path(directory) if directory else Path()
    if not start.is_dir():
        raise UsageError(f"no folder {start}")
    start = start.resolve()
    for folder in (start, *start.parents):
        if any((folder / mark).exists() for mark in (CONFIG, ".git")):
            return Workspace(root=folder, at=at, registry_option=registry)
    inside = any((start / mark).is_dir() for mark in (Config().manifests, FOLDER))
    return Workspace(root=start, at=at, registry_option=registry, inside=inside)
