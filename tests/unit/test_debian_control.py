"""Control files, Release files and Packages indexes: what they say, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reconciler.debian.candidate import parse_candidate
from reconciler.debian.control import stanzas
from reconciler.debian.index import pack_index, read_index
from reconciler.debian.release import parse_release
from reconciler.errors import CorruptError
from tests.signed_archive import DATE, Deb, Suite

ARCHIVE = "debian/bookworm/main"
DEBS = (
    Deb(name="mawk", more={"Provides": "awk, awk-like (= 1.0)", "Essential": "no", "Multi-Arch": "foreign"}),
    Deb(name="gawk", more={"Provides": "awk", "Depends": "libc6 (>= 2.34),\n libm (<< 9) | libn"}),
    Deb(name="bash", version="5.2-1", more={"Essential": "yes", "Priority": "required"}),
    Deb(name="bash", version="5.1-1", architecture="all"),
)
INDEX = "\n".join(deb.stanza for deb in DEBS).encode()


def lines() -> list[bytes]:
    return INDEX.splitlines(keepends=True)


# -- stanzas ----------------------------------------------------------------------------------------------------


def test_stanzas_are_parted_by_empty_lines_and_fields_go_on_over_lines() -> None:
    text = "# words\nA: 1\nB:\n x\n .\n y \n\n\n \nA: 2\n"
    assert list(stanzas(text.splitlines())) == [{"a": "1", "b": "\nx\n.\ny"}, {"a": "2"}]


@pytest.mark.parametrize("text", [" x", "A", "A b: c", ": c", "A: 1\nA: 2", "A: 1\n\n x"])
def test_what_is_no_field_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        list(stanzas(text.splitlines()))


# -- Release ----------------------------------------------------------------------------------------------------


def test_a_release_file_says_when_it_was_made_and_what_it_vouches_for() -> None:
    until = datetime(2026, 1, 17, tzinfo=UTC)
    suite = Suite(until=until, fields={"Date": "Thu, 08 Jan 2026 14:00:00 +0200"})
    release = parse_release(suite.text(suite.lists()))
    assert (release.date, release.valid_until) == (DATE, until)
    assert release.stamp == "2026-01-08T12:00:00Z"
    assert release.by_hash
    assert release.files["main/binary-amd64/Packages.xz"].size > 0


@pytest.mark.parametrize(
    ("architectures", "support", "splits"),
    [("all amd64", "", True), ("all amd64", "Packages", False), ("amd64", "", False)],
)
def test_packages_for_all_have_an_index_of_their_own_where_it_says_so(
    architectures: str, support: str, *, splits: bool
) -> None:
    fields = {"Architectures": architectures, "No-Support-for-Architecture-all": support}
    suite = Suite(fields=fields)
    assert parse_release(suite.text(suite.lists())).splits_all is splits


@pytest.mark.parametrize(
    "fields",
    [
        {"Date": ""},
        {"Date": "yesterday"},
        {"Valid-Until": "never"},
        {"SHA256": ""},
        {"SHA256": "\n 00 1 main/x"},
        {"SHA256": "\n " + "a" * 64 + " -1 main/x"},
        {"SHA256": "\n " + "a" * 64 + " 1"},
    ],
)
def test_a_release_file_without_its_date_or_its_sums_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(CorruptError, match="no Release file"):
        parse_release(Suite(fields=fields).text({"x": b"x"}))


@pytest.mark.parametrize("text", [b"", b"\xff\xfe", b"<html>moved</html>"])
def test_a_page_of_something_else_is_no_release_file(text: bytes) -> None:
    with pytest.raises(CorruptError, match="no Release file"):
        parse_release(text)


# -- Packages ---------------------------------------------------------------------------------------------------


def test_an_index_gives_packages_by_their_name_and_by_what_they_provide() -> None:
    index = read_index(pack_index(lines()))
    assert index is not None
    assert [one.version for one in index.named("bash", ARCHIVE)] == ["5.2-1", "5.1-1"]
    assert [one.name for one in index.providing("awk", ARCHIVE)] == ["mawk", "gawk"]
    assert [one.name for one in index.providing("awk-like", ARCHIVE)] == ["mawk"]
    assert [one.name for one in index.essential(ARCHIVE)] == ["bash"]
    assert list(index.named("awk", ARCHIVE)) == []


def test_a_candidate_has_what_its_stanza_says() -> None:
    index = read_index(pack_index(lines()))
    assert index is not None
    (gawk,) = index.named("gawk", ARCHIVE)
    assert (gawk.name, gawk.version, gawk.architecture, gawk.archive) == ("gawk", "1.0", "amd64", ARCHIVE)
    assert (gawk.file, gawk.size, gawk.sha256) == (DEBS[1].file, len(DEBS[1].data), DEBS[1].locked().sha256)
    assert gawk.depends == "libc6 (>= 2.34), libm (<< 9) | libn"
    assert (gawk.essential, gawk.multi_arch, gawk.priority) == (False, "no", "optional")


@pytest.mark.parametrize("place", range(0, 400, 37))
def test_an_index_that_was_damaged_where_it_was_kept_counts_for_nothing(place: int) -> None:
    kept = bytearray(pack_index(lines()))
    kept[place] ^= 1
    assert read_index(bytes(kept)) is None
    assert read_index(bytes(kept[:place])) is None


def test_what_is_no_index_is_refused() -> None:
    with pytest.raises(CorruptError, match="no Packages index"):
        pack_index([b"<html>\n", b"moved\n"])


def test_an_empty_index_offers_nothing() -> None:
    index = read_index(pack_index([]))
    assert index is not None
    assert list(index.named("bash", ARCHIVE)) == []


@pytest.mark.threat("T8")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("package", "../bash"),
        ("package", "Bash"),
        ("package", "-bash"),
        ("version", "1.0\n2"),
        ("version", "$(id)"),
        ("architecture", "amd64/../.."),
        ("filename", "../../etc/passwd"),
        ("filename", "/etc/passwd"),
        ("filename", "pool/.hidden"),
        ("filename", "https://elsewhere/x.deb"),
        ("size", "-1"),
        ("size", "1e9"),
        ("sha256", "A" * 64),
        ("sha256", ""),
    ],
)
def test_a_package_that_no_archive_can_have_is_refused(field: str, value: str) -> None:
    fields = next(stanzas(DEBS[0].stanza.splitlines()))
    parse_candidate(fields, ARCHIVE)
    with pytest.raises(ValueError, match=f"has the {field} "):
        parse_candidate(fields | {field: value}, ARCHIVE)
