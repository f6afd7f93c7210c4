"""Figures of networks written by hand, for tests of the code that shows them."""

from dataclasses import replace

from bench.stages.figures import Macs, NetworkFigures, Provenance, SetFigures
from bench.stages.vocabulary import GOOGLENET, Key
from tests.bench import runs

WHOLE_S = (0.5, 0.75, 1.0)
"""A forward pass in each set."""
CONV_MACS, FC_MACS, OUTSIDE_MACS = 1000, 3000, 1000
PROVENANCE = Provenance(
    device_name="AMD EPYC", torch="2.15.0", measured_at="2026-11-27T06:00:00+00:00"
)
PAIR_S, HOOKS_S = 2e-6, 64e-6


def set_of(whole_s: float, parts_s: dict[Key, float]) -> SetFigures:
    return SetFigures(whole_s=whole_s, hooks_s=HOOKS_S, pair_s=PAIR_S, parts_s=parts_s)


def small(*, batch_size: int = 1, sets: int = 3, device: str = "cpu") -> NetworkFigures:
    """Return two stages, half and an eighth of a forward pass; the first has two branches."""
    return NetworkFigures(
        cell=replace(runs.EAGER, arch="small", batch_size=batch_size, device=device),
        provenance=PROVENANCE,
        macs=Macs(
            image_size=32,
            whole=CONV_MACS + FC_MACS + OUTSIDE_MACS,
            parts={
                ("conv", ""): CONV_MACS,
                ("conv", "left"): CONV_MACS,
                ("conv", "right"): 0,
                ("fc", ""): FC_MACS,
            },
        ),
        sets=tuple(
            set_of(
                whole_s,
                {
                    ("conv", ""): whole_s / 2,
                    ("conv", "left"): whole_s / 4,
                    ("conv", "right"): whole_s / 8,
                    ("fc", ""): whole_s / 8,
                },
            )
            for whole_s in WHOLE_S[:sets]
        ),
    )


def googlenet(image_size: int = 224) -> NetworkFigures:
    """Return every stage with its branches; each part takes 1 ms and has a million MACs."""
    keys = [
        (stage, branch)
        for stage, parts in GOOGLENET.items()
        for branch in dict.fromkeys(("", *parts))
    ]
    return NetworkFigures(
        cell=runs.EAGER,
        provenance=PROVENANCE,
        macs=Macs(
            image_size=image_size,
            whole=len(GOOGLENET) * 10**6,
            parts=dict.fromkeys(keys, 10**6),
        ),
        sets=(set_of(0.25, dict.fromkeys(keys, 0.001)),) * 3,
    )
