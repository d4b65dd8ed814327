"""The repository that a clone came from, asked by git: which commits its branches end at, and these commits.

Where the rest of the reconciler lets git believe nothing that stands in ``.git/config``, a fetch must believe some of
it: the origin's address, and how to get in (``credential.*``, ``http.*``, ``core.sshCommand``, ``url.*.insteadOf``,
where checkout actions and people put it), two of which are programs. No commit brings that file, so no pull request
writes it; who can write it ran before us with our rights, and git itself refuses a repository of another user's. A
fetch belongs to ``apply`` alone, which runs what the repository declares anyway. What a fetch does not need stays
off: hooks, other programs for the origin's side, remote helpers, other protocols, submodules, tags, housekeeping.

Commits are asked for by their names: no ref moves, ``FETCH_HEAD`` included, and no name from outside is an argument.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from reconciler.clients import child
from reconciler.errors import BuildError
from reconciler.values.commit import Commit

ASK_S, FETCH_S = 60, 600
AT_ONCE = 5000
"""Commits in one request: 41 bytes each, where a command line may hold 2 MB."""
_PROTOCOLS = "file:http:https:ssh"
_TIP = re.compile(r"([0-9a-f]{40}(?:[0-9a-f]{24})?)\trefs/heads/.+")
_OFF = {
    "core.alternateRefsCommand": "false",
    "core.fsmonitor": "false",
    "core.gitProxy": "",
    "core.hooksPath": os.devnull,
    "fetch.writeCommitGraph": "false",
    "gc.auto": "0",
    "http.saveCookies": "false",
    "maintenance.auto": "false",
    "submodule.recurse": "false",
}
_ONLY = (
    "--quiet",
    "--upload-pack=git-upload-pack",
    "--no-write-fetch-head",
    "--no-tags",
    "--no-prune",
    "--no-recurse-submodules",
    "--no-auto-maintenance",
)
# Helpers that know a password may need anything of the caller's environment; of git's own variables only these.
_OURS = re.compile(
    r"GIT_(?:ASKPASS|SSH.*|SSL_.*|PROXY_.*|HTTP_.*|CONFIG_(?:GLOBAL|NOSYSTEM|SYSTEM|COUNT|KEY_.*|VALUE_.*))"
)
_SET = {
    "GIT_ALLOW_PROTOCOL": _PROTOCOLS,
    "GIT_GRAFT_FILE": os.devnull,
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
    "SSH_ASKPASS_REQUIRE": "never",
}
_SSH = "ssh -oBatchMode=yes -oConnectTimeout=30"


class Origin:
    """The remote ``origin`` of the clone at ``root``. ``search`` is the PATH on which git finds its programs."""

    def __init__(self, root: Path, program: str, search: str) -> None:
        off = [part for name, value in _OFF.items() for part in ("-c", f"{name}={value}")]
        self._command = [program, "--no-pager", "-C", str(root), *off]
        self._environ = _environment(os.environ, search)
        if not {"GIT_SSH", "GIT_SSH_COMMAND"} & set(self._environ) and not self._ask("config", "core.sshCommand"):
            self._environ["GIT_SSH_COMMAND"] = _SSH

    def tips(self) -> tuple[Commit, ...]:
        """Ask at which commits the branches end, sorted; none where there is no origin or it does not answer."""
        answer = self._ask("ls-remote", "--quiet", "--heads", "--upload-pack=git-upload-pack", "origin")
        found = (_TIP.fullmatch(line) for line in (answer or "").splitlines())
        return tuple(Commit(name) for name in sorted({match[1] for match in found if match}))

    def fetch(self, commits: tuple[Commit, ...], *, unshallow: bool) -> None:
        """Fetch these commits and what they build on, as far as the origin gives it.

        With ``unshallow`` also the parents of the commits at which the clone was cut.
        """
        for start in range(0, len(commits), AT_ONCE):
            names = [commit.hex for commit in commits[start : start + AT_ONCE]]
            whole = ("--unshallow",) if unshallow and start == 0 else ()
            self._ask("fetch", *_ONLY, *whole, "origin", *names, limit_s=FETCH_S)

    def _ask(self, *arguments: str, limit_s: float | None = None) -> str | None:
        """Give what git printed, none where it failed or took too long."""
        limit_s = ASK_S if limit_s is None else limit_s
        try:
            done = child.run([*self._command, *arguments], folder=Path("/"), environ=self._environ, limit_s=limit_s)
        except BuildError:
            return None
        return None if done.status else done.stdout


def _environment(caller: Mapping[str, str], search: str) -> dict[str, str]:
    kept = {name: value for name, value in caller.items() if not name.startswith("GIT_") or _OURS.fullmatch(name)}
    return {"GIT_ASKPASS": "", **kept, **_SET, "PATH": search}
