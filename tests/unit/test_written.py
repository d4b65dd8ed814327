"""What is an old answer, and what another writer wrote."""

from __future__ import annotations

import pytest

from reconciler.registries.written import Written
from reconciler.values.digest import Digest

OLD, OURS, THEIRS = (Digest.of(text) for text in (b"old", b"ours", b"theirs"))
TAG = ("training", "current")


@pytest.fixture
def written() -> Written:
    made = Written()
    assert made.believes(*TAG, OLD)
    made.note(*TAG, OURS)
    return made


@pytest.mark.threat("F14")
@pytest.mark.parametrize("found", [OLD, None])
def test_what_was_there_before_is_an_old_answer(written: Written, found: Digest | None) -> None:
    assert not written.believes(*TAG, found)
    assert written.believes(*TAG, OURS)


@pytest.mark.threat("F3")
def test_what_was_never_there_was_written_by_another_and_is_believed_from_then_on(written: Written) -> None:
    assert written.believes(*TAG, THEIRS)
    assert TAG not in written
    assert written.believes(*TAG, THEIRS)


@pytest.mark.threat("F14")
def test_what_this_run_wrote_before_is_an_old_answer(written: Written) -> None:
    written.note(*TAG, THEIRS)
    assert not written.believes(*TAG, OURS)
    assert written.believes(*TAG, THEIRS)


@pytest.mark.threat("F14")
def test_where_nobody_looked_before_writing_no_other_answer_is_believed() -> None:
    written = Written()
    written.note(*TAG, OURS)
    assert not written.believes(*TAG, THEIRS)


@pytest.mark.parametrize("reference", ["current", OURS])
def test_nothing_is_expected_of_what_was_deleted(written: Written, reference: str | Digest) -> None:
    written.forget("training", reference)
    assert written.believes(*TAG, None)
