"""Environments that build on others, from the command line on a real git repository."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import pytest

from reconciler.oci.manifest import ImageManifest, parse_image
from reconciler.plan.observed import Present
from reconciler.reconcile.observe import Depth, observe
from tests.registry_messages import Kind
from tests.registry_server import RegistryServer, serving_registry
from tests.remote import opened
from tests.stack_case import BOTH, MODULES, Stacked
from tests.wheelhouse import write_wheel


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> Stacked:
    """Three images, one on the other, and one beside them; none is registered."""
    made = Stacked(tmp_path_factory.mktemp("stack") / "clone")
    for name in ("alpha", "beta", "gamma", "pip"):
        made.release(name, "1.0")
    made.release("alpha", "1.1")
    made.image("low", "alpha==1.0", extra="environment_variables: {FROM_LOW: '1'}\n")
    made.image("mid", "beta", on="low")
    made.image("top", "gamma", "alpha", on="mid", extra="environment_variables: {FROM_TOP: '1'}\n")
    made.image("other", "alpha==1.0")
    return made


@pytest.fixture(scope="module")
def registered(declared: Stacked, tmp_path_factory: pytest.TempPathFactory) -> Stacked:
    made = copied(declared, tmp_path_factory.mktemp("registered"))
    made.commit()
    made("apply")
    return made


def copied(template: Stacked, folder: Path) -> Stacked:
    shutil.copytree(template.root, folder / "clone", symlinks=True)
    shutil.copytree(template.wheels, folder / "wheels")
    return Stacked(folder / "clone", cache=template.cache)


@pytest.fixture
def stack(declared: Stacked, tmp_path: Path) -> Stacked:
    """Give a clone of one's own, as it is declared."""
    found = copied(declared, tmp_path)
    found.commit()
    return found


@pytest.fixture
def applied(registered: Stacked, tmp_path: Path) -> Stacked:
    """Give a clone of one's own with everything registered."""
    return copied(registered, tmp_path)


def pin(stack: Stacked, version: str) -> None:
    stack.image("low", f"alpha=={version}", extra="environment_variables: {FROM_LOW: '1'}\n")
    stack.commit()


# -- what is built ----------------------------------------------------------------------------------------------


def test_every_level_has_what_is_below_and_its_own_on_both_platforms(applied: Stacked) -> None:
    for platform in BOTH:
        levels = [applied.layers(name, platform) for name in ("low", "mid", "top")]
        for below, above in itertools.pairwise(levels):
            assert above[: len(below)] == below
            assert len(above) == len(below) + 1
        modules = applied.files("top", platform).children(MODULES)
        assert {"alpha.py", "beta.py", "gamma.py", "pip.py"} <= set(modules)


def test_an_image_starts_as_the_one_below_does_where_it_says_nothing_else(applied: Stacked) -> None:
    low, top = applied.config("low"), applied.config("top")
    assert (top.user, top.workdir, top.entrypoint) == (low.user, low.workdir, low.entrypoint)
    assert top.environment == {**low.environment, "FROM_TOP": "1"}
    assert top.environment["PATH"].count("/opt/venv/bin") == 1


def test_another_user_above_has_a_home_and_an_account_of_its_own(stack: Stacked) -> None:
    stack.image("top", on="mid").write_text(
        "name: top\npython: {bytecode: false}\ndocker: {base_environment: mid, user: alice, workdir: /srv/work}\n"
    )
    stack("apply")
    config, files = stack.config("top"), stack.files("top")
    assert (config.user, config.workdir, config.environment["HOME"]) == ("1001:1001", "/srv/work", "/home/alice")
    assert {"user", "alice"} <= set(files.children("home"))
    assert files.lookup("srv/work") is not None


def test_ignore_begins_anew_on_the_same_interpreter(stack: Stacked) -> None:
    stack.image("top", "gamma", on="mid", python=", base_packages: ignore")
    stack("apply")
    files = stack.files("top")
    assert set(files.children(MODULES)) >= {"gamma.py", "pip.py"}
    assert not {"alpha.py", "beta.py"} & set(files.children(MODULES))
    assert "python" in files.children("opt/venv/bin")
    assert files.lookup("opt/venv/bin/python") is not None
    stack("lock", "top")
    assert stack.locked("top")["linux/amd64"] == {"gamma": "1.0", "pip": "1.0"}


def test_a_second_apply_changes_nothing(applied: Stacked) -> None:
    folder = applied.root / ".reconciler" / "registry"
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert "Nothing to do: 4 environments unchanged." in applied("apply").out
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


