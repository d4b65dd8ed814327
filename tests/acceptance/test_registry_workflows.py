"""Runs plan, apply and drift against a registry over HTTP: in process, and the reference one with TLS and htpasswd."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests import services
from tests.acceptance.workflow_project import INJECTIONS, NO_PACKAGES, Project, assert_inert, assert_succeeded, git
from tests.acceptance.workflow_runner import JobResult
from tests.registry_auth import Basic, Bearer
from tests.registry_server import RegistryServer, serving_registry
from tests.registry_store import Settings

USER, PASSWORD = "robot$team", 's3cret: "of a robot" $(touch pwned)'
SIGN_IN = "Sign in to the registry"


@dataclass(frozen=True, kw_only=True, slots=True)
class Production:
    """A project whose registry asks for a password, and how somebody loses what it holds."""

    project: Project
    password: str
    lose: Callable[[str], None]


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    with serving_registry(Settings(auth=Bearer(username=USER, password=PASSWORD))) as server:
        yield server


@pytest.fixture
def remote(ready: Project, server: RegistryServer) -> Project:
    """The project with the registry in process."""
    return ready.with_registry(f"{server.address}/team", password=PASSWORD, RECONCILER_REGISTRY_USER=USER)


@pytest.fixture(params=["in process", "reference"])
def production(request: pytest.FixtureRequest, ready: Project) -> Production:
    if request.param == "in process":
        server: RegistryServer = request.getfixturevalue("server")

        def lose(name: str) -> None:
            repository = server.store.repositories[f"team/{name}"]
            del repository.manifests[repository.tags["current"]]

        return Production(project=request.getfixturevalue("remote"), password=PASSWORD, lose=lose)
    service: services.RegistryService = request.getfixturevalue("reference_registry_login")
    prefix = service.prefix()
    repositories = service.storage / "docker/registry/v2/repositories" / prefix.partition("/")[2]

    def remove(name: str) -> None:
        manifests = repositories / name / "_manifests"
        digest = (manifests / "tags/current/current/link").read_text().removeprefix("sha256:")
        shutil.rmtree(manifests / "revisions/sha256" / digest)

    project = ready.with_registry(prefix, password=service.password, RECONCILER_REGISTRY_USER=service.username)
    forge = replace(project.forge, machine={"SSL_CERT_FILE": str(service.ca)})
    return Production(project=replace(project, forge=forge), password=service.password, lose=remove)


def _outcomes(result: JobResult) -> dict[str, str]:
    return {step.name: step.outcome for step in result.steps}


def _assert_secret(production: Production) -> None:
    """No log, summary or file of any run holds the password, but docker's settings, which go with the job."""
    encoded = base64.b64encode(production.password.encode()).decode().rstrip("=")[:-1]
    for folder in production.project.forge.runs:
        for path in folder.rglob("*"):
            if path.is_file() and path.parent.name != "registry-login":
                text = path.read_bytes()
                assert production.password.encode() not in text, path
                assert encoded.encode() not in text, path


# -- the same scenario as with the cache -------------------------------------------------------------------------


@pytest.mark.threat("T13")
def test_plan_apply_and_drift_work_against_a_registry_that_asks_for_a_password(production: Production) -> None:
    project = production.project
    planned = project.propose("Two environments")
    assert_succeeded(planned)
    assert "create" in planned.summary

    first = project.merge()
    assert_succeeded(first)
    assert _outcomes(first)["Restore the registry"] == _outcomes(first)["Save the registry"] == "skipped"
    assert project.saved() == []
    assert not (first.folder / "workspace" / ".reconciler" / "registry").exists()

    project.declare("alpha", NO_PACKAGES.format(name="alpha") + "environment_variables: {A: b}\n")
    edited = project.propose("Edit alpha")
    assert_succeeded(edited)
    assert "rebuild" in edited.summary
    assert "create" not in edited.summary
    assert_succeeded(project.merge())
    again = project.merge()
    assert_succeeded(again)
    assert "rebuild" not in again.summary

    looked = project.look()
    assert_succeeded(looked)
    assert "No drift" in looked.summary
    production.lose("alpha")
    drifted = project.look()
    assert drifted.step("Look for drift").status == 3, drifted.log
    assert "alpha" in drifted.summary
    assert_succeeded(project.merge())
    assert_succeeded(project.look())
    for result in (planned, first, edited, again, looked, drifted):
        assert production.password not in "".join(step.log for step in result.steps)
    _assert_secret(production)


