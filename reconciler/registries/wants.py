"""What certain registries want before they take anything."""

from __future__ import annotations

import re

_ECR = re.compile(r"[0-9]{12}\.dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.[a-z0-9.]+")


def create_hint(host: str, name: str) -> str:
    """Say how a repository is created in a registry that makes none by itself."""
    ecr = _ECR.fullmatch(host.partition(":")[0])
    if ecr is not None:
        return f"run: aws ecr create-repository --region {ecr.group(1)} --repository-name {name}"
    return f"create the repository {name} in the registry first, and give this account the right to push to it"