# -- what a change below does -----------------------------------------------------------------------------------


def test_a_pin_below_rebuilds_all_above_in_order_and_their_own_layers_stay(applied: Stacked) -> None:
    own = {name: applied.layers(name)[-1] for name in ("mid", "top")}
    pin(applied, "1.1")
    assert applied.actions() == {"low": "rebuild", "mid": "rebase", "top": "rebase", "other": "unchanged"}
    answer = applied("apply")
    done = [line.split()[2] for line in answer.err.splitlines() if " done: " in line]
    assert done == ["low", "mid", "top"]
    for name, layer in own.items():
        assert applied.layers(name)[-1] == layer
        assert applied.layers(name)[: len(applied.layers("low"))] == applied.layers("low")
    assert set(applied.actions().values()) == {"unchanged"}


def test_a_plan_says_at_which_line_and_explain_says_why(applied: Stacked) -> None:
    pin(applied, "1.1")
    plan = json.loads(applied("plan", "-o", "json").out)
    (change,) = next(step for step in plan["steps"] if step["name"] == "top")["changes"]
    assert (change["reason"], change["path"]) == ("BASE", "docker.base_environment")
    assert change["location"]["path"] == "environments/top.yaml"
    said = applied("explain", "top").out
    assert "BASE docker.base_environment" in said
    assert said.splitlines()[-1].startswith("Verdict: it would be put on what its base environment becomes")
    assert "pending, which is no drift: low, mid, top" in applied("drift").out
    assert "pending, which is no drift: top" in applied("drift", "top").out


def test_a_refresh_below_is_followed(stack: Stacked) -> None:
    stack.image("low", "alpha")
    (stack.wheels / "alpha-1.1-py3-none-any.whl").rename(stack.root.parent / "later")
    stack("apply")
    assert "alpha-1.0.dist-info" in stack.files("top").children(MODULES)
    (stack.root.parent / "later").rename(stack.wheels / "alpha-1.1-py3-none-any.whl")
    assert set(stack.actions().values()) == {"unchanged"}
    stack("apply", "--refresh", "low")
    assert "alpha-1.1.dist-info" in stack.files("top").children(MODULES)
    assert set(stack.actions().values()) == {"unchanged"}


def test_get_tells_what_an_image_is_built_on(applied: Stacked) -> None:
    assert "environment:mid" in applied("get", "top").out
    found = json.loads(applied("get", "top", "-o", "json").out)
    lower = json.loads(applied("get", "mid", "-o", "json").out)
    assert found["base"] == "environment:mid"
    assert found["artifacts"]["linux/arm64"]["below"] == lower["artifacts"]["linux/arm64"]["build_key"]
    assert json.loads(applied("list", "-o", "json").out)["environments"][0]["base"] == "oci:base"


# -- what can't be done -----------------------------------------------------------------------------------------


@pytest.mark.threat("F16")
def test_what_fails_below_holds_up_those_above_and_no_others(stack: Stacked) -> None:
    stack.image("low", "nowhere")
    stack.commit()
    answer = stack("apply", expect=4)
    assert "low, which it builds on, failed" in answer.out
    assert "mid, which it builds on, is blocked" in answer.out
    assert "top.yaml:4" in answer.out
    assert stack.actions() == {"low": "create", "mid": "create", "top": "create", "other": "unchanged"}
    stack.release("nowhere", "1.0")
    stack.image("top", "gamma", on="mid")
    stack("apply")
    assert "nowhere.py" in stack.files("top").children(MODULES)


def test_one_above_alone_is_refused_while_one_below_has_changes(applied: Stacked) -> None:
    pin(applied, "1.1")
    for command in ("apply", "plan"):
        answer = applied(command, "top", expect=6)
        assert "run `reconciler apply low mid top`" in answer.out
    applied("apply", "low", "mid", "top")
    assert set(applied.actions().values()) == {"unchanged"}


def test_one_below_alone_leaves_those_above_pending(applied: Stacked) -> None:
    pin(applied, "1.1")
    applied("apply", "low")
    assert applied.actions() == {"low": "unchanged", "mid": "rebase", "top": "rebase", "other": "unchanged"}
    applied("apply")
    assert set(applied.actions().values()) == {"unchanged"}


def test_what_is_held_at_another_version_below_can_not_be_had(stack: Stacked) -> None:
    stack.image("top", "alpha==1.1", on="mid")
    answer = stack("apply", expect=4)
    assert "environments/top.yaml:3:33: no versions of alpha go together" in answer.out
    assert "hint: mid brings alpha 1.0: ask for what goes with it, or write python.base_packages: ignore" in answer.out


