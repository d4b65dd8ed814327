"""What README shows is run, and what it lists is compared with the code."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from reconciler import errors
from reconciler.cli.exit import CHANGES, DRIFT
from reconciler.cli.main import cli
from reconciler.cli.wiring import OBSERVERS
from reconciler.clients.registry.retrying import TRIES
from reconciler.clients.registry.session import Settings
from reconciler.reconcile.outcome import SOME_FAILED
from reconciler.reports.environments import FIELDS
from reconciler.reports.wording import SYMBOLS
from tests.conftest import Required
from tests.registry_server import serving_registry
from tests.repository import PROGRAM, TIMEOUT_S, Repository
from tests.wheelhouse import write_wheel

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text()
ELISION = "..."
MODULES = {"scikit-learn": "sklearn", "mlflow-skinny": "mlflow"}
VERSION = "30.0.0"
SHOWN_REGISTRY = "127.0.0.1:5000"


# -- reading the document ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """A fenced block: its language and its lines."""

    language: str
    lines: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """A command, and what it prints on standard output; none where the document does not say."""

    command: str
    printed: tuple[str, ...] | None = None


def blocks() -> Iterator[Block]:
    for language, body in re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL):
        yield Block(language=language, lines=tuple(body.splitlines()))


def examples() -> Iterator[Example]:
    """Give every command of console blocks, and those lines of sh blocks that call the reconciler, in order."""
    for block in blocks():
        if block.language == "sh":
            yield from (Example(command=line) for line in block.lines if line.startswith("reconciler "))
        elif block.language == "console":
            command, printed = "", list[str]()
            for line in block.lines:
                if line.startswith("$ "):
                    if command:
                        yield Example(command=command, printed=tuple(printed))
                    command, printed = line.removeprefix("$ "), []
                else:
                    printed.append(line)
            yield Example(command=command, printed=tuple(printed))


def section(title: str, level: str = "##") -> str:
    """Give what stands under a heading, up to the next one of its level or above."""
    _, found, rest = TEXT.partition(f"\n{level} {title}\n")
    assert found, f"README has no heading {title}"
    return re.split(rf"^#{{1,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def table(title: str, head: str, level: str = "##") -> list[list[str]]:
    """Give the rows of the table under a heading whose first column is called ``head``."""
    rows: list[list[str]] = []
    inside = False
    for line in section(title, level).splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and cells[0] == head:
            inside = True
        elif inside and not line.startswith("|"):
            return rows
        elif inside and not line.startswith("| -"):
            rows.append(cells)
    return rows


PLACEHOLDERS = {"registries": "HOST", "bases.gpu.cuda": "VERSION"}


def fields(schema: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Give every field of a schema by its path, a name of the user's own as in README (``ALIAS``, ``HOST``)."""
    for name, body in schema.get("properties", {}).items():
        path = f"{prefix}{name}"
        yield path, body
        yield from fields(body, f"{path}.")
        below = body.get("additionalProperties")
        # The defaults of reconciler.yaml are a manifest's fields, listed once.
        if isinstance(below, dict) and path != "defaults":
            yield from fields(below, f"{path}.{PLACEHOLDERS.get(path, 'ALIAS')}.")


def schema_fields(name: str) -> dict[str, Mapping[str, Any]]:
    return dict(fields(json.loads((ROOT / "schemas" / f"{name}.schema.json").read_text())))


# -- examples ---------------------------------------------------------------------------------------------------


def shape(text: str) -> str:
    """Leave out of an output what differs from run to run and from index to index."""
    text = re.sub(r"\(\+[0-9.]+ [kMGT]?B\)", "(+SIZE)", text)
    text = re.sub(r"\b[0-9a-f]{12,64}\b", "DIGEST", text)
    text = re.sub(r"[0-9]+", "N", text)
    return re.sub(r" +", " ", text)


def pattern(printed: tuple[str, ...]) -> str:
    """Write what is shown as a pattern: a line of three dots stands for any lines."""
    return "".join(r"(?:.*\n)*?" if line == ELISION else re.escape(shape(f"{line}\n")) for line in printed)


