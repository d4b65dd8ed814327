"""A clone that lacks history fetches it, moves nothing, and starts nothing that a fetch does not need."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from reconciler.clients import git as program
from reconciler.clients import origin
from reconciler.errors import SourceError
from reconciler.ports import History
from reconciler.sources.git import GitHistory
from reconciler.values.commit import Commit


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(root: Path, text: str, *, push: bool = True) -> Commit:
    (root / "file").write_text(text)
    git(root, "add", "-A")
    git(root, "commit", "-qm", text)
    if push:
        git(root, "push", "-q", "--force", "origin", "HEAD")
    return Commit.parse(git(root, "rev-parse", "HEAD"))


@pytest.fixture(scope="session")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An origin and the clone that pushed five commits to it; a copy is quicker than five pushes."""
    folder = tmp_path_factory.mktemp("begun")
    git(folder, "init", "-q", "--bare", "-b", "main", "origin.git")
    git(folder / "origin.git", "config", "uploadpack.allowFilter", "true")
    git(folder, "init", "-q", "-b", "main", "author")
    git(folder / "author", "remote", "add", "origin", "../origin.git")
    who = ("-c", "user.name=Test", "-c", "user.email=test@example.invalid")
    for number in range(5):
        (folder / "author" / "file").write_text(str(number))
        git(folder / "author", "add", "-A")
        git(folder / "author", *who, "commit", "-qm", str(number))
    git(folder / "author", "push", "-q", "origin", "HEAD")
    return folder


@pytest.fixture
def bare(begun: Path, tmp_path: Path) -> Path:
    """The origin."""
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    return tmp_path / "origin.git"


@pytest.fixture
def author(bare: Path) -> Path:
    """The clone that pushes."""
    return bare.parent / "author"


@pytest.fixture
def line(author: Path) -> list[Commit]:
    """The five commits of main, oldest first."""
    return [Commit.parse(name) for name in git(author, "rev-list", "--reverse", "HEAD").splitlines()]


def clone(bare: Path, *options: str, name: str = "clone") -> Path:
    git(bare.parent, "clone", "-q", *options, bare.as_uri(), name)
    return bare.parent / name


def checked_out(bare: Path, at: Commit, *, depth: int = 1) -> Path:
    """Make a clone as actions/checkout does: an empty repository, one commit by its name, a detached head."""
    place = bare.parent / "clone"
    git(bare.parent, "init", "-q", str(place))
    git(place, "remote", "add", "origin", bare.as_uri())
    git(place, "config", "gc.auto", "0")
    fetch = ("fetch", "-q", "--no-tags", "--prune", "--no-recurse-submodules", f"--depth={depth}", "origin")
    git(place, "-c", "protocol.version=2", *fetch, f"+{at}:refs/remotes/pull/7/merge")
    git(place, "checkout", "-q", "--detach", at.hex)
    return place


def state(place: Path) -> tuple[str, ...]:
    """Tell what must stay: the refs, the head, the settings, the working tree, what was fetched last."""
    folder = place / git(place, "rev-parse", "--absolute-git-dir")
    fetched = folder / "FETCH_HEAD"
    status = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "status", "--porcelain")
    return (
        git(place, "for-each-ref"),
        (folder / "HEAD").read_text(),
        git(place, "config", "--list", "--local"),
        git(place, *status) if git(place, "rev-parse", "--is-bare-repository") == "false" else "",
        fetched.read_text() if fetched.exists() else "",
    )


def deepened(place: Path) -> bool:
    """Deepen, and hold what must stay."""
    history: History = GitHistory(place)
    before = state(place)
    more = history.deepen()
    assert state(place) == before
    return more


# -- what comes -------------------------------------------------------------------------------------------------


@pytest.mark.threat("F6")
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("how", ["branch", "detached"])
def test_a_shallow_clone_deepens_itself_and_then_can_tell(bare: Path, line: list[Commit], depth: int, how: str) -> None:
    place = clone(bare, f"--depth={depth}") if how == "branch" else checked_out(bare, line[-1], depth=depth)
    history = GitHistory(place)
    assert history.is_ancestor(line[0], line[-1]) is None
    assert deepened(place)
    assert git(place, "rev-parse", "--is-shallow-repository") == "false"
    for number, one in enumerate(line):
        assert history.is_ancestor(one, line[-1]) is True
        assert history.is_ancestor(line[-1], one) is (number == len(line) - 1)
    assert not deepened(place)


