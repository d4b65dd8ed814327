"""Secrets that stand in a manifest or in the configuration, and references to variables where none may be. Pure.

What is found is never shown. ``${NAME}`` is allowed in run-time variables and credentials; a Dockerfile's text and
a description have their own use for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from reconciler.manifest.wording import is_secret_name
from reconciler.values.canonical import Json

Finding = tuple[str, str, str]
"""A field's path, what is wrong, and the fix."""

_REFERENCE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")
_AUTHORITY_END = re.compile(r"[/?#\s\"'<>\\]")
_QUERY_KEY = re.compile(r"[?&]([A-Za-z0-9_.-]{1,64})=(?!\$\{)[^&\s]")
_KNOWN_TOKEN = re.compile(
    r"\b(?:gh[pousr]_[A-Za-z0-9]{30}|github_pat_[A-Za-z0-9_]{30}|glpat-[A-Za-z0-9_-]{20}|AKIA[0-9A-Z]{16}"
    r"|hf_[A-Za-z0-9]{30}|xox[baprs]-[A-Za-z0-9-]{10}|pypi-[A-Za-z0-9_-]{40})"
    r"|-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----"
)
_VARIABLES = "environment_variables."
_NAMED = ("environment_variables.", "docker.build.args.", "docker.labels.", "tags.")
_OWN_SYNTAX = ("description", "docker.base_dockerfile")


def find_secrets(value: Json, prefix: str = "") -> Iterator[Finding]:
    """Find secrets in a manifest's value; ``prefix`` is where it stands in the file, with its final dot."""
    for path, text in _texts(value, ""):
        where = f"{prefix}{path}"
        if "://" in text and _has_credential(text):
            yield (
                where,
                "an address holds a credential",
                "name the source in reconciler.yaml, without it; the machine has the credential",
            )
        if _KNOWN_TOKEN.search(text):
            yield where, "a literal secret stands here", "revoke it; write ${VAR} in environment_variables"
        if "${" in text:
            yield from _references(where, path, text)
        name = next((path.removeprefix(group) for group in _NAMED if path.startswith(group)), None)
        if name is not None and is_secret_name(name) and _is_literal(text):
            yield where, f"`{name[:100]}` holds a literal secret", _named_hint(path, name)


def _named_hint(path: str, name: str) -> str:
    if path.startswith(_VARIABLES):
        return f"write ${{{name[:100]}}}; it is filled in when the environment runs"
    return "put its name into docker.build.secrets" if path.startswith("docker.build.") else "delete it"


def _references(where: str, path: str, text: str) -> Iterator[Finding]:
    if path.startswith(_VARIABLES):
        if "${" in _REFERENCE.sub("", text):
            yield (
                where,
                "a reference to a variable that is not ${NAME}",
                "write ${NAME}, without a default or an operator",
            )
    elif path not in _OWN_SYNTAX and not path.endswith(".credential") and not path.startswith("docker.build.secrets["):
        message = "${...} stands where no variable is filled in"
        yield (
            where,
            message,
            "only environment_variables and credentials hold ${VAR}; write the value, or $VAR for a shell",
        )


def _texts(value: Json, path: str) -> Iterator[tuple[str, str]]:
    """Give every text with its field's path; a key's text has the path of its field."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            inside = f"{path}.{key}" if path else key
            if "://" in key or "${" in key:
                yield inside, key
            yield from _texts(item, inside)


def _has_credential(text: str) -> bool:
    """Tell whether an address names a user with a password, or any user of a web address, or a secret in its query."""
    start = text.find("://")
    while start >= 0:
        end = _AUTHORITY_END.search(text, start + 3)
        user, at, _ = text[start + 3 : end.start() if end else len(text)].rpartition("@")
        plain = _REFERENCE.sub("", user)
        if at and plain.strip(":"):
            _, _, password = plain.partition(":")
            if password or not text[max(0, start - 3) : start].lower().endswith("ssh"):
                return True
        start = text.find("://", start + 3)
    return any(is_secret_name(key) or key.lower() == "sig" for key in _QUERY_KEY.findall(text))


def _is_literal(text: str) -> bool:
    return text.lower() not in ("", "true", "false") and _REFERENCE.sub("", text).strip() != ""
