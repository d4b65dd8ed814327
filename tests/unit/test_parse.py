from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import ManifestError
from reconciler.manifest.config import Config, SystemRepository
from reconciler.manifest.model import Conda, Manifest, Python
from reconciler.manifest.parse import ParsedDocument, collisions, manifest_from, parse_manifest, read_value
from reconciler.manifest.problem import Problem
from reconciler.sources.schemas import read_schema
from reconciler.values.location import Location
from reconciler.values.platform import Platform

SCHEMA = read_schema("environment")


def read(text: str, path: str = "environments/a.yaml", config: Config | None = None) -> Manifest:
    return parse_manifest(text.encode(), path, SCHEMA, config)


def findings(text: str, path: str = "environments/a.yaml", config: Config | None = None) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        read(text, path, config)
    return [str(problem) for problem in caught.value.problems]


def test_a_name_alone_is_a_manifest_with_every_default() -> None:
    assert read("name: a") == Manifest(name="a", path="environments/a.yaml")


def test_fields_reach_the_manifest() -> None:
    manifest = read(
        "name: a\nplatforms: [linux/arm64]\npython:\n  version: 3.10\n  pip_file: r.txt\n  constraints: [numpy<2]\n"
        "  conda: {channels: [c], dependencies: [d, {pip: [e]}]}\ndocker: {build: {secrets: [s]}, base_dockerfile: D}\n"
    )
    assert manifest.platforms == (Platform("linux", "arm64"),)
    assert manifest.python == Python(
        version="3.10",
        pip_file=("r.txt",),
        constraints=("numpy<2",),
        conda=Conda(channels=("c",), dependencies=("d",), pip=("e",)),
    )
    assert manifest.docker.build.secrets == ("s",)


def test_a_manifest_knows_where_its_fields_stand() -> None:
    manifest = read("name: a\npython:\n  pip:\n    - numpy\n    - pandas\n")
    assert manifest.locate("name") == Location("environments/a.yaml", 1, 7)
    assert manifest.locate("python.pip[1]") == Location("environments/a.yaml", 5, 7)
    assert manifest.locate("python.version") == Location("environments/a.yaml", 2, 1)


def test_what_was_read_survives_a_cache() -> None:
    parsed = read_value(b"name: a\npython: {pip: [numpy]}\nprotected: true\n", "environments/a.yaml", SCHEMA)
    again = ParsedDocument.from_json(json.loads(json.dumps(parsed.to_json())))
    assert manifest_from(again, "environments/a.yaml", Config()) == manifest_from(
        parsed, "environments/a.yaml", Config()
    )
    assert again == parsed


@pytest.mark.parametrize("content", [None, [], {}, {"value": {}}, {"value": [], "lines": {}}])
def test_another_content_of_a_cache_is_refused(content: list[None] | dict[str, object] | None) -> None:
    with pytest.raises(ValueError, match="read before"):
        ParsedDocument.from_json(content)  # type: ignore[arg-type]  # as a damaged cache gives it


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("environments/a.yaml", "a"),
        ("environments/a.yml", "a"),
        ("environments/a/environment.yaml", "a"),
        ("environments/a/environment.yml", "a"),
        ("environments/environment.yaml", "environment"),
        ("environments/a.b.yaml", "a.b"),
    ],
)
def test_a_manifest_has_its_files_name(path: str, name: str) -> None:
    assert read(f"name: {name}", path).name == name
    assert f"write `name: {name}`" in findings("name: other", path)[0]


def test_another_folder_of_manifests_gives_the_same_names() -> None:
    config = Config(manifests="ml/envs")
    assert read("name: a", "ml/envs/a.yaml", config).name == "a"
    assert read("name: a", "ml/envs/a/environment.yaml", config).name == "a"


def test_every_problem_of_a_file_is_said_at_once_in_the_files_order() -> None:
    found = findings("nam: a\ncuda: 12.4\npython: {pip: numpy, pip_file: ../../x}\n")
    assert [line.split(": ")[0] for line in found] == [
        "environments/a.yaml:1:1",
        "environments/a.yaml:1:1",
        "environments/a.yaml:2:7",
        "environments/a.yaml:3:15",
        "environments/a.yaml:3:32",
    ]


def test_two_manifests_of_one_name_are_one_problem_that_names_both_files() -> None:
    first, second = read("name: a"), read("name: a", "environments/a/environment.yaml")
    found = collisions([second, first, read("name: b", "environments/b.yaml")])
    assert len(found) == 1
    assert "environments/a.yaml and environments/a/environment.yaml" in found[0].message


def test_a_rename_from_what_is_still_declared_is_a_problem() -> None:
    found = collisions([read("name: a\nrenamed_from: b"), read("name: b", "environments/b.yaml")])
    assert [str(problem.location) for problem in found] == ["environments/a.yaml:2:15"]


def test_a_swap_of_names_is_two_problems() -> None:
    swapped = [read("name: a\nrenamed_from: b"), read("name: b\nrenamed_from: a", "environments/b.yaml")]
    assert len(collisions(swapped)) == 2


def test_defaults_are_filled_in_by_value_and_the_manifest_wins() -> None:
    config = Config(
        defaults={"team": {"owner": "x", "tags": {"a": "1", "b": "1"}, "python": {"pip": ["p"], "version": "3.12"}}}
    )
    manifest = read("name: a\nextends: team\ntags: {b: 2}\npython: {pip: [q]}", config=config)
    assert manifest.owner == "x"
    assert manifest.tags == {"a": "1", "b": "2"}
    assert manifest.python == Python(pip=("q",), version="3.12")
    assert "owner" not in manifest.lines


