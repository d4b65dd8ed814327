"""git: its program, for what only it knows.

The program runs with a fixed argument list, an environment made from nothing and everything that a repository's own
settings could start switched off: hooks, the file-system monitor, filters, a pager, credential helpers, remote
helpers. It is found on absolute entries of PATH outside the repository only. What comes from outside is a revision
(checked, then after ``--end-of-options``) or a path (literal, after ``--``). The network is another module's
(``clients.origin``): nothing here reaches it.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.clients.objects import Objects
from reconciler.errors import SourceError
from reconciler.values.commit import Commit

TIMEOUT_S = 120
MAX_PATHS = 500
_REVISION = re.compile(r"[A-Za-z0-9_@][A-Za-z0-9_./@{}^~+=-]{0,250}", re.ASCII)
_FILTER = re.compile(r"filter\.(.+)\.(?:clean|smudge|process|required)", re.DOTALL)
# Found by git before it reads anything else, so that nothing of a repository starts a program.
_OFF = {
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.pager": "cat",
    "core.editor": "false",
    "core.askPass": "",
    "core.sshCommand": "false",
    "core.gitProxy": "",
    "core.alternateRefsCommand": "false",
    "core.attributesFile": os.devnull,
    "core.excludesFile": os.devnull,
    "core.untrackedCache": "false",
    "credential.helper": "",
    "diff.external": "",
    "gpg.program": "false",
    "log.showSignature": "false",
    "maintenance.auto": "false",
    "protocol.allow": "never",
    "submodule.recurse": "false",
}
# The machine's own git settings count: they are where its owner trusts a folder (safe.directory).
_KEPT = ("HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "TMPDIR")
_SET = {
    "GIT_ALLOW_PROTOCOL": "",  # none at all, over any protocol.NAME.allow of the repository
    "GIT_GRAFT_FILE": os.devnull,  # a graft would cut history or make some up
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_PAGER": "cat",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What git printed, and its exit status."""

    code: int
    out: bytes
    err: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """A working tree against its commit: none before the first; ``changed`` are paths from the repository's top."""

    commit: Commit | None
    branch: str | None
    changed: tuple[str, ...] = ()


