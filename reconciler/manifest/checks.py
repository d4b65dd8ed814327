"""What a schema can't say about a manifest: fields that contradict one another, names, dates, paths. Pure.

Each check takes the manifest as a JSON value and gives findings: field path, message, hint. None of them relies on
the schema's verdict, so that all findings of a file come at once.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping

from reconciler.manifest.secrets import Finding
from reconciler.values import names, paths
from reconciler.values.canonical import Json

Fields = Mapping[str, Json]
BASES = ("base_image", "base_dockerfile", "base_environment")
_ON_DISK = ("oci:", "oci-archive:", "docker-archive:")
CONDAS = ("conda", "conda_file")
_CONTAINER_ONLY = (
    "base", "base_image", "base_image_registry", "base_environment", "base_dockerfile", "build", "user", "workdir",
    "entrypoint", "command", "labels", "shm_size", "arguments",
)  # fmt: skip
_INSTALLS = (
    "pip", "pip_file", "project", "extras", "groups", "local", "conda", "conda_file", "constraints", "overrides",
    "indexes", "sources", "build_from_source", "exclude_newer",
)  # fmt: skip
_ONCE = ("platforms", "system_packages", "system_repositories", "python.indexes", "python.extras", "python.groups")
_PATHS = ("python.project", "python.conda_file", "docker.build.context")
_PATH_LISTS = ("python.pip_file", "python.local")
_PATHS_OR_REQUIREMENTS = ("python.constraints", "python.overrides")


def check_value(value: Fields, prefix: str = "") -> Iterator[Finding]:
    """Check what depends on the manifest alone. ``prefix`` is where it stands in the file, with its final dot."""
    for path, message, hint in _own(value):
        yield f"{prefix}{path}", message, hint


def check_place(value: Fields, path: str, folder: str) -> Iterator[Finding]:
    """Check what depends on where the manifest stands: its name, and the paths that it names.

    ``folder`` holds the manifests; the name is the file's own, or its folder's where that is in turn in ``folder``.
    """
    name, expected = value.get("name"), expected_name(path, folder)
    if isinstance(name, str) and expected is not None and name != expected and names.refusal(name) is None:
        yield "name", f"`name` is {name}, but the file is {path}", f"write `name: {expected}`, or rename the file"
    here = paths.folder_of(path)
    for where, text in _named_paths(value):
        try:
            paths.join(here, text)
        except ValueError as error:
            yield where, str(error), "name a file of this repository, relative to this manifest"


def expected_name(path: str, folder: str) -> str | None:
    """Say which name a manifest at this path has; none where no rule says so."""
    inside = path.removeprefix(f"{folder}/") if folder not in ("", ".") else path
    parent, _, file = inside.rpartition("/")
    stem = file.removesuffix(".yaml").removesuffix(".yml")
    if not parent:
        return stem
    return parent.rpartition("/")[2] if stem == "environment" else stem


def is_dockerfile_text(text: str) -> bool:
    """Tell a Dockerfile's text from its path: it has lines, or begins with FROM."""
    return "\n" in text or text[:5].upper() == "FROM "


def section(value: Fields, name: str) -> Fields:
    """Give a mapping inside; an empty one where there is none."""
    found = value
    for part in name.split("."):
        inner = found.get(part)
        if not isinstance(inner, dict):
            return {}
        found = inner
    return found


def _own(value: Fields) -> Iterator[Finding]:
    for field in ("name", "renamed_from"):
        yield from _name(field, value.get(field))
    docker, python = section(value, "docker"), section(value, "python")
    yield from _name("docker.base_environment", docker.get("base_environment"))
    yield from _self_reference(value, docker)
    yield from _exclusive("docker", docker, BASES)
    yield from _exclusive("python", python, CONDAS)
    yield from _host(value, docker)
    yield from _container(value, docker)
    yield from _python(python)
    yield from _interpreter(python, docker)
    if "cuda" in value and value.get("compute", "cpu") == "cpu":
        yield "cuda", "`cuda` goes with `compute: gpu`", "write `compute: gpu`, or delete `cuda`"
    yield from _twice(value)
    yield from _destinations(value)


def _name(field: str, name: Json) -> Iterator[Finding]:
    reason = names.refusal(name) if isinstance(name, str) else None
    if reason is not None:
        yield field, reason, "choose a name of lower-case letters and digits, with - between"


def _self_reference(value: Fields, docker: Fields) -> Iterator[Finding]:
    name = value.get("name")
    if name is not None and value.get("renamed_from") == name:
        yield "renamed_from", "`renamed_from` is the environment's own name", "delete the line"
    if name is not None and docker.get("base_environment") == name:
        yield "docker.base_environment", "an environment can't build on itself", "name another environment"


def _exclusive(where: str, fields: Fields, group: tuple[str, ...]) -> Iterator[Finding]:
    written = [name for name in group if name in fields]
    for name in written[1:]:
        yield (
            f"{where}.{name}",
            f"`{where}.{name}` and `{where}.{written[0]}` exclude each other",
            "keep one of the two",
        )


