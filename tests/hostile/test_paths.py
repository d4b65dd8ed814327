"""A path that leads out of the repository is refused and nothing of what it names is shown."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.errors import ManifestError, SourceError
from reconciler.manifest.model import Build, Docker, Manifest, Python
from reconciler.ports import Source
from reconciler.sources.git import CommitSource
from reconciler.sources.tree import WorkingTree
from reconciler.values import paths
from tests.reached import Files, desired

SECRET = "S3CRET-CONTENT"  # noqa: S105  # what must never be shown

TEXTS = [
    "/etc/passwd",
    "//etc/passwd",
    "/proc/self/environ",
    "..",
    "../..",
    "../../x",
    "a/../../../x",
    "./../../x",
    "a/b/../../../../x",
    "../repo-evil/x",
    "../../repo-evil/x",
    "~",
    "~/x",
    "~root/.ssh/id_rsa",
    "file:///etc/passwd",
    "file:x",
    "FILE:///etc/passwd",
    "https://host/x",
    "http://host/x",
    "git+https://host/x",
    "git@host:x",
    "ssh://host/x",
    "C:/x",
    "C:x",
    "c:\\x",
    "\\\\host\\share",
    "a\\..\\..\\x",
    ".git",
    ".git/config",
    "../.git/config",
    ".GIT/config",
    ".Git/HEAD",
    "a/.git/config",
    ".git./config",
    ".git /config",
    ".git::$INDEX_ALLOCATION/config",
    "git~1/config",
    "GIT~1/config",
    ".g\u200cit/config",
    ".gi\u200dt/config",
    "\ufeff.git/config",
    "\uff0egit/config",
    ".\uff47it/config",
    "\uff0e\uff0e/x",
    "\u2025/x",
    "\u2024\u2024/x",
    "a\uff0f..\uff0f..\uff0fx",
    "..\uff0fx",
    "..\u29f5x\\",
    "a\0b",
    "a\nb",
    "a\rb",
    "a\tb",
    "a\u2028b",
    "a\u202eb",
    "a\u200bb",
    "a\ud800b",
    "a\x7fb",
    "",
    "a" * 300,
    "a/" * 600,
]


def given(root: Path) -> Path:
    """Make a repository's folder with a neighbour whose name begins like it, and secrets outside."""
    outside = root.parent
    (outside / "repo-evil").mkdir()
    for name in ("repo-evil/x", "x", "passwd"):
        (outside / name).write_text(SECRET)
    (root / "environments").mkdir(parents=True)
    (root / "environments" / "a.txt").write_text("numpy\n")
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "sub" / "deep" / "file").write_text("inside\n")
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text(SECRET)
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return given(tmp_path / "repo")


@pytest.mark.threat("T2")
@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_a_path_that_leads_out_is_refused_wherever_it_stands(root: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        paths.join("", text)
    for source in (WorkingTree(root).read, WorkingTree(root).walk, WorkingTree(root).entries):
        if text:
            refused(source, text)


def refused(call: Callable[[str], object], path: str) -> SourceError:
    with pytest.raises(SourceError) as caught:
        call(path)
    error = caught.value
    assert SECRET not in f"{error} {error.detail}"
    assert error.message.isprintable()
    assert "\n" not in error.message
    return error


FIELDS: dict[str, Callable[[str], Manifest]] = {
    "pip_file": lambda text: Manifest(name="a", path="environments/a.yaml", python=Python(pip_file=(text,))),
    "conda_file": lambda text: Manifest(name="a", path="environments/a.yaml", python=Python(conda_file=text)),
    "constraints": lambda text: Manifest(name="a", path="environments/a.yaml", python=Python(constraints=text)),
    "overrides": lambda text: Manifest(name="a", path="environments/a.yaml", python=Python(overrides=text)),
    "project": lambda text: Manifest(name="a", path="environments/a.yaml", python=Python(project=text)),
    "local": lambda text: Manifest(name="a", path="environments/a.yaml", python=Python(local=(text,))),
    "pip": lambda text: Manifest(name="a", path="environments/a.yaml", python=Python(pip=(f"-r {text}",))),
    "dockerfile": lambda text: Manifest(name="a", path="environments/a.yaml", docker=Docker(base_dockerfile=text)),
    "context": lambda text: Manifest(name="a", path="environments/a.yaml", docker=Docker(build=Build(context=text))),
    "files": lambda text: Manifest(name="a", path="environments/a.yaml", files={"/etc/x": text}),
}


@pytest.mark.threat("T2")
@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    "text", ["/etc/passwd", "../../x", "~/x", "file:///etc/passwd", "../.git/config", "https://h/x"]
)
def test_no_field_of_a_manifest_reaches_out(field: str, text: str) -> None:
    everything = Files({"x": SECRET.encode(), ".git/config": SECRET.encode(), "etc/passwd": SECRET.encode()})
    with pytest.raises(ManifestError) as caught:
        desired(FIELDS[field](text), everything)
    assert all(str(problem).startswith("environments/a.yaml:") for problem in caught.value.problems)
    assert SECRET not in str(caught.value.problems)


