from __future__ import annotations

import pytest

from reconciler.errors import ManifestError
from reconciler.manifest.conversion import convert
from reconciler.manifest.document import parse_document
from reconciler.manifest.node import MAX_NODES, Mapping, Place, Scalar, Sequence
from reconciler.values.canonical import Json

TEXT: dict[str, Json] = {"additionalProperties": {"type": "string"}}


def value_of(text: str, schema: dict[str, Json] | None = None) -> Json:
    document = parse_document(text.encode(), "x.yaml")
    assert not document.problems
    return convert(document.root, schema or TEXT).value


def test_every_node_knows_its_place() -> None:
    root = parse_document(b"a: b\nc:\n  - d\n  - {e: f}\n", "x.yaml").root
    assert isinstance(root, Mapping)
    (_, first), (key, items) = root.entries
    assert first.place == Place(1, 4)
    assert key.place == Place(2, 1)
    assert isinstance(items, Sequence)
    assert [item.place for item in items.items] == [Place(3, 5), Place(4, 5)]


def test_columns_count_characters_and_not_bytes() -> None:
    root = parse_document("é: ü\n".encode(), "x.yaml").root
    assert isinstance(root, Mapping)
    assert root.entries[0][1].place == Place(1, 4)


@pytest.mark.parametrize(
    "text", ["3.10", "no", "010", "190:20:30", "2024-01-01", "0x10", "1e3", "1_000", "true", "=", "0o7"]
)
def test_a_text_field_keeps_what_was_typed(text: str) -> None:
    assert value_of(f"a: {text}\n") == {"a": text}


@pytest.mark.parametrize("key", ["1", "true", "3.10", "2024-01-01", "no", "1e3"])
def test_a_key_keeps_what_was_typed(key: str) -> None:
    assert value_of(f"{key}: x\n") == {key: "x"}


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("false", False), ("yes", "yes"), ("True", "True"), ("'true'", "true")]
)
def test_a_boolean_is_plain_true_or_false(text: str, value: Json) -> None:
    assert value_of(f"a: {text}\n", {"properties": {"a": {"type": "boolean"}}}) == {"a": value}


@pytest.mark.parametrize(
    ("text", "value"), [("5", 5), ("-1", -1), ("05", "05"), ("0x5", "0x5"), ("5.0", "5.0"), ("'5'", "5")]
)
def test_an_integer_is_plain_and_decimal(text: str, value: Json) -> None:
    assert value_of(f"a: {text}\n", {"properties": {"a": {"type": "integer"}}}) == {"a": value}


def test_an_integer_of_thousands_of_digits_stays_text() -> None:
    digits = "1" * 5000
    assert value_of(f"a: {digits}\n", {"properties": {"a": {"type": "integer"}}}) == {"a": digits}


@pytest.mark.parametrize("null", ["", "~", "null", "Null", "NULL"])
def test_null_is_null_only_without_quotes(null: str) -> None:
    assert value_of(f"a: {null}\n") == {"a": None}
    assert value_of(f"a: '{null}'\n") == {"a": null}


def test_line_ends_of_windows_and_a_byte_order_mark_change_nothing() -> None:
    text = "a: b\nc: |\n  d\n  e\n"
    plain = value_of(text)
    assert value_of(text.replace("\n", "\r\n")) == plain
    assert convert(parse_document(b"\xef\xbb\xbf" + text.encode(), "x.yaml").root, TEXT).value == plain


def test_an_alias_stands_for_its_anchor() -> None:
    assert value_of("a: &x [b]\nc: *x\n", {"additionalProperties": {}}) == {"a": ["b"], "c": ["b"]}


def test_an_alias_counts_as_what_it_stands_for() -> None:
    inner = ", ".join(["x"] * (MAX_NODES // 2))
    with pytest.raises(ManifestError, match="aliases followed"):
        parse_document(f"a: &x [{inner}]\nb: *x\n".encode(), "x.yaml")


def test_an_empty_file_has_no_root() -> None:
    assert parse_document(b"# nothing\n", "x.yaml").root is None


def test_several_faults_are_found_at_once() -> None:
    document = parse_document(b"a: !!str b\na: c\n<<: d\n~: e\n", "x.yaml")
    assert [problem.location.line for problem in document.problems] == [1, 2, 3, 4]


def test_quotes_are_remembered() -> None:
    root = parse_document(b"a: 'b'\n", "x.yaml").root
    assert isinstance(root, Mapping)
    value = root.entries[0][1]
    assert isinstance(value, Scalar)
    assert not value.plain