@pytest.mark.threat("F6")
@pytest.mark.parametrize("depth", [1, 2, 0])
def test_a_clone_at_an_older_commit_learns_of_newer_ones(bare: Path, line: list[Commit], depth: int) -> None:
    git(bare, "config", "uploadpack.allowAnySHA1InWant", "true")
    place = checked_out(bare, line[2], depth=depth or 1 << 20)
    history = GitHistory(place)
    assert history.is_ancestor(line[2], line[4]) is None
    assert deepened(place)
    assert history.is_ancestor(line[2], line[4]) is True
    assert history.is_ancestor(line[4], line[2]) is False


@pytest.mark.threat("F6")
@pytest.mark.parametrize("options", [(), ("--filter=blob:none",), ("--filter=tree:0",), ("--single-branch",)])
def test_a_commit_that_was_pushed_after_the_checkout_is_fetched(
    bare: Path, author: Path, line: list[Commit], options: tuple[str, ...]
) -> None:
    place = clone(bare, *options)
    newer = commit(author, "newer")
    assert GitHistory(place).is_ancestor(line[-1], newer) is None
    assert deepened(place)
    assert GitHistory(place).is_ancestor(line[-1], newer) is True
    assert not deepened(place)


@pytest.mark.threat("F6")
@pytest.mark.parametrize("shape", ["--filter=blob:none", "--filter=tree:0"])
def test_a_partial_shallow_clone_deepens_and_stays_partial(bare: Path, line: list[Commit], shape: str) -> None:
    place = clone(bare, "--depth=1", shape)
    old = git(bare, "rev-parse", f"{line[0]}:file")
    assert deepened(place)
    assert GitHistory(place).is_ancestor(line[0], line[-1]) is True
    assert f"?{old}" in git(place, "rev-list", "--objects", "--missing=print", line[0].hex).split() or shape == (
        "--filter=tree:0"
    )


@pytest.mark.threat("F6")
@pytest.mark.parametrize("depth", [1, 3])
def test_another_branch_is_known_too_and_is_diverged(bare: Path, author: Path, line: list[Commit], depth: int) -> None:
    git(author, "checkout", "-q", "-b", "side/way", line[1].hex)
    side = commit(author, "side")
    place = clone(bare, f"--depth={depth}", "--branch=main")
    history = GitHistory(place)
    assert history.is_ancestor(side, line[-1]) is None
    assert deepened(place)
    assert history.is_ancestor(side, line[-1]) is False
    assert history.is_ancestor(line[-1], side) is False
    assert history.is_ancestor(line[1], side) is True


@pytest.mark.threat("F6")
@pytest.mark.parametrize("depth", [1, 2, 0])
def test_a_rewritten_main_is_diverged_where_both_are_known(
    bare: Path, author: Path, line: list[Commit], depth: int
) -> None:
    place = clone(bare, *((f"--depth={depth}",) if depth else ()))
    git(author, "reset", "-q", "--hard", line[1].hex)
    rewritten = commit(author, "rewritten")
    history = GitHistory(place)
    assert deepened(place)
    assert history.is_ancestor(rewritten, line[-1]) is False
    assert history.is_ancestor(line[-1], rewritten) is False
    assert history.is_ancestor(line[1], rewritten) is True


@pytest.mark.threat("F6")
@pytest.mark.parametrize("depth", [1, 0])
def test_a_commit_that_was_rewritten_away_stays_unknown(
    bare: Path, author: Path, line: list[Commit], depth: int
) -> None:
    git(author, "reset", "-q", "--hard", line[1].hex)
    rewritten = commit(author, "rewritten")
    place = clone(bare, *((f"--depth={depth}",) if depth else ()))
    assert deepened(place) is bool(depth)
    assert GitHistory(place).is_ancestor(line[-1], rewritten) is None
    assert GitHistory(place).is_ancestor(rewritten, line[-1]) is None


@pytest.mark.threat("F6")
def test_a_commit_of_no_branch_is_deepened_too(bare: Path, author: Path, line: list[Commit]) -> None:
    git(author, "checkout", "-q", "--detach", line[3].hex)
    merge = commit(author, "a merge commit of a pull request", push=False)
    git(author, "push", "-q", "origin", f"{merge}:refs/pull/7/merge")
    place = checked_out(bare, merge)
    assert deepened(place)
    assert GitHistory(place).is_ancestor(line[0], merge) is True


