"""What each action does to one environment, while other writers of it are kept out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from reconciler.errors import CorruptError, DamagedCacheError, GuardError, NotFoundError, ReconcilerError
from reconciler.lock.model import Lock
from reconciler.manifest.desired import Desired
from reconciler.oci.descriptor import Content, Image
from reconciler.plan.change import Action, Policy, Step
from reconciler.plan.metadata import metadata_of
from reconciler.plan.observed import Present
from reconciler.ports import Builder, Foundation, Layers, NoLayers, Progress, Stage, Task, Tell
from reconciler.reconcile.ground import Ground, build_keys, ground_of
from reconciler.reconcile.images import copy_image, find_artifact, push_image
from reconciler.reconcile.layers import InTurn, RecordLayers
from reconciler.reconcile.means import Means
from reconciler.reconcile.observe import Depth, observe
from reconciler.reconcile.publish import (
    Artifact,
    Draft,
    Published,
    heal,
    mend_tags,
    nothing_else,
    publish,
    publish_metadata,
)
from reconciler.reconcile.resolve import resolve_step
from reconciler.reconcile.tagged import read_record
from reconciler.reconcile.tags import build_tag, versions
from reconciler.reconcile.wheels import RegistryWheels
from reconciler.record import Bodies, Facts, Record, components_content, lock_content
from reconciler.values.commit import Revision
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """One step with what it needs. ``before`` is what ``current`` named when the step was derived.

    ``layers`` are those of every record that this run read. ``check`` is asked right before ``current`` moves: whether
    somebody newer has begun meanwhile.
    """

    step: Step
    before: Digest | None
    means: Means
    policy: Policy
    revision: Revision
    layers: Layers = field(default_factory=NoLayers)
    check: Callable[[], None] = nothing_else

    @property
    def desired(self) -> Desired:
        """What is wanted; a step that builds always has it."""
        if self.step.desired is None:
            raise ReconcilerError(f"{self.step.name} is not declared, nothing can be built for it")
        return self.step.desired

    @property
    def present(self) -> Present | None:
        """What was observed, where there is a record."""
        return self.step.observation if isinstance(self.step.observation, Present) else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """What an action registered, and how many artifacts were built or found."""

    published: Published
    built: int = 0
    reused: int = 0
    notes: tuple[str, ...] = ()


def act(work: Work) -> Made:
    """Do the step."""
    return _ACTIONS[work.step.action](work)


def _make(work: Work) -> Made:
    """Resolve, make what is not there yet, and register."""
    desired, means = work.desired, work.means
    builder = means.builders[desired.builder]
    _refuse_lower_recipe(work, builder)
    ground = ground_of(means.registry, desired)
    resolved = resolve_step(means, work.step, desired, ground.lock if ground else None)
    lock = resolved.lock
    keys = build_keys(desired, lock, builder, ground)
    found = {platform: _find(work, key) for platform, key in keys.items()}
    lacking = [platform for platform, manifest in found.items() if manifest is None]
    if lacking:
        builder.prepare(desired)
    tasks = {platform: _task(work, lock, platform, keys[platform], ground) for platform in lacking}
    notes = [*resolved.notes]
    built = {platform: _build(work, builder, task, notes) for platform, task in tasks.items()}
    below = ground.keys if ground else {}
    artifacts = {
        platform: Artifact(key=key, manifest=found[platform] or built[platform], below=below.get(platform))
        for platform, key in keys.items()
    }
    means.reporter.report(Progress(name=work.step.name, stage=Stage.PUBLISHING))
    draft = Draft(
        facts=_facts(work, lock, builder),
        artifacts=artifacts,
        bodies=Bodies(components=desired.components, lock=lock),
    )
    return Made(
        published=_register(work, draft),
        built=len(built),
        reused=len(artifacts) - len(built),
        notes=tuple(dict.fromkeys(notes)),
    )


def _refuse_lower_recipe(work: Work, builder: Builder) -> None:
    """Keep an older reconciler from building over what a newer one built in a better way."""
    facts = work.present.record.facts if work.present else None
    if facts is not None and facts.builder == builder.name and facts.recipe > builder.recipe:
        raise GuardError(
            f"{facts.name} v{facts.version} was built by recipe {facts.recipe} of the {builder.name} builder, "
            f"this version knows {builder.recipe}",
            hint="upgrade the reconciler",
        )


def _find(work: Work, key: Digest) -> Content | None:
    """Find an artifact in the environment's own repository, or in the one whose build serves."""
    registry, step, transfers = work.means.registry, work.step, work.means.transfers
    known = _known(work).get(key)
    manifest = find_artifact(registry, step.name, key, known, executor=transfers)
    if manifest is not None or step.reuse is None or step.reuse.name == step.name:
        return manifest
    other = find_artifact(registry, step.reuse.name, key, known, executor=transfers)
    if other is None:
        return None
    return copy_image(registry, step.reuse.name, step.name, other.digest, build_tag(key), executor=transfers)


