"""A recording plays back the same, and a grant lists what is on the machine and needed."""

from __future__ import annotations

import json

import pytest

from agent.errors import PermanentError
from collectors.accelerators.nvidia.plugin import NvidiaConfig, NvidiaPlugin

pytestmark = pytest.mark.peer

T4 = "GPU-11111111-1111-4111-8111-111111111111"
H100 = "GPU-22222222-2222-4222-8222-222222222222"
SLICE = "MIG-33333333-0003-4333-8333-333333333333"
CONTROL = ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"]
LIBRARIES = "usr/lib/aarch64-linux-gnu"
CAPABILITIES = "proc/driver/nvidia/capabilities/gpu0/mig/gi9"


@pytest.fixture
def play(nvml_stub, run_plugin, tmp_path):
    """Return a function that performs steps on a scenario, its name or its text."""

    def run(scenario, *steps, **options):
        path = tmp_path / "scenario.txt"
        path.write_text(scenario if "\n" in scenario else nvml_stub.scenario(scenario).read_text())
        return run_plugin(
            *steps,
            environment=nvml_stub.environment(path),
            root=str(tmp_path / "root"),
            **options,
        )

    return run


@pytest.fixture
def root(tmp_path):
    """Return a machine's root with the driver's nodes and libraries."""
    folder = tmp_path / "root"
    files = {
        "dev/nvidia0": "",
        "dev/nvidia1": "",
        "dev/nvidiactl": "",
        "dev/nvidia-uvm": "",
        "dev/nvidia-uvm-tools": "",
        "dev/nvidia-caps/nvidia-cap84": "",
        "dev/nvidia-caps/nvidia-cap85": "",
        f"{CAPABILITIES}/access": "DeviceFileMinor: 84\nDeviceFileMode: 292\n",
        f"{CAPABILITIES}/ci0/access": "DeviceFileMinor: 85\nDeviceFileMode: 292\n",
        f"{LIBRARIES}/libcuda.so.1": "",
        f"{LIBRARIES}/libnvidia-ml.so.1": "",
        f"{LIBRARIES}/libnvidia-gpucomp.so.590.48.01": "",
        f"{LIBRARIES}/libnvidia-gpucomp.so.470.1": "",
        f"{LIBRARIES}/libc.so.6": "",
    }
    for path, text in files.items():
        write(folder, path, text)
    return folder


def write(folder, path, text):
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def docker_knows_the_runtime(root):
    write(root, "etc/docker/daemon.json", '{"runtimes": {"nvidia": {"path": "nvidia"}}}')


@pytest.mark.parametrize(
    "scenario",
    [
        "two-cards",
        "mig",
        "mig-without-slices",
        "unsupported",
        "not-available",
        "lost",
        "no-card",
        "no-driver",
        "version-mismatch",
    ],
)
def test_a_recording_plays_back_the_same(play, run_plugin, root, scenario):
    steps = ("probe", "list", "read", {"grant": [T4]})

    *live, recorded = play(scenario, *steps, "record")
    replayed = run_plugin(*steps, environment={}, replay=recorded["result"])

    assert replayed == live


def test_a_recording_names_calls_and_their_codes(play):
    [recorded] = play("two-cards", "record")

    answers = json.loads(recorded["result"]["library.json"])

    assert answers["nvmlDeviceGetUUID(card 1)"] == {"code": 0, "value": H100}
    assert answers["nvmlDeviceGetMigMode(card 0)"] == {"code": 3}


def test_a_recording_has_no_more_of_dockers_configuration_than_is_read(play, run_plugin, root):
    text = '{"runtimes": {"nvidia": {}}, "proxies": {"http-proxy": "http://user:word@proxy"}}'
    write(root, "etc/docker/daemon.json", text)

    granted, recorded = play("two-cards", {"grant": [T4]}, "record")

    assert "proxy" not in recorded["result"]["library.json"]
    replayed = run_plugin({"grant": [T4]}, environment={}, replay=recorded["result"])
    assert replayed == [granted]


def test_recording_leaves_the_plugin_as_it_was(play):
    before, _, after = play("two-cards", "read", "record", "read")

    assert before == after


def test_nothing_is_recorded_where_there_is_no_library(run_plugin, tmp_path):
    [recorded] = run_plugin("record", library=str(tmp_path / "none.so"), root=str(tmp_path))

    assert recorded["error"] == "ReadingUnavailable"


