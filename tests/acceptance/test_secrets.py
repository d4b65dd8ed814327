"""A secret that is near is in nothing that is printed, and in nothing that is kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.acceptance.refusals import Case, call, copy
from tests.conftest import Required
from tests.repository import Repository

SECRET = "hunter2-Zx9"  # noqa: S105  # made up
"""Stands wherever a secret can be; nothing else is spelled like it."""
AROUND = {
    "API_TOKEN": SECRET,
    "PIP_EXTRA_INDEX_URL": f"https://me:{SECRET}@127.0.0.1:9/simple",
    "UV_INDEX_INTERNAL_PASSWORD": SECRET,
    "GITHUB_TOKEN": SECRET,
    "HTTPS_PROXY": f"http://me:{SECRET}@127.0.0.1:9",
}
"""A machine as many are: credentials in its environment; with PIP_NO_INDEX, no address is asked."""
UNREACHABLE = {
    "PIP_NO_INDEX": "",
    "PIP_FIND_LINKS": "",
    "PIP_INDEX_URL": f"http://me:{SECRET}@127.0.0.1:9/simple",
    "UV_HTTP_TIMEOUT": "1",
    "UV_HTTP_RETRIES": "0",
}


def secrets_below(root: Path) -> list[str]:
    """Name every file below a folder, git's own apart, that holds the secret."""
    found = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            if path.is_file() and SECRET.encode() in path.read_bytes():
                found.append(path.relative_to(root).as_posix())
    return [path for path in found if not path.startswith(".git/")]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, required: Required) -> Repository:
    """Give a repository that registers in a shared folder, with a secret wherever one may stand."""
    required.python("3.11")
    patch = pytest.MonkeyPatch()
    for name in ("AUTHOR", "COMMITTER"):
        patch.setenv(f"GIT_{name}_NAME", "Test")
        patch.setenv(f"GIT_{name}_EMAIL", "test@example.invalid")
    found = Repository(tmp_path_factory.mktemp("secrets") / "clone")
    found.release("alpha", "1.0")
    found.declare("training", "alpha", extra="environment_variables: {API_TOKEN: '${API_TOKEN}', MODE: fast}\n")
    (found.root / "reconciler.yaml").write_text("registry: ./shared\n")
    found.git("remote", "add", "origin", f"https://me:{SECRET}@git.example.invalid/team/models.git")
    found.commit()
    case = Case(arguments=("apply",), code=0, says=(), variables=AROUND)
    answer = call(found, case)
    assert answer.code == 0, answer.err
    patch.undo()
    return found


COMMANDS = (
    "validate",
    "validate -o json",
    "validate -o github",
    "lock",
    "lock --check",
    "lock --upgrade",
    "plan",
    "plan -v",
    "plan -o json",
    "plan -o markdown",
    "plan --out plan.json",
    "plan --base HEAD",
    "plan --refresh training",
    "apply",
    "apply -v",
    "apply -o json",
    "apply -o markdown",
    "apply --refresh training",
    "drift",
    "drift --deep",
    "drift -o json",
    "drift -o markdown",
    "list",
    "list -o json",
    "list --archived",
    "get training",
    "get training -o json",
    "get training --format {manager}",
    "history training",
    "history training -o json",
    "explain training",
    "explain training -v",
    "explain training -o json",
    "run training -- true",
    "run training -- gone.py",
    "run training:9 -- true",
    "get other",
    "plan other",
)


