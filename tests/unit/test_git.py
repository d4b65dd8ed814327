"""git is asked for what only it knows, and starts nothing that a repository brings."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from reconciler.clients.git import Git, program_for
from reconciler.errors import SourceError
from reconciler.ports import History, Source
from reconciler.sources.git import CommitSource, GitHistory
from reconciler.sources.tree import WorkingTree
from reconciler.values.commit import Commit, Revision


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def commit(root: Path) -> Commit:
    git(root, "add", "-A")
    git(root, "commit", "-qm", "x", "--allow-empty")
    return Commit.parse(git(root, "rev-parse", "HEAD"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "repo"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    write(root, "environments/a.yaml", "name: a\n")
    write(root, "environments/b/environment.yaml", "name: b\n")
    write(root, "other/x", "x")
    (root / "other" / "x").chmod(0o755)
    return root


def revision(root: Path, *paths: str) -> Revision:
    history: History = GitHistory(root)
    return history.revision(paths or ("environments",))


def test_outside_git_there_is_no_commit(tmp_path: Path) -> None:
    assert revision(tmp_path) == Revision()
    assert GitHistory(tmp_path).is_ancestor(Commit("a" * 40), Commit("a" * 40)) is None


def test_before_the_first_commit_all_is_dirty(root: Path) -> None:
    assert revision(root) == Revision(commit=None, dirty=True, branch="main")


def test_a_clean_tree_has_its_commit_and_branch(root: Path) -> None:
    assert revision(root.parent / "repo") == Revision(dirty=True, branch="main")
    made = commit(root)
    assert revision(root) == Revision(commit=made, branch="main")


@pytest.mark.parametrize("change", ["edit", "new", "ignored", "remove", "stage", "mode", "rename"])
def test_any_difference_below_the_paths_is_dirty(root: Path, change: str) -> None:
    commit(root)
    place = root / "environments" / "a.yaml"
    if change == "edit":
        place.write_text("name: c\n")
    elif change == "new":
        write(root, "environments/c.yaml", "name: c\n")
    elif change == "ignored":
        write(root, ".gitignore", "*.yaml\n")
        write(root, "environments/c.yaml", "name: c\n")
    elif change == "remove":
        place.unlink()
    elif change == "stage":
        write(root, "environments/c.yaml", "name: c\n")
        git(root, "add", ".")
    elif change == "mode":
        place.chmod(0o755)
    else:
        git(root, "mv", "environments/a.yaml", "environments/z z.yaml")
    assert revision(root).dirty
    assert not revision(root, "other").dirty


def test_what_programs_leave_behind_is_not_dirty(root: Path) -> None:
    commit(root)
    write(root, "environments/__pycache__/x.pyc", "x")
    write(root, "environments/.DS_Store", "x")
    write(root, ".reconciler/registry/x", "x")
    assert not revision(root, "environments", ".reconciler").dirty


def test_many_paths_are_asked_for_in_turn(root: Path) -> None:
    commit(root)
    names = [f"environments/{number}.yaml" for number in range(1100)]
    assert not revision(root, *names).dirty
    write(root, "environments/1099.yaml", "x")
    assert revision(root, *names).dirty


def test_a_path_is_never_a_pattern_nor_an_option(root: Path) -> None:
    commit(root)
    write(root, "environments/new.yaml", "x")
    assert not revision(root, "environments/*.yaml", ":(glob)**", "--", "-h").dirty


def test_a_detached_head_has_no_branch(root: Path) -> None:
    made = commit(root)
    git(root, "checkout", "-q", "--detach")
    assert revision(root) == Revision(commit=made)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://user:secret@host.invalid/a/b.git", "https://host.invalid/a/b.git"),
        ("https://secret@host.invalid/a?token=secret#secret", "https://host.invalid/a"),
        ("ssh://git@host.invalid:22/a", "ssh://host.invalid:22/a"),
        ("git@host.invalid:a/b.git", "host.invalid:a/b.git"),
        ("../bare", "../bare"),
        ("https://[bad", None),
    ],
)
def test_the_origin_is_told_without_credentials(root: Path, address: str, shown: str | None) -> None:
    commit(root)
    git(root, "config", "remote.origin.url", address)
    assert revision(root).origin == shown


def test_without_paths_only_the_head_is_told(root: Path, tmp_path: Path) -> None:
    history: History = GitHistory(root)
    assert history.revision(()) == Revision(branch="main")
    made = commit(root)
    write(root, "environments/a.yaml", "name: c\n")
    assert history.revision(()) == Revision(commit=made, branch="main")
    git(tmp_path, "clone", "-q", "--bare", str(root), "bare")
    assert GitHistory(tmp_path / "bare").revision(["environments"]).branch == "main"


def test_a_tree_tells_what_was_reached_so_that_all_of_it_is_compared(root: Path) -> None:
    commit(root)
    tree = WorkingTree(root)
    tree.read("environments/a.yaml")
    tree.read("other/x")
    tree.walk("other")
    assert tree.reached() == ("environments/a.yaml", "other", "other/x")
    assert tree.reached(outside=("environments",)) == ("other", "other/x")
    write(root, "other/x", "changed")
    assert not revision(root, "environments").dirty
    assert revision(root, "environments", *tree.reached(outside=("environments",))).dirty


def test_ancestors_are_told_apart(root: Path) -> None:
    first = commit(root)
    second = commit(root)
    git(root, "checkout", "-qb", "side", first.hex)
    write(root, "side", "x")
    third = commit(root)
    history = GitHistory(root)
    pairs = [(first, second), (second, first), (second, third), (first, first)]
    assert [history.is_ancestor(one, other) for one, other in pairs] == [True, False, False, True]
    assert history.is_ancestor(Commit("1" * 40), first) is None


def test_a_shallow_clone_does_not_guess(root: Path, tmp_path: Path) -> None:
    first = commit(root)
    write(root, "x", "1")
    second = commit(root)
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{root}", "shallow")
    history = GitHistory(tmp_path / "shallow")
    assert history.is_ancestor(first, second) is None
    assert history.is_ancestor(second, second) is True
    with pytest.raises(SourceError, match="unshallow"):
        CommitSource(tmp_path / "shallow", first.hex)


def test_a_worktree_a_bare_repository_and_a_folder_inside_are_understood(root: Path, tmp_path: Path) -> None:
    made = commit(root)
    git(root, "worktree", "add", "-q", "--detach", str(tmp_path / "tree"))
    git(tmp_path, "clone", "-q", "--bare", str(root), "bare")
    assert revision(tmp_path / "tree") == Revision(commit=made)
    assert revision(tmp_path / "bare").commit == made
    assert revision(root / "other", "x") == Revision(commit=made, branch="main")
    for place in (tmp_path / "tree", tmp_path / "bare"):
        assert CommitSource(place, "HEAD").read("environments/a.yaml") == b"name: a\n"
    assert CommitSource(root / "other", "main").read("x") == b"x"


@pytest.mark.parametrize("packed", [False, True])
def test_a_commit_reads_as_its_working_tree_does(root: Path, packed: bool) -> None:  # noqa: FBT001  # a case
    commit(root)
    if packed:
        git(root, "gc", "-q")
    sources: tuple[Source, Source] = (WorkingTree(root), CommitSource(root, "HEAD"))
    tree, objects = sources
    assert tree.walk("") == objects.walk("")
    assert tree.walk("other/x") == objects.walk("other/x")
    assert tree.entries("environments") == objects.entries("environments")
    for entry in objects.walk(""):
        assert tree.read(entry.path) == objects.read(entry.path)


def test_a_commit_is_read_at_its_own_state(root: Path) -> None:
    first = commit(root)
    write(root, "environments/a.yaml", "name: changed\n")
    git(root, "tag", "-a", "-m", "x", "v1", first.hex)
    for name in ("HEAD", "main", "v1", first.hex, first.short, "HEAD~0", "main^{commit}"):
        assert CommitSource(root, name).read("environments/a.yaml") == b"name: a\n"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no", "does not exist"),
        ("no/x", "does not exist"),
        ("other", "is a folder"),
        ("other/x/y", "is no folder"),
        ("", "is a folder"),
    ],
)
def test_what_a_commit_does_not_hold_is_refused(root: Path, path: str, message: str) -> None:
    commit(root)
    with pytest.raises(SourceError, match=message):
        CommitSource(root, "HEAD").read(path)


def test_a_large_file_of_a_commit_is_not_read(root: Path) -> None:
    write(root, "big", "x" * 1000)
    commit(root)
    with pytest.raises(SourceError, match="larger than 999"):
        CommitSource(root, "HEAD").read("big", limit=999)


@pytest.mark.threat("F11")
@pytest.mark.parametrize("damage", ["gone", "cut", "other", "rubbish"])
def test_a_damaged_object_is_refused(root: Path, damage: str) -> None:
    commit(root)
    name = git(root, "rev-parse", "HEAD:environments/a.yaml")
    place = root / ".git" / "objects" / name[:2] / name[2:]
    source = CommitSource(root, "HEAD")
    data = place.read_bytes()
    place.unlink()
    if damage != "gone":
        wrong = {"cut": data[:-9], "other": zlib.compress(b"blob 8\0name: z\n"), "rubbish": b"rubbish"}
        place.write_bytes(wrong[damage])
    with pytest.raises(SourceError, match="damaged"):
        source.read("environments/a.yaml")


HOSTILE_REVISIONS = [
    "--upload-pack=touch canary",
    "--output=canary",
    "-n1",
    "--git-dir=/x",
    "HEAD --output=canary",
    "HEAD;touch canary",
    "$(touch canary)",
    "`touch canary`",
    "|touch canary",
    "",
    " ",
    "a..b",
    ":/x",
    "HEAD:environments/a.yaml",
    "\0",
    "a\nb",
    "x" * 300,
    "../../x",
    "no-such-branch",
    "1" * 40,
]


@pytest.mark.threat("T11")
@pytest.mark.parametrize("name", HOSTILE_REVISIONS, ids=ascii)
def test_a_revision_is_no_option_and_no_command(root: Path, name: str) -> None:
    commit(root)
    with pytest.raises(SourceError):
        CommitSource(root, name)
    assert not list(root.parent.rglob("canary"))


CANARIES = [
    "core.fsmonitor",
    "core.hooksPath",
    "core.pager",
    "core.editor",
    "core.sshCommand",
    "core.askPass",
    "core.gitProxy",
    "core.alternateRefsCommand",
    "credential.helper",
    "diff.external",
    "diff.x.textconv",
    "diff.x.command",
    "filter.x.clean",
    "filter.x.smudge",
    "filter.x.process",
    "filter.a.b c.clean",
    "alias.status",
    "alias.rev-parse",
    "alias.config",
    "gpg.program",
    "pager.status",
    "pager.config",
    "uploadpack.packObjectsHook",
    "include.path",
    "remote.origin.uploadpack",
]


@pytest.mark.threat("T11")
@pytest.mark.parametrize("setting", CANARIES)
def test_nothing_that_a_repository_sets_is_started(root: Path, setting: str) -> None:
    first = commit(root)
    canary = root.parent / "canary"
    script = root / "evil"
    script.write_text(f"#!/bin/sh\ntouch {canary}\ncat\n")
    script.chmod(0o755)
    hooks = root / "hooks"
    hooks.mkdir()
    for hook in ("post-index-change", "reference-transaction", "fsmonitor-watchman", "post-checkout", "pre-auto-gc"):
        for folder in (hooks, root / ".git" / "hooks"):
            shutil.copy(script, folder / hook)
    (root / ".git" / "info" / "attributes").write_text("* filter=x diff=x\n")
    (root / ".gitattributes").write_text('* filter=x diff=x\nb* filter="a.b c"\n')
    value = {"core.hooksPath": str(hooks), "include.path": str(root / "more")}.get(setting, str(script))
    (root / "more").write_text(f"[core]\n\tfsmonitor = {script}\n")
    git(root, "config", setting, f"!{value}" if setting.startswith(("alias", "credential")) else value)
    write(root, "environments/a.yaml", "name: x\n")
    canary.unlink(missing_ok=True)
    history = GitHistory(root)
    assert history.revision(["environments"]).dirty
    assert history.is_ancestor(first, first) is True
    assert CommitSource(root, "HEAD").read("environments/a.yaml") == b"name: a\n"
    assert not canary.exists()


@pytest.mark.threat("T11")
@pytest.mark.parametrize("entry", ["", ".", "bin", "{root}", "{root}/bin", "{link}"])
def test_a_git_inside_the_repository_is_never_started(
    root: Path, entry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = commit(root)
    canary = tmp_path / "canary"
    for place in (root / "git", root / "bin" / "git"):
        write(root, str(place.relative_to(root)), f"#!/bin/sh\ntouch {canary}\n")
        place.chmod(0o755)
    (tmp_path / "link").symlink_to(root / "bin")
    monkeypatch.chdir(root)
    search = entry.format(root=root, link=tmp_path / "link")
    monkeypatch.setenv("PATH", f"{search}{os.pathsep}{os.environ['PATH']}")
    assert revision(root).commit == made
    assert CommitSource(root, "HEAD").commit == made
    assert not canary.exists()


@pytest.mark.threat("T11")
def test_loading_gitpython_starts_no_git_of_the_folder(root: Path) -> None:
    commit(root)
    canary = root.parent / "canary"
    write(root, "git", f"#!/bin/sh\ntouch {canary}\n")
    (root / "git").chmod(0o755)
    script = (
        "from pathlib import Path; from reconciler.sources.git import CommitSource; CommitSource(Path('.'), 'HEAD')"
    )
    environment = {**os.environ, "PATH": f".{os.pathsep}{os.environ['PATH']}"}
    subprocess.run([sys.executable, "-c", script], cwd=root, env=environment, check=True)
    assert not canary.exists()


@pytest.mark.threat("T11")
@pytest.mark.parametrize(
    "name", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_CONFIG_PARAMETERS", "GIT_EXEC_PATH"]
)
def test_git_is_not_led_by_the_callers_variables(root: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = commit(root)
    monkeypatch.setenv(name, "/nonexistent")
    assert revision(root) == Revision(commit=made, branch="main")


def test_without_git_the_error_says_so(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(root)
    monkeypatch.setenv("PATH", str(root.parent / "nothing"))
    assert program_for(root) is None
    with pytest.raises(SourceError, match="git is not installed"):
        revision(root)


def test_a_repository_of_another_user_is_explained(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(root)
    if os.getuid():
        pytest.skip("only root can give a folder away")
    for place in (root, root / ".git"):
        os.chown(place, 4242, 4242)
    monkeypatch.setenv("HOME", str(root.parent))
    with pytest.raises(SourceError, match=r"safe\.directory"):
        revision(root)


def test_git_that_is_broken_is_an_error_and_never_no_repository(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("rubbish")
    with pytest.raises(SourceError):
        GitHistory(tmp_path).revision(["."])
    assert Git(tmp_path).is_repository()
