"""Where a machine takes Debian packages from, as the command line sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.repository import Repository

HIDDEN = 'Dir::Etc::sourcelist "/dev/null";\nDir::Etc::sourceparts "/dev/null";\n'
NOBODY = "http://127.0.0.1:1"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """Give a repository on a machine that has no apt sources."""
    (tmp_path / "apt.conf").write_text(HIDDEN)
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    made = Repository(tmp_path / "clone")
    (made.root / "environments").mkdir()
    (made.root / "environments/image.yaml").write_text("name: image\ndocker: {base_image: 'debian:bookworm'}\n")
    made.commit()
    return made


def test_a_machine_without_a_mirror_is_told_the_two_settings_to_write(repository: Repository) -> None:
    done = repository("lock", expect=1)
    assert done.out == ""
    assert done.err.strip() == (
        "error: environments/image.yaml:2:22: this machine has no mirror of debian (write archives.debian.mirror and "
        "archives.debian-security.mirror in reconciler.yaml, or set RECONCILER_MIRROR_DEBIAN and "
        "RECONCILER_MIRROR_DEBIAN_SECURITY)"
    )


@pytest.mark.threat("F8")
def test_a_mirror_that_is_gone_ends_in_one_line(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository.root / "reconciler.yaml").write_text(
        f"archives:\n  debian: {{mirror: '{NOBODY}/a'}}\n  debian-security: {{mirror: '{NOBODY}/b'}}\n"
    )
    monkeypatch.setenv("RECONCILER_MIRROR_DEBIAN", "http://unused.invalid/debian")
    done = repository("lock", expect=69)
    assert done.err.startswith("error: the mirror of debian")
    assert "(127.0.0.1:1) does not answer" in done.err
    assert len(done.err.strip().splitlines()) == 1
