from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import CorruptError
from reconciler.oci import media
from reconciler.oci.descriptor import UNKNOWN_PLATFORM, Content, Descriptor
from reconciler.record import Facts, Metadata, Record, components_content, parse_components, parse_record, to_index
from reconciler.values.canonical import Json
from reconciler.values.digest import Digest
from reconciler.values.platform import SUPPORTED, Platform

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
DIGESTS = st.binary(max_size=4).map(Digest.of)
PLATFORMS = st.sampled_from(SUPPORTED).map(Platform.parse)
JSON: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def descriptors(platform: Platform) -> st.SearchStrategy[Descriptor]:
    return st.builds(
        Descriptor,
        media_type=st.sampled_from([media.MANIFEST, media.DOCKER_MANIFEST]),
        digest=DIGESTS,
        size=st.integers(0, 2**63 - 1),
        platform=st.just(platform),
        annotations=st.dictionaries(TEXT, TEXT, max_size=2),
    )


METADATA = st.builds(
    Metadata,
    description=TEXT,
    tags=st.dictionaries(TEXT, TEXT, max_size=3),
    owner=TEXT,
    protected=st.booleans(),
    renamed_from=st.none() | TEXT,
    run=st.dictionaries(TEXT, JSON, max_size=3),
)
FACTS = st.builds(
    Facts,
    name=st.from_regex(r"[a-z]{4,9}(-[a-z0-9]{1,5})?", fullmatch=True),
    version=st.integers(1, 999_999_999),
    request=DIGESTS,
    lock=DIGESTS,
    components=st.dictionaries(TEXT, DIGESTS, max_size=4),
    builder=TEXT,
    recipe=st.integers(0, 999_999_999),
    manager=TEXT,
    manifest=TEXT,
    commit=st.none() | st.from_regex(r"[0-9a-f]{40}([0-9a-f]{24})?", fullmatch=True),
    dirty=st.booleans(),
    base=st.none() | TEXT,
    parent=st.none() | DIGESTS,
    archived=st.booleans(),
    taken_over=st.booleans(),
    metadata=METADATA,
)


@st.composite
def records(draw: st.DrawFn) -> Record:
    platforms = draw(st.lists(PLATFORMS, unique=True, max_size=3))
    return Record(
        facts=draw(FACTS),
        artifacts={platform: draw(descriptors(platform)) for platform in platforms},
        build_keys={platform: draw(DIGESTS) for platform in platforms},
        below={platform: draw(DIGESTS) for platform in platforms if draw(st.booleans())},
        request_entry=draw(descriptors(UNKNOWN_PLATFORM)),
        lock_entry=draw(descriptors(UNKNOWN_PLATFORM)),
    )


@given(records())
def test_every_record_reads_back_as_it_was_written(record: Record) -> None:
    content = to_index(record)
    assert parse_record(content) == record
    assert to_index(parse_record(content)) == content


@given(records(), st.data())
def test_damaged_bytes_are_refused_or_another_record(record: Record, data: st.DataObject) -> None:
    content = to_index(record)
    place = data.draw(st.integers(0, len(content.data) - 1))
    byte = data.draw(st.integers(0, 255))
    for changed in (content.data[:place], content.data[:place] + bytes([byte]) + content.data[place + 1 :]):
        try:
            read = parse_record(Content(media_type=content.media_type, data=changed))
        except CorruptError:
            continue
        assert isinstance(read, Record)


@given(st.dictionaries(TEXT, JSON, max_size=5))
def test_every_component_reads_back_as_it_was_written(components: dict[str, Json]) -> None:
    assert parse_components(components_content(components).blobs[1].data) == components
