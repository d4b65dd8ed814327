"""Versions and relations of Debian packages, as Policy writes them."""

from __future__ import annotations

import pytest

from reconciler.debian.relation import Relation, parse_provided, parse_relations
from reconciler.debian.version import parse_version


def test_relations_are_groups_of_alternatives() -> None:
    found = parse_relations("libc6:any (>= 2.36), default-mta | mail-transport-agent,\n python3 (<< 3.12)")
    assert found == (
        (Relation("libc6", ">=", "2.36", "any"),),
        (Relation("default-mta"), Relation("mail-transport-agent")),
        (Relation("python3", "<<", "3.12"),),
    )
    assert [" | ".join(map(str, group)) for group in found] == [
        "libc6:any (>= 2.36)",
        "default-mta | mail-transport-agent",
        "python3 (<< 3.12)",
    ]


@pytest.mark.parametrize(
    ("text", "admitted", "refused"),
    [
        ("x", ["0", "1:9"], []),
        ("x (= 1.0)", ["1.0", "1.0-0", "0:1.0"], ["1.0-1", "1:1.0"]),
        ("x (<< 1.0)", ["1.0~rc1", "0.9"], ["1.0", "1.1"]),
        ("x (<= 1.0)", ["1.0", "0.9"], ["1.0+b1"]),
        ("x (>> 1.0)", ["1.0+b1"], ["1.0", "1.0~"]),
        ("x (>= 1.0)", ["1.0", "1.0.1"], ["1.0~"]),
        ("x (< 1.0)", ["1.0"], ["1.1"]),
        ("x (> 1.0)", ["1.0"], ["0.9"]),
    ],
)
def test_a_relation_admits_what_its_sign_says(text: str, admitted: list[str], refused: list[str]) -> None:
    ((relation,),) = parse_relations(text)
    assert all(map(relation.admits, admitted))
    assert not any(map(relation.admits, refused))


def test_what_provides_a_name_in_no_version_meets_no_relation_with_one() -> None:
    (plain, none), (versioned, version) = parse_provided("awk, python3.11-api (= 3.11.2)")
    assert (plain, none, versioned, version) == ("awk", "", "python3.11-api", "3.11.2")
    assert Relation("awk").admits_provided(none)
    assert not Relation("awk", ">=", "1").admits_provided(none)
    assert Relation(versioned, ">=", "3.11").admits_provided(version)


def test_an_empty_field_relates_to_nothing() -> None:
    assert parse_relations("") == ()
    assert parse_relations(" , ") == ()


@pytest.mark.threat("T7")
@pytest.mark.parametrize(
    "text", ["a b", "a (1)", "a (== 1)", "a (= )", "../a", "a | ", "a (>= x)", "a [amd64] x", "a;b"]
)
def test_what_is_no_relation_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no Debian package|no version"):
        parse_relations(text)


@pytest.mark.parametrize(
    "text", ["", "a1", "1:", ":1", "x:1", "1 2", "1_2", "1\n", "-1", "~1", "1" * 301, "9999999999:1"]
)
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no version"):
        parse_version(text)