@pytest.mark.threat("T13")
@pytest.mark.parametrize("edited", [False, True], ids=["as registered", "edited"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_secret_of_the_machine_is_printed_and_kept_nowhere(
    command: str, *, edited: bool, template: Repository, tmp_path: Path
) -> None:
    repository = copy(template, tmp_path / "clone")
    if edited:
        variables = "environment_variables: {API_TOKEN: '${API_TOKEN}', OTHER: '${GITHUB_TOKEN}'}\n"
        repository.declare("training", "alpha", extra=variables)
    answer = call(repository, Case(arguments=tuple(command.split()), code=0, says=(), variables=AROUND))
    assert SECRET not in answer.out + answer.err
    assert "Traceback" not in answer.err
    assert secrets_below(repository.root) == []


def test_the_script_itself_gets_the_secret(template: Repository, tmp_path: Path) -> None:
    repository = copy(template, tmp_path / "clone")
    arguments = ("run", "training", "--", "python", "-c", "import os; print(os.environ['API_TOKEN'])")
    assert call(repository, Case(arguments=arguments, code=0, says=(), variables=AROUND)).out.strip() == SECRET


@pytest.mark.threat("T13")
@pytest.mark.parametrize(
    "command", ["lock", "lock --upgrade", "apply", "apply -o json", "apply -o markdown", "apply --refresh training"]
)
def test_an_index_that_can_not_be_reached_is_named_without_its_password(
    command: str, template: Repository, tmp_path: Path
) -> None:
    repository = copy(template, tmp_path / "clone")
    repository.declare("training", "alpha", "elsewhere")
    variables = {**AROUND, **UNREACHABLE}
    answer = call(repository, Case(arguments=tuple(command.split()), code=69, says=(), variables=variables))
    assert answer.code == 69, answer.err
    assert "127.0.0.1" in answer.out + answer.err or "index" in answer.out + answer.err
    assert SECRET not in answer.out + answer.err
    assert secrets_below(repository.root) == []


MANIFEST = "name: training\ndocker: {enabled: false}\n"
ADDRESS = f"https://me:{SECRET}@example.invalid"
WRITTEN: dict[str, tuple[str, str]] = {
    "a variable": ("environments/training.yaml", f"{MANIFEST}environment_variables: {{API_TOKEN: {SECRET}}}\n"),
    "a variable's address": ("environments/training.yaml", f"{MANIFEST}environment_variables: {{A: '{ADDRESS}/x'}}\n"),
    "a requirement": ("environments/training.yaml", f"{MANIFEST}python: {{pip: ['a @ {ADDRESS}/a.whl']}}\n"),
    "an index": ("environments/training.yaml", f"{MANIFEST}python: {{indexes: ['{ADDRESS}/simple']}}\n"),
    "a description": ("environments/training.yaml", f"{MANIFEST}description: see {ADDRESS}/x\n"),
    "a label": ("environments/training.yaml", f"name: training\ndocker: {{labels: {{a: '{ADDRESS}/x'}}}}\n"),
    "a base": (
        "environments/training.yaml",
        f"name: training\ndocker: {{base_image_registry: {{address: '{ADDRESS}', credential: a}}}}\n",
    ),
    "a build argument": (
        "environments/training.yaml",
        f"name: training\ndocker: {{build: {{context: ., args: {{TOKEN: {SECRET}}}}}}}\n",
    ),
    "a requirements file": ("environments/requirements.txt", f"a @ {ADDRESS}/a.whl\n"),
    "an index in a file": ("environments/requirements.txt", f"--index-url {ADDRESS}/simple\nalpha\n"),
    "the registry": ("reconciler.yaml", f"registry: '{ADDRESS}/x'\n"),
    "a configured index": ("reconciler.yaml", f"indexes: {{internal: {{url: '{ADDRESS}/simple'}}}}\n"),
    "a lock": ("environments/training.lock.json", f'{{"version": 1, "inputs": "{ADDRESS}", "platforms": {{}}}}\n'),
    "broken yaml": (
        "environments/training.yaml",
        f"{MANIFEST}environment_variables:\n  API_TOKEN: {SECRET}\n bad: [\n",
    ),
    "a wrong type": ("environments/training.yaml", f"{MANIFEST}environment_variables: [API_TOKEN={SECRET}]\n"),
    "a wrong place": ("environments/training.yaml", f"{MANIFEST}api_token: {SECRET}\n"),
}


@pytest.mark.threat("T13")
@pytest.mark.parametrize(
    "command", ["validate", "validate -o json", "validate -o github", "plan", "apply", "explain training"]
)
@pytest.mark.parametrize("place", list(WRITTEN))
def test_a_secret_that_was_written_down_is_refused_and_not_repeated(place: str, command: str, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "clone")
    repository.declare("training")
    if "file" in place:
        (repository.root / "environments" / "training.yaml").write_text(
            f"{MANIFEST}python: {{pip_file: requirements.txt}}\n"
        )
    path, text = WRITTEN[place]
    (repository.root / path).write_text(text)
    answer = call(repository, Case(arguments=tuple(command.split()), code=9, says=()))
    assert answer.code == 9, f"exit {answer.code}\n{answer.out}\n{answer.err}"
    assert SECRET not in answer.out + answer.err, answer.out + answer.err
    assert secrets_below(repository.root) == [path]


@pytest.mark.threat("T13")
@pytest.mark.parametrize(
    "command", ["list", "plan", "apply", "drift", "get training", "explain training", "run training -- true"]
)
@pytest.mark.parametrize("option", [True, False], ids=["option", "variable"])
def test_a_registry_with_a_password_is_refused_without_it(
    command: str, *, option: bool, template: Repository, tmp_path: Path
) -> None:
    repository = copy(template, tmp_path / "clone")
    words = tuple(command.split())
    arguments = (words[0], "--registry", ADDRESS, *words[1:]) if option else words
    variables = {} if option else {"RECONCILER_REGISTRY": ADDRESS}
    answer = call(repository, Case(arguments=arguments, code=1, says=(), variables=variables))
    assert answer.code == 1, answer.err
    assert "error: https://" in answer.err
    assert SECRET not in answer.out + answer.err