def _known(work: Work) -> Mapping[Digest, Digest]:
    """Say which artifact each build key has in the records that this step starts from."""
    records = [work.present.record] if work.present else []
    reuse = work.step.reuse
    if reuse is not None:
        # A record that can't be read knows nothing, and its build is looked for by its tag.
        with suppress(NotFoundError, CorruptError):
            records.append(read_record(work.means.registry, reuse.name, reuse.record)[0])
    return {key: record.artifacts[platform].digest for record in records for platform, key in record.build_keys.items()}


def _task(work: Work, lock: Lock, platform: Platform, key: Digest, ground: Ground | None) -> Task:
    return Task(
        desired=work.desired,
        platform=platform,
        lock=lock.platforms[platform],
        key=key,
        layers=_layers(work),
        wheels=RegistryWheels(registry=work.means.registry, manager=work.policy.manager),
        below=ground.artifacts[platform] if ground else None,
        foundations=_foundations(lock, ground),
        tell=_tell(work, platform),
    )


def _tell(work: Work, platform: Platform) -> Tell:
    def tell(detail: str, *, passing: bool = False) -> None:
        told = Progress(name=work.step.name, stage=Stage.BUILDING, detail=f"{platform}: {detail}", passing=passing)
        work.means.reporter.report(told)

    return tell


def _foundations(lock: Lock, ground: Ground | None) -> Mapping[Platform, Foundation]:
    """Give all that is below, on another environment also for platforms that are not those of this one."""
    return {
        platform: Foundation(
            manifest=ground.artifacts[platform] if ground else Digest.parse(part.base.digest),
            python=part.base.python,
            version=part.interpreter.version,
            lock=None if ground else part,
        )
        for platform, part in (ground.lock if ground else lock).platforms.items()
        if part.base is not None and (ground is None or platform in ground.artifacts)
    }


def _build(work: Work, builder: Builder, task: Task, notes: list[str]) -> Content:
    work.means.reporter.report(Progress(name=work.step.name, stage=Stage.BUILDING, detail=str(task.platform)))
    try:
        return _built(work, builder, task, notes)
    except DamagedCacheError:
        return _built(work, builder, task, notes)


def _built(work: Work, builder: Builder, task: Task, notes: list[str]) -> Content:
    registry, name, key = work.means.registry, work.step.name, task.key
    image = builder.build(task)
    _check(work, builder, task, image, notes)
    if registry.remote and key not in _known(work):  # the first with a key wins: another run may have made it meanwhile
        first = find_artifact(registry, name, key, executor=work.means.transfers)
        if first is not None:
            return first
    return push_image(registry, name, image, build_tag(key), executor=work.means.transfers, pushed=work.means.pushed)


def _check(work: Work, builder: Builder, task: Task, image: Image, notes: list[str]) -> None:
    """Run the declared checks in what was made, where its builder does not."""
    checker, checks = work.means.checkers.get(builder.name), task.desired.manifest.checks
    if checker is None or not (checks.imports or checks.command):
        return
    work.means.reporter.report(Progress(name=work.step.name, stage=Stage.CHECKING, detail=str(task.platform)))
    note = checker.check(task.desired.manifest, task.platform, image)
    if note is not None:
        notes.append(note)


def _layers(work: Work) -> InTurn:
    """Give the layers of the record that this step starts from, where it is our own, then those of the whole run."""
    own = [work.present.record] if work.present else []
    records = [record for record in own if record.facts.manager == work.policy.manager]
    return InTurn(sources=(RecordLayers(registry=work.means.registry, records=records), work.layers))


def _register(work: Work, draft: Draft) -> Published:
    """Register a new version; where the record says all of it already, mend what it names instead."""
    registry, present = work.means.registry, work.present
    if present is None:
        return publish(registry, draft, expected=work.before, check=work.check)
    if not _says_the_same(present, draft):
        if (present.missing or present.tampered) and not present.salvaged:
            mend_tags(registry, present.record)
        return publish(registry, draft, expected=work.before, check=work.check)
    heal(registry, present.record, draft)
    _require_mended(work, present)
    if _is_stated(work, present) and not present.recovered:
        return Published(record=present.record, digest=present.digest)
    return publish_metadata(registry, _stated(work, present), expected=work.before, check=work.check)