def shell(repository: Repository, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command],
        cwd=repository.root,
        env={**repository.environ, "PATH": f"{PROGRAM.parent}:{repository.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=5 * TIMEOUT_S,
    )


@pytest.fixture
def repository(tmp_path: Path, required: Required) -> Repository:
    """A clone with the repository's own environments, and an index with a tiny wheel of each thing they require."""
    required.python("3.11")
    required.mirror()
    found = Repository(tmp_path / "clone")
    (found.root / "environments").mkdir()
    requirements = {"pip", "pyarrow"}
    for manifest in sorted((ROOT / "environments").glob("*.yaml")):
        (found.root / "environments" / manifest.name).write_text(manifest.read_text())
        requirements |= set(yaml.safe_load(manifest.read_text())["python"]["pip"])
    for requirement in sorted(requirements):
        name = re.split(r"[<>=!~\[ ]", requirement)[0]
        module = f"{MODULES.get(name, name)}.py"
        write_wheel(found.wheels, name, VERSION, modules={module: f"__version__ = {VERSION!r}\n"})
    for script in ("train.py", "src/risk/train.py"):
        (found.root / script).parent.mkdir(parents=True, exist_ok=True)
        (found.root / script).write_text("import sklearn\n")
    found.commit()
    return found


@pytest.fixture
def remote() -> Iterator[str]:
    """A registry on loopback; README's has the port that the reference registry has unless told otherwise."""
    with serving_registry() as server:
        yield server.address


def test_every_example_runs_and_prints_what_is_shown(repository: Repository, remote: str) -> None:
    code, ran = 0, list(examples())
    for place, example in enumerate(ran):
        if example.command == "echo $?":
            assert example.printed == (str(code),), f"after: {ran[place - 1].command}"
            continue
        done = shell(repository, example.command.replace(SHOWN_REGISTRY, remote))
        code = done.returncode
        said = f"$ {example.command}\n{done.stdout}{done.stderr}"
        told = place + 1 < len(ran) and ran[place + 1].command == "echo $?"
        assert told or code == 0, f"exit {code}\n{said}"
        if example.printed is not None:
            assert re.fullmatch(pattern(example.printed), shape(done.stdout)), said


def test_an_output_that_differs_in_a_word_or_a_line_is_seen() -> None:
    shown = ("Plan: 1 to create.", ELISION, "Apply: 1 applied.")
    assert re.fullmatch(pattern(shown), shape("Plan: 3 to create.\nany\nlines\nApply: 3 applied.\n"))
    for other in ("Plan: 3 to rebuild.\nApply: 3 applied.\n", "Plan: 3 to create.\n", "x\nPlan: 3 to create.\n"):
        assert not re.fullmatch(pattern(shown), shape(other))


def test_files_that_are_shown_are_valid(repository: Repository) -> None:
    shown = [block.lines for block in blocks() if block.language == "yaml" and block.lines[0].endswith(".yaml")]
    assert {lines[0] for lines in shown} == {
        "# environments/training.yaml",
        "# environments/serving-image.yaml",
        "# reconciler.yaml",
    }
    for lines in shown:
        (repository.root / lines[0].removeprefix("# ")).write_text("\n".join(lines) + "\n")
    repository("validate")


def test_the_first_line_of_code_installs_and_applies_in_a_fresh_clone() -> None:
    (line,) = next(blocks()).lines
    assert line.startswith("python3 -m venv .venv && .venv/bin/pip install ")
    assert line.endswith(" && .venv/bin/reconciler apply")
    assert "Python 3.11 or newer" in TEXT


# -- reference --------------------------------------------------------------------------------------------------


def test_the_commands_are_those_of_the_command_line_and_each_has_an_example() -> None:
    listed = re.findall(r"^### (\w+)$", section("Commands"), re.MULTILINE)
    assert isinstance(cli, click.Group)
    assert listed == cli.list_commands(click.Context(cli))
    for name in listed:
        assert f"$ reconciler {name}" in section(name, "###")


def test_the_exit_codes_are_those_of_the_code() -> None:
    tree = [value for value in vars(errors).values() if isinstance(value, type)]
    raised = {value.exit_code for value in tree if issubclass(value, errors.ReconcilerError)}
    listed = [int(row[0]) for row in table("Exit codes", "exit")]
    assert listed == sorted(raised | {0, CHANGES, DRIFT, SOME_FAILED})


