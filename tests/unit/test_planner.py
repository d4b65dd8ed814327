"""The planner, rule by rule."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.manifest.desired import Desired
from reconciler.manifest.model import Checks, Docker, Manifest
from reconciler.plan.change import Action, Plan, Policy, Reason, Step
from reconciler.plan.observed import Absent, Denied, Observation, Unknown
from reconciler.values.canonical import Json
from tests.planning import (
    AMD,
    ARM,
    POLICY,
    actions,
    desired,
    lock_of,
    locked,
    manifest,
    package,
    past,
    planned,
    present,
)

TRAINING = desired("training")
EDITED = desired(manifest("training", pip=("numpy>=2.1",)))


def only(one: Plan) -> Step:
    (step,) = one.steps
    return step


def step_of(wanted: Desired, seen: Observation, policy: Policy = POLICY) -> Step:
    return only(planned(wanted, {wanted.name: seen}, policy))


def reasons(step: Step) -> list[Reason]:
    return [change.reason for change in step.changes]


# -- unchanged --------------------------------------------------------------------------------------------------


def test_the_same_request_is_unchanged() -> None:
    step = step_of(TRAINING, present(TRAINING))
    assert (step.action, step.changes, step.packages) == (Action.UNCHANGED, (), ())


def test_without_a_committed_lock_the_recorded_one_stays() -> None:
    seen = present(TRAINING, lock=lock_of(TRAINING, package("numpy", "2.3.1")))
    assert step_of(TRAINING, seen).lock == seen.record.facts.lock


def test_committing_the_lock_that_apply_made_changes_nothing() -> None:
    made = lock_of(TRAINING, package("numpy", "2.0.0"))
    assert step_of(desired("training", lock=made), present(TRAINING, lock=made)).action is Action.UNCHANGED


def test_another_committed_lock_rebuilds_with_its_packages() -> None:
    wanted = locked("training", package("foo", "1.0"), package("numpy", "2.1.0", 3000))
    step = step_of(wanted, present(TRAINING))
    assert (step.action, reasons(step), step.lock) == (
        Action.REBUILD,
        [Reason.LOCK],
        wanted.lock and wanted.lock.digest,
    )
    assert step.packages is not None
    moves = [(one.name, one.old, one.new, one.size_delta) for one in step.packages]
    assert moves == [("foo", None, "1.0", 1000), ("numpy", "2.0.0", "2.1.0", 2000)]


def test_an_outdated_lock_is_no_reason_to_rebuild() -> None:
    outdated = desired("training", lock=lock_of(EDITED, package("numpy", "3")))
    assert step_of(outdated, present(TRAINING)).action is Action.UNCHANGED


# -- what rebuilds ----------------------------------------------------------------------------------------------


def test_an_edit_names_the_field_with_both_values_and_its_line() -> None:
    step = step_of(EDITED, present(TRAINING))
    assert step.action is Action.REBUILD
    (change,) = step.changes
    assert (change.reason, change.path) == (Reason.REQUEST, "python.pip[numpy]")
    assert (change.old, change.new) == ("numpy>=2", "numpy>=2.1")
    assert str(change.location) == "environments/training.yaml:6:7"
    assert (step.lock, step.packages) == (None, None)


def test_without_bodies_the_component_is_named_by_digest() -> None:
    (change,) = step_of(EDITED, present(TRAINING, bodies=False)).changes
    assert (change.path, change.old) == ("packages", str(TRAINING.digests["packages"]))


def test_bodies_that_do_not_tell_the_difference_still_leave_a_change() -> None:
    seen = present(TRAINING)
    assert seen.bodies is not None
    lying = replace(seen, bodies=replace(seen.bodies, components=EDITED.components))
    (change,) = step_of(EDITED, lying).changes
    assert change.new == str(EDITED.digests["packages"])


def test_an_edit_that_no_solver_reads_keeps_the_lock() -> None:
    wanted = desired(manifest("training", environment_variables={"OMP_NUM_THREADS": "4"}))
    step = step_of(wanted, present(TRAINING))
    assert (step.action, step.lock, step.packages) == (Action.REBUILD, present(TRAINING).record.facts.lock, ())
    assert step.lock_body == lock_of(TRAINING, package("numpy", "2.0.0"))
    assert [change.path for change in step.changes] == ["environment_variables.OMP_NUM_THREADS"]


def test_another_set_of_platforms_rebuilds() -> None:
    wanted = desired(manifest("training", platforms=(ARM, AMD)))
    step = step_of(wanted, present(TRAINING))
    (change,) = step.changes
    assert (step.action, change.reason) == (Action.REBUILD, Reason.PLATFORM)
    assert (change.old, change.new) == (["linux/amd64"], ["linux/amd64", "linux/arm64"])
    assert step.lock is None


def test_the_order_of_platforms_changes_nothing() -> None:
    both = desired(manifest("training", platforms=(ARM, AMD)))
    seen = present(desired(manifest("training", platforms=(AMD, ARM))))
    assert step_of(both, seen).action is Action.UNCHANGED


def test_another_base_rebuilds_for_the_base() -> None:
    step = step_of(desired(manifest("training", compute="gpu")), present(TRAINING))
    assert (step.action, reasons(step), step.changes[0].path) == (Action.REBUILD, [Reason.BASE], "compute")


@pytest.mark.threat("F13")
@pytest.mark.parametrize("reason", [Reason.MISSING, Reason.TAMPERED])
@pytest.mark.parametrize("path", ["lock", "request", "linux/amd64", "v1"])
def test_damage_is_rebuilt_from_the_records_own_lock(reason: Reason, path: str) -> None:
    whole = present(TRAINING)
    seen = replace(whole, missing=(path,)) if reason is Reason.MISSING else replace(whole, tampered=(path,))
    step = step_of(TRAINING, seen)
    assert (step.action, reasons(step)) == (Action.REBUILD, [reason])
    assert step.lock == (None if path == "lock" else seen.record.facts.lock)


@pytest.mark.threat("F13")
def test_what_is_damaged_serves_no_other_environment() -> None:
    broken = replace(present(TRAINING), tampered=("linux/amd64",))
    twin = desired("twin")
    one = planned([TRAINING, twin], {"training": broken, "twin": Absent()})
    assert actions(one) == {"training": Action.REBUILD, "twin": Action.CREATE}


def test_refresh_resolves_anew() -> None:
    step = step_of(TRAINING, present(TRAINING), replace(POLICY, refresh=frozenset(["training"])))
    assert (step.action, reasons(step), step.lock) == (Action.REBUILD, [Reason.REFRESH], None)


# -- what builds nothing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "path"),
    [
        (manifest("training", description="Tabular"), "description"),
        (manifest("training", owner="risk"), "owner"),
        (manifest("training", tags={"team": "risk"}), "tags.team"),
        (manifest("training", protected=True), "protected"),
        (manifest("training", renamed_from="old"), "renamed_from"),
        (manifest("training", docker=Docker(shm_size="2g")), "docker.shm_size"),
        (manifest("training", docker=Docker(arguments=("--init",))), "docker.arguments"),
        (manifest("training", checks=Checks(imports=("numpy",))), "checks"),
    ],
)
def test_metadata_alone_builds_nothing(one: Manifest, path: str) -> None:
    step = step_of(desired(one), present(TRAINING))
    assert (step.action, reasons(step)) == (Action.METADATA, [Reason.METADATA])
    assert (step.changes[0].path, step.packages) == (path, ())


def test_a_revert_goes_back_to_what_was_built() -> None:
    seen = present(EDITED, version=2, past=(past(TRAINING),))
    step = step_of(TRAINING, seen)
    assert step.action is Action.REUSE
    assert step.reuse is not None
    assert (step.reuse.version, step.note) == (1, "goes back to version 1")


def test_a_revert_to_another_committed_lock_is_built() -> None:
    seen = present(EDITED, version=2, past=(past(TRAINING),))
    assert step_of(locked("training", package("numpy", "9")), seen).action is Action.REBUILD


def test_the_same_definition_under_another_name_is_reused() -> None:
    one = planned([TRAINING, desired("twin")], {"training": present(TRAINING), "twin": Absent()})
    assert actions(one) == {"training": Action.UNCHANGED, "twin": Action.REUSE}
    assert one.steps[1].note == "same definition as training:1"


def test_the_build_of_another_manager_is_not_trusted() -> None:
    one = planned(desired("twin"), {"training": present(TRAINING, manager="other"), "twin": Absent()})
    assert actions(one) == {"twin": Action.CREATE}


def test_a_lost_current_is_written_again() -> None:
    step = step_of(TRAINING, replace(present(TRAINING), recovered=True))
    assert (step.action, step.changes[0].reason, step.changes[0].path) == (Action.REUSE, Reason.MISSING, "current")


def test_a_lost_current_with_an_edit_is_an_edit() -> None:
    step = step_of(EDITED, replace(present(TRAINING), recovered=True))
    assert (step.action, reasons(step)) == (Action.REBUILD, [Reason.MISSING, Reason.REQUEST])


def test_a_manifest_that_comes_back_restores_what_was_archived() -> None:
    step = step_of(TRAINING, present(TRAINING, version=3, archived=True))
    assert (step.action, step.note) == (Action.REUSE, "restored, was archived at version 3")
    assert step_of(EDITED, present(TRAINING, archived=True)).action is Action.REBUILD


# -- what is not touched ----------------------------------------------------------------------------------------

UNREADABLE = [Denied("the registry answers 403"), Unknown("no answer"), Unknown("bad index", corrupt=True), Unknown("")]


@pytest.mark.threat("F18")
@pytest.mark.parametrize("seen", UNREADABLE)
@pytest.mark.parametrize("declared", [True, False])
def test_what_gave_no_answer_is_blocked(seen: Observation, declared: bool) -> None:  # noqa: FBT001  # a case
    step = only(planned([TRAINING] if declared else [], {"training": seen}))
    assert (step.action, step.destructive) == (Action.BLOCKED, False)
    assert step.note


def test_what_was_not_observed_is_blocked() -> None:
    assert actions(planned(TRAINING, {})) == {"training": Action.BLOCKED}


def test_another_managers_environment_is_blocked_and_can_be_adopted() -> None:
    seen = present(TRAINING, manager="other")
    blocked = step_of(TRAINING, seen)
    assert blocked.action is Action.BLOCKED
    assert "other" in blocked.note
    assert "--adopt" in blocked.note
    adopted = step_of(TRAINING, seen, replace(POLICY, adopt=True))
    assert (adopted.action, adopted.changes[0].path) == (Action.METADATA, "manager")


def test_what_no_builder_can_make_is_blocked() -> None:
    step = step_of(desired("training", refusal="`docker.build` can't be built yet"), Absent())
    assert (step.action, step.note) == (Action.BLOCKED, "`docker.build` can't be built yet")


@pytest.mark.parametrize("seen", [Absent(), present(TRAINING)])
def test_locked_blocks_what_has_no_lock(seen: Observation) -> None:
    policy = replace(POLICY, locked=True)
    step = step_of(TRAINING, seen, policy)
    assert (step.action, step.note) == (Action.BLOCKED, "no lock is committed: run `reconciler lock training`")
    outdated = desired("training", lock=lock_of(EDITED))
    assert "out of date" in step_of(outdated, seen, policy).note


def test_two_manifests_of_one_name_are_blocked() -> None:
    other = desired(replace(manifest("training"), path="environments/zz.yaml"))
    step = only(planned([other, TRAINING], {"training": Absent()}))
    assert (step.action, step.note) == (Action.BLOCKED, "declared twice: also in environments/zz.yaml")


# -- removal ----------------------------------------------------------------------------------------------------


def test_a_manifest_that_is_gone_archives() -> None:
    step = only(planned([], {"training": present(TRAINING)}))
    assert (step.action, reasons(step), step.destructive) == (Action.ARCHIVE, [Reason.REMOVED], True)
    assert str(step.location) == "environments/training.yaml"


@pytest.mark.threat("F18")
@pytest.mark.parametrize("policy", [replace(POLICY, whole=False), replace(POLICY, names=frozenset(["other"]))])
def test_only_a_plan_of_everything_archives(policy: Policy) -> None:
    one = planned([desired("other")], {"training": present(TRAINING), "other": Absent()}, policy)
    assert actions(one) == {"other": Action.REUSE}


@pytest.mark.threat("F18")
def test_what_is_left_alone_is_said() -> None:
    assert planned([], {"training": present(TRAINING)}, replace(POLICY, whole=False)).notes == (
        "1 registered but not declared: left alone, because not every manifest was read",
    )


def test_archived_and_foreign_environments_are_not_removed() -> None:
    seen: dict[str, Observation] = {
        "a": present(desired("a"), archived=True),
        "b": present(desired("b"), manager="other"),
        "c": Absent(),
    }
    assert planned([], seen).steps == ()
    assert planned([], seen, replace(POLICY, adopt=True)).steps == ()


def test_protection_outlives_the_manifest_and_says_how_it_is_lifted() -> None:
    step = only(planned([], {"training": present(desired(manifest("training", protected=True)))}))
    assert (step.action, step.destructive) == (Action.BLOCKED, False)
    assert step.note.startswith("protected: put environments/training.yaml back with `protected: false`")


def test_a_rename_archives_and_reuses_in_one_plan() -> None:
    wanted = desired(manifest("new", renamed_from="training"))
    one = planned([wanted], {"training": present(TRAINING), "new": Absent()})
    assert actions(one) == {"new": Action.REUSE, "training": Action.ARCHIVE}
    assert [step.note for step in one.steps] == ["renamed from training", "renamed to new"]


def test_a_rename_while_the_old_manifest_stands_archives_nothing() -> None:
    wanted = desired(manifest("new", renamed_from="training"))
    one = planned([wanted, TRAINING], {"training": present(TRAINING), "new": Absent()})
    assert actions(one)["training"] is Action.UNCHANGED


def test_what_the_configuration_protects_is_kept_whatever_its_record_says() -> None:
    policy = replace(POLICY, protected=frozenset({"training"}))
    step = only(planned([], {"training": present(TRAINING)}, policy))
    assert step.action is Action.BLOCKED
    assert not step.destructive
    assert "policies.protected" in step.note


def test_names_choose_steps() -> None:
    one = planned(
        [TRAINING, desired("b")], {"training": Absent(), "b": Absent()}, replace(POLICY, names=frozenset("b"))
    )
    assert actions(one) == {"b": Action.CREATE}


# -- differences ------------------------------------------------------------------------------------------------


def changes(before: Desired, after: Desired) -> list[tuple[str, object, object]]:
    step = step_of(after, present(before))
    return [(change.path, change.old, change.new) for change in step.changes]


def test_packages_that_come_and_go_are_paired_by_name() -> None:
    before = desired(manifest("a", pip=("foo==1", "numpy>=2", "old")))
    after = desired(manifest("a", pip=("Foo==1", "new", "numpy>=2.1")))
    assert changes(before, after) == [
        ("python.pip[Foo]", None, "Foo==1"),
        ("python.pip[foo]", "foo==1", None),
        ("python.pip[new]", None, "new"),
        ("python.pip[numpy]", "numpy>=2", "numpy>=2.1"),
        ("python.pip[old]", "old", None),
    ]


def test_a_requirement_of_a_file_is_named_by_the_file() -> None:
    python = replace(manifest("a").python, pip=(), pip_file=("requirements.txt",))
    after = Desired(manifest=replace(manifest("a"), python=python), components=components_with("numpy>=3"), filled={})
    before = Desired(manifest=after.manifest, components=components_with("numpy>=2"), filled={})
    assert changes(before, after) == [("python.pip_file[numpy]", "numpy>=2", "numpy>=3")]


def components_with(requirement: str) -> dict[str, Json]:
    return {**TRAINING.components, "packages": {"requirements": [requirement], "constraints": []}}


def test_copied_files_are_named_one_by_one() -> None:
    def with_file(sha: str) -> Desired:
        files: Json = {"/etc/app/": [{"name": "a.cfg", "mode": "100644", "sha256": sha}]}
        return Desired(manifest=manifest("a"), components={**TRAINING.components, "files": files}, filled={})

    ((path, old, new),) = changes(with_file("00"), with_file("11"))
    assert path == "files./etc/app/[a.cfg]"
    assert (old, new) == (
        {"name": "a.cfg", "mode": "100644", "sha256": "00"},
        {"name": "a.cfg", "mode": "100644", "sha256": "11"},
    )


@pytest.mark.threat("T13")
def test_credentials_in_an_address_are_not_shown() -> None:
    before = desired(manifest("a", environment_variables={"URL": "https://me:secret@host.invalid/x"}))
    after = desired(manifest("a", environment_variables={"URL": "https://me:hidden@host.invalid/y"}))
    ((_, old, new),) = changes(before, after)
    assert (old, new) == ("https://***@host.invalid/x", "https://***@host.invalid/y")


def test_long_texts_are_shown_by_digest() -> None:
    def with_text(text: str) -> Desired:
        return Desired(
            manifest=manifest("a"), components={**TRAINING.components, "dockerfile": {"text": text}}, filled={}
        )

    ((path, old, _),) = changes(with_text("FROM a\nRUN b\n"), with_text("FROM b\nRUN b\n"))
    assert path == "docker.base_dockerfile"
    assert str(old).startswith("sha256:")


def test_a_present_record_is_seen_by_its_digest() -> None:
    seen = present(TRAINING)
    assert step_of(EDITED, seen).observed == seen.digest