def _host(value: Fields, docker: Fields) -> Iterator[Finding]:
    builder = value.get("builder", "auto")
    if docker.get("enabled", True) is not False:
        if builder == "host":
            yield "builder", "`builder: host` makes no container image", "write `docker: {enabled: false}` too"
        return
    for name in _CONTAINER_ONLY:
        if name in docker:
            message = f"`docker.{name}` contradicts `docker.enabled: false`"
            yield f"docker.{name}", message, "delete it, or write `enabled: true`"
    if builder in ("assemble", "docker"):
        yield (
            "builder",
            f"`builder: {builder}` makes container images only",
            "delete the line, or write `builder: host`",
        )


def _container(value: Fields, docker: Fields) -> Iterator[Finding]:
    platforms = value.get("platforms")
    if docker.get("enabled", True) is not False and isinstance(platforms, list):
        for index, platform in enumerate(platforms):
            if isinstance(platform, str) and platform.startswith("darwin/"):
                hint = "write `docker: {enabled: false}`, or name a linux platform"
                yield f"platforms[{index}]", f"no container image runs on {platform[:20]}", hint
    if "base_image_registry" in docker and "base_image" not in docker:
        hint = "add `base_image`, or delete `base_image_registry`"
        yield "docker.base_image_registry", "`docker.base_image_registry` goes with `docker.base_image`", hint
    elif "base_image_registry" in docker and str(docker.get("base_image")).startswith(_ON_DISK):
        message = "`docker.base_image` is in this repository, and in no registry"
        yield "docker.base_image_registry", message, "delete `base_image_registry`"
    if "build" in docker and "base_dockerfile" not in docker:
        hint = "add `base_dockerfile`, or delete `build`"
        yield "docker.build", "`docker.build` goes with `docker.base_dockerfile`", hint
    if "base_dockerfile" in docker and value.get("builder") == "assemble":
        yield "builder", "`builder: assemble` runs no Dockerfile", "write `builder: docker`, or delete the line"


def _interpreter(python: Fields, docker: Fields) -> Iterator[Finding]:
    """Hold a path to what it can name: the interpreter of a base image, or one that somebody else manages."""
    path, field = python.get("interpreter_path"), "python.interpreter_path"
    if path is None or python.get("user_managed_dependencies") is True:
        return
    if docker.get("enabled") is False:
        message = "`python.interpreter_path` goes with `python.user_managed_dependencies: true`"
        yield field, message, "add that line, or delete `interpreter_path`"
    elif "base_environment" in docker:
        message = "the environment in `docker.base_environment` brings the interpreter"
        yield field, message, "delete `interpreter_path`"
    elif isinstance(path, str) and not path.startswith("/"):
        yield field, "the interpreter of a base image is an absolute path", "write it as /opt/conda/bin/python"


def _python(python: Fields) -> Iterator[Finding]:
    managed = python.get("user_managed_dependencies") is True
    for name in _INSTALLS if managed else ():
        if name in python:
            message = f"`python.{name}` contradicts `python.user_managed_dependencies: true`"
            yield f"python.{name}", message, "delete one of the two: what others install is observed only"
    for name in ("extras", "groups"):
        if python.get(name) and "project" not in python and not managed:
            yield (
                f"python.{name}",
                f"`python.{name}` goes with `python.project`",
                "name the project, or delete the line",
            )
    newest = python.get("exclude_newer")
    if isinstance(newest, str) and len(newest) in (10, 20) and not _is_date(newest):
        yield "python.exclude_newer", f"{newest!a} is no date of the calendar", "write a date such as 2025-06-30"


def _is_date(text: str) -> bool:
    try:
        dt.datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _twice(value: Fields) -> Iterator[Finding]:
    for path in _ONCE:
        parent, _, name = path.rpartition(".")
        items = (section(value, parent) if parent else value).get(name)
        seen: set[str] = set()
        for index, item in enumerate(items) if isinstance(items, list) else ():
            if isinstance(item, str):
                if item in seen:
                    yield f"{path}[{index}]", f"{ascii(item)[:100]} stands in `{path}` twice", "delete one of the two"
                seen.add(item)


def _destinations(value: Fields) -> Iterator[Finding]:
    for target in section(value, "files"):
        parts = target.split("/")
        if ".." in parts or "\\" in target or target.strip("/.") == "" or target.startswith("~"):
            message = f"{ascii(target)[:100]} is no destination"
            yield f"files.{target}", message, "write a path without .. such as /etc/app/logging.ini"


def _named_paths(value: Fields) -> Iterator[tuple[str, str]]:
    """Give every path of the repository that the manifest names, with its field."""
    for field in (*_PATHS, *_PATH_LISTS, *_PATHS_OR_REQUIREMENTS):
        parent, _, name = field.rpartition(".")
        found = section(value, parent).get(name)
        if isinstance(found, str):
            yield field, found
        elif isinstance(found, list) and field in _PATH_LISTS:
            yield from ((f"{field}[{index}]", item) for index, item in enumerate(found) if isinstance(item, str))
    for target, item in section(value, "files").items():
        if isinstance(item, str):
            yield f"files.{target}", item
    pip = section(value, "python").get("pip")
    for index, item in enumerate(pip) if isinstance(pip, list) else ():
        if isinstance(item, str) and item.startswith(("./", "../", "/", "~")):
            yield f"python.pip[{index}]", item
    dockerfile = section(value, "docker").get("base_dockerfile")
    if isinstance(dockerfile, str) and not is_dockerfile_text(dockerfile):
        yield "docker.base_dockerfile", dockerfile
