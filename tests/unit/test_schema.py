"""What holds for the schemas themselves, and for the words of their findings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields

import jsonschema
import pytest

from reconciler.manifest.config import Config, Policies
from reconciler.manifest.conversion import Converted
from reconciler.manifest.model import BaseImageRegistry, Build, Checks, Conda, Docker, Manifest, Python
from reconciler.manifest.schema import check, parse_schema
from reconciler.sources.schemas import read_schema
from reconciler.values.canonical import Json

OWN = ("environment", "config")
Node = dict[str, Json]


def described(name: str) -> Iterator[tuple[str, Node]]:
    yield from _described(json.loads(read_schema(name)), name)


def _described(schema: Json, path: str) -> Iterator[tuple[str, Node]]:
    if not isinstance(schema, dict):
        return
    yield path, schema
    properties = schema.get("properties")
    for key, inner in properties.items() if isinstance(properties, dict) else ():
        yield from _described(inner, f"{path}.{key}")
    yield from _described(schema.get("items"), f"{path}[]")
    yield from _described(schema.get("additionalProperties"), f"{path}.*")


ALL = [pytest.param(node, id=path) for name in OWN for path, node in described(name)]


@pytest.mark.parametrize("node", ALL)
def test_a_field_is_described_with_examples_that_are_valid(node: Node) -> None:
    assert isinstance(node["description"], str)
    assert node["description"].endswith(".")
    found = node["examples"]
    assert isinstance(found, list)
    assert found
    values = [*found, node["default"]] if "default" in node else found
    for value in values:
        jsonschema.Draft7Validator(node).validate(value)


@pytest.mark.parametrize("node", ALL)
def test_an_object_is_closed_and_a_pattern_is_put_in_words(node: Node) -> None:
    kinds = node["type"] if isinstance(node["type"], list) else [node["type"]]
    if "object" in kinds:
        assert node["additionalProperties"] is False or isinstance(node["propertyNames"], dict)
    if "array" in kinds:
        assert isinstance(node["items"], dict)
    if "pattern" in node:
        assert isinstance(node["$comment"], str)


@pytest.mark.parametrize("name", OWN)
def test_a_schema_is_draft_07(name: str) -> None:
    schema = json.loads(read_schema(name))
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    jsonschema.Draft7Validator.check_schema(schema)


MODELS = [
    ("", Manifest), ("python", Python), ("python.conda", Conda), ("docker", Docker), ("docker.build", Build),
    ("docker.base_image_registry", BaseImageRegistry), ("checks", Checks),
]  # fmt: skip


@pytest.mark.parametrize(("path", "model"), MODELS)
def test_the_schema_has_the_models_fields_and_defaults(path: str, model: type) -> None:
    node = json.loads(read_schema("environment"))
    for part in path.split(".") if path else ():
        node = node["properties"][part]
    known = {field.name: field for field in fields(model)}
    inside = {"path", "lines"} if model is Manifest else {"pip"} if model is Conda else set()
    assert set(known) - inside == set(node["properties"])
    value = model(**{name: "x" for name in ("name", "path", "address") if name in known})
    for name, schema in node["properties"].items():
        if "default" in schema and schema["type"] in ("string", "boolean"):
            assert getattr(value, name) == schema["default"], name


def test_the_schema_has_the_configurations_fields() -> None:
    properties = json.loads(read_schema("config"))["properties"]
    assert {field.name for field in fields(Config)} == set(properties)
    assert {field.name for field in fields(Policies)} == set(properties["policies"]["properties"])


def without_defaults(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: without_defaults(item) for key, item in value.items() if key != "default"}
    return [without_defaults(item) for item in value] if isinstance(value, list) else value


def test_a_set_of_defaults_has_a_manifests_fields_without_their_defaults() -> None:
    properties = json.loads(read_schema("environment"))["properties"]
    partial = json.loads(read_schema("config"))["properties"]["defaults"]["additionalProperties"]["properties"]
    own = {"name", "renamed_from", "extends"}
    assert partial == without_defaults({name: schema for name, schema in properties.items() if name not in own})


def test_a_keyword_without_words_of_its_own_is_still_a_finding() -> None:
    schema = parse_schema('{"properties": {"a": {"const": "b"}}}')
    found = check(Converted(value={"a": "c"}), schema, "x.yaml")
    assert [problem.message for problem in found] == ["`a` does not fit the schema (const)"]
