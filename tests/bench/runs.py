"""Small runs written by hand, for tests of code that reads runs."""

from dataclasses import replace
from typing import Any

import msgspec

from bench.cells.cell import Cell
from bench.machine.environment import Environment
from bench.records.record import (
    Attempt,
    BackToBack,
    CellRecord,
    Failure,
    Fit,
    Round,
    RunRecord,
    Visit,
)
from bench.records.reported import ArchCost, Ceiling, ProbeRate, Setup
from bench.records.stored_plan import StoredPlan
from bench.units import MIB

REFERENCE = "torchvision"
SETS, ROUNDS, ITERATIONS = 2, 3, 4
COLD_S = 30.0
FOREIGN_CPUS = 0.0625

HOSTILE = "a | b <script>alert(1)</script> `c`\n## not a heading"
STDERR = "Traceback:\n```\n<b>bold</b> & | pipe\n````\n# not a heading\n</details>"


def cell(arch: str, mode: str = "eager", *, batch_size: int = 1, dtype: str = "fp32") -> Cell:
    return Cell(
        arch=arch, mode=mode, dtype=dtype, batch_size=batch_size, task="infer", device="cpu"
    )


REFERENCE_EAGER = cell(REFERENCE)
EAGER = cell("googlenet")
COMPILED = cell("googlenet", "compile")
REFERENCE_BATCH = cell(REFERENCE, batch_size=8)
BATCH = cell("googlenet", batch_size=8)
FAILED = cell("googlenet", "channels_last")
UNVISITED = cell(REFERENCE, "compile")

BASE_S = {
    REFERENCE_EAGER: 0.030,
    EAGER: 0.024,
    COMPILED: 0.012,
    REFERENCE_BATCH: 0.200,
    BATCH: 0.160,
    FAILED: 0.020,
    cell("googlenet-3x3"): 0.024,
}
PARAMS, PARAMS_WITH_AUX, MACS, FVCORE = 6_998_552, 13_385_816, 1_582_671_872, 1_591_000_000
ACTIVATIONS = 3_200_000
COST = ArchCost(
    params=PARAMS,
    params_with_aux=PARAMS_WITH_AUX,
    macs_per_image=MACS,
    fvcore_total_per_image=FVCORE,
    activations_per_image=ACTIVATIONS,
)
CEILINGS = {
    "fp32": Ceiling(
        probes=(
            ProbeRate(kind="product", size="512×512×512", mac_per_s=80e9),
            ProbeRate(kind="product", size="1024×1024×1024", mac_per_s=90e9),
            ProbeRate(kind="convolution", size="3×3, 8×192×28×28", mac_per_s=100e9),
            ProbeRate(kind="channels_last_convolution", size="3×3, 8×192×28×28", mac_per_s=95e9),
        ),
        bytes_per_s=20e9,
        copied_bytes=256 * MIB,
        bytes_per_element=4,
        threads=2,
    )
}


def latency_s(of: Cell, set_index: int, round_index: int, iteration: int) -> float:
    """Return a latency: the product of the machine's drift, the cell and the iteration."""
    drift = 1 + 0.3 * set_index + 0.1 * round_index
    return BASE_S[replace(of, control=False)] * drift * (1 + 0.01 * iteration)


def visits(of: Cell) -> tuple[Visit, ...]:
    return tuple(
        Visit(
            set_index=set_index,
            round_index=round_index,
            host_s=tuple(
                latency_s(of, set_index, round_index, iteration) for iteration in range(ITERATIONS)
            ),
        )
        for set_index in range(SETS)
        for round_index in range(ROUNDS)
    )


def samples_s(of: Cell) -> list[float]:
    """Return all samples of a cell, in the order of measurement."""
    return [
        latency_s(of, set_index, round_index, iteration)
        for set_index in range(SETS)
        for round_index in range(ROUNDS)
        for iteration in range(ITERATIONS)
    ]


def setup(set_index: int, *, compiled: bool = False) -> Setup:
    return Setup(
        build_s=0.5,
        first_call_s=4.0 + set_index,
        compile_cached=True if compiled else None,
        graphs=int(compiled),
        graph_breaks=0,
        output_error=(1 + set_index) * 1e-6,
        error_bound=1e-3,
        gradient_error=None,
        resident_before_bytes=(300 + set_index) * MIB,
        warm_up_iterations=6,
        warm_up_s=0.4,
        peak_resident_bytes=(500 + set_index) * MIB,
        peak_memory_bytes=(100 + set_index) * MIB,
        recompiled_graphs=0,
        late_graph_breaks=0,
    )


def measured(of: Cell) -> CellRecord:
    return CellRecord(
        cell=of,
        visits=visits(of),
        setups=tuple(setup(index, compiled="compile" in of.mode) for index in range(SETS)),
        compile_cold_s=COLD_S if "compile" in of.mode else None,
        cost=COST,
    )


def rounds(of: Cell) -> tuple[Round, ...]:
    """Return all rounds of a group, on a machine with little foreign load."""
    return tuple(
        Round(
            group=of.group,
            set_index=set_index,
            wave_index=0,
            round_index=round_index,
            wall_s=1.5,
            foreign_cpus=FOREIGN_CPUS,
            voided=False,
        )
        for set_index in range(SETS)
        for round_index in range(ROUNDS)
    )


FAILURE = Failure(kind="died", message=HOSTILE, phase="measuring", set_index=1, stderr=STDERR)