@pytest.mark.threat("F19")
def test_a_second_apply_of_the_same_commit_writes_nothing(remote: Project, server: RegistryServer) -> None:
    assert_succeeded(remote.merge())
    server.asked.clear()
    assert_succeeded(remote.merge())
    assert_succeeded(remote.look())
    assert server.asked
    assert server.writes == []


@pytest.mark.threat("F6")
@pytest.mark.parametrize("depth", [0, 1])
def test_an_older_run_that_comes_later_is_superseded(remote: Project, server: RegistryServer, depth: int) -> None:
    _check_out_at_depth(remote, depth)
    older = remote.commit("Older")
    assert_succeeded(remote.merge())
    remote.declare("alpha", NO_PACKAGES.format(name="alpha") + "environment_variables: {A: b}\n")
    remote.commit("Newer")
    newest = remote.merge()
    assert_succeeded(newest)
    server.asked.clear()
    late = remote.merge(sha=older)
    assert_succeeded(late)
    assert "superseded" in late.step("Apply").log.lower(), late.log
    assert server.writes == []


@pytest.mark.threat("F6")
def test_a_shallow_checkout_deepens_itself_and_goes_on(remote: Project, server: RegistryServer) -> None:
    _check_out_at_depth(remote, 1)
    remote.commit("First")
    assert_succeeded(remote.merge())
    for number in range(3):
        remote.declare("alpha", NO_PACKAGES.format(name="alpha") + f"environment_variables: {{A: b{number}}}\n")
        remote.commit("Next")
    assert_succeeded(remote.merge())
    assert server.writes


@pytest.mark.threat("F6")
def test_a_rewritten_main_is_refused(remote: Project, server: RegistryServer) -> None:
    remote.commit("Somebody's work")
    assert_succeeded(remote.merge())
    git(remote.clone, "reset", "--quiet", "--hard", "HEAD~1")
    remote.declare("alpha", NO_PACKAGES.format(name="alpha") + "environment_variables: {A: b}\n")
    remote.commit("A rewritten main")
    server.asked.clear()
    assert remote.merge().step("Apply").status == 6
    assert server.writes == []


def _check_out_at_depth(project: Project, depth: int) -> None:
    for path in (project.clone / ".github" / "workflows").iterdir():
        path.write_text(path.read_text().replace("fetch-depth: 0", f"fetch-depth: {depth}"))


# -- who has no password ----------------------------------------------------------------------------------------


def test_a_wrong_password_fails_and_is_not_taken_for_an_empty_registry(remote: Project, server: RegistryServer) -> None:
    wrong = replace(remote.forge, secrets={"RECONCILER_REGISTRY_PASSWORD": "wrong"})
    project = replace(remote, forge=wrong)
    planned = project.propose("Two environments")
    assert planned.step("Plan").status == 77, planned.log
    assert project.merge().step("Plan").status == 77
    assert project.look().step("Look for drift").status == 77
    assert server.store.repositories == {}


@pytest.mark.threat("T14")
def test_a_pull_request_from_a_fork_is_compared_with_its_base_and_asks_no_registry(
    remote: Project, server: RegistryServer
) -> None:
    remote.declare("alpha", NO_PACKAGES.format(name="alpha") + "environment_variables: {A: b}\n")
    planned = remote.propose("Edit alpha", is_fork=True)
    assert_succeeded(planned)
    assert "rebuild" in planned.summary
    assert "beta" not in planned.summary
    assert "::warning title=Compared with its base::" in planned.log
    assert server.asked == []
    assert _outcomes(planned)[SIGN_IN] == "skipped"


def test_a_fork_is_planned_against_the_cache_where_that_is_the_registry(ready: Project) -> None:
    assert_succeeded(ready.merge())
    ready.declare("alpha", NO_PACKAGES.format(name="alpha") + "environment_variables: {A: b}\n")
    planned = ready.propose("Edit alpha", is_fork=True)
    assert_succeeded(planned)
    assert "rebuild" in planned.summary
    assert "::warning" not in planned.log


@pytest.mark.threat("T12")
def test_without_the_secret_a_closed_registry_is_not_asked_twice_and_gets_no_token(
    remote: Project, server: RegistryServer
) -> None:
    project = replace(remote, forge=replace(remote.forge, secrets={}))
    project.declare("alpha", NO_PACKAGES.format(name="alpha") + "environment_variables: {A: b}\n")
    planned = project.propose("Dependabot edits alpha")
    assert_succeeded(planned)
    assert "rebuild" in planned.summary
    assert "::warning title=Compared with its base::" in planned.log
    assert project.merge().step("Plan").status == 77
    assert [one for one in server.credentials if remote.forge.token in one] == []
    encoded = base64.b64encode(f"somebody:{remote.forge.token}".encode()).decode()
    assert [one for one in server.credentials if encoded in one] == []


