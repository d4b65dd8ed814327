"""Who comes first where others write too: judged before a step writes, and once more after it wrote.

What is left after that is the time between the last look at ``current`` and the request that moves it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from reconciler.errors import CorruptError, NotFoundError
from reconciler.plan.ancestry import Judgement, Verdict
from reconciler.plan.change import Action, Change, Plan, Reason, Step
from reconciler.plan.observed import Present
from reconciler.ports import Registry
from reconciler.reconcile.lineage import Lineage
from reconciler.reconcile.outcome import Outcome, Status
from reconciler.reconcile.publish import Published
from reconciler.reconcile.tagged import read_record
from reconciler.reconcile.tagging import move_tag
from reconciler.reconcile.tags import CURRENT, version_tag, versions
from reconciler.reconcile.watch import Watch
from reconciler.values.digest import Digest


def judge_step(watch: Watch, step: Step, manager: str) -> Judgement:
    """Judge the state and the record that a step would write over; a GuardError where we may not go on."""
    judgement = watch.look()
    present = step.observation
    if judgement.verdict is Verdict.SUPERSEDED or not isinstance(present, Present):
        return judgement
    facts = present.record.facts
    if facts.manager != manager:
        return judgement  # another repository's; the plan says whether it may be adopted
    return watch.require(watch.lineage.judge(facts.commit), f"{facts.name} v{facts.version}")


def stood_back(step: Step, judgement: Judgement, digest: Digest | None) -> Outcome:
    """Say that a step was left to somebody newer; ``digest`` is what is registered now."""
    version = step.observation.record.facts.version if isinstance(step.observation, Present) else None
    note = judgement.superseded(step.name)
    return Outcome(
        name=step.name,
        action=step.action,
        status=Status.SUPERSEDED,
        version=version,
        digest=digest,
        notes=(note,),
    )


def give_way(registry: Registry, watch: Watch, published: Published, before: Digest | None) -> Judgement | None:
    """Look whether somebody newer wrote while we did, and put theirs back; none where ours stands."""
    name, ours = published.record.facts.name, published.digest
    state = watch.read()
    judgement = watch.lineage.judge(state.began)
    recorded = state.records.get(name)
    behind = judgement.verdict is Verdict.SUPERSEDED
    if not behind and recorded in (None, ours, before):
        return None
    heir = _heir(registry, watch.lineage, published, recorded)
    if heir is not None:
        judgement, digest = heir
        return judgement if _put(registry, name, ours, digest) else None
    seen = recorded if state.finished == state.began else before
    return judgement if behind and seen is not None and _put(registry, name, ours, seen) else None


def _heir(
    registry: Registry, lineage: Lineage, published: Published, recorded: Digest | None
) -> tuple[Judgement, Digest] | None:
    """Find the newest record that a descendant of our commit wrote."""
    for reference in _candidates(registry, published, recorded):
        try:
            record, digest = read_record(registry, published.record.facts.name, reference)
        except (NotFoundError, CorruptError):
            continue
        judgement = lineage.judge(record.facts.commit)
        if record.facts.manager == published.record.facts.manager and judgement.verdict is Verdict.SUPERSEDED:
            return judgement, digest
    return None


def _candidates(registry: Registry, published: Published, recorded: Digest | None) -> Iterator[str | Digest]:
    facts = published.record.facts
    if recorded is not None:
        yield recorded
    for number in versions(registry.tags(facts.name)):
        if number >= facts.version:
            yield version_tag(number)


def _put(registry: Registry, name: str, ours: Digest, digest: Digest) -> bool:
    if digest == ours or registry.resolve(name, CURRENT) != ours:
        return digest != ours
    try:
        content = registry.fetch(name, digest)
    except (NotFoundError, CorruptError):
        return False
    move_tag(registry, name, content, CURRENT)
    return True


def taking_over(plan: Plan, lineage: Lineage) -> Plan:
    """Restate what is unchanged and was written from a commit that ours does not follow.

    After that every record of the plan has a commit of the history that we have, and nobody has to take over again.
    """
    return replace(plan, steps=tuple(_taken_over(step, plan, lineage) for step in plan.steps))


def _taken_over(step: Step, plan: Plan, lineage: Lineage) -> Step:
    present = step.observation
    if step.action is not Action.UNCHANGED or step.desired is None or not isinstance(present, Present):
        return step
    facts = present.record.facts
    if facts.manager != plan.manager or lineage.judge(facts.commit).forward:
        return step
    ours = str(lineage.ours) if lineage.ours is not None else None
    change = Change(reason=Reason.METADATA, path="commit", old=facts.commit, new=ours)
    return replace(step, action=Action.METADATA, changes=(change,), note="taken over from another history")
