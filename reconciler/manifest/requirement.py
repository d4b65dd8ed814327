"""One line of requirements: what is allowed, and why the rest is not.

A line is a requirement (PEP 508), a wheel of the repository (``./x.whl``), an archive by address and digest, a git
repository at a commit, or one of pip's options. Options are read as pip reads them and then followed, taken as given
because the reconciler works that way anyhow, or refused with what to write instead.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from reconciler.values import paths, pep

INDEX_HINT = "name the index in reconciler.yaml and list its alias under python.indexes"
LOCAL_HINT = "list the project's folder under python.local"
COMMIT_HINT = "write NAME @ git+https://HOST/PATH@COMMIT with the commit's 40 hex digits"
SHA_HINT = "write NAME @ https://HOST/FILE.whl#sha256=DIGEST"
_VARIABLE = re.compile(r"\$\{?[A-Za-z_]|%[A-Za-z_]+%")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_SHA_FRAGMENT = re.compile(r"sha256=[0-9a-f]{64}")
_SUBDIRECTORY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_ADDRESS = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:|[^\s@/]+@[^\s/:]+:)")
_OPTION_AT = re.compile(r"\s(?=--?[A-Za-z])")
_ARCHIVES = (".tar.gz", ".zip", ".tar.bz2", ".tgz", ".tar.xz", ".egg", ".exe")
_INCLUDES = {"-r": "requirements", "--requirement": "requirements", "-c": "constraints", "--constraint": "constraints"}
_TAKEN = frozenset(["--only-binary", "--prefer-binary", "--require-hashes"])
_REFUSED = {
    "-e": ("a project can't be installed as editable: an environment holds what it was built from", LOCAL_HINT),
    "-i": ("an index can't be named in a requirement file", INDEX_HINT),
    "--extra-index-url": ("an index can't be named in a requirement file", INDEX_HINT),
    "--no-index": ("the index can't be switched off in a requirement file", INDEX_HINT),
    "-f": ("a place to find links can't be named in a requirement file", INDEX_HINT),
    "--trusted-host": ("a host is never trusted without TLS", INDEX_HINT),
    "--process-dependency-links": ("links of dependencies are never followed", INDEX_HINT),
    "--no-binary": ("sources are built only by name", "list the package under python.build_from_source"),
    "--pre": ("pre-releases are let in one by one", "name one in the version, as in NAME>=2.0rc1"),
    "--config-settings": ("settings for a build can't be passed: lock and plan run no code of a package", ""),
    "--global-option": ("options for a build can't be passed: lock and plan run no code of a package", ""),
    "--install-option": ("options for a build can't be passed: lock and plan run no code of a package", ""),
    "--build-option": ("options for a build can't be passed: lock and plan run no code of a package", ""),
    "--use-feature": ("pip's features can't be switched in a requirement file", "remove the option"),
    "--use-pep517": ("pip's features can't be switched in a requirement file", "remove the option"),
    "--no-use-pep517": ("pip's features can't be switched in a requirement file", "remove the option"),
    "--no-build-isolation": ("a package's build is always kept apart", "remove the option"),
    "--no-deps": ("what a package needs is always installed with it", "use python.overrides to change what it needs"),
    "--upgrade": ("what moves is asked for on the command line", "run: reconciler lock --upgrade"),
    "--uploaded-prior-to": ("a date can't be given in a requirement file", "write python.exclude_newer"),
}
_SAME = {
    "--editable": "-e",
    "--index-url": "-i",
    "--pypi-url": "-i",
    "--find-links": "-f",
    "-C": "--config-settings",
    "--config-setting": "--config-settings",
    "-U": "--upgrade",
}
_NO_VALUE = frozenset(["--no-index", "--prefer-binary", "--require-hashes", "--pre", "--process-dependency-links"])


class RefusedLineError(ValueError):
    """A line that can't be used: why, in one line that shows no credential, and what to write instead."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, kw_only=True, slots=True)
class Include:
    """Another file that a line names: ``kind`` is ``requirements`` or ``constraints``, ``path`` as written."""

    kind: str
    path: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """What one line says: a requirement with its hashes, a wheel of the repository, includes, or nothing.

    ``wheel`` is the path as written; its requirement is then complete but for the path (see :meth:`with_path`).
    """

    requirement: str | None = None
    hashes: tuple[str, ...] = ()
    wheel: str | None = None
    include: Include | None = None

    def with_path(self, path: str) -> str:
        """Give the requirement of a wheel of the repository with this path for its address."""
        if self.requirement is None or self.wheel is None:
            raise ValueError("the line names no wheel of the repository")
        head, _, marker = self.requirement.partition(" ; ")
        return f"{head.partition(' @ ')[0]} @ {path}" + (f" ; {marker}" if marker else "")


