"""The plan of a run, as a run file stores it: without the cells, which have records of their own.

Every field may be missing, because files of earlier versions have fewer; fields of later versions
are ignored.
"""

from collections.abc import Mapping

import msgspec
from msgspec import UNSET, UnsetType

from bench.archs.source import Accuracy, Shape
from bench.cells.plan import Plan


class StoredPlan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The fields of ``Plan`` (bench/cells/plan.py, which describes them), except for its cells.

    None means that the file does not have the field. In the fields of which None is a value, UNSET
    means that instead.
    """

    sets: int | None = None
    rounds: int | UnsetType | None = UNSET
    precision: float | None = None
    extra_s: float | None = None
    budget_s: float | UnsetType | None = UNSET
    seed: int | None = None
    devices: tuple[str, ...] | None = None
    environment: str | None = None
    foreign_cpus: float | None = None
    default_foreign_cpus: float | UnsetType | None = UNSET
    memory_bytes: int | UnsetType | None = UNSET
    image_size: int | UnsetType | None = UNSET
    input_shape: Shape | UnsetType | None = UNSET
    l2: str | None = None
    reference_arch: str | None = None
    reference_mode: str | None = None
    against_base: bool | None = None
    versions: bool | None = None
    ceiling: bool | None = None
    energy: bool | None = None
    operators: bool | None = None
    allow_shared: bool | None = None
    fit: bool | None = None
    front: tuple[str, ...] | None = None
    accuracies: Mapping[str, Accuracy] | None = None
    profile: str | None = None
    command: str | None = None

    @classmethod
    def of(cls, plan: Plan) -> "StoredPlan":
        """Return a plan without its cells."""
        return msgspec.convert(plan, cls, from_attributes=True)

    @property
    def known(self) -> dict[str, object]:
        """The fields with a value by name, in the order of the fields."""
        values = msgspec.structs.asdict(self)
        return {name: value for name, value in values.items() if value not in (None, UNSET)}
