"""Hosts: ways to get machines, on which the sets of a run are measured; one file each."""

from collections.abc import Mapping
from types import MappingProxyType

LOCAL, RAY, SLURM = "local", "ray", "slurm"
HOSTS: Mapping[str, str] = MappingProxyType(
    {
        LOCAL: "this machine",
        RAY: "the nodes of a Ray cluster that offer a bench_slot",
        SLURM: "nodes that Slurm allocates",
    }
)
"""What each is, by the name that users choose it by."""
LIBRARIES: Mapping[str, str] = MappingProxyType({RAY: "ray", SLURM: "submitit"})
"""The library that hosts need; the extra that installs it has the name of the hosts."""
SLURM_JOBS = 4
"""Jobs of Slurm at the same time, unless the user chooses another number."""
