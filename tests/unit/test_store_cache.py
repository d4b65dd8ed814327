from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.store.cache import Cache
from reconciler.values.canonical import Json

TEXT = st.text(st.characters(), max_size=10)
JSON: st.SearchStrategy[Json] = st.recursive(
    st.booleans() | st.integers() | TEXT, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=5
)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(TEXT, JSON, max_size=8))
def test_values_read_back_as_they_were_kept(values: dict[str, Json]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Cache(Path(folder) / "cache").put_many(values)
        read = Cache(Path(folder) / "cache")
        assert {key: read.get(key) for key in values} == values
        assert read.get("another key") is None


def test_what_is_added_stays_beside_what_was_there(tmp_path: Path) -> None:
    for number in range(100):
        Cache(tmp_path).put_many({str(number): number})
    assert [Cache(tmp_path).get(str(number)) for number in range(100)] == list(range(100))
    Cache(tmp_path).put_many({"7": "seven"})
    assert Cache(tmp_path).get("7") == "seven"


def test_a_cache_that_is_not_there_holds_nothing_and_is_not_made(tmp_path: Path) -> None:
    assert Cache(tmp_path / "cache").get("k") is None
    Cache(tmp_path / "cache").put_many({})
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_entry_is_its_value_or_not_there(tmp_path: Path, count_cases: Callable[[str, int], None]) -> None:
    values: dict[str, Json] = {f"key {number}": {"n": number, "text": "x" * 50} for number in range(20)}
    Cache(tmp_path).put_many(values)
    randomness = random.Random(7)  # noqa: S311  # damage, not a secret
    for _ in range(300):
        path = randomness.choice([path for path in tmp_path.iterdir() if path.is_file()])
        whole = path.read_bytes()
        place = randomness.randrange(len(whole))
        damaged = [
            whole[:place],
            whole[:place] + bytes([whole[place] ^ 1 << randomness.randrange(8)]) + whole[place + 1 :],
            whole[:place] + b"\n" + whole[place:],
        ]
        path.write_bytes(randomness.choice(damaged))
        cache = Cache(tmp_path)
        for key, value in values.items():
            assert cache.get(key) in (value, None)
        path.write_bytes(whole)
    count_cases("F11", 300)


@pytest.mark.parametrize("data", [b"\n" * 100, b"x" * 500, b"\0" * 4096, b"SQLite format 3\0"])
def test_a_foreign_file_is_no_cache(tmp_path: Path, data: bytes) -> None:
    Cache(tmp_path).put_many({"k": 1})
    for path in tmp_path.iterdir():
        path.write_bytes(data)
    assert Cache(tmp_path).get("k") is None
    Cache(tmp_path).put_many({"k": 2})
    assert Cache(tmp_path).get("k") == 2


def test_the_oldest_entries_make_room(tmp_path: Path) -> None:
    for number in range(4):
        Cache(tmp_path, max_bytes=256 * 1000).put_many({f"{number} {each}": "x" * 100 for each in range(1000)})
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 256 * 1000
    assert Cache(tmp_path, max_bytes=256 * 1000).get("0 0") is None
    assert Cache(tmp_path, max_bytes=256 * 1000).get("3 999") == "x" * 100


def test_an_entry_larger_than_its_place_is_not_kept(tmp_path: Path) -> None:
    Cache(tmp_path, max_bytes=256 * 100).put_many({"k": "x" * 1000})
    assert Cache(tmp_path, max_bytes=256 * 100).get("k") is None


@pytest.mark.threat("F15")
def test_a_cache_that_can_not_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "injected")

    cache = Cache(tmp_path)
    cache.put_many({"k": 1})
    monkeypatch.setattr(os, "write", refuse)
    cache.put_many({"k": 2})
    assert cache.get("k") == 1


@pytest.mark.threat("F15")
def test_a_file_in_the_place_of_the_cache_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"")
    Cache(tmp_path / "cache").put_many({"k": 1})
    assert Cache(tmp_path / "cache").get("k") is None