@pytest.mark.threat("F6")
@pytest.mark.parametrize("place", ["worktree", "folder", "mirror"])
def test_a_worktree_a_folder_inside_and_a_mirror_deepen(bare: Path, line: list[Commit], place: str) -> None:
    where = clone(bare, "--depth=1", *(("--mirror",) if place == "mirror" else ()))
    if place == "worktree":
        git(where, "worktree", "add", "-q", "--detach", str(bare.parent / "tree"))
        where = bare.parent / "tree"
    elif place == "folder":
        (where / "environments").mkdir()
        where = where / "environments"
    assert deepened(where)
    assert GitHistory(where).is_ancestor(line[0], line[-1]) is True


@pytest.mark.threat("F6")
def test_a_mirror_s_branches_do_not_move(bare: Path, author: Path, line: list[Commit]) -> None:
    place = clone(bare, "--mirror")
    newer = commit(author, "newer")
    assert deepened(place)
    assert git(place, "rev-parse", "main") == line[-1].hex
    assert GitHistory(place).is_ancestor(line[-1], newer) is True


@pytest.mark.threat("F6")
def test_a_shallow_origin_gives_what_it_has(bare: Path, line: list[Commit]) -> None:
    git(bare.parent, "clone", "-q", "--bare", "--depth=3", bare.as_uri(), "half.git")
    place = clone(bare.parent / "half.git", "--depth=1")
    assert deepened(place)
    assert GitHistory(place).is_ancestor(line[2], line[-1]) is True
    assert GitHistory(place).is_ancestor(line[1], line[-1]) is None
    assert not deepened(place)


@pytest.mark.threat("F6")
@pytest.mark.parametrize("kind", ["grafts", "replace"])
def test_what_cuts_history_by_a_setting_of_this_clone_is_not_believed(
    bare: Path, line: list[Commit], kind: str
) -> None:
    place = clone(bare)
    if kind == "grafts":
        (place / ".git" / "info" / "grafts").write_text(f"{line[3]}\n{line[1]} {line[4]}\n")
    else:
        git(place, "replace", "--graft", line[3].hex)
    history = GitHistory(place)
    assert history.is_ancestor(line[0], line[4]) is True
    assert history.is_ancestor(line[4], line[1]) is False
    assert not deepened(place)


