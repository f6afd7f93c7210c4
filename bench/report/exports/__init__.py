"""The formats of other programs: one file each. docs/adding.md says how to add one."""

from bench.registry import Registry
from bench.report.exports.export import Export

EXPORTS: Registry[Export] = Registry(Export, __name__)
