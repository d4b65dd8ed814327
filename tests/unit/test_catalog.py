"""The catalog: which entry an environment is built on, and what its CUDA version says of its wheels."""

from __future__ import annotations

import pytest

from reconciler.errors import ManifestError
from reconciler.manifest.catalog import entry_of
from reconciler.manifest.config import Config, parse_config
from reconciler.manifest.model import Manifest
from reconciler.manifest.parse import parse_manifest
from reconciler.sources.schemas import read_schema
from tests.reached import desired

CATALOG = """
bases:
  gpu:
    slim: h/gpu:slim
    cuda:
      12.4: {index: cu124, packages: [torch, Torch_Vision]}
      "11.8": {index: cu118, standard: h/cuda:11.8}
      "12.6.1": {standard: h/cuda:12.6.1}
"""
CONFIG = parse_config(CATALOG.encode(), "reconciler.yaml", read_schema("config"))


def read(text: str, config: Config = CONFIG) -> Manifest:
    return parse_manifest(f"name: a\n{text}".encode(), "environments/a.yaml", read_schema("environment"), config)


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("", "debian"),
        ("docker: {base: slim}", "debian-slim"),
        ("compute: gpu", "debian"),
        ("compute: gpu\ndocker: {base: slim}", "h/gpu:slim"),
        ("compute: gpu\ncuda: 12.4", "debian"),
        ("compute: gpu\ncuda: 11.8", "h/cuda:11.8"),
        ("compute: gpu\ncuda: 11.8\ndocker: {base: slim}", "h/gpu:slim"),
        ("compute: gpu\ncuda: 11.8.0", "h/cuda:11.8"),
        ("compute: gpu\ncuda: 12.6.1", "h/cuda:12.6.1"),
    ],
)
def test_compute_variant_and_cuda_choose_the_entry(text: str, entry: str) -> None:
    assert entry_of(CONFIG.bases, read(text)) == entry
    assert desired(read(text), bases=CONFIG.bases).entry == entry


def test_packages_of_a_cuda_version_come_from_its_index_alone() -> None:
    python = read("compute: gpu\ncuda: 12.4\n").python
    assert (python.sources, python.indexes) == ({"torch": "cu124", "Torch_Vision": "cu124"}, ())


def test_without_packages_the_index_is_asked_first() -> None:
    assert read("compute: gpu\ncuda: 11.8\npython: {indexes: [internal]}\n").python.indexes == ("cu118", "internal")
    assert read("compute: gpu\ncuda: 11.8\npython: {indexes: [internal, cu118]}\n").python.indexes == (
        "internal",
        "cu118",
    )


def test_what_a_manifest_says_of_a_package_stands() -> None:
    manifest = read("compute: gpu\ncuda: 12.4\npython: {sources: {torch-vision: own}}\n")
    assert manifest.python.sources == {"torch": "cu124", "torch-vision": "own"}


def test_a_version_that_brings_no_index_changes_no_source() -> None:
    assert read("compute: gpu\ncuda: 12.6.1\n").python == read("").python


def test_an_edit_of_the_catalog_is_a_change_of_what_is_built_on_it_alone() -> None:
    moved = parse_config(CATALOG.replace("cu124", "other").encode(), "reconciler.yaml", read_schema("config"))
    for text, same in (("compute: gpu\ncuda: 12.4", False), ("compute: gpu\ncuda: 11.8", True), ("", True)):
        before, after = (desired(read(text, config), bases=config.bases) for config in (CONFIG, moved))
        assert (before.request == after.request) is same
        assert (before.inputs == after.inputs) is same


def test_a_version_that_the_catalog_has_not_is_said_with_those_that_it_has() -> None:
    with pytest.raises(ManifestError) as caught:
        read("compute: gpu\ncuda: 12.5\n")
    (problem,) = caught.value.problems
    assert "3:7: the catalog has no CUDA 12.5 (known are: 11.8, 12.4, 12.6.1; add it under bases.gpu.cuda" in str(
        problem
    )
    assert read("compute: gpu\ncuda: 12.5\n", Config()).cuda == "12.5"