@pytest.mark.parametrize(("text", "code"), [("VERSION = 'other'\n", 4), ("VERSION = '1.0'\n", 0)])
def test_a_file_that_is_below_with_another_content_is_not_laid_over_it(stack: Stacked, text: str, code: int) -> None:
    write_wheel(stack.wheels, "headless", "1.0", modules={"alpha.py": text})
    stack.image("top", "headless", on="mid")
    answer = stack("apply", expect=code)
    said = "headless-1.0-py3-none-any.whl and mid, which it builds on, both have /opt/venv/lib/python3.11/site-packages"
    assert (f"{said}/alpha.py, and not the same" in answer.out) == bool(code)
    stack.image("top", "headless", on="mid", python=", base_packages: ignore")
    stack("apply")


def test_what_is_kept_from_below_has_to_be_on_the_indexes_of_what_needs_it(applied: Stacked) -> None:
    (applied.wheels / "alpha-1.0-py3-none-any.whl").unlink()
    applied.release("delta", "1.0", "alpha")
    applied.image("top", "delta", on="mid")
    answer = applied("apply", expect=4)
    assert "mid brings alpha 1.0, which is not on the indexes here: name one that has it" in answer.out


def test_what_is_below_is_not_replaced(stack: Stacked) -> None:
    stack.image("top", "gamma", on="mid", python=", base_packages: replace")
    answer = stack("plan", "top", expect=1)
    assert "python.base_packages: replace is for images as bases" in answer.out


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("docker: {base_environment: top}", "environments build on one another in a circle: low → top → mid → low"),
        ("docker: {base_environment: gone}", "low.yaml:2:28: error: base_environment names 'gone'"),
        ("docker: {enabled: false}", "mid.yaml:4:28: error: base_environment names low, which is no container image"),
        ("platforms: [linux/arm64]\ndocker: {base_image: 'oci:base'}", "mid.yaml:2:13: error: there is no low for"),
    ],
)
def test_what_nothing_can_be_built_on_is_invalid(stack: Stacked, text: str, says: str) -> None:
    (stack.root / "environments/low.yaml").write_text(f"name: low\n{text}\n")
    assert says in stack("validate", expect=9).out
    stack("plan", expect=9)


def test_one_file_alone_is_checked_with_what_is_below_it(stack: Stacked) -> None:
    stack("validate", "environments/top.yaml")
    (stack.root / "environments/mid.yaml").write_text("name: mid\nnonsense: 1\n")
    stack("validate", "environments/top.yaml")
    (stack.root / "environments/mid.yaml").unlink()
    assert "base_environment names 'mid'" in stack("validate", "environments/top.yaml", expect=9).out


# -- locks ------------------------------------------------------------------------------------------------------


def test_a_chain_is_locked_from_git_alone_and_committing_it_changes_nothing(stack: Stacked) -> None:
    stack("lock", "top")
    assert not list((stack.root / ".reconciler").glob("registry/*/index.json"))
    whole = {"alpha": "1.0", "beta": "1.0", "gamma": "1.0", "idna": "3.3", "pip": "1.0"}
    assert stack.locked("top") == {"linux/amd64": whole, "linux/arm64": whole}
    for name in ("low", "mid", "top"):
        (stack.root / "environments" / f"{name}.lock.json").rename(stack.root.parent / name)
    stack("apply")
    stack("lock")
    for name in ("low", "mid", "top"):
        made = (stack.root / "environments" / f"{name}.lock.json").read_bytes()
        assert made == (stack.root.parent / name).read_bytes()
    stack.commit()
    assert set(stack.actions("--locked").values()) == {"unchanged"}


def test_a_lock_below_that_moves_makes_those_above_out_of_date(stack: Stacked) -> None:
    stack("lock")
    first = stack.commit()
    pin(stack, "1.1")
    assert "mid.lock.json" in stack("lock", "--check", expect=1).out
    assert "run `reconciler lock mid top`" in stack("lock", "low").out
    stack("lock", "top")
    assert "4 locks up to date" in stack("lock", "--check").out
    stack.commit()
    assert stack.actions("--base", first) == {"low": "rebuild", "mid": "rebase", "top": "rebase", "other": "unchanged"}
    stack("apply", "--locked")
    assert "alpha-1.1.dist-info" in stack.files("top").children(MODULES)


