"""A record: what the registry holds of one version of an environment **[format]**.

A record is an OCI image index (image-spec 1.1, image-index.md) and a pure function of what was desired, the commit
and the parent. Its annotations are the facts, its entries the artifacts, one a platform, and two side entries that
hold the request's components and the lock. Side entries are shaped like BuildKit's attestations (platform
``unknown/unknown``, an image configuration), so that every registry and client takes them.
"""

from __future__ import annotations

from reconciler.record.body import blob_of, components_content, lock_content, parse_components, parse_lock_body
from reconciler.record.index import parse_record, to_index
from reconciler.record.model import Bodies, Facts, Metadata, Record

__all__ = [
    "Bodies",
    "Facts",
    "Metadata",
    "Record",
    "blob_of",
    "components_content",
    "lock_content",
    "parse_components",
    "parse_lock_body",
    "parse_record",
    "to_index",
]