@lru_cache(maxsize=1 << 14)
def parse_line(text: str) -> Line:
    """Read one line, continuations joined and comment taken off; what can't be used is a RefusedLineError."""
    if len(text) > pep.MAX_LENGTH:
        raise RefusedLineError(f"a line has at most {pep.MAX_LENGTH} characters")
    if any(not character.isprintable() and character != "\t" for character in text):
        raise RefusedLineError("the line holds a character that can't be seen", "remove it")
    text = text.strip()
    if _VARIABLE.search(text):
        raise RefusedLineError("environment variables are not expanded here", "write the value, or name an index alias")
    if text.startswith("-"):
        return _parse_option(text)
    body, *options = _OPTION_AT.split(text, maxsplit=1)
    hashes = _parse_hashes(options[0]) if options else ()
    return _parse_body(body.strip(), hashes)


def _parse_body(text: str, hashes: tuple[str, ...]) -> Line:
    if _is_path(text):
        return _parse_wheel(text, hashes)
    if _ADDRESS.match(text):
        return Line(requirement=_address_requirement(text), hashes=hashes)
    try:
        requirement = pep.canonical_requirement(text)
        parsed = pep.Requirement.parse(text) if "@" in text else None
    except ValueError as error:
        raise RefusedLineError(_without_credentials(str(error)), _name_hint(text)) from None
    if parsed is None or parsed.url is None:
        return Line(requirement=requirement, hashes=hashes)
    return _parse_direct(parsed, hashes)


def _parse_direct(parsed: pep.Requirement, hashes: tuple[str, ...]) -> Line:
    url = parsed.url or ""
    if _is_path(url):
        line = _parse_wheel(url, hashes)
        if pep.Requirement.parse(line.requirement or "").name != parsed.name:
            raise RefusedLineError(f"the wheel's file name is not one of {parsed.name}")
        return Line(requirement=str(parsed), hashes=hashes, wheel=url)
    address = _pinned_address(url)
    exact = pep.Requirement(name=parsed.name, extras=parsed.extras, url=address, marker=parsed.marker)
    return Line(requirement=str(exact), hashes=hashes)


def _is_path(text: str) -> bool:
    word = text.split(";", 1)[0].split("[", 1)[0].strip().lower()
    if "://" in word or " @ " in word:
        return False
    return word.startswith((".", "/", "~", "\\")) or "\\" in word or "/" in word or word.endswith((".whl", *_ARCHIVES))


def _parse_wheel(text: str, hashes: tuple[str, ...]) -> Line:
    body, _, marker = text.partition(";")
    path, bracket, extras = body.strip().partition("[")
    reason = paths.refusal(path)
    if reason is not None:
        raise RefusedLineError(reason)
    if " " in path or "\t" in path:
        raise RefusedLineError("a wheel's path can't hold a blank", "move the wheel")
    if path.lower().endswith(_ARCHIVES):
        raise RefusedLineError("a source archive of the repository is not built", LOCAL_HINT)
    if not path.endswith(".whl"):
        raise RefusedLineError(f"{ascii(path)[:120]} is a folder or no wheel", LOCAL_HINT)
    try:
        name = pep.Wheel.parse(path.rpartition("/")[2]).name
        requirement = pep.canonical_requirement(
            f"{name}{bracket}{extras} @ ./x.whl" + (f" ; {marker}" if marker else "")
        )
    except ValueError as error:
        raise RefusedLineError(str(error), "write ./NAME-VERSION-TAGS.whl") from None
    return Line(requirement=requirement, hashes=hashes, wheel=path)


def _address_requirement(text: str) -> str:
    address, _, marker = text.partition(" ;")
    exact = _pinned_address(address.strip())
    parts = urlsplit(exact)
    name = ""
    if parts.scheme == "git+https":
        egg = [part[4:] for part in urlsplit(text).fragment.split("&") if part.startswith("egg=")]
        name = egg[0] if egg else ""
        if not name:
            return exact + (f" ; {marker.strip()}" if marker else "")
    else:
        try:
            name = pep.Wheel.parse(unquote(parts.path.rpartition("/")[2])).name
        except ValueError:
            raise RefusedLineError("an address needs a name", SHA_HINT) from None
    try:
        return pep.canonical_requirement(f"{name} @ {exact}" + (f" ; {marker}" if marker else ""))
    except ValueError as error:
        raise RefusedLineError(_without_credentials(str(error)), COMMIT_HINT) from None


