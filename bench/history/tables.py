"""The tables of a history. SQLAlchemy is imported here and in the modules that use the tables.

Figures are rows, one for each run, cell and metric, and not columns: a metric that is added in one
file, or by a plugin, needs no migration, and one that a run does not have takes no space. Their
primary key begins with the series and the metric, so that a trend reads adjacent rows.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
)


class UtcTime(TypeDecorator[datetime]):
    """A time that is stored in UTC, without its time zone: SQLite has none."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Any) -> datetime | None:
        """Return a time as it is stored."""
        return value and value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, _dialect: Any) -> datetime | None:
        """Return a stored time with its time zone."""
        return value and value.replace(tzinfo=UTC)


PREFIX = "history_"
"""How all names begin: a server's database may have tables of other programs, too."""
METADATA = MetaData()

VERSION = Table(
    f"{PREFIX}version",
    METADATA,
    Column("number", Integer, nullable=False),
    comment="One row: the version of these tables (bench/history/migrations.py)",
)
MACHINES = Table(
    f"{PREFIX}machines",
    METADATA,
    Column("digest", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("facts", Text, nullable=False, comment="JSON"),
)
METRICS = Table(
    f"{PREFIX}metrics",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("unit", Text, nullable=False),
    Column("better", Text, comment="more, less or null"),
    Column("neutral", Double, comment="1 for ratios, else null"),
)
RUNS = Table(
    f"{PREFIX}runs",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("run_id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False, comment="run, gate or pytest-benchmark"),
    Column("when_utc", UtcTime, nullable=False, index=True),
    Column("commit_id", Text),
    Column("branch", Text),
    Column("dirty", Boolean),
    Column("code", Text, comment="digest of the sources"),
    Column("status", Text, nullable=False),
    Column("command", Text, nullable=False),
    Column("machine", ForeignKey(MACHINES.c.digest), nullable=False),
    Column("torch", Text, nullable=False),
    Column("python", Text, nullable=False),
    Column("threads", Integer),
    Column("cells", Integer, nullable=False, comment="number of cells"),
)
SERIES = Table(
    f"{PREFIX}series",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("key", Text, nullable=False, unique=True, comment="digest of all other columns"),
    Column("cell", Text, nullable=False),
    Column("arch", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("dtype", Text, nullable=False),
    Column("batch_size", Integer),
    Column("task", Text, nullable=False),
    Column("device", Text, nullable=False),
    Column("image_size", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("machine", ForeignKey(MACHINES.c.digest), nullable=False),
    Column("torch", Text, nullable=False),
    Column("threads", Integer),
    comment="A cell under circumstances in which its figures can be compared",
)
RESULTS = Table(
    f"{PREFIX}results",
    METADATA,
    Column("run", ForeignKey(RUNS.c.id), primary_key=True),
    Column("series", ForeignKey(SERIES.c.id), primary_key=True),
    Column("status", Text, nullable=False, comment="measured, not measured, or a failure"),
    sqlite_with_rowid=False,
)
FIGURES = Table(
    f"{PREFIX}figures",
    METADATA,
    Column("series", ForeignKey(SERIES.c.id), primary_key=True),
    Column("metric", ForeignKey(METRICS.c.id), primary_key=True),
    Column("run", ForeignKey(RUNS.c.id), primary_key=True),
    Column("value", Double, nullable=False),
    Column("low", Double, comment="lower end of the 95 % interval"),
    Column("high", Double),
    sqlite_with_rowid=False,  # the rows are the index
)
