"""The formats of a report: one file each. docs/adding.md says how to add one."""

from bench.registry import Registry
from bench.report.formats.format import Format

FORMATS: Registry[Format] = Registry(Format, __name__)
