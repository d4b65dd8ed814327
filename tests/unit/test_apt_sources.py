"""Where this machine's own settings say that archives are."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.clients.debian.places import Configured, Place, Places
from reconciler.clients.debian.sources import AptSource, read_apt_sources
from reconciler.errors import ResolveError

MAIN, SECURITY = "http://mirror.example/debian", "http://mirror.example/debian-security"
ONE_LINE = f"""
# deb http://commented.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/a.gpg] {MAIN}/ bookworm main contrib # words
deb-src http://sources.example/debian bookworm main
deb\t{SECURITY} bookworm-security main
deb cdrom:[Debian]/ bookworm main
nonsense
"""
DEB822 = f"""
# words
Types: deb deb-src
URIs: {MAIN}
Suites: bookworm
 bookworm-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDME

Types: deb
URIs: {SECURITY}
Suites: bookworm-security
Components: main
Check-Valid-Until: no

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://sources.example/debian
Suites: bookworm
Components: main
"""


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    (tmp_path / "sources.list.d").mkdir()
    return tmp_path


def places(*sources: tuple[str, str], components: tuple[str, ...] = ("main",), **environ: str) -> Places:
    apt = [AptSource(uri=uri, suite=suite, components=components) for uri, suite in sources]
    return Places(apt=apt, environ=environ)


def urls(found: tuple[Place, ...]) -> list[str]:
    return [place.url for place in found]


# -- apt's files ------------------------------------------------------------------------------------------------


def test_the_form_of_one_line_is_read(etc: Path) -> None:
    (etc / "sources.list").write_text(ONE_LINE)
    found = read_apt_sources({}, etc=etc)
    assert [(one.uri, one.suite, one.components) for one in found] == [
        (MAIN, "bookworm", ("main", "contrib")),
        (SECURITY, "bookworm-security", ("main",)),
    ]


def test_the_form_of_deb822_is_read(etc: Path) -> None:
    (etc / "sources.list.d/debian.sources").write_text(DEB822)
    found = read_apt_sources({}, etc=etc)
    assert [(one.uri, one.suite, one.checks_date) for one in found] == [
        (MAIN, "bookworm", True),
        (MAIN, "bookworm-updates", True),
        (SECURITY, "bookworm-security", False),
    ]


def test_a_source_may_allow_a_release_that_has_ended(etc: Path) -> None:
    (etc / "sources.list").write_text(f"deb [check-valid-until=no] {MAIN} bookworm main\n")
    assert [one.checks_date for one in read_apt_sources({}, etc=etc)] == [False]


def test_files_that_apt_does_not_read_count_for_nothing(etc: Path) -> None:
    (etc / "sources.list.d/debian.sources.save").write_text(DEB822)
    (etc / "sources.list.d/broken.sources").write_text("Types deb\n")
    (etc / "sources.list.d/binary.list").write_bytes(b"\xff\xfe")
    (etc / "sources.list.d/folder.list").mkdir()
    assert read_apt_sources({}, etc=etc) == ()


def test_apt_may_be_told_to_look_elsewhere(etc: Path, tmp_path: Path) -> None:
    (etc / "sources.list").write_text(ONE_LINE)
    (etc / "sources.list.d/debian.sources").write_text(DEB822)
    moved = tmp_path / "moved"
    moved.mkdir()
    (moved / "own.list").write_text(f"deb {SECURITY} trixie-security main\n")
    configuration = tmp_path / "apt.conf"
    configuration.write_text(f'Dir::Etc::SourceList "{moved}/own.list";\nDir::Etc::sourceparts "-";\n')
    found = read_apt_sources({"APT_CONFIG": str(configuration)}, etc=etc)
    assert [one.suite for one in found] == ["trixie-security"]
    configuration.write_text('Dir::Etc::SourceList "/dev/null";\nDir::Etc::sourceparts "/dev/null";\n')
    assert read_apt_sources({"APT_CONFIG": str(configuration)}, etc=etc) == ()


# -- which of them is an archive's ------------------------------------------------------------------------------


def test_a_mirror_serves_every_suite_of_its_distribution() -> None:
    found = places((MAIN, "bookworm"), (MAIN, "bookworm-updates"), (SECURITY, "bookworm-security"))
    assert urls(found.mirrors("debian", "amd64")) == [MAIN]
    assert urls(found.mirrors("debian-security", "arm64")) == [SECURITY]


@pytest.mark.parametrize("suite", ["bookworm-pgdg", "nodistro", "stable-x", "jammy", "./", "docker"])
def test_a_source_of_somebody_else_is_no_mirror(suite: str) -> None:
    with pytest.raises(ResolveError):
        places((MAIN, suite)).mirrors("debian", "amd64")


def test_a_source_without_main_is_no_mirror() -> None:
    with pytest.raises(ResolveError):
        places((MAIN, "bookworm"), components=("stable",)).mirrors("debian", "amd64")


def test_where_nothing_says_where_one_line_says_the_two_settings_to_write() -> None:
    with pytest.raises(ResolveError) as refused:
        Places().mirrors("debian", "amd64")
    assert str(refused.value) == (
        "this machine has no mirror of debian (write archives.debian.mirror and archives.debian-security.mirror in "
        "reconciler.yaml, or set RECONCILER_MIRROR_DEBIAN and RECONCILER_MIRROR_DEBIAN_SECURITY)"
    )


def test_the_configuration_counts_before_the_environment_and_that_before_apt() -> None:
    environ = {"RECONCILER_MIRROR_DEBIAN": "http://environment.example/debian/"}
    apt = (AptSource(uri=MAIN, suite="bookworm", components=("main",)),)
    configured = {"debian": Configured(mirror="http://configured.example/debian")}
    assert urls(Places(apt=apt).mirrors("debian", "amd64")) == [MAIN]
    found = Places(apt=apt, environ=environ)
    assert urls(found.mirrors("debian", "amd64")) == ["http://environment.example/debian"]
    found = Places(apt=apt, environ=environ, configured=configured)
    assert urls(found.mirrors("debian", "amd64")) == ["http://configured.example/debian"]


def test_ubuntu_has_its_security_in_its_own_archive_and_other_architectures_elsewhere() -> None:
    environ = {"RECONCILER_MIRROR_UBUNTU": "http://a.example/ubuntu"}
    found = Places(environ=environ)
    assert urls(found.mirrors("ubuntu-security", "amd64")) == ["http://a.example/ubuntu"]
    assert urls(found.mirrors("ubuntu", "arm64")) == ["http://a.example/ubuntu"]
    found = Places(environ=environ | {"RECONCILER_MIRROR_UBUNTU_PORTS": "http://a.example/ports"})
    assert urls(found.mirrors("ubuntu", "amd64")) == ["http://a.example/ubuntu"]
    assert urls(found.mirrors("ubuntu", "arm64")) == ["http://a.example/ports"]


def test_apt_on_ubuntu_serves_ubuntu_alone() -> None:
    found = places(("http://a.example/ubuntu", "noble"), ("http://s.example/ubuntu", "noble-security"))
    assert urls(found.mirrors("ubuntu", "amd64")) == ["http://a.example/ubuntu", "http://s.example/ubuntu"]
    with pytest.raises(ResolveError, match=r"no mirror of debian .*RECONCILER_MIRROR_DEBIAN"):
        found.mirrors("debian", "amd64")


@pytest.mark.threat("T12")
def test_a_mirror_at_a_link_local_address_is_not_used() -> None:
    url = "http://169.254.169.254/debian"
    with pytest.raises(ResolveError, match="link-local"):
        Places(environ={"RECONCILER_MIRROR_DEBIAN": url}).mirrors("debian", "amd64")
    with pytest.raises(ResolveError, match="no mirror"):
        places((url, "bookworm")).mirrors("debian", "amd64")


@pytest.mark.threat("T13")
def test_a_password_in_an_address_is_not_shown() -> None:
    found = Places(environ={"RECONCILER_MIRROR_DEBIAN": "http://user:hush@a.example/debian"})
    assert "hush" not in repr(found)
    assert "hush" not in repr(found.mirrors("debian", "amd64"))
