"""From a workspace to a plan: what ``plan``, ``apply``, ``drift`` and ``explain`` share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import click

from reconciler.cli.selection import close
from reconciler.cli.staleness import find_stale
from reconciler.cli.wiring import Workspace
from reconciler.errors import UsageError
from reconciler.plan.change import Plan, Policy
from reconciler.plan.drift import DriftReport, drift
from reconciler.plan.observed import Observation, Observed
from reconciler.plan.planner import plan
from reconciler.plan.state import State
from reconciler.ports import Progress, Registry
from reconciler.reconcile.access import Opened, open_state
from reconciler.reconcile.declaration import manifest_paths
from reconciler.reconcile.observe import Depth, observe
from reconciler.reconcile.supposed import as_if_applied
from reconciler.reconcile.survey import Sight, known_names, witness_of
from reconciler.reports.inert import inert


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """What the command line asks of a plan."""

    names: frozenset[str] | None = None
    refresh: frozenset[str] = frozenset()
    locked: bool = False
    max_deletes: int | None = None
    adopt: bool = False
    take_over: bool = False
    repair: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Derived:
    """A plan with what it was derived from."""

    plan: Plan
    policy: Policy
    observed: Observed
    state: State
    remote: bool = False


def derive(workspace: Workspace, wishes: Wishes, *, closely: bool = False) -> Derived:
    """Gather and decide; any manifest that is invalid raises all that is wrong.

    ``closely`` is how apply looks: for damage that planning alone would not see, and with the right to push.
    """
    desired = workspace.desired
    policy = policy_of(workspace, wishes)
    opened = open_state(workspace.quick, workspace.manager, _note, claim=closely)
    state, sight = opened.state, _sight(workspace, wishes, closely=closely)
    observed = workspace.observed(state.records, state=state, vouched=opened.whole, sight=sight)
    return Derived(
        plan=plan(desired, observed, policy, workspace.revision),
        policy=policy,
        observed=observed,
        state=state,
        remote=workspace.registry.remote,
    )


def _sight(workspace: Workspace, wishes: Wishes, *, closely: bool) -> Sight:
    """Say how closely to look: a folder costs little, a remote registry a request for everything that is asked."""
    remote = workspace.registry.remote
    if wishes.repair or (closely and not remote):
        return Sight(depth=Depth.MANIFESTS)
    if not remote:
        return Sight(depth=Depth.ENTRIES)
    named = (wishes.names or frozenset()) | wishes.refresh
    return Sight(depth=Depth.RECORD, closely=named, cached=workspace.quick)


def policy_of(workspace: Workspace, wishes: Wishes) -> Policy:
    """Join what the command line asks with what ``reconciler.yaml`` says."""
    policies = workspace.config.policies
    return Policy(
        manager=workspace.manager,
        whole=wishes.names is None,
        names=wishes.names,
        refresh=wishes.refresh,
        locked=wishes.locked or policies.require_lock,
        max_deletes=policies.max_deletes if wishes.max_deletes is None else wishes.max_deletes,
        protected=frozenset(policies.protected),
        adopt=wishes.adopt,
        take_over=wishes.take_over,
    )


def compare(workspace: Workspace, base: str, wishes: Wishes) -> Derived:
    """Plan what lies between a commit and what is read now, without asking a registry."""
    source = workspace.source_at(base)
    config = workspace.config_of(source)
    before = workspace.declared_by(source, config, manifest_paths(source, config.manifests))
    before.require_valid()
    policy = replace(policy_of(workspace, wishes), manager=workspace.manager)
    names = [item.name for item in workspace.desired]
    observed = as_if_applied(before.desired, names, workspace.manager, f"commit {base}")
    return Derived(
        plan=plan(workspace.desired, observed, policy, workspace.revision),
        policy=policy,
        observed=observed,
        state=State(manager=workspace.manager),
    )


def look_for_drift(workspace: Workspace, names: Sequence[str], *, deep: bool) -> DriftReport:
    """Compare the registry with what was last applied."""
    opened = open_state(workspace.registry, workspace.manager, _note)
    state = opened.state
    every = {*known_names(workspace.registry, state.records), *(item.name for item in workspace.declared.desired)}
    unknown = [name for name in names if name not in every]
    if unknown:
        raise UsageError(f"no environment `{unknown[0]}` is declared or registered{close(unknown[0], every)}")
    wanted = sorted(names or every)
    depth = Depth.BLOBS if deep else Depth.MANIFESTS
    looker = _looker(workspace.registry, opened, depth)
    found = dict(workspace.observer.map(looker, wanted))
    observed = Observed(registry=workspace.registry.address, environments=found)
    if names:
        state = replace(state, records={name: state.records[name] for name in names if name in state.records})
    report = drift(state, observed, _pending(workspace, frozenset(names) or None, observed, looker))
    return replace(report, stale=find_stale(workspace, observed))


def _pending(
    workspace: Workspace, chosen: frozenset[str] | None, observed: Observed, look: Callable[[str], Observation]
) -> Plan:
    """Plan what git is ahead with; what the chosen ones build on is looked at for that, and left out."""
    declared = workspace.declared
    desired = [item for item in declared.desired if chosen is None or item.name in chosen]
    below = {one.name: one for item in desired for one in item.chain if one.name not in observed.environments}
    environments = {**observed.environments, **{name: look(name) for name in sorted(below)}}
    # What can't be read is not gone: only a repository that is read as a whole tells what was removed.
    every = chosen and chosen | {one.name for item in desired for one in item.chain}
    policy = replace(policy_of(workspace, Wishes(names=every)), whole=chosen is None and not declared.errors)
    return plan(desired, replace(observed, environments=environments), policy, workspace.revision)


def _looker(registry: Registry, opened: Opened, depth: Depth) -> Callable[[str], Observation]:
    def look(name: str) -> Observation:
        witness = witness_of(opened.state, name)
        return observe(registry, name, depth=depth, witness=witness, vouched=opened.whole)

    return look


def _note(message: str) -> None:
    click.echo(f"note: {inert(message)}; apply writes it anew, nothing else depends on it", err=True)


class Quiet:
    """A reporter that shows nothing."""

    def report(self, progress: Progress) -> None:
        """Show nothing."""