class Git:
    """The git repository that ``root`` is in."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._top = _repository_above(self._root)
        self._options: tuple[str, ...] | None = None
        self._settings: Mapping[str, str] = {}

    def is_repository(self) -> bool:
        """Tell whether ``root`` is in a git repository; whether git can use it shows when it is asked."""
        return self._top is not None

    def settings(self) -> Mapping[str, str]:
        """Give git's settings here, names in lower case but for what stands between the dots; the last one counts."""
        self._ready()
        return self._settings

    def status(self, paths: Sequence[str]) -> Status | None:
        """Compare the files below ``paths`` with the commit, files that git doesn't know included; none when bare."""
        head, changed = Status(commit=None, branch=None), set[str]()
        for start in range(0, len(paths), MAX_PATHS):
            answer = self._run(
                "--literal-pathspecs",
                "status",
                "--porcelain=v2",
                "--branch",
                "--no-ahead-behind",
                "-z",
                "--untracked-files=all",
                "--ignored=matching",
                "--ignore-submodules=none",
                "--no-renames",
                "--",
                *paths[start : start + MAX_PATHS],
            )
            if answer.code:
                if "work tree" in answer.err:
                    return None
                raise self._error(answer)
            head = _parse_status(answer.out)
            changed.update(head.changed)
        return Status(commit=head.commit, branch=head.branch, changed=tuple(sorted(changed)))

    def tracks(self, paths: Sequence[str]) -> bool:
        """Tell whether a file at or below one of these paths, relative to the root, is in the index."""
        answer = self._run("ls-files", "-z", "--", *(f":(literal){path}" for path in paths))
        return not answer.code and bool(answer.out)

    def head(self) -> Status:
        """Tell commit and branch alone, without a look at any file."""
        found = self._run("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        _refused(found, self._root)
        branch = self._run("symbolic-ref", "--quiet", "--short", "HEAD")
        return Status(
            commit=None if found.code else Commit.parse(found.out.decode("ascii").strip()),
            branch=None if branch.code else os.fsdecode(branch.out).strip(),
        )

    def resolve(self, revision: str) -> Commit:
        """Find the commit that a revision names. What is no revision, or none that is known, is a SourceError."""
        if _REVISION.fullmatch(revision) is None or ".." in revision:
            raise SourceError(f"{ascii(revision)[:80]} is no revision", hint="name a commit, a branch or a tag")
        answer = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", revision + "^{commit}")
        if answer.code:
            _refused(answer, self._root)
            hint = "fetch it, or deepen a shallow clone: git fetch --unshallow"
            raise SourceError(f"no commit {revision[:80]} in this clone", hint=hint)
        return Commit.parse(answer.out.decode("ascii").strip())

    def is_ancestor(self, ancestor: Commit, descendant: Commit) -> bool | None:
        """Tell whether one commit comes before another (or is it); none where this clone can't tell."""
        answer = self._run("merge-base", "--is-ancestor", ancestor.hex, descendant.hex)
        if answer.code == 0:
            return True
        if answer.code == 1:
            return None if self._line("rev-parse", "--is-shallow-repository") != "false" else False
        _refused(answer, self._root)
        return None

    def deepen(self) -> bool:
        """Fetch the commits that this clone lacks of its own and of the origin's branches; tell whether some came.

        No ref moves, the working tree stays. An origin that is not there or does not answer gives nothing.
        """
        from reconciler.clients.origin import Origin  # noqa: PLC0415  # only an apply that can't tell pays for it

        self._ready()
        origin = Origin(self._root, self._program(), self._search())
        tips, cut = origin.tips(), self._cut()
        missing = self._missing(tips)
        if not missing and not (cut and tips):
            return False
        origin.fetch(tips if cut else missing, unshallow=bool(cut))
        return self._cut() != cut or self._missing(missing) != missing

    def prefix(self) -> str:
        """Give ``root`` as seen from the repository's top: empty, or a path that ends with ``/``."""
        return self._line("rev-parse", "--show-prefix")

    def objects(self) -> Objects:
        """Open the object database."""
        if self._line("rev-parse", "--show-object-format") != "sha1":
            raise SourceError("a repository of SHA-256 objects can't be read at a commit", hint="leave out --at")
        return Objects(
            self._root / self._line("rev-parse", "--git-path", "objects"), program_for(self._top or self._root)
        )

    def _cut(self) -> bytes:
        """Give git's list of the commits whose parents this clone lacks, empty where history is whole."""
        place = self._root / self._line("rev-parse", "--git-path", "shallow")
        try:
            return place.read_bytes()
        except FileNotFoundError:
            return b""

    def _missing(self, commits: tuple[Commit, ...]) -> tuple[Commit, ...]:
        asked = "".join(f"{commit}\n" for commit in commits).encode("ascii")
        answer = self._start(("cat-file", "--batch-check"), self._ready(), asked)
        if answer.code:
            raise self._error(answer)
        absent = {line.split(b" ")[0].decode("ascii") for line in answer.out.splitlines() if line.endswith(b" missing")}
        return tuple(commit for commit in commits if commit.hex in absent)

    def _line(self, *arguments: str) -> str:
        answer = self._run(*arguments)
        if answer.code:
            raise self._error(answer)
        return os.fsdecode(answer.out).removesuffix("\n")

    def _error(self, answer: Answer) -> SourceError:
        _refused(answer, self._root)
        return SourceError("git can't answer", hint="run: git status", detail=answer.err.strip()[:2000] or None)

    def _ready(self) -> tuple[str, ...]:
        if self._options is None:
            answer = self._start(("config", "--list", "-z", "--includes"), ())
            if answer.code:
                raise self._error(answer)
            pairs = (line.partition("\n") for line in os.fsdecode(answer.out).split("\0") if line)
            self._settings = {name: value for name, _, value in pairs}
            filters = {match.group(1) for name in self._settings if (match := _FILTER.fullmatch(name))}
            self._options = tuple(option for name in sorted(filters) for option in _without_filter(name))
        return self._options

    def _run(self, *arguments: str) -> Answer:
        return self._start(arguments, self._ready())

    def _program(self) -> str:
        program = program_for(self._top or self._root)
        if program is None:
            raise SourceError("git is not installed", hint="install git, or add its folder to PATH")
        return program

    def _search(self) -> str:
        return os.pathsep.join(str(folder) for folder in _safe_folders(self._top or self._root))

    def _start(self, arguments: tuple[str, ...], options: tuple[str, ...], given: bytes = b"") -> Answer:
        off = [part for name, value in _OFF.items() for part in ("-c", f"{name}={value}")]
        command = [self._program(), "--no-pager", "-C", str(self._root), *off, *options, *arguments]
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        try:
            done = subprocess.run(  # noqa: S603  # a fixed program; arguments as the module's docstring says
                command,
                input=given,
                capture_output=True,
                env={**kept, **_SET, "PATH": self._search()},
                cwd="/",
                timeout=TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise SourceError(f"git does not answer within {TIMEOUT_S} s", hint="try again") from None
        except OSError as error:
            raise SourceError(f"git can't be started: {os.strerror(error.errno or 0)}") from None
        return Answer(code=done.returncode, out=done.stdout, err=done.stderr.decode("utf-8", "replace"))


def program_for(root: Path) -> str | None:
    """Find git on PATH: absolute folders outside the repository only."""
    for folder in _safe_folders(root):
        program = folder / "git"
        if program.is_file() and os.access(program, os.X_OK):
            return None if _is_inside(program, root) else str(program)
    return None


def _safe_folders(root: Path) -> list[Path]:
    listed = [Path(folder) for folder in os.environ.get("PATH", os.defpath).split(os.pathsep)]
    return [folder for folder in listed if folder.is_absolute() and not _is_inside(folder, root)]


def _is_inside(path: Path, root: Path) -> bool:
    return path.is_relative_to(root) or Path(os.path.realpath(path)).is_relative_to(root)


def _repository_above(root: Path) -> Path | None:
    for folder in (root, *root.parents):
        if os.path.lexists(folder / ".git") or ((folder / "HEAD").is_file() and (folder / "objects").is_dir()):
            return folder
    return None


def _refused(answer: Answer, root: Path) -> None:
    """Raise where git won't touch a repository of another user's."""
    if "dubious ownership" in answer.err or "safe.directory" in answer.err:
        hint = f"if you trust it, run: git config --global --add safe.directory {root}"
        raise SourceError("the repository belongs to another user, so git does not read it", hint=hint)


def _without_filter(name: str) -> tuple[str, ...]:
    parts = (f"filter.{name}.{key}" for key in ("clean=", "smudge=", "process=", "required=false"))
    return tuple(option for part in parts for option in ("-c", part))


def _parse_status(out: bytes) -> Status:
    commit, branch, changed = None, None, []
    for line in os.fsdecode(out).split("\0"):
        kind, _, rest = line.partition(" ")
        if kind == "#":
            name, _, value = rest.partition(" ")
            if name == "branch.oid" and value != "(initial)":
                commit = Commit.parse(value)
            elif name == "branch.head" and value != "(detached)":
                branch = value
        elif kind in ("?", "!"):
            changed.append(rest)
        elif kind in ("1", "u"):
            changed.append(rest.split(" ", 7 if kind == "1" else 9)[-1])
    return Status(commit=commit, branch=branch, changed=tuple(changed))
