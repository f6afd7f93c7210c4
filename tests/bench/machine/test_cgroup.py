from pathlib import Path

import pytest

from bench.machine import cgroup


def tree(root: Path, own: str, files: dict[str, str]) -> Path:
    for name, content in {"proc/self/cgroup": own, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        # A step of a job: only the group of the job has a limit.
        (
            "0::/job/step\n",
            {
                "sys/fs/cgroup/job/step/cpu.max": "max 100000",
                "sys/fs/cgroup/job/cpu.max": "400000 100000",
                "sys/fs/cgroup/cpu.max": "800000 100000",
            },
            4.0,
        ),
        # A container that sees only the end of its path.
        ("0::/../..\n", {"sys/fs/cgroup/cpu.max": "200000 100000"}, 2.0),
        (
            "4:memory:/here\n3:cpu,cpuacct:/here\n",
            {
                "sys/fs/cgroup/cpu,cpuacct/here/cpu.cfs_quota_us": "50000",
                "sys/fs/cgroup/cpu,cpuacct/here/cpu.cfs_period_us": "100000",
                "sys/fs/cgroup/memory/here/cpu.max": "1 100000",
            },
            0.5,
        ),
        (
            "3:cpu,cpuacct:/\n",
            {
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            None,
        ),
        ("", {}, None),
    ],
)
def test_quota_is_the_smallest_of_all_groups(
    own: str, files: dict[str, str], expected: float | None, tmp_path: Path
) -> None:
    assert cgroup.quota_cpus(tree(tmp_path, own, files)) == expected


_V1 = "memory.limit_in_bytes", "memory.usage_in_bytes"


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {"memory.max": "1000", "memory.current": "400"}, 600),
        ("0::/\n", {"memory.max": "max", "memory.current": "400"}, None),
        ("0::/\n", {"memory.max": "1000", "memory.current": "1400"}, 0),
        # File pages of an earlier build can be reclaimed.
        (
            "0::/\n",
            {
                "memory.max": "1000",
                "memory.current": "900",
                "memory.stat": "anon 100\ninactive_file 700\nactive_file 100",
            },
            800,
        ),
        # A group above its soft limit is slowed down.
        ("0::/\n", {"memory.max": "1000", "memory.high": "500", "memory.current": "400"}, 100),
        (
            "0::/job/step\n",
            {
                "job/step/memory.max": "max",
                "job/step/memory.current": "100",
                "job/memory.max": "1000",
                "job/memory.current": "300",
            },
            700,
        ),
        (
            "4:memory:/here\n0::/\n",
            {
                f"memory/here/{_V1[0]}": "1000",
                f"memory/here/{_V1[1]}": "600",
                "memory/here/memory.stat": "inactive_file 1\ntotal_inactive_file 200",
                f"memory/{_V1[0]}": "9223372036854771712",  # no limit
                f"memory/{_V1[1]}": "5000",
            },
            600,
        ),
        ("", {}, None),
    ],
)
def test_free_memory_is_the_smallest_of_all_groups(
    own: str, files: dict[str, str], expected: int | None, tmp_path: Path
) -> None:
    below = {f"sys/fs/cgroup/{name}": content for name, content in files.items()}
    assert cgroup.left_bytes(tree(tmp_path, own, below)) == expected


def test_system_without_groups_has_no_limits(tmp_path: Path) -> None:
    assert cgroup.quota_cpus(tmp_path) is None
    assert cgroup.left_bytes(tmp_path) is None
