"""What counts as a change: the components of a request, from a manifest and what it reaches **[format]**.

Components and their values, each with every default filled in:

``base``
    ``enabled``, ``compute``, ``cuda``, ``variant``, ``image``, ``registry`` (``address``, ``credential``, or null),
    ``environment`` (``name`` and ``request`` of the one below, or null), and ``catalog``: the catalog's entry by
    value, null where the base is not the catalog's.
``python``
    ``implementation`` (``cpython``), ``version``, ``provider``, ``user_managed``, ``interpreter_path``,
    ``base_packages``, ``bytecode``.
``packages``
    ``requirements``, ``constraints``, ``overrides``: requirements in one spelling (``values.pep``), sorted, each
    once; a wheel of the repository as ``NAME @ ./PATH`` relative to the manifest. ``wheels``: such a path to its
    sha256. ``hashes``: a requirement to its hashes, sorted. ``indexes`` in order. ``sources``. ``build_from_source``,
    ``extras``, ``groups`` sorted. ``exclude_newer``. ``project``: what ``manifest.project`` reads, or null. ``local``:
    a path relative to the manifest (``./`` or ``../`` first) to its tree's digest. ``conda``: null, or ``channels``
    in order and ``dependencies`` (``manifest.conda``), sorted.
``system``
    ``packages`` sorted, ``repositories`` in order.
``image``
    ``user``, ``workdir``, ``entrypoint``, ``command``, ``labels``.
``variables``
    Names to values, as written.
``files``
    A destination to its files, sorted: ``name`` relative to the path (empty for a file itself, its own name where the
    destination ends with ``/``), ``mode``, ``sha256``.
``dockerfile``
    Null, or ``text``, ``context`` (its tree's digest, or null), ``target``, ``args``, ``secrets`` sorted.
``builder``
    ``builder``.

A tree's digest is that of the canonical form of its files' names, relative to it, to their ``[mode, sha256]``. Not part
of the request: description, tags, owner, protected, renamed_from, extends (its values are filled in), platforms,
docker.shm_size, docker.arguments, checks; comments, form and order in any file that is read by meaning; the names of
requirement, constraint and conda files, and how they are split; a conda file's own name and prefix.
"""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.lock.model import Lock
from reconciler.manifest.catalog import entry_of
from reconciler.manifest.checks import is_dockerfile_text
from reconciler.manifest.defaults import FilledIn
from reconciler.manifest.desired import Desired
from reconciler.manifest.model import Docker, Manifest, Python
from reconciler.manifest.packages import packages
from reconciler.manifest.reach import Reach, Read, Walk
from reconciler.values.canonical import Json


def desire(  # noqa: PLR0913  # one argument a source of identity
    manifest: Manifest,
    read: Read,
    walk: Walk,
    *,
    bases: Mapping[str, Mapping[str, Json]] | None = None,
    lock: Lock | None = None,
    refusal: str | None = None,
    builder: str = "host",
    below: Desired | None = None,
) -> Desired:
    """Give an environment as the repository wants it: the manifest, and what it reaches through ``read`` and ``walk``.

    ``bases`` is the catalog (:mod:`reconciler.manifest.catalog`). Whatever is wrong with a
    reached file is in one ManifestError, a problem each, at the line that names the file or in the file itself.
    ``below`` is the environment that ``docker.base_environment`` names.
    """
    reach = Reach(manifest, read, walk)
    components = _components(reach, bases or {}, below)
    reach.settle()
    return Desired(
        manifest=manifest,
        components=components,
        filled=FilledIn(manifest),
        lock=lock,
        builder=builder,
        refusal=refusal,
        below=below,
    )


def _components(reach: Reach, bases: Mapping[str, Mapping[str, Json]], below: Desired | None) -> dict[str, Json]:
    manifest = reach.manifest
    docker = manifest.docker
    return {
        "base": _base(manifest, bases, below),
        "python": _python(manifest.python),
        "packages": packages(reach, manifest.python),
        "system": {
            "packages": [*sorted(set(manifest.system_packages))],
            "repositories": [*manifest.system_repositories],
        },
        "image": {
            "user": docker.user,
            "workdir": docker.workdir,
            "entrypoint": [*docker.entrypoint],
            "command": [*docker.command],
            "labels": {**docker.labels},
        },
        "variables": {**manifest.environment_variables},
        "files": {target: _copied(reach, target, path) for target, path in manifest.files.items()},
        "dockerfile": _dockerfile(reach, docker),
        "builder": {"builder": manifest.builder},
    }


def _base(manifest: Manifest, bases: Mapping[str, Mapping[str, Json]], below: Desired | None) -> Json:
    docker = manifest.docker
    registry = docker.base_image_registry
    own = docker.base_image or docker.base_environment or docker.base_dockerfile
    return {
        "enabled": docker.enabled,
        "compute": manifest.compute,
        "cuda": manifest.cuda,
        "variant": docker.base,
        "image": docker.base_image,
        "registry": None if registry is None else {"address": registry.address, "credential": registry.credential},
        "environment": _environment(docker, below),
        "catalog": entry_of(bases, manifest) if docker.enabled and not own else None,
    }


def _environment(docker: Docker, below: Desired | None) -> Json:
    if docker.base_environment is None:
        return None
    return {"name": docker.base_environment, "request": None if below is None else str(below.request)}


def _python(python: Python) -> Json:
    return {
        "implementation": "cpython",
        "version": python.version,
        "provider": python.provider,
        "user_managed": python.user_managed_dependencies,
        "interpreter_path": python.interpreter_path,
        "base_packages": python.base_packages,
        "bytecode": python.bytecode,
    }


def _copied(reach: Reach, target: str, path: str) -> Json:
    field = f"files.{target}"
    found = reach.path(field, path)
    if found is None:
        return []
    own = found.rpartition("/")[2] if target.endswith("/") else ""
    return [
        {"name": name or own, "mode": mode, "sha256": sha256}
        for name, (mode, sha256) in sorted(reach.contents(field, found).items())
    ]


def _dockerfile(reach: Reach, docker: Docker) -> Json:
    text, build = docker.base_dockerfile, docker.build
    if text is None and build.context is None and not (build.target or build.args or build.secrets):
        return None
    if text is not None and not is_dockerfile_text(text):
        text = reach.text("docker.base_dockerfile", text)
    return {
        "text": text,
        "context": None if build.context is None else reach.tree("docker.build.context", build.context),
        "target": build.target,
        "args": {**build.args},
        "secrets": [*sorted(set(build.secrets))],
    }