def test_without_the_secret_a_registry_that_is_open_for_reading_is_planned_against(
    remote: Project, server: RegistryServer
) -> None:
    assert_succeeded(remote.merge())
    server.settings = Settings(auth=Bearer(username=USER, password=PASSWORD, anonymous=frozenset(["pull"])))
    project = replace(remote, forge=replace(remote.forge, secrets={}))
    project.declare("alpha", NO_PACKAGES.format(name="alpha") + "environment_variables: {A: b}\n")
    planned = project.propose("Dependabot edits alpha")
    assert_succeeded(planned)
    assert "rebuild" in planned.summary
    assert "::warning" not in planned.log


# -- signing in -------------------------------------------------------------------------------------------------

_REST = frozenset(["Install", "Validate", "Plan", "Apply", "Look for drift"])


def _signed_in(project: Project, stem: str = "apply") -> tuple[JobResult, dict[str, str]]:
    """Run a workflow whose other steps do nothing; give it with the users and passwords that docker would see."""
    project = replace(project, forge=replace(project.forge, done_before=_REST))
    result = project.merge() if stem == "apply" else project.look() if stem == "drift" else project.propose("x")
    settings = result.folder / "temp" / "registry-login" / "config.json"
    if not settings.exists():
        return result, {}
    assert settings.stat().st_mode & 0o77 == 0
    assert settings.parent.stat().st_mode & 0o77 == 0
    found: dict[str, dict[str, str]] = json.loads(settings.read_text())["auths"]
    return result, {host: base64.b64decode(entry["auth"], validate=True).decode() for host, entry in found.items()}


@pytest.mark.parametrize("stem", ["plan", "apply", "drift"])
def test_the_job_s_own_token_is_for_github_s_registry_alone(
    ready: Project, stem: str, count_cases: Callable[[str, int], None]
) -> None:
    result, auths = _signed_in(ready.with_registry("ghcr.io/owner/prefix"), stem)
    assert_succeeded(result)
    assert auths == {"ghcr.io": f"somebody:{ready.forge.token}"}
    others = [
        "registry.example.invalid/team",
        "ghcr.io.example.invalid/team",
        "ghcr.io:444/team",
        "GHCR.IO@example.invalid/ghcr.io/a",
        "./ghcr.io/a",
        "/ghcr.io",
    ]
    for address in others:
        result, auths = _signed_in(ready.with_registry(address), stem)
        assert_succeeded(result)
        assert auths == {}
    count_cases("T12", len(others) + 1)


def test_a_user_and_a_password_that_try_to_inject_reach_docker_s_settings_as_they_are(
    ready: Project, count_cases: Callable[[str, int], None]
) -> None:
    host = "registry.example.invalid:5000"
    for text in INJECTIONS.values():
        project = ready.with_registry(f"{host}/a", password=text, RECONCILER_REGISTRY_USER=text)
        result, auths = _signed_in(project)
        assert_succeeded(result)
        assert_inert(result)
        assert auths == {host: f"{text}:{text}"}
    count_cases("T14", len(INJECTIONS))


def test_a_password_for_an_address_without_a_host_is_refused(
    ready: Project, count_cases: Callable[[str, int], None]
) -> None:
    folders = ["/", "/srv/registry", "./registry", "../registry", "https://host.invalid/a", ":5000/a", "-x.invalid/a"]
    for address in [*folders, *INJECTIONS.values()]:
        result, auths = _signed_in(ready.with_registry(address, password="secret"))  # noqa: S106  # of no registry
        assert result.step(SIGN_IN).status == 64, address
        assert auths == {}
        assert_inert(result)
    count_cases("T14", len(folders) + len(INJECTIONS))


def test_a_folder_that_stays_needs_no_cache(ready: Project, tmp_path: Path) -> None:
    project = ready.with_registry(str(tmp_path / "stays"))
    result = project.merge()
    assert_succeeded(result)
    assert {path.name for path in (tmp_path / "stays").iterdir()} >= {"alpha", "beta"}
    assert project.saved() == []
    looked = project.look()
    assert_succeeded(looked)
    assert "No drift" in looked.summary


def test_basic_authentication_serves_too(ready: Project) -> None:
    with serving_registry(Settings(auth=Basic(username=USER, password=PASSWORD))) as server:
        address = f"{server.address}/team/environments"
        project = ready.with_registry(address, password=PASSWORD, RECONCILER_REGISTRY_USER=USER)
        assert_succeeded(project.merge())
        assert {name for name in server.store.repositories if re.search("alpha|beta", name)} == {
            "team/environments/alpha",
            "team/environments/beta",
        }