def test_the_symbols_are_those_of_a_plan() -> None:
    listed = {row[1].strip("`"): row[0].strip("`") or " " for row in table("plan", "symbol", "###")}
    assert listed == {action.value: symbol for action, symbol in SYMBOLS.items()}


def test_the_words_of_a_template_are_those_of_get() -> None:
    assert tuple(re.findall(r"`\{(\w+)\}`", section("get", "###"))) == FIELDS


@pytest.mark.parametrize(
    ("title", "schema"), [("Manifest reference", "environment"), ("Configuration reference", "config")]
)
def test_a_reference_lists_the_fields_and_defaults_of_its_schema(title: str, schema: str) -> None:
    known = schema_fields(schema)
    rows = table(title, "field")
    assert [row[0].strip("`") for row in rows] == list(known)
    for name, _, default, *_ in rows:
        value = known[name.strip("`")].get("default")
        written = value if isinstance(value, str) and value else json.dumps(value)
        assert default == ("" if value is None else f"`{written}`"), name


BESIDE: dict[str, dict[str, object]] = {
    "cuda": {"compute": "gpu"},
    "python.extras": {"python": {"project": "pyproject.toml"}},
    "python.groups": {"python": {"project": "pyproject.toml"}},
    "python.interpreter_path": {"python": {"user_managed_dependencies": True}},
    "docker.base_image_registry": {"docker": {"base_image": "debian"}},
    "docker.build": {"docker": {"base_dockerfile": "Dockerfile"}},
}
"""What has to stand beside a field, so that it is valid."""
VALUES: dict[str, object] = {
    "docker.enabled": True,
    "docker.base_dockerfile": "Dockerfile",
    "docker.base_environment": "x-docker-base-image",
    "docker.base_image_registry": {"address": "registry.example.org"},
    "docker.build": {"target": "runtime"},
    "python.conda": {"dependencies": ["numpy"]},
    "python.conda_file": "../conda.yaml",
    "python.local": ["library"],
    "python.pip_file": "requirements.txt",
    "python.project": "pyproject.toml",
    "system_repositories": ["archive"],
    "files": {"/etc/app": "requirements.txt"},
}
"""Values for fields whose example in the schema needs more than this test has."""
WITH_ANOTHER = ("python.conda.", "docker.build.", "docker.base_image_registry.")
"""Fields that are tried as a part of the one that holds them."""
UNTRIED = ("name", "extends", "renamed_from", "python", "docker", "checks")


OF_IMAGES = "**Refused** where `docker.enabled` is false"
GROUNDS = ("docker.base", "docker.base_image", "docker.base_image_registry", "docker.base_environment")
"""Fields that say what an image is built on."""
PACKAGED = ("cuda", "system_packages", "system_repositories")
"""Fields that the catalog's base is for."""


def declaration(name: str, path: str, *, on_image: bool) -> dict[str, Any]:
    """Write a manifest with one field, and what has to stand beside it."""
    outer, _, inner = path.partition(".")
    value = VALUES[path] if path in VALUES else schema_fields("environment")[path]["examples"][-1]
    found: dict[str, Any] = {"name": name, **BESIDE.get(path, {})}
    found[outer] = {**found.get(outer, {}), inner: value} if inner else value
    if path in PACKAGED:
        return found
    if on_image:
        return {**found, "docker": {**found.get("docker", {}), "base_image": "oci:base"}}
    # An image is what the fields of docker are for, and what the other builders make.
    return found if outer in {"docker", "builder"} else {**found, "docker": {"enabled": False}}