@pytest.mark.parametrize(
    "library",
    [{}, {"nvmlInit()": 0}, {"nvmlInit()": {"value": 1}}, {"nvmlInit()": {"code": 0}}, ["x"]],
)
def test_what_is_no_recording_is_refused(library):
    files = {"index.json": '{"version": 1, "tools": []}', "library.json": json.dumps(library)}

    with pytest.raises(PermanentError):
        NvidiaPlugin.replay(NvidiaConfig(), files)


def test_a_call_that_was_not_recorded_costs_only_its_value(play, run_plugin):
    [recorded] = play("two-cards", "record")
    answers = json.loads(recorded["result"]["library.json"])
    del answers["nvmlDeviceGetPowerUsage(card 0)"]
    files = {**recorded["result"], "library.json": json.dumps(answers)}

    [read] = run_plugin("read", environment={}, replay=files)

    assert read["result"][0]["unknown"] == {"power_watts": "not in the recording"}
    assert read["result"][1]["unknown"] == {}


def test_with_docker_knowing_the_runtime_the_grant_is_for_it(play, root):
    docker_knows_the_runtime(root)

    [granted] = play("two-cards", {"grant": [H100, T4, H100]})

    assert granted["result"] == {
        "devices": [],
        "mounts": [],
        "environment": {
            "NVIDIA_VISIBLE_DEVICES": f"{H100},{T4}",
            "NVIDIA_DRIVER_CAPABILITIES": "compute,utility,video",
        },
        "runtime": "nvidia",
    }


def test_without_the_runtime_nodes_and_libraries_are_granted(play, root):
    [one], [both] = (play("two-cards", {"grant": cards}) for cards in ([H100], [T4, H100]))

    assert one["result"] == {
        "devices": ["/dev/nvidia1", *CONTROL],
        "mounts": [
            [f"/{LIBRARIES}/{name}", f"/usr/local/nvidia/lib64/{name}"]
            for name in (
                "libcuda.so.1",
                "libnvidia-ml.so.1",
                "libnvidia-gpucomp.so.590.48.01",
            )
        ],
        "environment": {"LD_LIBRARY_PATH": "/usr/local/nvidia/lib:/usr/local/nvidia/lib64"},
        "runtime": None,
    }
    assert both["result"]["devices"] == ["/dev/nvidia0", "/dev/nvidia1", *CONTROL]


def test_a_slice_is_granted_with_its_two_access_nodes(play, root):
    [granted] = play("mig", {"grant": [SLICE]})

    assert granted["result"]["devices"] == [
        "/dev/nvidia0",
        *CONTROL,
        "/dev/nvidia-caps/nvidia-cap84",
        "/dev/nvidia-caps/nvidia-cap85",
    ]


@pytest.mark.parametrize("access", ["runtime", "devices"])
def test_the_configuration_may_choose(play, root, access):
    if access == "devices":
        docker_knows_the_runtime(root)

    [granted] = play("two-cards", {"grant": [T4]}, container_access=access)

    assert granted["result"]["runtime"] == ("nvidia" if access == "runtime" else None)


def test_nothing_asked_for_is_nothing_granted(play):
    [granted] = play("two-cards", {"grant": []})

    assert granted["result"] == {"devices": [], "mounts": [], "environment": {}, "runtime": None}


@pytest.mark.parametrize(
    ("scenario", "uuid", "gone", "words"),
    [
        ("two-cards", "GPU-0", None, "no NVIDIA card"),
        # A divided card cannot be had as a whole.
        ("mig", "GPU-33333333-3333-4333-8333-333333333333", None, "no NVIDIA card"),
        ("lost", "nvidia#0", None, "fell off the bus"),
        ("two-cards", T4, "dev/nvidia0", "/dev/nvidia0"),
        ("two-cards", T4, "dev/nvidia-uvm", "/dev/nvidia-uvm"),
        ("two-cards", T4, f"{LIBRARIES}/libcuda.so.1", "libcuda.so.1"),
        ("mig", SLICE, f"{CAPABILITIES}/ci0/access", "access node"),
        ("mig", SLICE, "dev/nvidia-caps/nvidia-cap85", "access node"),
    ],
)
def test_what_cannot_be_granted_says_why(play, root, scenario, uuid, gone, words):
    if gone is not None:
        (root / gone).unlink()

    [granted] = play(scenario, {"grant": [uuid]})

    assert granted["error"] == "ReadingUnavailable"
    assert words in granted["reason"]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"runtimes": []}', '{"runtimes": {"runc": {}}}'])
def test_a_docker_that_does_not_know_the_runtime_is_not_told_of_it(play, root, text):
    write(root, "etc/docker/daemon.json", text)

    [granted] = play("two-cards", {"grant": [T4]})

    assert granted["result"]["runtime"] is None
