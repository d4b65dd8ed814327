from __future__ import annotations

import json

import pytest

from reconciler.errors import ManifestError
from reconciler.manifest.config import (
    ARCHIVES,
    ArchiveSource,
    Config,
    PackageSource,
    Policies,
    RegistryHost,
    SystemRepository,
    fill_in,
    parse_config,
)
from reconciler.sources.schemas import read_schema
from reconciler.values.canonical import Json

SCHEMA = read_schema("config")


def read(text: str) -> Config:
    return parse_config(text.encode(), "reconciler.yaml", SCHEMA)


def findings(text: str) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        read(text)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "{}\n"])
def test_everything_has_a_default(text: str) -> None:
    assert read(text) == Config() == parse_config(None, "reconciler.yaml", SCHEMA)


def test_the_defaults_are_those_of_the_schema() -> None:
    properties = json.loads(SCHEMA)["properties"]
    config = Config()
    assert config.registry == properties["registry"]["default"]
    assert config.manifests == properties["manifests"]["default"]
    for compute, entry in properties["bases"]["properties"].items():
        for variant, image in entry["properties"].items():
            assert config.bases[compute][variant] == image["default"]
    assert set(properties["archives"]["properties"]) == ARCHIVES
    for name, policy in properties["policies"]["properties"].items():
        value = getattr(config.policies, name)
        assert (list(value) if isinstance(value, tuple) else value) == policy["default"]


def test_fields_reach_the_configuration() -> None:
    config = read(
        "registry: registry.example.org/ml\nmanager: team\nbranches: {main: a, feature/x: b}\nmanifests: ./ml/envs/\n"
        "bases: {gpu: {slim: 'cuda:12'}}\n"
        "indexes: {internal: {url: https://packages.example.org/simple}}\n"
        "system_repositories: {x: {url: https://a.example.org, suite: s, key: k.asc}}\n"
        "archives: {debian: {mirror: https://a.example.org/debian, snapshot: https://s.example.org/debian}}\n"
        "policies: {max_deletes: 0, protected: [a], require_lock: true}\n"
    )
    assert config.registry_of("main") == "a"
    assert config.registry_of("other") == config.registry_of(None) == "registry.example.org/ml"
    assert config.manifests == "ml/envs"
    assert config.bases["gpu"] == {"standard": "debian", "slim": "cuda:12", "cuda": {}}
    assert config.indexes == {"internal": PackageSource(url="https://packages.example.org/simple")}
    archive = ArchiveSource(mirror="https://a.example.org/debian", snapshot="https://s.example.org/debian")
    assert config.archives == {"debian": archive}
    assert config.system_repositories["x"] == SystemRepository(url="https://a.example.org", suite="s", key="k.asc")
    assert config.policies == Policies(max_deletes=0, protected=("a",), require_lock=True)


def test_settings_of_a_registry_reach_the_configuration() -> None:
    config = read(
        "registries:\n"
        "  registry.example.org: {}\n"
        "  registry.example.org:5000: {certificate_authority: ./keys/../ca.pem, token_host: 'login.example.com:1'}\n"
        "  '[::1]:5000': {plain_http: true}\n"
    )
    assert config.registries == {
        "registry.example.org": RegistryHost(),
        "registry.example.org:5000": RegistryHost(certificate_authority="ca.pem", token_host="login.example.com:1"),  # noqa: S106
        "[::1]:5000": RegistryHost(plain_http=True),
    }


