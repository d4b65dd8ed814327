"""The artifact of an environment that is made on the compute target **[format]**: an OCI image that describes it.

Its one layer holds ``requirements.txt`` (names, versions and hashes, for any installer) and ``environment.json`` (the
interpreter, the C library, the variables as written, the packages). It is a pure function of the build key's inputs,
so that it can be made for a platform without a machine of that kind (image-spec 1.1, config.md, layer.md).
"""

from __future__ import annotations

from reconciler.clients.virtualenv import requirements_of
from reconciler.oci import media
from reconciler.oci.descriptor import Content, Image
from reconciler.oci.image import ImageConfig, to_image
from reconciler.oci.tar import to_tar
from reconciler.ports import Task
from reconciler.values.canonical import Json, to_canonical

_PLAIN = 0o644


def to_artifact(task: Task) -> Image:
    """Write the artifact. A lock that no requirements file can hold is a BuildError."""
    layer = Content(media_type=media.LAYER_TAR, data=to_tar(_files(task)))
    config = ImageConfig(
        platform=task.platform,
        diff_ids=(layer.digest,),
        environment=task.desired.manifest.environment_variables,
    )
    return to_image(config, (layer,))


def _files(task: Task) -> dict[str, tuple[int, bytes]]:
    manifest = task.desired.manifest
    described: dict[str, Json] = {
        **task.lock.to_json(),
        "variables": dict(manifest.environment_variables),
    }
    files = {}
    if manifest.python.user_managed_dependencies:
        described["interpreter_path"] = manifest.python.interpreter_path
    else:
        files["requirements.txt"] = (_PLAIN, requirements_of(task.lock))
    files["environment.json"] = (_PLAIN, to_canonical(described) + b"\n")
    return files