def link(place: Path, target: str | Path, *more: tuple[Path, str]) -> None:
    place.symlink_to(target)
    for other, further in more:
        other.symlink_to(further)


LINKS: dict[str, Callable[[Path], None]] = {
    "file-outside": lambda root: link(root / "l", "../x"),
    "absolute": lambda root: link(root / "l", "/etc/passwd"),
    "environ": lambda root: link(root / "l", "/proc/self/environ"),
    "folder-outside": lambda root: link(root / "l", ".."),
    "sibling": lambda root: link(root / "l", "../repo-evil"),
    "chain": lambda root: link(root / "l", "m", (root / "m", "n"), (root / "n", "../x")),
    "loop": lambda root: link(root / "l", "l"),
    "two-loop": lambda root: link(root / "l", "m", (root / "m", "l")),
    "git": lambda root: link(root / "l", ".git/config"),
    "git-folder": lambda root: link(root / "l", ".git"),
    "inside-file": lambda root: link(root / "l", "environments/a.txt"),
    "inside-folder": lambda root: link(root / "l", "sub"),
    "dangling": lambda root: link(root / "l", "nothing"),
    "home": lambda root: link(root / "l", Path.home()),
    "fd": lambda root: link(root / "l", "/dev/fd/0"),
}


@pytest.mark.threat("T2")
@pytest.mark.parametrize("kind", LINKS)
@pytest.mark.parametrize("path", ["l", "l/x", "l/deep/file"])
def test_a_link_is_not_followed(root: Path, kind: str, path: str) -> None:
    LINKS[kind](root)
    tree = WorkingTree(root)
    for call in (tree.read, tree.walk, tree.entries):
        assert "is a link" in refused(call, path).message or call == tree.entries


@pytest.mark.threat("T2")
@pytest.mark.parametrize("kind", LINKS)
def test_a_folder_that_holds_a_link_is_refused_whole(root: Path, kind: str) -> None:
    LINKS[kind](root)
    (root / "sub" / "l").symlink_to((root / "l").readlink())
    assert "sub/l is a link" in refused(WorkingTree(root).walk, "sub").message


def fifo(root: Path) -> None:
    os.mkfifo(root / "s")


def listening(root: Path) -> None:
    here = Path.cwd()
    os.chdir(root)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("s")
    finally:
        os.chdir(here)


