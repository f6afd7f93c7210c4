from pathlib import Path

import pytest

from bench.doctor import cgroup


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
        # A job's step: its own group is not bounded, and the job's is.
        (
            "0::/job/step\n",
            {
                "sys/fs/cgroup/job/step/cpu.max": "max 100000",
                "sys/fs/cgroup/job/cpu.max": "400000 100000",
                "sys/fs/cgroup/cpu.max": "800000 100000",
            },
            4.0,
        ),
        # A container that sees the end of its own path alone.
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
def test_the_least_of_all_groups_counts(
    own: str, files: dict[str, str], expected: float | None, tmp_path: Path
) -> None:
    assert cgroup.quota_cpus(tree(tmp_path, own, files)) == expected


def test_a_system_without_groups_has_no_quota(tmp_path: Path) -> None:
    assert cgroup.quota_cpus(tmp_path) is None