def _require_mended(work: Work, present: Present) -> None:
    """Look again: a remote registry keeps what it has under a digest, also where that was damaged."""
    registry, name = work.means.registry, work.step.name
    if not registry.remote or not present.tampered:
        return
    again = observe(registry, name, depth=Depth.MANIFESTS)
    left = sorted({*again.tampered} - {*again.moved}) if isinstance(again, Present) else []
    if left:
        raise CorruptError(
            f"{name}: {registry.address} keeps damaged content, and takes none in its place: {', '.join(left)}",
            hint=f"`reconciler doctor {name}` names what has to be removed from the registry's storage",
        )


def _says_the_same(present: Present, draft: Draft) -> bool:
    old, new = present.record.facts, draft.facts
    sides = (components_content(draft.bodies.components), lock_content(draft.bodies.lock))
    entries = (present.record.request_entry, present.record.lock_entry)
    return (
        (old.request, old.lock, old.builder, old.recipe) == (new.request, new.lock, new.builder, new.recipe)
        and not old.archived
        and not any(number > old.version for number in versions((*present.missing, *present.tampered)))
        and [entry.digest for entry in entries] == [side.manifest.digest for side in sides]
        and {platform: entry.digest for platform, entry in present.record.artifacts.items()}
        == {platform: artifact.manifest.digest for platform, artifact in draft.artifacts.items()}
        and present.record.below == draft.below
    )


def _facts(work: Work, lock: Lock, builder: Builder) -> Facts:
    desired, present = work.desired, work.present
    return Facts(
        name=desired.name,
        version=present.record.facts.version if present else 0,
        request=desired.request,
        lock=lock.digest,
        components=desired.digests,
        builder=builder.name,
        recipe=builder.recipe,
        manager=work.policy.manager,
        manifest=desired.manifest.path,
        commit=_commit(work),
        dirty=work.revision.dirty,
        base=_base(lock),
        taken_over=work.policy.take_over,
        metadata=metadata_of(desired.manifest),
    )


def _base(lock: Lock) -> str | None:
    """Name what the image is built on, which is the same for all platforms."""
    return next((part.base.image for part in lock.platforms.values() if part.base is not None), None)


def _commit(work: Work) -> str | None:
    return str(work.revision.commit) if work.revision.commit else None


def _reuse(work: Work) -> Made:
    """Go back to what was built before, or let ``current`` name what is whole."""
    present = work.present
    if present is None or not _only_current_is_gone(present, work.desired):
        return _make(work)
    record = _stated(work, present)
    return Made(
        published=publish_metadata(work.means.registry, record, expected=work.before, check=work.check),
        reused=len(record.artifacts),
    )


def _only_current_is_gone(present: Present, desired: Desired) -> bool:
    facts = present.record.facts
    lock = desired.current_lock
    return (
        present.recovered
        and not present.missing
        and not present.tampered
        and not facts.archived
        and facts.request == desired.request
        and (lock is None or lock.digest == facts.lock)
    )


def _metadata(work: Work) -> Made:
    present = _require_present(work)
    published = publish_metadata(work.means.registry, _restated(work, present), expected=work.before, check=work.check)
    return Made(published=published, reused=len(present.record.artifacts))


def _is_stated(work: Work, present: Present) -> bool:
    facts = present.record.facts
    return facts.metadata == metadata_of(work.desired.manifest) and facts.manager == work.policy.manager


def _stated(work: Work, present: Present) -> Record:
    """Give the record as it is, where it says what the manifest says."""
    return present.record if _is_stated(work, present) else _restated(work, present)


def _restated(work: Work, present: Present) -> Record:
    """State the record again with what the manifest says now; the version stays."""
    facts = replace(
        present.record.facts,
        metadata=metadata_of(work.desired.manifest),
        manager=work.policy.manager,
        manifest=work.desired.manifest.path,
        commit=_commit(work),
        dirty=work.revision.dirty,
        taken_over=work.policy.take_over,
        archived=False,
    )
    return replace(present.record, facts=facts)


def _archive(work: Work) -> Made:
    present = _require_present(work)
    facts = replace(
        present.record.facts,
        archived=True,
        commit=_commit(work),
        dirty=work.revision.dirty,
        taken_over=work.policy.take_over,
    )
    record = replace(present.record, facts=facts)
    return Made(published=publish_metadata(work.means.registry, record, expected=work.before, check=work.check))


def _require_present(work: Work) -> Present:
    if work.present is None:
        raise ReconcilerError(f"{work.step.name} has no record")
    return work.present


_ACTIONS: Mapping[Action, Callable[[Work], Made]] = {
    Action.CREATE: _make,
    Action.REBUILD: _make,
    Action.REBASE: _make,
    Action.REUSE: _reuse,
    Action.METADATA: _metadata,
    Action.ARCHIVE: _archive,
}