def test_the_defaults_of_a_registry_are_those_of_the_schema() -> None:
    properties = json.loads(SCHEMA)["properties"]["registries"]["additionalProperties"]["properties"]
    assert {name: getattr(RegistryHost(), name) for name in properties} == {
        name: entry.get("default") for name, entry in properties.items()
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("registy: x", "1:1: unknown field `registy` (did you mean `registry`?)"),
        ("max_deletes: 3", "1:1: unknown field `max_deletes` (`max_deletes` stands under `policies`)"),
        ("policies: {max_deletes: '3'}", "1:25: `policies.max_deletes` is the text '3'; expected a number"),
        ("policies: {max_deletes: 03}", "1:25: `policies.max_deletes` is the text '03'; expected a number"),
        ("policies: {max_deletes: -1}", "1:25: `policies.max_deletes` is -1; expected at least 0"),
        ("policies: {max_deletes: .nan}", "1:25: .nan is a number that is none"),
        ("policies: {protected: [A]}", "expected a name that matches"),
        ("policies: {protected: [reconciler-x]}", "the reconciler's own"),
        ("manifests: ../x", "1:12: the path leads out of the repository"),
        ("manifests: /x", "1:12: the path is absolute"),
        ("indexes: {a: {}}", "1:11: `indexes.a` needs the field `url`"),
        ("indexes: {A: {url: https://x.example.org}}", "`indexes` has the key 'A'; expected an alias"),
        ("indexes: {a: {url: ftp://x}}", "expected an address such as"),
        ("indexes: {a: {url: 'https://u:p@x.example.org'}}", "expected an address such as"),
        ("registries: {r.example.org/ml: {}}", "`registries` has the key 'r.example.org/ml'; expected a host in lower"),
        ("registries: {'https://r.example.org': {}}", "expected a host in lower case"),
        ("registries: {'me@r.example.org': {}}", "expected a host in lower case"),
        ("registries: {R.example.org: {}}", "expected a host in lower case"),
        ("registries: {'r:0': {}}", "expected a host in lower case"),
        ("registries: {r: {http: true}}", "unknown field `http` in `registries.r`"),
        ("registries: {r: {plain_http: 'maybe'}}", "expected true or false"),
        ("registries: {r: {certificate_authority: /etc/ca.pem}}", "the path is absolute"),
        ("registries: {r: {certificate_authority: ../ca.pem}}", "the path leads out of the repository"),
        (
            "registries: {r: {certificate_authority: ca.pem, plain_http: true}}",
            "over plain HTTP there is no certificate",
        ),
        ("registries: {r: {token_host: 'https://login.example.com'}}", "expected a host such as login.example.com"),
        ("registries: {r: {token_host: 'me@login.example.com'}}", "expected a host such as login.example.com"),
        ("registries: {r: {token_host: ''}}", "expected a host such as login.example.com"),
        ("archives: {fedora: {mirror: https://x.example.org}}", "unknown field `fedora` in `archives`"),
        ("archives: {debian: {mirror: 'https://u:p@x.example.org'}}", "expected an address such as"),
        (
            "system_repositories: {debian: {url: https://x.example.org, suite: s, key: k}}",
            "`debian` is the archive of a distribution",
        ),
        ("manager: ${X}", "no variable is filled in"),
        ("defaults: {t: {name: x}}", "unknown field `name` in `defaults.t`"),
        ("defaults: {t: {pip: []}}", "(`pip` stands under `defaults.t.python`)"),
        ("defaults: {t: {cuda: 12.4}}", "1:22: `cuda` goes with `compute: gpu`"),
        ("defaults: {t: {environment_variables: {A_TOKEN: x}}}", "literal secret"),
        ("- a", "1:1: the file is a list; expected a mapping"),
    ],
)
def test_a_mistake_is_said_with_its_place_and_its_fix(text: str, expected: str) -> None:
    found = findings(text)
    assert any(expected in line for line in found), found


def test_filling_in_replaces_lists_and_merges_mappings() -> None:
    own: dict[str, Json] = {"a": ["x"], "b": {"c": "1"}}
    assert fill_in(own, {"a": ["y"], "b": {"c": "2", "d": "3"}, "e": "4"}) == {
        "a": ["x"],
        "b": {"c": "1", "d": "3"},
        "e": "4",
    }


def test_filling_in_changes_neither_side() -> None:
    own: dict[str, Json] = {"b": {"c": "1"}}
    defaults: dict[str, Json] = {"b": {"d": "3"}}
    fill_in(own, defaults)
    assert (own, defaults) == ({"b": {"c": "1"}}, {"b": {"d": "3"}})
