"""What the stand-in's layouts and NVIDIA's binding have to agree on."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys

import pytest

CANARY = 0xA5
SIZES = {
    "c_nvmlMemory_t": 24,
    "c_nvmlMemory_v2_t": 40,
    "c_nvmlUtilization_t": 8,
    "c_nvmlTemperature_v1_t": 12,
    "nvmlPciInfo_t": 68,
    "c_nvmlFieldValue_t": 40,
}


@pytest.mark.parametrize(("structure", "size"), SIZES.items())
def test_the_bindings_structures_have_the_documented_size(structure, size):
    import pynvml

    assert ctypes.sizeof(getattr(pynvml, structure)) == size


# Runs in a child: this process loads no library.
WRITE = """
import ctypes, json
library = ctypes.CDLL("libnvidia-ml.so.1")
card = ctypes.c_void_p()
library.nvmlInitWithFlags(0)
library.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(card))
untouched = {}
for function, version, size in (
    ("nvmlDeviceGetMemoryInfo", None, 24),
    ("nvmlDeviceGetMemoryInfo_v2", 0x2000028, 40),
    ("nvmlDeviceGetMemoryInfo_v2", 2, 0),
    ("nvmlDeviceGetUtilizationRates", None, 8),
    ("nvmlDeviceGetTemperatureV", 0x100000C, 12),
    ("nvmlDeviceGetPciInfo_v3", None, 68),
):
    buffer = (ctypes.c_ubyte * 128)(*[0xA5] * 128)
    if version is not None:
        ctypes.c_uint.from_buffer(buffer).value = version
        ctypes.c_uint.from_buffer(buffer, 4).value = 0
    code = getattr(library, function)(card, buffer)
    untouched[f"{function} {version}"] = [code, list(buffer[size or 8:])]
print(json.dumps(untouched))
"""


@pytest.mark.peer
def test_no_call_writes_past_its_structure(nvml_stub):
    done = subprocess.run(
        [sys.executable, "-c", WRITE],
        env=nvml_stub.environment(nvml_stub.scenario("two-cards")),
        capture_output=True,
        check=True,
        timeout=30,
    )

    for call, (code, after) in json.loads(done.stdout).items():
        assert code == (25 if call == "nvmlDeviceGetMemoryInfo_v2 2" else 0), call
        assert set(after) == {CANARY}, call


def test_importing_the_plugin_loads_neither_the_binding_nor_the_library():
    code = (
        "import sys; from collectors.accelerators.nvidia.plugin import NvidiaConfig, NvidiaPlugin;"
        "NvidiaPlugin(NvidiaConfig()); sys.exit('pynvml' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0