def test_another_variable_below_leaves_committed_locks_above_up_to_date(stack: Stacked) -> None:
    stack("lock")
    stack("apply", "--locked")
    stack.image("low", "alpha==1.0", extra="environment_variables: {FROM_LOW: '2'}\n")
    stack.commit()
    assert "the lock is out of date" not in stack("lock", "--check").out
    stack("apply", "--locked")
    assert stack.config("top").environment["FROM_LOW"] == "2"


# -- names ------------------------------------------------------------------------------------------------------


def test_what_others_build_on_can_not_be_removed(applied: Stacked) -> None:
    (applied.root / "environments/low.yaml").unlink()
    assert "base_environment names 'low'" in applied("validate", expect=9).out


def test_a_name_that_changes_below_is_followed(applied: Stacked) -> None:
    own = applied.layers("mid")
    manifest = applied.root / "environments/low.yaml"
    text = manifest.read_text().replace("name: low", "name: ground\nrenamed_from: low")
    manifest.unlink()
    (applied.root / "environments/ground.yaml").write_text(text)
    applied.image("mid", "beta", on="ground")
    applied.commit()
    assert applied.actions() == {
        "ground": "reuse", "low": "archive", "mid": "rebase", "top": "rebase", "other": "unchanged"
    }  # fmt: skip
    applied("apply")
    assert applied.layers("mid") == own
    assert set(applied.actions().values()) == {"unchanged"}


def test_a_chain_that_was_archived_comes_back_as_it_was(applied: Stacked) -> None:
    kept = {name: applied.layers(name) for name in ("low", "mid", "top")}
    texts = {name: (applied.root / f"environments/{name}.yaml").read_text() for name in kept}
    for name in kept:
        (applied.root / f"environments/{name}.yaml").unlink()
    applied("apply")
    for name, text in texts.items():
        (applied.root / f"environments/{name}.yaml").write_text(text)
    assert applied.actions() == {"low": "reuse", "mid": "reuse", "top": "reuse", "other": "unchanged"}
    applied("apply")
    assert {name: applied.layers(name) for name in kept} == kept


def test_a_saved_plan_does_the_whole_chain_and_goes_stale_as_a_whole(applied: Stacked) -> None:
    pin(applied, "1.1")
    applied("plan", "--out", "plan.json")
    applied("apply", "plan.json")
    assert set(applied.actions().values()) == {"unchanged"}
    assert "Nothing to do" in applied("apply", "plan.json").out
    pin(applied, "1.0")
    assert "no longer fits" in applied("apply", "plan.json", expect=7).err


# -- other registries -------------------------------------------------------------------------------------------


def test_what_is_below_is_mounted_in_a_remote_registry_and_never_fetched(stack: Stacked) -> None:
    (stack.root / "reconciler.yaml").write_text("manager: tests\n")
    stack.commit()
    with serving_registry() as server:
        place = ("--registry", f"{server.address}/team")
        stack("apply", *place)
        mounts = [one for one in server.asked if one.kind is Kind.MOUNT and one.name == "team/top"]
        assert mounts
        assert {one.query["from"] for one in mounts} == {"team/mid"}
        sizes = {str(layer.digest): layer.size for layer in written(server, "team/top").layers}
        fetched = {one.reference for one in server.asked if one.kind is Kind.GET_BLOB}
        assert not fetched & set(sizes)
        server.asked.clear()
        stack("apply", *place)
        assert not server.writes
        assert [one.name for one in server.asked if one.kind is Kind.HEAD_MANIFEST]


def written(server: RegistryServer, name: str) -> ImageManifest:
    """Read the artifact of one platform as the server has it."""
    registry = opened(server.address, "team")
    own = name.rpartition("/")[2]
    seen = observe(registry, own, depth=Depth.RECORD)
    assert isinstance(seen, Present)
    return parse_image(registry.fetch(own, seen.record.artifacts[BOTH[0]].digest))


def test_a_copy_with_other_media_types_still_stands_on_what_was_copied(stack: Stacked) -> None:
    (stack.root / "reconciler.yaml").write_text("manager: tests\n")
    stack.commit()
    stack("apply")
    target = str(stack.root.parent / "elsewhere")
    for name in ("low", "mid", "top", "other"):
        stack("copy", name, "--to", target, "--media-types", "docker")
    assert set(stack.actions("--registry", target).values()) == {"unchanged"}
    pin(stack, "1.1")
    stack("apply", "--registry", target)
    assert set(stack.actions("--registry", target).values()) == {"unchanged"}
