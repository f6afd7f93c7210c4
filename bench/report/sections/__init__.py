"""The sections of a report: one file each. docs/adding.md says how to add one."""

from dataclasses import replace

from bench.registry import Registry
from bench.report import opening
from bench.report.section import DataTable, Document, Section, Source, brief, build

SECTIONS: Registry[Section] = Registry(Section, __name__)


def ordered() -> list[Section]:
    """Return all sections in the order of the report."""
    return sorted(SECTIONS.values(), key=lambda section: section.order)


def document(source: Source) -> Document:
    """Return the whole report. Sections that have nothing to show are left out."""
    built = (build(section, source) for section in ordered())
    return Document(
        title=opening.title(source.run),
        lead=tuple(opening.lead(source.run)),
        about=tuple(opening.about(source.run)),
        run=source.run,
        sections=tuple(
            replace(section, blocks=tuple(brief(section.blocks)))
            for section in built
            if section.blocks
        ),
    )


def tables() -> dict[str, DataTable]:
    """Return the data tables of all sections, by name."""
    return {name: table for section in ordered() for name, table in section.tables.items()}
