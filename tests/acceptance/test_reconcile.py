"""The command line on real git repositories, a real local registry and real virtual environments."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Required
from tests.repository import Repository


@pytest.fixture
def repository(tmp_path: Path, required: Required) -> Repository:
    required.python("3.11")
    found = Repository(tmp_path / "clone")
    for version in ("1.0", "1.1"):
        found.release("alpha", version)
    found.release("beta", "2.0", "alpha")
    found.declare("first", "alpha")
    found.declare("second", "beta", "alpha<1.1")
    found.commit()
    return found


def digest(repository: Repository, name: str) -> str:
    return repository("get", name, "--format", "{digest}").out.strip()


def actions(repository: Repository, *arguments: str) -> dict[str, str]:
    plan = json.loads(repository("plan", "-o", "json", *arguments, expect=None).out)
    return {step["name"]: step["action"] for step in plan["steps"]}


def test_the_first_apply_registers_everything_and_the_second_changes_nothing(repository: Repository) -> None:
    assert actions(repository) == {"first": "create", "second": "create"}
    repository("apply")
    before = {path: path.stat().st_mtime_ns for path in (repository.root / ".reconciler" / "registry").rglob("*")}
    assert actions(repository) == {"first": "unchanged", "second": "unchanged"}
    assert "Nothing to do" in repository("apply").out
    after = {path: path.stat().st_mtime_ns for path in (repository.root / ".reconciler" / "registry").rglob("*")}
    assert before == after


def test_an_edit_of_one_manifest_rebuilds_that_environment_alone(repository: Repository) -> None:
    repository("apply")
    kept = digest(repository, "second")
    repository.declare("first", "alpha", "beta")
    repository.commit()
    answer = repository("plan", "--detailed-exitcode", expect=2)
    assert "first" in answer.out
    assert "REQUEST" in answer.out
    assert answer.out.splitlines()[-1] == "Plan: 1 to rebuild, 1 unchanged."
    repository("apply")
    assert digest(repository, "second") == kept
    assert repository("get", "first", "--format", "{version}").out.strip() == "2"


def test_a_comment_a_description_and_the_order_of_packages_build_nothing(repository: Repository) -> None:
    repository("apply")
    path = repository.root / "environments" / "second.yaml"
    path.write_text("# why\n" + path.read_text().replace("beta, alpha<1.1", "alpha <1.1, beta"))
    assert actions(repository)["second"] == "unchanged"
    path.write_text(path.read_text() + "description: more words\n")
    assert actions(repository)["second"] == "metadata"
    assert "0 built" not in repository("apply").out
    assert repository("get", "second", "--format", "{version}").out.strip() == "1"
    assert "more words" in repository("list").out


def test_a_git_revert_reuses_what_was_built_before(repository: Repository) -> None:
    repository("apply")
    repository.declare("first", "beta")
    repository.commit("edit")
    repository("apply")
    repository.release("alpha", "1.2")
    repository.git("revert", "--no-edit", "HEAD")
    assert actions(repository)["first"] == "reuse"
    answer = repository("apply")
    assert "1 reused" in answer.out
    assert "built" not in answer.out
    history = json.loads(repository("history", "first", "-o", "json").out)["versions"]
    assert [item["version"] for item in history] == [3, 2, 1]
    assert history[0]["lock"] == history[2]["lock"]


def test_the_same_definition_under_another_name_is_not_built_again(repository: Repository) -> None:
    repository("apply")
    repository.release("alpha", "1.2")
    repository.declare("third", "alpha")
    assert actions(repository)["third"] == "reuse"
    assert "1 reused" in repository("apply").out


def test_a_removed_manifest_is_archived_and_a_restored_one_goes_on_counting(repository: Repository) -> None:
    repository("apply")
    (repository.root / "environments" / "first.yaml").unlink()
    repository.commit()
    assert actions(repository) == {"first": "archive", "second": "unchanged"}
    repository("apply")
    assert "first" not in repository("list").out
    assert "first" in repository("list", "--archived").out
    assert actions(repository) == {"first": "unchanged", "second": "unchanged"} or "first" not in actions(repository)
    repository.git("revert", "--no-edit", "HEAD")
    repository("apply")
    assert repository("get", "first", "--format", "{version}").out.strip() == "2"


def test_a_rename_archives_the_old_name_and_builds_nothing(repository: Repository) -> None:
    repository("apply")
    (repository.root / "environments" / "first.yaml").unlink()
    repository.declare("renamed", "alpha", extra="renamed_from: first\n")
    repository.release("alpha", "1.2")
    assert actions(repository) == {"first": "archive", "renamed": "reuse", "second": "unchanged"}
    assert "1 reused" in repository("apply").out
    assert set(actions(repository).values()) == {"unchanged"}


def test_nothing_is_archived_when_only_some_were_asked_for(repository: Repository) -> None:
    repository("apply")
    (repository.root / "environments" / "first.yaml").unlink()
    assert "first" not in repository("apply", "second").out
    assert "first" in repository("list").out


@pytest.mark.threat("F18")
def test_a_broken_manifest_archives_and_builds_nothing(repository: Repository) -> None:
    repository("apply")
    (repository.root / "environments" / "first.yaml").write_text("name: first\npthon: {}\n")
    for command in ("plan", "apply"):
        answer = repository(command, expect=9)
        assert "environments/first.yaml:2:1" in answer.err
        assert "python" in answer.err
    assert "first" in repository("list").out


@pytest.mark.threat("F18")
def test_a_repository_that_suddenly_declares_nothing_is_refused(repository: Repository) -> None:
    repository("apply")
    for path in (repository.root / "environments").iterdir():
        path.unlink()
    repository("apply", expect=6)
    assert "2 environments." in repository("list").out


def test_more_removals_than_allowed_are_refused(repository: Repository) -> None:
    repository("apply")
    (repository.root / "environments" / "first.yaml").unlink()
    answer = repository("apply", "--max-deletes", "0", expect=6)
    assert "--max-deletes 1" in answer.err
    repository("apply", "--max-deletes", "1")


def test_a_protected_environment_outlives_its_manifest(repository: Repository) -> None:
    repository.declare("first", "alpha", extra="protected: true\n")
    repository("apply")
    (repository.root / "environments" / "first.yaml").unlink()
    assert actions(repository)["first"] == "blocked"
    repository("plan", expect=6)
    repository("apply", expect=4)
    assert "first" in repository("list").out


def test_the_configuration_protects_too(repository: Repository) -> None:
    (repository.root / "reconciler.yaml").write_text("policies: {protected: [first]}\n")
    repository("apply")
    (repository.root / "environments" / "first.yaml").unlink()
    assert actions(repository)["first"] == "blocked"


def test_a_saved_plan_applies_what_it_says_and_no_more(repository: Repository, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    repository("plan", "first", "--out", str(file))
    repository("apply", str(file))
    assert actions(repository) == {"first": "unchanged", "second": "create"}


def test_a_saved_plan_that_no_longer_fits_is_refused(repository: Repository, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    repository("plan", "--out", str(file))
    repository.declare("first", "beta")
    answer = repository("apply", str(file), expect=7)
    assert "first" in answer.err
    assert "No environment is registered" in repository("list").out


def test_a_saved_plan_that_was_applied_already_does_nothing(repository: Repository, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    repository("plan", "--out", str(file))
    repository("apply", str(file))
    assert "Nothing to do" in repository("apply", str(file)).out


def test_locks_are_written_checked_and_required(repository: Repository) -> None:
    repository("apply", "--locked", expect=6)
    assert "no lock" in repository("lock", "--check", expect=1).out
    repository("lock")
    repository("lock", "--check")
    repository("apply", "--locked")
    repository.declare("first", "alpha", "beta")
    repository("lock", "--check", expect=1)
    assert "reconciler lock first" in repository("apply", "--locked", expect=6).err


def test_committing_the_lock_that_apply_made_changes_nothing(repository: Repository) -> None:
    repository("apply")
    repository.release("alpha", "1.2")
    repository("lock")
    assert set(actions(repository).values()) == {"unchanged"}


def test_only_what_must_move_moves_and_upgrade_moves_the_rest(repository: Repository) -> None:
    repository("lock")
    repository.release("alpha", "1.2")
    assert "unchanged" in repository("lock", "first").out
    repository("lock", "first", "--upgrade-package", "alpha")
    lock = json.loads((repository.root / "environments" / "first.lock.json").read_text())
    (package,) = lock["platforms"]["linux/amd64"]["packages"]
    assert package["version"] == "1.2"
    assert package["source"] == "index:default"


def test_refresh_resolves_anew_where_no_lock_is_committed(repository: Repository) -> None:
    repository("apply")
    repository.release("alpha", "1.2")
    assert set(actions(repository).values()) == {"unchanged"}
    repository("apply", "first", "--refresh", "first")
    assert repository("run", "first", "--", "python", "-c", "import alpha; print(alpha.VERSION)").out == "1.2\n"
    assert repository("run", "first:1", "--", "python", "-c", "import alpha; print(alpha.VERSION)").out == "1.1\n"


def test_selection_by_tag(repository: Repository) -> None:
    repository.declare("first", "alpha", extra="tags: {team: risk}\n")
    assert actions(repository, "--tag", "team=risk") == {"first": "create"}


def test_two_commits_are_compared_without_a_registry(repository: Repository) -> None:
    repository.declare("first", "beta")
    repository.declare("third", "alpha<1.1")
    (repository.root / "environments" / "second.yaml").unlink()
    repository.commit()
    assert actions(repository, "--base", "HEAD~1") == {"first": "rebuild", "second": "archive", "third": "create"}


def test_a_commit_is_planned_from_its_own_objects(repository: Repository) -> None:
    repository.declare("first", "beta")
    repository("apply", "--at", "HEAD")
    assert json.loads(repository("get", "first", "-o", "json").out)["dirty"] is False
    assert actions(repository)["first"] == "rebuild"


def test_drift_is_told_apart_from_pending(repository: Repository) -> None:
    repository("apply")
    repository("drift")
    repository.declare("first", "beta")
    repository.commit()
    answer = repository("drift")
    assert "first" in answer.out
    repository("apply")
    index = repository.root / ".reconciler" / "registry" / "first" / "index.json"
    content = json.loads(index.read_text())
    tags = {item["annotations"]["org.opencontainers.image.ref.name"]: item for item in content["manifests"]}
    tags["current"]["digest"], tags["current"]["size"] = tags["v1"]["digest"], tags["v1"]["size"]
    index.write_text(json.dumps(content))
    answer = repository("drift", expect=3)
    assert tags["v1"]["digest"] in answer.out
    assert tags["v2"]["digest"] in answer.out
    before = index.read_bytes()
    repository("drift", "-o", "json", expect=3)
    assert index.read_bytes() == before


def test_content_that_was_lost_is_made_again_for_that_environment_alone(repository: Repository) -> None:
    repository("apply")
    before = digest(repository, "first"), digest(repository, "second")
    layout = repository.root / ".reconciler" / "registry" / "first"
    store = repository.root / ".reconciler" / "store"
    entries = json.loads((layout / "index.json").read_text())["manifests"]
    tags = {item["annotations"]["org.opencontainers.image.ref.name"]: item for item in entries}
    hexdigits = tags["v1-linux-amd64"]["digest"].split(":")[1]
    for path in [*layout.rglob(hexdigits), *store.rglob(hexdigits)]:
        path.unlink()
    assert "missing" in repository("drift", expect=3).out
    assert actions(repository) == {"first": "rebuild", "second": "unchanged"}
    repository("apply")
    repository("drift", "--deep")
    assert (digest(repository, "first"), digest(repository, "second")) == before
