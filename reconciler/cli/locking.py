"""The work of ``lock``: solve side by side, write what changed, say what moved."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click

from reconciler.cli import options
from reconciler.cli.exit import say
from reconciler.cli.wiring import Workspace
from reconciler.errors import ReconcilerError, RegistryError, ResolveError
from reconciler.lock.difference import differences
from reconciler.lock.document import to_document
from reconciler.lock.model import ENVIRONMENT, Lock
from reconciler.manifest.desired import Desired
from reconciler.plan.observed import Present
from reconciler.ports import Progress, Resolution, Resolved, Stage
from reconciler.reconcile.declaration import lock_path
from reconciler.reconcile.means import Means
from reconciler.reconcile.observe import Depth, observe, read_bodies
from reconciler.reports.inert import inert
from reconciler.reports.progress import reporter
from reconciler.reports.wording import counted, packages_summary
from reconciler.store.durable import write_file

SOME_FAILED = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Moving:
    """What need not stay: packages by name, none where all of them may move; and what is below them."""

    packages: frozenset[str] | None = frozenset()
    base: bool = False


_NOTHING = Moving()


def check(desired: Sequence[Desired]) -> int:
    """Say which locks are missing or out of date; nothing is solved for that."""
    stale = [item for item in desired if item.refusal is None and item.current_lock is None]
    for item in stale:
        state = "no lock" if item.lock is None else "the lock is out of date"
        path = lock_path(item.manifest.path, item.name)
        click.echo(f"{item.manifest.path}: {state} (run `reconciler lock {item.name}` to write {path})")
    if not stale:
        click.echo(f"{counted(len(desired), 'lock')} up to date")
    return 1 if stale else 0


def lock(workspace: Workspace, desired: Sequence[Desired], moving: Moving) -> int:
    """Solve and write; one that fails never stops the others. Gives the exit code.

    What one builds on is locked before it, also where it was not named and has no lock that is up to date.
    """
    named = {item.name for item in desired}
    failures: list[ReconcilerError] = []
    locks: dict[str, Lock] = {}
    waves = _waves(desired)
    for wave in waves:
        for item, result in _solve(workspace, wave, dict.fromkeys(named, moving), locks):
            if isinstance(result, ReconcilerError):
                failures.append(result)
                say(result)
            else:
                locks[item.name] = result.lock
                _write(workspace, item, result)
    _tell_those_above(workspace, locks)
    _tell_unknown(moving, locks)
    return _exit_code(failures, sum(map(len, waves)))


def _solve(
    workspace: Workspace, wave: Sequence[Desired], moving: Mapping[str, Moving], locks: Mapping[str, Lock]
) -> list[tuple[Desired, Resolved | ReconcilerError]]:
    """Solve side by side, and show how far it is; what comes of it is for after that."""
    style, live = options.style(sys.stderr), options.terminal(sys.stderr)
    with reporter(sys.stderr, style, live=live) as display:
        means = workspace.means(display)

        def work(item: Desired) -> Resolved | ReconcilerError:
            try:
                return _resolve(means, item, moving.get(item.name, _NOTHING), _lock_below(item, locks))
            except ReconcilerError as error:
                return error

        return list(workspace.executor.map(work, wave))


def _waves(desired: Sequence[Desired]) -> list[list[Desired]]:
    """Sort by how much is below each, with what below them is not locked yet."""
    named = {item.name: item for item in desired}
    for item in desired:
        named |= {one.name: one for one in item.chain if one.name not in named and one.current_lock is None}
    waves: dict[int, list[Desired]] = {}
    for _, item in sorted(named.items()):
        waves.setdefault(len(item.chain), []).append(item)
    return [waves[depth] for depth in sorted(waves)]


def _lock_below(item: Desired, locks: Mapping[str, Lock]) -> Lock | None:
    if item.below is None:
        return None
    lock = locks.get(item.below.name) or item.below.current_lock
    if lock is None:
        message = f"not locked: {item.below.name}, which it builds on, was not"
        raise ResolveError(message, where=item.manifest.locate("docker.base_environment"))
    return lock


def _tell_those_above(workspace: Workspace, locks: Mapping[str, Lock]) -> None:
    """Say which committed locks are pinned to what is another lock now."""
    above: dict[str, None] = {}
    for item in sorted(workspace.desired, key=lambda item: len(item.chain)):
        below = item.below
        if below is None or item.lock is None or item.name in locks:
            continue
        if below.name in above or (below.name in locks and not item.lock.stands_on(below.name, locks[below.name])):
            above[item.name] = None
    if above:
        click.echo(f"note: {', '.join(above)}: what is below has another lock: run `reconciler lock {' '.join(above)}`")


def _tell_unknown(moving: Moving, locks: Mapping[str, Lock]) -> None:
    """Say which packages that may move are in no lock: a name that is written wrong moves nothing."""
    parts = [part for lock in locks.values() for part in lock.platforms.values()]
    known = {package.name for part in parts for package in part.packages}
    known |= {package.name for part in parts if part.system is not None for package in part.system.packages}
    known |= {part.interpreter.build.name for part in parts if part.interpreter.build is not None}
    unknown = sorted((moving.packages or frozenset()) - known) if locks else []
    if unknown:
        click.echo(f"note: --upgrade-package {inert(', '.join(unknown))}: no lock has such a package")


def _exit_code(failures: Sequence[ReconcilerError], count: int) -> int:
    if not failures:
        return 0
    if len(failures) < count:
        return SOME_FAILED
    codes = {failure.exit_code for failure in failures}
    return codes.pop() if len(codes) == 1 else ReconcilerError.exit_code


def _resolve(means: Means, desired: Desired, moving: Moving, below: Lock | None) -> Resolved:
    if desired.refusal is not None:
        raise ReconcilerError(desired.refusal, where=desired.manifest.locate(desired.refusal_field or "name"))

    def tell(detail: str, *, passing: bool = False) -> None:
        progress = Progress(name=desired.name, stage=Stage.RESOLVING, detail=detail, passing=passing)
        means.reporter.report(progress)

    tell("", passing=True)  # a log tells of what takes long alone, a terminal of all that goes on
    resolution = Resolution(
        desired=desired,
        preference=desired.lock or _registered(means, desired.name),
        upgrade=moving.packages,
        upgrade_base=moving.base,
        below=below,
        tell=tell,
    )
    return means.resolvers[desired.builder].resolve(resolution)


def _registered(means: Means, name: str) -> Lock | None:
    observation = observe(means.registry, name, depth=Depth.RECORD)
    if not isinstance(observation, Present):
        return None
    try:
        return read_bodies(means.registry, name, observation.record).lock
    except RegistryError:
        return None  # a lock that can't be read prefers nothing


def _write(workspace: Workspace, desired: Desired, resolved: Resolved) -> None:
    path = lock_path(desired.manifest.path, desired.name)
    document = to_document(resolved.lock)
    target = workspace.root / path
    same = target.is_file() and target.read_bytes() == document
    if not same:
        write_file(target, document)
    click.echo(f"{path}: {'unchanged' if same else _moved(desired.lock, resolved.lock)}")
    for note in resolved.notes:
        click.echo(f"  note: {note}")


def _moved(old: Lock | None, new: Lock) -> str:
    """Say what moves: packages, and base images."""
    packages, images = differences(old, new), sorted(_other_images(old, new))
    told = [*([packages_summary(packages)] if packages else []), *(f"{image} is another image now" for image in images)]
    return "; ".join(told) or "no package moves"


def _other_images(old: Lock | None, new: Lock) -> set[str]:
    """Name the images whose manifests are others than before; a base of packages has none."""
    before = old.platforms if old is not None else {}
    found = set[str]()
    for platform, part in new.platforms.items():
        base, was = part.base, before[platform].base if platform in before else None
        if base is None or was is None or part.system is not None or base.image.startswith(ENVIRONMENT):
            continue
        if (base.image, base.digest) != (was.image, was.digest):
            found.add(inert(base.image))
    return found
