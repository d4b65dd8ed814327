"""Where the interpreter of a base of packages comes from: of python.provider, python.version and the suite."""

from __future__ import annotations

import pytest

from reconciler.builders.unassembled import refuse
from reconciler.debian.suites import SUITES, parse_entry
from reconciler.errors import ResolveError, UnavailableError
from reconciler.manifest.model import Docker, Manifest, Python
from reconciler.systems.provider import decide, fits, neither
from tests.reached import desired

BOOKWORM = SUITES["bookworm"]


def manifest(version: str, provider: str = "auto") -> Manifest:
    lines = {"python.version": (3, 5), "python.provider": (4, 5)}
    return Manifest(name="x", path="x.yaml", python=Python(version=version, provider=provider), lines=lines)


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        ("3.11", "debian"),
        ("3.11.2", "debian"),
        ("3.11.7", "standalone"),
        ("3.12", "standalone"),
        ("3.1", "standalone"),
        ("3.11.20", "standalone"),
    ],
)
def test_auto_takes_the_suites_python_where_it_is_what_is_asked_for(asked: str, chosen: str) -> None:
    assert decide(manifest(asked), BOOKWORM, "3.11.2") == chosen


@pytest.mark.parametrize("version", ["3.9", "3.11", "3.12", "3.13"])
def test_a_suite_that_is_not_named_is_the_one_that_has_the_python(version: str) -> None:
    entry = parse_entry("debian")
    assert entry is not None
    suite = entry.suite_for(version)
    expected = {"3.11": "bookworm", "3.13": "trixie"}.get(version, "bookworm")
    assert suite.name == expected
    assert decide(manifest(version), suite, suite.python) == ("debian" if suite.python == version else "standalone")


def test_standalone_is_taken_even_where_the_suite_has_the_version() -> None:
    assert decide(manifest("3.11", "standalone"), BOOKWORM, "3.11.2") == "standalone"


@pytest.mark.parametrize(
    ("asked", "instead"),
    [
        ("3.13", "docker.base_image: debian:trixie or python.provider: standalone"),
        ("3.12", "python.version: 3.11 or python.provider: standalone"),
        ("3.11.7", "python.version: 3.11 or python.provider: standalone"),
    ],
)
def test_debian_without_that_python_is_refused_at_its_line_with_what_to_write(asked: str, instead: str) -> None:
    with pytest.raises(ResolveError) as caught:
        decide(manifest(asked, "debian"), BOOKWORM, "3.11.2")
    assert str(caught.value) == (
        f"x.yaml:3:5: debian bookworm has Python 3.11.2, and python.version is {asked} (write {instead})"
    )


def test_a_provider_of_images_is_refused_for_packages() -> None:
    with pytest.raises(ResolveError, match=r"x\.yaml:4:5: python\.provider: image is not for a base of packages"):
        decide(manifest("3.11", "image"), BOOKWORM, "3.11.2")


def test_where_auto_finds_neither_one_line_names_both_remedies_and_the_code_stays() -> None:
    error = UnavailableError("no answer", hint="set UV_PYTHON_INSTALL_MIRROR")
    found = neither(manifest("3.12"), BOOKWORM, "3.11.2", error)
    assert type(found) is UnavailableError
    assert str(found) == (
        "x.yaml:3:5: debian bookworm has Python 3.11.2, not 3.12, and no standalone one: no answer "
        "(write python.version: 3.11, or set UV_PYTHON_INSTALL_MIRROR)"
    )


def test_who_asked_for_standalone_is_not_told_of_another_provider() -> None:
    error = UnavailableError("no answer", hint="set it")
    found = neither(manifest("3.12", "standalone"), BOOKWORM, "3.11.2", error)
    assert str(found) == "x.yaml:3:5: no answer (set it)"


# -- what is refused before anything is looked for ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "provider", "says"),
    [
        ("debian", "image", "python.provider: image is for images as bases, and debian is none; write auto, debian or"),
        ("debian", "conda", "python.provider: conda is not in this version; write auto"),
        ("host/a:1", "debian", "python.provider: debian is for a base of Debian packages, and host/a:1 is an image;"),
    ],
)
def test_a_provider_that_the_base_has_no_room_for_is_refused_in_one_line(base: str, provider: str, says: str) -> None:
    docker = Docker(base_image=base)
    found = refuse(desired(Manifest(name="x", path="x.yaml", python=Python(provider=provider), docker=docker)))
    assert found is not None
    assert (found.field, found.message[: len(says)]) == ("python.provider", says)


@pytest.mark.parametrize(
    ("base", "provider"),
    [
        ("debian:trixie-slim", "auto"),
        ("debian", "debian"),
        ("ubuntu", "standalone"),
        ("host/a:1", "standalone"),
        ("host/a:1", "image"),
        ("h/a", "auto"),
    ],
)
def test_a_provider_that_goes_with_the_base_is_not_refused(base: str, provider: str) -> None:
    docker = Docker(base_image=base)
    assert refuse(desired(Manifest(name="x", path="x.yaml", python=Python(provider=provider), docker=docker))) is None


def test_the_place_of_an_interpreter_is_for_images() -> None:
    python, docker = Python(interpreter_path="/usr/bin/python3"), Docker(base_image="debian")
    found = refuse(desired(Manifest(name="x", path="x.yaml", python=python, docker=docker)))
    assert found is not None
    assert found.field == "python.interpreter_path"


def test_a_version_is_never_taken_for_one_that_it_only_begins_like() -> None:
    assert fits("3.1", "3.1.5")
    assert not fits("3.1", "3.12.1")
    assert not fits("3.12.1", "3.12.10")
    assert not fits("3.12.1", "3.12")
