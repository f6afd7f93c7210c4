from dataclasses import replace

import pytest

from bench.report import sections
from bench.report.blocks import Picture, Prose, Sentences
from bench.report.formats import FORMATS
from bench.report.section import Section, Source, build
from tests.bench import runs
from tests.bench.report.page import pages


def test_every_section_has_a_place_of_its_own() -> None:
    orders = [section.order for section in sections.ordered()]
    assert len(orders) == len(set(orders))


def test_empty_blocks_and_sections_without_blocks_are_left_out() -> None:
    blocks = (Prose(text=" \n"), Sentences(sentences=()), Prose(text="something"))
    section = Section(name="own", title="Own", build=lambda _: blocks)
    assert build(section, Source(run=runs.small())).blocks == (Prose(text="something"),)
    nothing = replace(section, build=lambda _: ())
    assert build(nothing, Source(run=runs.small())).blocks == ()
    names = {section.name for section in sections.document(Source(run=runs.small())).sections}
    assert "stages" not in names


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_writes_only_the_files_that_it_declares(name: str) -> None:
    each = FORMATS[name]
    document = sections.document(Source(run=runs.small()))
    assert set(each.render(document)) <= set(each.paths())


def test_no_two_formats_or_tables_write_the_same_file() -> None:
    paths = [path for each in FORMATS.values() for path in each.paths()]
    assert len(paths) == len(set(paths))
    assert len(sections.tables()) == sum(len(section.tables) for section in sections.ordered())


def test_a_picture_is_found_by_its_whole_name() -> None:
    one, ten = (pages.chart(f"ratios-cuda-{index}") for index in (1, 10))
    source = Source(run=runs.small(), charts=(ten, one))
    assert list(source.picture("ratios-cuda-1")) == [Picture(chart=one)]
    assert not list(source.picture("ratios-cuda"))
    assert len(list(source.pictures("ratios-"))) == 2