def test_what_is_marked_as_refused_is_refused_and_nothing_else(repository: Repository) -> None:
    rows = {row[0].strip("`"): row[-1] for row in table("Manifest reference", "field")}
    marked = {path: "**Refused" in row and OF_IMAGES not in row for path, row in rows.items()}
    tried = {path: refused for path, refused in marked.items() if path not in UNTRIED}
    for path in WITH_ANOTHER:
        within = {tried.pop(name) for name in list(tried) if name.startswith(path)}
        assert within == {tried[path.removesuffix(".")]}
    folder = repository.root / "environments"
    for manifest in folder.iterdir():
        manifest.unlink()
    (folder / "library").mkdir()
    for file, text in {
        "requirements.txt": "",
        "library/pyproject.toml": "",
        "pyproject.toml": "[project]\nname = 'a'\nversion = '1'\n[project.optional-dependencies]\ntrain = []\n"
        "[dependency-groups]\ngpu = []\n",
        "uv.lock": "version = 1\n",
        "Dockerfile": "FROM debian\n",
        "../conda.yaml": "dependencies: [numpy]\n",
        "../reconciler.yaml": "system_repositories: {archive: {url: 'https://a.example.org', suite: a, key: key}}\n",
    }.items():
        (folder / file).write_text(text)
    names = {f"x-{re.sub('[._]', '-', path)}": path for path in tried}
    for name, path in names.items():
        is_of_images = OF_IMAGES in rows[path] and path not in GROUNDS
        (folder / f"{name}.yaml").write_text(json.dumps(declaration(name, path, on_image=is_of_images)))
    plan = json.loads(repository("plan", "-o", "json", expect=None).out)
    assert {names[step["name"]]: step["action"] == "blocked" for step in plan["steps"]} == tried


def test_the_rows_of_faults_and_threats_are_those_that_the_tests_count() -> None:
    counted: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        counted |= set(re.findall(r"""(?:threat|count\w*)\(\s*"([FT][0-9]+)\"""", path.read_text()))
    listed = [row[0] for row in table("What is tested?", "row", "###")]
    assert set(listed) == counted
    assert listed == sorted(listed, key=lambda row: (row[0], int(row[1:])))


def test_the_numbers_of_a_remote_registry_are_those_of_the_code() -> None:
    waiting, asking = (
        " ".join(section(title, "###").split()) for title in ("How long does it wait?", "How many requests are made?")
    )
    assert TRIES == 5
    assert "asked up to five times" in waiting
    assert f"at most {Settings().limit_s:.0f} seconds" in waiting
    assert f"{OBSERVERS} at once" in asking
    (limit,) = [row[1] for row in table("Configuration reference", "variable") if "REGISTRY_LIMIT" in row[0]]
    assert f"{Settings().limit_s:.0f} without it" in limit


def test_the_settings_of_the_workflows_are_those_that_they_read() -> None:
    read: dict[str, str] = {}
    for path in (ROOT / ".github/workflows").glob("*.yml"):
        found = re.findall(r"\b(vars|secrets)\.(\w+)", path.read_text())
        read |= {name: "variable" if kind == "vars" else "secret" for kind, name in found}
    assert {row[0].strip("`"): row[1] for row in table("What runs in CI?", "setting")} == read


# -- links and places -------------------------------------------------------------------------------------------


def test_links_lead_to_files_and_headings_that_are_there() -> None:
    titles = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", TEXT, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
    targets = re.findall(r"\]\(([^)]+)\)", TEXT)
    assert targets
    for target in targets:
        path, _, anchor = target.partition("#")
        assert (ROOT / path).exists(), target
        assert not anchor or anchor in anchors, target


DOCUMENTS = ("README.md", ".github/CHANGELOG.md")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_host_but_examples_and_no_place_of_a_machine_is_named(document: str) -> None:
    text = (ROOT / document).read_text()
    words = re.findall(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+", text)
    hosts = {word for word in words if word.rpartition(".")[2] in {"org", "io", "com", "net", "dev", "cloud"}}
    assert all(host.endswith("example.org") for host in hosts), hosts
    text = text.replace("`/opt/venv`", "")  # where every image has its environment
    text = text.replace("`/opt/python`", "")  # where a standalone Python is
    text = text.replace("`/var/lib/dpkg/", "")  # where one of Debian packages says what is installed
    assert not re.findall(r"(?<![\w.])/(?:home|root|work|opt|tmp|mnt|Users|var)\b", text)


def test_the_place_for_measurements_is_left_to_who_measures() -> None:
    assert TEXT.count("<!-- benchmarks -->") == 1