def test_a_base_of_its_own_leaves_out_the_bases_of_the_defaults() -> None:
    config = Config(defaults={"team": {"docker": {"base_image": "debian:bookworm", "user": "ml"}}})
    docker = read("name: a\nextends: team\ndocker: {base_environment: b}", config=config).docker
    assert (docker.base_image, docker.base_environment, docker.user) == (None, "b", "ml")


def test_defaults_that_contradict_the_manifest_are_a_problem() -> None:
    config = Config(defaults={"team": {"docker": {"user": "ml"}}})
    assert (
        "contradicts `docker.enabled: false`"
        in findings("name: a\nextends: team\ndocker: {enabled: false}", config=config)[0]
    )


def test_unknown_defaults_are_a_problem_with_the_likely_name() -> None:
    config = Config(defaults={"team": {}})
    assert "did you mean `team`?" in findings("name: a\nextends: teams", config=config)[0]


def test_an_archive_is_one_of_the_configuration() -> None:
    archive = SystemRepository(url="https://archive.example.org", suite="s", key="k.asc")
    config = Config(system_repositories={"cuda": archive})
    assert read("name: a\nsystem_repositories: [cuda]", config=config).system_repositories == ("cuda",)
    assert "did you mean `cuda`?" in findings("name: a\nsystem_repositories: [cuda2]", config=config)[0]


SECRETS = [
    "python: {pip: ['x @ https://user:hunter2@example.org/x.whl']}",
    "python: {pip: ['git+https://hunter2@example.org/x']}",
    "python: {pip: ['git+ssh://git:hunter2@example.org/x']}",
    "environment_variables: {URL: 'postgres://u:hunter2@db/x'}",
    "environment_variables: {URL: 'https://example.org/x?sig=hunter2'}",
    "environment_variables: {URL: 'https://example.org/x?a=b&access_token=hunter2'}",
    "environment_variables: {DB_PASSWORD: hunter2}",
    "environment_variables: {HF_TOKEN: hunter2}",
    "environment_variables: {MY_API_KEY: hunter2}",
    "environment_variables: {AWS_SECRET_ACCESS_KEY: hunter2}",
    "environment_variables: {GHTOKEN: hunter2}",
    "environment_variables: {X_TOKEN: [hunter2]}",
    "environment_variables: {X_TOKEN: {a: hunter2}}",
    "docker: {base_dockerfile: D, build: {args: {PIP_PASSWORD: hunter2}}}",
    "docker: {labels: {secret: hunter2}}",
    "docker: {base_image: 'https://u:hunter2@example.org/x'}",
    "python: {pip_file: 'https://u:hunter2@example.org/r.txt'}",
    "https://u:hunter2@example.org: x",
    "environment_variables: {'https://u:hunter2@h': x}",
]


@pytest.mark.threat("T13")
@pytest.mark.parametrize("text", SECRETS)
def test_a_literal_secret_is_refused_and_never_shown(text: str) -> None:
    found = findings(f"name: a\n{text}\n")
    assert found
    assert not any("hunter2" in line for line in found), found


@pytest.mark.parametrize(
    "text",
    [
        "environment_variables: {HF_TOKEN: '${HF_TOKEN}'}",
        "environment_variables: {URL: 'https://${USER}:${PASS}@example.org'}",
        "environment_variables: {TOKENIZERS_PARALLELISM: false, TOKEN_LIMIT: 5, KEYBOARD: us, MONKEY: x}",
        "environment_variables: {DB_PASSWORD_FILE: /run/secrets/db, USE_TOKEN: true, EMPTY_TOKEN: ''}",
        "python: {pip: ['git+ssh://git@example.org/x@0123456789012345678901234567890123456789']}",
        "description: costs ${PRICE} at https://example.org/a@b",
    ],
)
def test_what_is_no_secret_is_accepted(text: str) -> None:
    assert read(f"name: a\n{text}\n").name == "a"


@pytest.mark.parametrize(
    "text",
    [
        "owner: ${X}",
        "python: {pip: ['${X}']}",
        "docker: {labels: {a: '${X}'}}",
        "docker: {base_dockerfile: D, build: {args: {A: '${X}'}}}",
        "checks: {command: [echo, '${X}']}",
        "environment_variables: {A: '${X:-y}'}",
        "environment_variables: {A: '${1}'}",
        "environment_variables: {A: '${X'}",
    ],
)
def test_a_variable_is_refused_where_none_is_filled_in(text: str) -> None:
    assert findings(f"name: a\n{text}\n")


def problems_of(data: bytes) -> tuple[object, ...]:
    try:
        read_value(data, "environments/a.yaml", SCHEMA)
    except ManifestError as error:
        return error.problems or ("none",)
    return ()


@given(st.text(max_size=200) | st.text(alphabet=":-[]{}&*!|>'\"#\n ,a0.~?%", max_size=200))
def test_any_text_is_a_manifest_or_problems_with_places(text: str) -> None:
    found = problems_of(text.encode("utf-8", "surrogatepass"))
    assert all(isinstance(problem, Problem) and problem.location.line > 0 for problem in found)


@given(st.binary(max_size=100))
def test_any_bytes_are_a_manifest_or_problems_with_places(data: bytes) -> None:
    found = problems_of(b"name: a\nowner: " + data)
    assert all(isinstance(problem, Problem) and problem.location.line > 0 for problem in found)