@pytest.mark.threat("F6")
def test_more_branches_than_one_command_holds_are_fetched_in_turn(
    bare: Path, author: Path, line: list[Commit], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = clone(bare, "--depth=1")
    sides = []
    for name in ("one", "two", "three", "four"):
        git(author, "checkout", "-q", "-b", name, line[0].hex)
        sides.append(commit(author, name))
    monkeypatch.setattr(origin, "AT_ONCE", 2)
    assert deepened(place)
    assert [GitHistory(place).is_ancestor(line[0], side) for side in sides] == [True] * 4


# -- nothing comes ----------------------------------------------------------------------------------------------


@pytest.mark.threat("F6")
@pytest.mark.parametrize("shallow", [True, False])
@pytest.mark.parametrize(
    "address",
    [
        None,
        "",
        "file:///nowhere/at/all",
        "/nowhere/at/all",
        "https://origin.invalid/a",
        "ssh://origin.invalid/a",
        "http://127.0.0.1:1/a",
        "git://127.0.0.1:1/a",
        "ext::sh -c true",
        "unknown::a",
        "--upload-pack=true",
        "ssh://-oProxyCommand=true/a",
    ],
)
def test_an_origin_that_does_not_answer_gives_nothing(
    bare: Path,
    line: list[Commit],
    address: str | None,
    shallow: bool,  # noqa: FBT001  # a case
) -> None:
    place = clone(bare, *(("--depth=1",) if shallow else ()))
    if address is None:
        git(place, "remote", "remove", "origin")
    else:
        git(place, "config", "remote.origin.url", address)
    assert not deepened(place)
    assert GitHistory(place).is_ancestor(Commit("1" * 40), line[-1]) is None
    assert GitHistory(place).is_ancestor(line[0], line[-1]) is (None if shallow else True)


@pytest.mark.threat("F6")
def test_a_whole_clone_of_an_origin_with_nothing_new_asks_and_fetches_nothing(bare: Path, line: list[Commit]) -> None:
    place = clone(bare)
    packs = sorted((place / ".git" / "objects").rglob("*"))
    assert not deepened(place)
    assert sorted((place / ".git" / "objects").rglob("*")) == packs
    assert GitHistory(place).is_ancestor(line[0], line[-1]) is True


def test_an_origin_without_a_branch_and_no_repository_at_all_give_nothing(bare: Path, tmp_path: Path) -> None:
    place = clone(bare, "--depth=1")
    git(bare, "update-ref", "-d", "refs/heads/main")
    assert not deepened(place)
    (tmp_path / "nothing").mkdir()
    assert GitHistory(tmp_path / "nothing").deepen() is False


def test_a_fetch_that_breaks_off_leaves_the_clone_as_it_was(bare: Path, line: list[Commit]) -> None:
    place = clone(bare, "--depth=1")
    name = git(bare, "rev-parse", f"{line[1]}^{{tree}}")
    git(bare, "repack", "-q", "-ad")
    for pack in (bare / "objects" / "pack").glob("*.pack"):
        pack.chmod(0o644)
        damaged = bytearray(pack.read_bytes())
        damaged[len(damaged) // 2 :] = b"\0" * (len(damaged) - len(damaged) // 2)
        pack.write_bytes(bytes(damaged))
    assert name
    assert not deepened(place)
    git(place, "fsck")


class _Locked(BaseHTTPRequestHandler):
    """A private repository: it answers 401 to whoever brings no password, 403 to whoever does."""

    def do_GET(self) -> None:
        asked: list[str | None] = self.server.asked  # type: ignore[attr-defined]  # set by the fixture below
        asked.append(self.headers.get("Authorization"))
        self.send_response(403 if asked[-1] else 401)
        self.send_header("WWW-Authenticate", 'Basic realm="private"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name that the base class gave
        pass


@pytest.fixture
def locked() -> Iterator[tuple[str, list[str | None]]]:
    """A server that lets nobody in, and what it was shown."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Locked)
    server.asked = []  # type: ignore[attr-defined]  # read by the handler
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/a.git", server.asked  # type: ignore[attr-defined]  # as above
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_private_origin_without_credentials_asks_nobody_and_gives_nothing(
    bare: Path, line: list[Commit], locked: tuple[str, list[str | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = clone(bare, "--depth=1")
    address, asked = locked
    git(place, "config", "remote.origin.url", address)
    canary = bare.parent / "asked"
    script = bare.parent / "ask"
    script.write_text(f"#!/bin/sh\ntouch {canary}\necho secret\n")
    script.chmod(0o755)
    git(place, "config", "core.askPass", str(script))
    monkeypatch.setenv("SSH_ASKPASS", str(script))
    monkeypatch.setenv("DISPLAY", ":0")
    assert not deepened(place)
    assert asked == [None]
    assert not canary.exists()
    assert GitHistory(place).is_ancestor(line[0], line[-1]) is None


@pytest.mark.parametrize("way", ["local", "included", "helper", "askpass", "variables"])
def test_the_credentials_that_a_checkout_left_are_used(
    bare: Path,
    line: list[Commit],
    locked: tuple[str, list[str | None]],
    way: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = clone(bare, "--depth=1")
    address, asked = locked
    git(place, "config", "remote.origin.url", address)
    name, value = f"http.{address.rpartition('/')[0]}/.extraheader", "AUTHORIZATION: basic c2VjcmV0"
    if way == "local":
        git(place, "config", name, value)
    elif way == "included":
        git(place, "config", "--file", str(bare.parent / "credentials"), name, value)
        git(place, "config", f"includeIf.gitdir:{place / '.git'}.path", str(bare.parent / "credentials"))
    elif way == "helper":
        git(place, "config", "credential.helper", "!f() { echo username=x; echo password=y; }; f")
    elif way == "askpass":
        (bare.parent / "answer").write_text("#!/bin/sh\necho x\n")
        (bare.parent / "answer").chmod(0o755)
        monkeypatch.setenv("GIT_ASKPASS", str(bare.parent / "answer"))
    else:
        monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
        monkeypatch.setenv("GIT_CONFIG_KEY_0", name)
        monkeypatch.setenv("GIT_CONFIG_VALUE_0", value)
    assert not deepened(place)
    shown = {"local": "basic c2VjcmV0", "included": "basic c2VjcmV0", "variables": "basic c2VjcmV0"}
    assert asked[-1] == shown.get(way, "Basic eDp5" if way == "helper" else "Basic eDp4")
    assert line


@pytest.mark.parametrize("setting", [None, "core.sshCommand", "GIT_SSH_COMMAND"])
def test_ssh_is_asked_in_batch_mode_unless_the_owner_says_how(
    bare: Path, line: list[Commit], setting: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = clone(bare, "--depth=1")
    git(place, "config", "remote.origin.url", "ssh://git@origin.invalid/a")
    seen, folder = bare.parent / "seen", bare.parent / "bin"
    folder.mkdir()
    for name in ("ssh", "own-ssh"):
        (folder / name).write_text(f'#!/bin/sh\necho "$0 $*" >> {seen}\nexit 1\n')
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    own = str(folder / "own-ssh")
    if setting == "GIT_SSH_COMMAND":
        monkeypatch.setenv(setting, own)
    elif setting:
        git(place, "config", setting, own)
    assert not deepened(place)
    said = seen.read_text()
    assert ("BatchMode=yes" in said) is (setting is None)
    assert (own in said) is (setting is not None)
    assert line


def _runs(pid: str) -> bool:
    """Tell whether a process runs; one that ended and that nobody waited for does not."""
    done = subprocess.run(["ps", "-o", "stat=", "-p", pid], capture_output=True, text=True, check=False)
    return bool(done.stdout.strip()) and not done.stdout.startswith("Z")


def test_an_origin_that_stalls_is_given_up(bare: Path, line: list[Commit], monkeypatch: pytest.MonkeyPatch) -> None:
    place = clone(bare, "--depth=1")
    git(place, "config", "remote.origin.url", "ssh://git@origin.invalid/a")
    pids = bare.parent / "pids"
    script = bare.parent / "stall"
    script.write_text(f"#!/bin/sh\necho $$ >> {pids}\nexec sleep 1000\n")
    script.chmod(0o755)
    git(place, "config", "core.sshCommand", str(script))
    git(place, "config", "ssh.variant", "simple")
    monkeypatch.setattr(origin, "ASK_S", 2)
    assert not deepened(place)
    assert [pid for pid in pids.read_text().split() if _runs(pid)] == []
    assert line


# -- what an origin could say, and what a repository could set ---------------------------------------------------

HOSTILE_LINES = [
    "{0}\trefs/heads/a:refs/heads/main",
    "{0}\trefs/heads/--upload-pack=touch canary",
    "--upload-pack=touch\trefs/heads/main",
    "+{0}:refs/heads/main\trefs/heads/main",
    "{0} {0}\trefs/heads/main",
    "{0}\trefs/tags/a",
    "main\trefs/heads/main",
    "\trefs/heads/main",
    "{0}",
    "\x1b[2J",
]


@pytest.mark.threat("T11")
@pytest.mark.parametrize("said", HOSTILE_LINES, ids=ascii)
def test_what_the_origin_calls_its_branches_is_never_an_argument(
    bare: Path, line: list[Commit], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = clone(bare, "--depth=1")
    asked: list[tuple[str, ...]] = []

    def answer(_: origin.Origin, *arguments: str, **__: float) -> str | None:
        asked.append(arguments)
        return said.format(line[0]) + "\n" if arguments[0] == "ls-remote" else None

    monkeypatch.setattr(origin.Origin, "_ask", answer)
    assert not deepened(place)
    fetches = [arguments for arguments in asked if arguments[0] == "fetch"]
    for fetch in fetches:
        assert fetch[fetch.index("origin") + 1 :] == (line[0].hex,)
    assert len(fetches) <= 1


HOOKS = ("reference-transaction", "post-checkout", "post-merge", "post-rewrite", "pre-auto-gc", "post-index-change")
PROGRAMS = [
    "hooks",
    "core.fsmonitor",
    "core.hooksPath",
    "core.askPass",
    "core.gitProxy",
    "core.alternateRefsCommand",
    "core.pager",
    "pager.fetch",
    "alias.fetch",
    "alias.ls-remote",
    "filter.x.smudge",
    "gpg.program",
    "remote.origin.uploadpack",
    "remote.origin.vcs",
    "url.insteadOf",
    "uploadpack.packObjectsHook",
    "protocol.ext.allow",
    "gc.auto",
]


def _planted(place: Path, setting: str) -> Path:
    """Plant a program by this setting, and give the canary that it makes."""
    canary, script = place.parent / "canary", place.parent / "evil"
    script.write_text(f'#!/bin/sh\ntouch {canary}\nexec "$@"\n')
    script.chmod(0o755)
    hooks = place.parent / "hooks" if setting == "core.hooksPath" else place / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in HOOKS if setting in ("hooks", "core.hooksPath") else ():
        shutil.copy(script, hooks / name)
    address = git(place, "config", "remote.origin.url")
    values = {
        "core.hooksPath": str(hooks),
        "remote.origin.vcs": "ext",
        "gc.auto": "1",
    }
    if setting == "url.insteadOf":
        git(place, "config", f"url.ext::{script} .insteadOf", address)
        git(place, "config", "protocol.ext.allow", "always")
    elif setting == "protocol.ext.allow":
        git(place, "config", "remote.origin.url", f"ext::{script}")
        git(place, "config", setting, "always")
    elif setting != "hooks":
        git(place, "config", setting, values.get(setting, f"!{script}" if "alias" in setting else str(script)))
    if setting == "remote.origin.vcs":
        git(place, "config", "remote.origin.url", str(script))
        git(place, "config", "protocol.ext.allow", "always")
    if setting == "core.alternateRefsCommand":
        (place / ".git" / "objects" / "info" / "alternates").write_text(f"{place.parent / 'origin.git' / 'objects'}\n")
    canary.unlink(missing_ok=True)
    return canary


@pytest.mark.threat("T11")
@pytest.mark.parametrize("setting", PROGRAMS)
def test_a_fetch_starts_nothing_that_it_does_not_need(
    bare: Path, author: Path, line: list[Commit], setting: str
) -> None:
    place = clone(bare, "--depth=1")
    commit(author, "newer")
    canary = _planted(place, setting)
    reached = setting not in ("remote.origin.vcs", "url.insteadOf", "protocol.ext.allow")
    assert deepened(place) is reached
    assert not canary.exists()
    assert line


@pytest.mark.threat("T11")
@pytest.mark.parametrize("setting", ["hooks", "core.hooksPath", "remote.origin.uploadpack", "url.insteadOf"])
def test_a_plain_fetch_would_start_them(bare: Path, author: Path, line: list[Commit], setting: str) -> None:
    place = clone(bare, "--depth=1")
    commit(author, "newer")
    canary = _planted(place, setting)
    subprocess.run(["git", "-C", place, "fetch"], capture_output=True, check=False)
    assert canary.exists()
    assert line


@pytest.mark.threat("T11")
@pytest.mark.parametrize(
    "setting", ["remote.origin.uploadpack", "url.insteadOf", "remote.origin.vcs", "core.sshCommand"]
)
@pytest.mark.parametrize("shape", ["--filter=blob:none", "--filter=tree:0", "--depth=1"])
def test_asking_what_a_clone_knows_never_reaches_the_origin(
    bare: Path, line: list[Commit], setting: str, shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = clone(bare, "--no-checkout", shape)
    if setting == "core.sshCommand":
        git(place, "config", "remote.origin.url", "ssh://git@origin.invalid/a")
    canary = _planted(place, setting)
    git(place, "config", "protocol.file.allow", "always")
    monkeypatch.delitem(program._SET, "GIT_NO_LAZY_FETCH")  # noqa: SLF001  # as with a git that does not know it
    history = GitHistory(place)
    with contextlib.suppress(SourceError):
        history.revision(["."])
    history.is_ancestor(line[0], line[-1])
    assert history.is_ancestor(Commit("1" * 40), line[-1]) is None
    assert not canary.exists()


@pytest.mark.threat("T11")
@pytest.mark.parametrize("command", [("validate",), ("plan",), ("plan", "--base", "HEAD")])
def test_validate_and_plan_start_nothing_that_a_fetch_could(
    bare: Path, line: list[Commit], command: tuple[str, ...]
) -> None:
    place = clone(bare, "--depth=1")
    (place / "environments").mkdir()
    text = "name: a\npython: {version: '3.11'}\ndocker: {enabled: false}\n"
    (place / "environments" / "a.yaml").write_text(text)
    git(place, "add", "-A")
    git(place, "commit", "-qm", "x")
    canaries = [_planted(place, setting) for setting in PROGRAMS if setting != "remote.origin.vcs"]
    before = (git(place, "for-each-ref"), (place / ".git" / "shallow").read_text())
    done = subprocess.run(
        [sys.executable, "-m", "reconciler.cli.main", *command], cwd=place, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not [canary for canary in canaries if canary.exists()]
    assert (git(place, "for-each-ref"), (place / ".git" / "shallow").read_text()) == before
    assert line
