"""What every accelerator plugin owes beyond its cards: absence, weight, grants and recordings."""

from __future__ import annotations

import contextlib
import ctypes
import json
import subprocess
import sys
from importlib.metadata import EntryPoint, entry_points

import pytest

from agent import contracts
from agent.config import plugin_config
from agent.config.kinds import RawSection
from agent.errors import NotPresent, PermanentError, ReadingUnavailable
from agent.model.accelerator import ContainerGrant
from agent.model.view import PluginState
from agent.sampling.hosts import HostOptions
from agent.sampling.plugins import PluginPlan
from agent.sampling.single_child import PluginFailed, SingleChild
from collectors.accelerators.recording import Recording
from collectors.accelerators.vendor_tool import ToolAnswer

BLUEPRINT = EntryPoint(
    name="acme",
    group=contracts.ACCELERATORS,
    value="collectors.accelerators.blueprint.plugin:AcmePlugin",
)
FOUND = [*sorted(entry_points(group=contracts.ACCELERATORS), key=lambda each: each.name), BLUEPRINT]

# The child has 12 MiB to live in; a vendor's parser may take its share of that and no more.
MOST_IMPORT_BYTES = 4 * 2**20
HEAVY = (
    "msgspec",
    "requests",
    "yaml",
    "falcon",
    "psutil",
    "waitress",
    "gmssl",
    "pynvml",
    "xml.sax",
)
WEIGH = """
import json, sys
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
import agent.sampling.plugin_host, agent.contracts
before, mapped = resident(), open("/proc/self/maps").read()
__import__(sys.argv[1])
libraries = {line.split()[-1] for line in open("/proc/self/maps") if ".so" in line}
print(json.dumps({
    "bytes": resident() - before,
    "modules": sorted(sys.modules),
    "libraries": sorted(each for each in libraries if each not in mapped),
}))
"""

every_plugin = pytest.mark.parametrize(
    "entry_point", [pytest.param(each, id=each.name) for each in FOUND]
)


def build(entry_point):
    plugin_type = entry_point.load()
    return plugin_type(plugin_type.config_type())


def offering(ability):
    return [pytest.param(each, id=each.name) for each in FOUND if hasattr(each.load(), ability)]


@every_plugin
def test_without_cards_it_is_absent_and_says_why(entry_point):
    plan = PluginPlan(group="accelerators", name=entry_point.name, target=entry_point.value)
    options = HostOptions(environment={"PATH": "/nonexistent"})
    with SingleChild(plan, options=options, stays=True) as child:
        if child.probed is None:
            pytest.skip(f"this machine has cards of {entry_point.name}")
        assert child.probed.state is PluginState.ABSENT
        assert child.probed.reason


@every_plugin
def test_its_settings_are_plain_and_a_wrong_one_is_told(entry_point):
    config_type = entry_point.load().config_type
    section = RawSection(values={"no_such_setting": "x"}, file="config.yaml", key="accelerators.x")
    with pytest.raises(Exception, match="unknown setting"):
        plugin_config.build_plugin_config(config_type, section)
    assert plugin_config.build_plugin_config(config_type, RawSection()) == config_type()


@every_plugin
def test_its_module_is_light_and_loads_no_library_of_a_vendor(entry_point):
    done = subprocess.run(
        [sys.executable, "-I", "-c", WEIGH, entry_point.module],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = json.loads(done.stdout)
    assert [name for name in HEAVY if name in found["modules"]] == []
    foreign = [each for each in found["libraries"] if "python" not in each]
    assert [each for each in foreign if not each.startswith(("/lib", "/usr/lib"))] == []
    assert found["bytes"] < MOST_IMPORT_BYTES


@pytest.mark.parametrize("entry_point", offering("grant"))
def test_a_grant_for_nothing_is_empty_and_for_a_stranger_refused(entry_point):
    plugin = build(entry_point)
    try:
        assert plugin.grant([]) == ContainerGrant()
        with pytest.raises((NotPresent, ReadingUnavailable)):
            plugin.grant(["no-such-chip"])
    finally:
        plugin.close()


@every_plugin
def test_what_can_be_recorded_can_be_read_back(entry_point):
    plugin_type = entry_point.load()
    assert hasattr(plugin_type, "record") == hasattr(plugin_type, "replay")


@pytest.mark.parametrize("entry_point", offering("record"))
def test_a_machine_without_its_tools_records_in_words_or_not_at_all(entry_point, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    plugin = build(entry_point)
    with contextlib.suppress(NotPresent, ReadingUnavailable):
        Recording.from_files(plugin.record())
    plugin.close()


@pytest.mark.parametrize("entry_point", offering("replay"))
@pytest.mark.parametrize(
    "files",
    [
        {},
        {"index.json": "{"},
        Recording().to_files(),
        Recording(
            tools={"other-smi": {("info",): ToolAnswer(text="| 0 | 1 |\n", exit_status=0)}},
            library={"other_init()": {"code": 0, "value": None}},
        ).to_files(),
    ],
    ids=["nothing", "broken", "empty", "other"],
)
def test_a_replay_touches_nothing_of_this_machine(entry_point, files, monkeypatch):
    def touched(*_, **__):
        pytest.fail("the replay reached for this machine")

    plugin_type = entry_point.load()
    monkeypatch.setattr(subprocess, "Popen", touched)
    monkeypatch.setattr(ctypes, "CDLL", touched)
    with contextlib.suppress(PermanentError):
        plugin = plugin_type.replay(plugin_type.config_type(), files)
        assert files.get("index.json", "{") != "{"
        for ask in (plugin.probe, plugin.list_accelerators, plugin.read):
            with contextlib.suppress(NotPresent, ReadingUnavailable):
                assert not ask()
        plugin.close()


@pytest.mark.parametrize("entry_point", offering("replay"))
def test_a_replay_of_no_recording_says_so_through_its_child(entry_point):
    plan = PluginPlan(group="accelerators", name=entry_point.name, target=entry_point.value)
    with pytest.raises(PluginFailed) as failed:
        SingleChild(plan, options=HostOptions(), replayed={"a.txt": "x"}).__enter__()
    assert failed.value.state is PluginState.FAILING
    assert "is no recording" in failed.value.reason
