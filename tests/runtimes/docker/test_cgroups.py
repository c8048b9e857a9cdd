"""The kernel's accounts of a container, in the layouts of its versions and of both drivers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtimes.docker import cgroups
from runtimes.docker.cgroups import CgroupReader

ID = "0123456789abcdef" * 4
OTHER = "f" * 64
PID = 4321
FIGURES = {"cpu_seconds", "memory_used_bytes", "memory_limit_bytes", "process_ids"}

PLACES = {
    "cgroupfs": f"/docker/{ID}",
    "systemd": f"/system.slice/docker-{ID}.scope",
    "podman": f"/machine.slice/libpod-{ID}.scope",
    "nested": f"/docker/{OTHER}/docker/{ID}",
    "kubernetes": f"/kubepods/besteffort/pod7/{ID}",
}


class Kernel:
    """Writes the files of the kernel into a folder."""

    def __init__(self, folder: Path) -> None:
        self.proc = folder / "proc"
        self.mounts = folder / "sys fs/cgroup"
        self._mountinfo: list[str] = []
        self.write(self.proc / "self/mountinfo", "")

    def write(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def member(self, text: str) -> None:
        self.write(self.proc / str(PID) / "cgroup", text)

    def mount(self, name: str, *, kind: str, options: str, root: str = "/") -> Path:
        place = self.mounts / name if name else self.mounts
        place.mkdir(parents=True, exist_ok=True)
        escaped = str(place).replace(" ", "\\040")
        self._mountinfo.append(
            f"30 24 0:26 {root} {escaped} rw,nosuid shared:9 master:1 - {kind} {kind} {options}"
        )
        self.write(self.proc / "self/mountinfo", "\n".join(self._mountinfo) + "\n")
        return place

    def usage(self) -> cgroups.ContainerUsage:
        return CgroupReader(proc=self.proc).usage(pid=PID, container_id=ID)


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return Kernel(tmp_path)


def first_version(kernel: Kernel, place: str, *, limit: int = 1 << 26) -> dict[str, Path]:
    kernel.member(f"5:memory:{place}\n4:cpu,cpuacct:{place}\n1:name=systemd:{place}\n0::/\n")
    memory = kernel.mount("memory", kind="cgroup", options="rw,memory") / place[1:]
    cpu = kernel.mount("cpu,cpuacct", kind="cgroup", options="rw,cpu,cpuacct") / place[1:]
    kernel.write(memory / "memory.usage_in_bytes", "5000\n")
    kernel.write(memory / "memory.limit_in_bytes", f"{limit}\n")
    kernel.write(memory / "memory.stat", "inactive_file 7\ntotal_inactive_file 1000\n")
    kernel.write(memory / "cgroup.procs", f"{PID}\n17\n0\n")
    kernel.write(cpu / "cpuacct.usage", "1500000000\n")
    return {"memory": memory, "cpu": cpu}


def second_version(kernel: Kernel, place: str, *, limit: str = str(1 << 26)) -> Path:
    kernel.member(f"0::{place}\n")
    group = kernel.mount("", kind="cgroup2", options="rw") / place[1:]
    kernel.write(group / "cpu.stat", "usage_usec 1500000\nuser_usec 1\n")
    kernel.write(group / "memory.current", "5000\n")
    kernel.write(group / "memory.stat", "anon 9\ninactive_file 1000\n")
    kernel.write(group / "memory.max", f"{limit}\n")
    kernel.write(group / "cgroup.procs", f"{PID}\n17\n")
    return group


@pytest.mark.parametrize("layout", PLACES)
@pytest.mark.parametrize("version", [1, 2])
def test_figures_of_both_versions_and_of_every_driver(
    kernel: Kernel, version: int, layout: str
) -> None:
    (first_version if version == 1 else second_version)(kernel, PLACES[layout])

    found = kernel.usage()

    assert found.unknown == {}
    assert found.cpu_seconds == 1.5
    assert found.memory_used_bytes == 4000
    assert found.memory_limit_bytes == 1 << 26
    assert found.process_ids == (17, PID)


@pytest.mark.parametrize("version", [1, 2])
def test_no_limit_is_no_figure(kernel: Kernel, version: int) -> None:
    if version == 1:
        first_version(kernel, PLACES["cgroupfs"], limit=9223372036854771712)
    else:
        second_version(kernel, PLACES["cgroupfs"], limit="max")

    found = kernel.usage()

    assert found.memory_limit_bytes is None
    assert found.unknown == {"memory_limit_bytes": "no limit is set"}


def test_a_process_in_a_group_below_counts_for_the_whole_container(kernel: Kernel) -> None:
    group = second_version(kernel, PLACES["systemd"])
    kernel.write(group / "init/worker/cgroup.procs", "99\n")
    kernel.member(f"0::{PLACES['systemd']}/init\n")

    found = kernel.usage()

    assert found.cpu_seconds == 1.5
    assert found.process_ids == (17, 99, PID)


def test_a_mount_that_shows_a_part_of_the_tree_is_understood(kernel: Kernel) -> None:
    # An agent that runs in a container itself sees its own part alone, or docker's.
    kernel.member(f"0::/docker/{ID}\n")
    group = kernel.mount("", kind="cgroup2", options="rw", root="/docker") / ID
    kernel.write(group / "memory.current", "5000\n")

    found = kernel.usage()

    assert found.memory_used_bytes is None  # memory.stat is not there
    assert "memory.stat" in found.unknown["memory_used_bytes"]
    kernel.write(group / "memory.stat", "")
    assert kernel.usage().memory_used_bytes == 5000


def test_a_mixture_takes_version_one_where_the_controllers_are(kernel: Kernel) -> None:
    place = PLACES["cgroupfs"]
    first_version(kernel, place)
    kernel.member(f"5:memory:{place}\n4:cpu,cpuacct:{place}\n0::{place}\n")
    empty = kernel.mount("unified", kind="cgroup2", options="rw") / place[1:]
    kernel.write(empty / "cgroup.procs", "")

    found = kernel.usage()

    assert found.unknown == {}
    assert found.process_ids == (17, PID)


@pytest.mark.parametrize("membership", ["0::/\n", f"0::/docker/{OTHER}\n", "", "garbage\n::\n1\n"])
def test_a_process_of_somebody_else_gives_no_figure(kernel: Kernel, membership: str) -> None:
    second_version(kernel, f"/docker/{OTHER}")
    kernel.member(membership)

    found = kernel.usage()

    assert found.cpu_seconds is found.memory_used_bytes is found.process_ids is None
    assert set(found.unknown) == FIGURES


def test_a_container_that_ended_meanwhile_gives_reasons(kernel: Kernel) -> None:
    found = kernel.usage()
    assert set(found.unknown) == FIGURES
    assert all(found.unknown.values())


def test_more_idle_pages_than_used_ones_is_nothing_used(kernel: Kernel) -> None:
    group = second_version(kernel, PLACES["cgroupfs"])
    kernel.write(group / "memory.stat", "inactive_file 999999\n")
    assert kernel.usage().memory_used_bytes == 0


def test_groups_and_processes_without_end_are_told_as_such(kernel: Kernel) -> None:
    group = second_version(kernel, PLACES["cgroupfs"])
    kernel.write(group / "cgroup.procs", "\n".join(map(str, range(1, 70000))))
    found = kernel.usage()
    assert found.process_ids is None
    assert "processes" in found.unknown["process_ids"]

    kernel.write(group / "cgroup.procs", "1\n")
    for number in range(300):
        (group / f"g{number}").mkdir()
    assert "groups" in kernel.usage().unknown["process_ids"]


@given(text=st.text(max_size=200))
def test_any_text_is_parsed(text: str) -> None:
    for path in cgroups.parse_membership(text).values():
        assert path.startswith("/") or not path
    for hierarchy in cgroups.parse_hierarchies(text):
        assert hierarchy.is_unified or hierarchy.controllers
    assert all(figure >= 0 for figure in cgroups.parse_flat(text).values())
    assert all(pid > 0 for pid in cgroups.parse_processes(text))
    assert cgroups.container_group(text or "/", container_id=ID) is None


parts = st.lists(st.sampled_from(["system.slice", "docker", "init", "a-b", "x.scope"]), max_size=4)


@given(
    before=parts,
    after=parts,
    form=st.sampled_from(["{}", "docker-{}.scope", "libpod-{}.scope"]),
)
def test_the_containers_group_ends_with_the_part_that_names_it(
    before: list[str], after: list[str], form: str
) -> None:
    whole = "/" + "/".join([*before, form.format(ID)])
    assert cgroups.container_group("/".join([whole, *after]), container_id=ID) == whole