def device(root: Path) -> None:
    try:
        os.mknod(root / "s", 0o20666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("devices can't be made here")


@pytest.mark.threat("T2")
@pytest.mark.parametrize("make", [fifo, listening, device])
def test_what_is_no_plain_file_is_never_waited_for(root: Path, make: Callable[[Path], None]) -> None:
    make(root)
    tree = WorkingTree(root)
    assert "no plain file" in refused(tree.read, "s").message
    (root / "sub" / "s").unlink(missing_ok=True)
    (root / "s").rename(root / "sub" / "s")
    assert "no plain file" in refused(tree.walk, "sub").message


@pytest.mark.threat("T2")
@pytest.mark.parametrize("as_file", [True, False])
def test_a_submodule_is_not_entered(root: Path, as_file: bool) -> None:  # noqa: FBT001  # a case
    module = root / "sub" / "module"
    module.mkdir()
    (module / "x").write_text(SECRET)
    if as_file:
        (module / ".git").write_text("gitdir: ../../.git/modules/x")
    else:
        (module / ".git").mkdir()
    tree = WorkingTree(root)
    for call, path in ((tree.read, "sub/module/x"), (tree.walk, "sub"), (tree.entries, "sub/module")):
        assert "repository of its own" in refused(call, path).message


def test_a_missing_file_a_folder_and_a_file_as_a_folder_are_told_apart(root: Path) -> None:
    tree = WorkingTree(root)
    assert "does not exist" in refused(tree.read, "no").message
    assert "is a folder" in refused(tree.read, "sub").message
    assert "is no folder" in refused(tree.read, "environments/a.txt/x").message
    assert "is no folder" in refused(tree.entries, "environments/a.txt").message


def test_a_file_over_the_limit_is_not_read(root: Path) -> None:
    (root / "big").write_bytes(b"x" * 101)
    assert "larger than 100 bytes" in refused(lambda path: WorkingTree(root).read(path, limit=100), "big").message
    assert len(WorkingTree(root).read("big", limit=101)) == 101


@pytest.mark.threat("F15")
@pytest.mark.parametrize("number", [13, 24, 23, 5, 36, 99])
def test_a_fault_of_the_disk_is_one_line(root: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fail(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", fail)
    assert "can't be read" in refused(WorkingTree(root).read, "sub/deep/file").message or number == 36


def test_modes_are_those_of_git_whatever_the_umask(root: Path) -> None:
    (root / "sub" / "run").write_text("x")
    for mode, expected in (
        (0o700, "100755"),
        (0o755, "100755"),
        (0o600, "100644"),
        (0o666, "100644"),
        (0o655, "100644"),
    ):
        (root / "sub" / "run").chmod(mode)
        assert [entry.mode for entry in WorkingTree(root).walk("sub/run")] == [expected]


@pytest.mark.threat("T2")
@pytest.mark.parametrize("swapped", ["file", "folder"])
def test_what_is_swapped_while_it_is_read_never_leads_out(
    root: Path, swapped: str, count_cases: Callable[[str, int], None]
) -> None:
    """One thread swaps a file, or its folder, for a link to the outside, as fast as it can."""
    place, target = (root / "sub" / "x", "../../x") if swapped == "file" else (root / "swap", "../repo-evil")
    real = root / "real"
    if swapped == "file":
        real.write_text("inside")
    else:
        real.mkdir()
        (real / "x").write_text("inside")
    stop = threading.Event()

    def swap() -> None:
        while swapped == "file" and not stop.is_set():
            # At every moment there is one of the two.
            (root / "new").hardlink_to(real)
            (root / "new").replace(place)
            (root / "new").symlink_to(target)
            (root / "new").replace(place)
        while not stop.is_set():
            real.rename(place)
            place.rename(real)
            place.symlink_to(target)
            place.unlink()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=swap)
    thread.start()
    tree, seen = WorkingTree(root), set[bytes | None]()
    try:
        for _ in range(6000):
            try:
                seen.add(tree.read("sub/x" if swapped == "file" else "swap/x"))
            except SourceError as error:
                assert SECRET not in str(error)  # noqa: PT017  # the other outcome is as good
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(interval)
    assert seen <= {b"inside"}
    count_cases("T2", 2)


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Source:
    root = tmp_path_factory.mktemp("committed") / "repo"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "file").write_text("inside")
    for kind, make in LINKS.items():
        make(root)
        (root / "l").rename(root / f"link-{kind}")
        for name in ("m", "n"):
            (root / name).unlink(missing_ok=True)
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module")
    git(root, "-c", "user.name=Test", "-c", "user.email=test@example.invalid", "commit", "-qm", "x")
    return CommitSource(root, "HEAD")


@pytest.mark.threat("T2")
@pytest.mark.parametrize("kind", LINKS)
def test_a_link_in_a_commit_is_not_followed(committed: Source, kind: str) -> None:
    for call in (committed.read, committed.walk):
        assert "is a link" in refused(call, f"link-{kind}").message
        assert "is a link" in refused(call, f"link-{kind}/x").message
    assert "is a link" in refused(committed.walk, "").message


@pytest.mark.threat("T2")
def test_a_submodule_in_a_commit_is_not_entered(committed: Source) -> None:
    for call in (committed.read, committed.walk):
        assert "is a submodule" in refused(call, "module").message


@pytest.mark.threat("T2")
@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_a_path_that_leads_out_is_refused_in_a_commit(committed: Source, text: str) -> None:
    if text:
        refused(committed.read, text)
        refused(committed.walk, text)