def small(status: str = "over_budget") -> RunRecord:
    """Return a run with two groups, a cell that failed after its first set and an unvisited one."""
    failed = CellRecord(
        cell=FAILED,
        visits=visits(FAILED)[:ROUNDS],
        setups=(setup(0),),
        cost=ArchCost(error="cannot count aten::nonsense"),
        failure=FAILURE,
    )
    return RunRecord(
        cells=(
            measured(REFERENCE_EAGER),
            measured(REFERENCE_BATCH),
            measured(EAGER),
            failed,
            measured(BATCH),
            measured(COMPILED),
            CellRecord(cell=UNVISITED),
        ),
        controls=tuple(
            measured(replace(of, control=True)) for of in (REFERENCE_EAGER, REFERENCE_BATCH)
        ),
        rounds=(*rounds(REFERENCE_EAGER), *rounds(REFERENCE_BATCH)),
        allotted={of.group: ROUNDS for of in (REFERENCE_EAGER, REFERENCE_BATCH)},
        notes=("it was cut off, and resumed",),
        environment=Environment(
            python="3.11.9",
            torch="2.11.0",
            device="cpu",
            device_name="AMD EPYC",
            physical_cores=2,
            variables={"OMP_NUM_THREADS": "2"},
        ),
        plan=StoredPlan(
            command="pytest bench/suite --archs googlenet,torchvision",
            profile="quick",
            reference_arch=REFERENCE,
            reference_mode="eager",
            environment="pinned",
            precision=0.02,
            sets=SETS,
            rounds=ROUNDS,
            budget_s=None,
            seed=7,
            image_size=224,
        ),
        status=status,
        phases_s={"importing": 3.25, "measuring": 12.5},
        machine_info={"node": "box", "python_version": "3.11.9", "system": "Linux", "release": "6"},
        commit_info={"id": "0123456789abcdef", "dirty": True},
        datetime="2026-01-02T03:04:05+00:00",
    )


def on_cuda(busy_share: float, *, of: Cell = EAGER) -> CellRecord:
    """Return a cell on a GPU, with blocks of ten iterations and this share of device activity."""
    on_device = replace(of, device="cuda")
    return CellRecord(
        cell=on_device,
        visits=tuple(
            replace(
                visit,
                device_s=tuple(0.75 * sample for sample in visit.host_s),
                back_to_back=BackToBack(
                    iterations=10,
                    enqueue_s=4 * visit.host_s[0],
                    host_s=5 * visit.host_s[0],
                    device_s=4.5 * visit.host_s[0],
                    # The share varies, because equal sets would have an interval of width zero.
                    busy_s=busy_share * (1 + 0.01 * visit.set_index) * visit.host_s[0] / 2,
                ),
            )
            for visit in visits(of)
        ),
        setups=tuple(
            msgspec.structs.replace(
                setup(index),
                peak_allocated_bytes=(100 + index) * MIB,
                peak_reserved_bytes=(120 + index) * MIB,
            )
            for index in range(SETS)
        ),
        cost=COST,
    )


def gpu(busy_share: float = 0.25) -> RunRecord:
    """Return a run on a GPU."""
    small_run = small("complete")
    record = on_cuda(busy_share)
    on_gpu = replace(
        small_run,
        cells=(record,),
        controls=(replace(record, cell=replace(record.cell, control=True)),),
        rounds=rounds(record.cell),
        allotted={record.cell.group: ROUNDS},
    )
    return in_environment(on_gpu, device="cuda", device_name="NVIDIA")


def with_plan(run: RunRecord, **fields: Any) -> RunRecord:
    """Return a run with other fields of its plan."""
    return replace(run, plan=msgspec.structs.replace(run.plan, **fields))


def in_environment(run: RunRecord, **facts: Any) -> RunRecord:
    """Return a run with other facts about its environment."""
    return replace(run, environment=msgspec.structs.replace(run.environment, **facts))


def fitted() -> RunRecord:
    """Return a run with three fits: a largest batch, no upper bound, and no batch that fits."""
    failed = Attempt(batch_size=65, fits=False, reason=HOSTILE)
    return replace(
        small(),
        fits=(
            Fit(
                cell=EAGER,
                attempts=(
                    Attempt(batch_size=64, fits=True, held_bytes=900 * MIB),
                    Attempt(batch_size=128, fits=False, held_bytes=1800 * MIB, reason="too much"),
                    failed,
                ),
            ),
            Fit(
                cell=COMPILED,
                attempts=(Attempt(batch_size=65_536, fits=True, held_bytes=MIB),),
            ),
            Fit(
                cell=REFERENCE_EAGER,
                attempts=(Attempt(batch_size=1, fits=False, reason="no such kernel"),),
            ),
        ),
    )


def across_dtypes() -> RunRecord:
    """Return a run of one network in two modes and two dtypes, which are compared in one group.

    bf16 is twice as fast as fp32.
    """
    run = small("complete")
    modes = (REFERENCE_EAGER, UNVISITED)
    records = [
        _scaled(
            replace(measured(REFERENCE_EAGER), cell=replace(mode, dtype=dtype, across_dtypes=True)),
            factor,
        )
        for mode, of_mode in zip(modes, (1.0, 0.5), strict=True)
        for dtype, factor in (("fp32", of_mode), ("bf16", of_mode / 2))
    ]
    reference = records[0]
    return replace(
        run,
        cells=tuple(records),
        controls=(replace(reference, cell=replace(reference.cell, control=True)),),
        rounds=rounds(reference.cell),
        allotted={reference.cell.group: ROUNDS},
    )


def _scaled(record: CellRecord, factor: float) -> CellRecord:
    """Return a record with all its latencies multiplied by a factor."""
    visits_ = (
        replace(visit, host_s=tuple(factor * sample for sample in visit.host_s))
        for visit in record.visits
    )
    return replace(record, visits=tuple(visits_))