def _pinned_address(url: str) -> str:
    try:
        parts = urlsplit(url)
        user, host, _ = parts.username or parts.password, parts.hostname, parts.port
    except ValueError:
        raise RefusedLineError("the address can't be read") from None
    scheme = parts.scheme.lower()
    if user or ("@" in parts.netloc):
        raise RefusedLineError(
            "an address can't hold a credential", "remove it; credentials are set where it is fetched"
        )
    if scheme == "file":
        raise RefusedLineError("a file:// address leads out of the repository", "write a path: ./NAME-VERSION-TAGS.whl")
    if scheme == "git+https":
        return _git_address(url)
    if scheme != "https":
        hint = COMMIT_HINT if "git" in scheme or "@" in url else SHA_HINT
        raise RefusedLineError(f"addresses of the kind {scheme[:20]!a} are not used, only https and git+https", hint)
    if not host or parts.query:
        raise RefusedLineError("the address names no host, or holds a query", SHA_HINT)
    digests = [part for part in parts.fragment.split("&") if part.startswith("sha256=")]
    if len(digests) != 1 or not _SHA_FRAGMENT.fullmatch(digests[0]):
        raise RefusedLineError("an archive by address needs its digest", SHA_HINT)
    return parts._replace(scheme=scheme, fragment=digests[0]).geturl()


def _git_address(url: str) -> str:
    parts = urlsplit(url)
    path, separator, revision = parts.path.rpartition("@")
    named = path if separator else parts.path
    if not parts.hostname or parts.query or not named.strip("/") or "::" in url:
        raise RefusedLineError("the address of the git repository can't be used", COMMIT_HINT)
    if not separator or not _COMMIT.fullmatch(revision):
        raise RefusedLineError("a branch or a tag moves, so a git repository is named at a commit", COMMIT_HINT)
    folders = [part[13:] for part in parts.fragment.split("&") if part.startswith("subdirectory=")]
    unknown = [part for part in parts.fragment.split("&") if part and not part.startswith(("subdirectory=", "egg="))]
    if unknown or len(folders) > 1 or any(not _SUBDIRECTORY.fullmatch(folder) for folder in folders):
        raise RefusedLineError("after # only one subdirectory inside the repository can be named", COMMIT_HINT)
    fragment = f"subdirectory={folders[0]}" if folders else ""
    return parts._replace(scheme="git+https", fragment=fragment).geturl()


def _parse_option(text: str) -> Line:
    words = _split_words(text)
    name, value, rest = _first_option(words)
    if name in _INCLUDES:
        if value is None or rest:
            raise RefusedLineError(f"{name} takes one file", f"write {name} FILE on a line of its own")
        reason = paths.refusal(value)
        if reason is not None:
            raise RefusedLineError(reason, "copy the file into the repository")
        return Line(include=Include(kind=_INCLUDES[name], path=value))
    while True:
        name = _SAME.get(name, name)
        if name in _REFUSED:
            raise RefusedLineError(*_REFUSED[name])
        if name not in _TAKEN:
            raise RefusedLineError(f"unknown option {ascii(name)[:40]}", "remove it")
        if not rest:
            return Line()
        name, value, rest = _first_option(rest)


def _first_option(words: list[str]) -> tuple[str, str | None, list[str]]:
    word, rest = words[0], words[1:]
    if word.startswith("--"):
        name, separator, value = word.partition("=")
        attached = value if separator else None
    elif word.startswith("-") and len(word) > 1:
        name, attached = word[:2], word[2:] or None
    else:
        raise RefusedLineError(f"{ascii(word)[:40]} stands after an option", "write one thing a line")
    if attached is None and rest and name not in _NO_VALUE:
        return name, rest[0], rest[1:]
    return name, attached, rest


def _parse_hashes(text: str) -> tuple[str, ...]:
    words, hashes = _split_words(text), set()
    while words:
        name, value, words = _first_option(words)
        name = _SAME.get(name, name)
        if name in _REFUSED:
            raise RefusedLineError(*_REFUSED[name])
        if name != "--hash":
            raise RefusedLineError(f"the option {ascii(name)[:40]} can't follow a requirement", "remove it")
        if value is None or not _HASH.fullmatch(value):
            raise RefusedLineError("a hash is not one of sha256", "write --hash=sha256:DIGEST")
        hashes.add(value)
    return tuple(sorted(hashes))


def _split_words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        raise RefusedLineError("a quote is not closed") from None


def _without_credentials(text: str) -> str:
    return re.sub(r"//[^/\s]*@", "//…@", text)


def _name_hint(text: str) -> str:
    if "==" not in text and re.fullmatch(r"[A-Za-z0-9._-]+=[^=].*", text):
        return "write two equals signs: NAME==VERSION"
    return "write NAME, NAME>=VERSION or NAME==VERSION"
