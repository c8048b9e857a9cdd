"""Discovery by metadata alone, and what is run of what was found."""

from __future__ import annotations

import subprocess
import sys

from agent.config.kinds import RawSection
from agent.config.settings import AcceleratorSettings, CollectSettings, NodeSettings, Settings
from agent.model.view import PluginState
from agent.sampling import plugins
from agent.sampling.plugins import FoundPlugin

FAKE = FoundPlugin(
    group="accelerators", name="fake", target="fake_cards:FakePlugin", distribution="fake-cards"
)


def settings(**sections):
    return Settings(node=NodeSettings(code="11010800005020000001", type="AI_BOX"), **sections)


def test_a_wheel_is_found_without_being_imported(fake_wheel):
    assert plugins.discover([str(fake_wheel)]) == (FAKE,)
    assert "fake_cards" not in sys.modules


def test_our_own_plugins_are_found_like_any_other():
    found = {(each.group, each.name) for each in plugins.discover()}
    assert {
        ("collectors", "cpu"),
        ("collectors", "disks"),
        ("collectors", "host"),
        ("collectors", "memory"),
        ("accelerators", "nvidia"),
    } <= found


def test_finding_plugins_imports_none():
    program = (
        "import sys; from agent.sampling import plugins; plugins.discover();"
        "print(sorted(name for name in sys.modules if name.startswith('collectors')))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], check=True, timeout=60, capture_output=True, text=True
    )
    assert found.stdout == "[]\n"


def test_a_distribution_that_is_met_twice_counts_once(fake_wheel):
    assert plugins.discover([str(fake_wheel), str(fake_wheel)]) == (FAKE,)


def test_without_a_section_a_plugin_looks_for_its_cards():
    (plan,) = plugins.plan(settings(), found=[FAKE]).plugins
    assert (plan.name, plan.enabled, dict(plan.options.values)) == ("fake", "auto", {})


def test_a_disabled_plugin_is_not_run():
    plan = plugins.plan(
        settings(accelerators={"fake": AcceleratorSettings(enabled=False)}), found=[FAKE]
    )
    assert plan.plugins == ()
    assert [each.state for each in plan.settled] == [PluginState.DISABLED]


def test_the_later_of_two_plugins_with_one_name_is_broken():
    other = FoundPlugin(
        group="accelerators", name="fake", target="other:Plugin", distribution="other-wheel"
    )
    plan = plugins.plan(settings(), found=[FAKE, other])
    assert [each.target for each in plan.plugins] == ["fake_cards:FakePlugin"]
    (status,) = plan.settled
    assert status.state is PluginState.BROKEN
    assert "other-wheel" in status.detail
    assert "fake-cards" in status.detail


def test_one_name_may_stand_in_two_groups():
    collector = FoundPlugin(group="collectors", name="fake", target="c:C", distribution="c")
    assert len(plugins.plan(settings(), found=[FAKE, collector]).plugins) == 2


def test_a_section_without_a_plugin_is_broken_and_names_the_nearest():
    options = RawSection(file="config.yaml", key="accelerators.fakee")
    plan = plugins.plan(
        settings(accelerators={"fakee": AcceleratorSettings(options=options)}), found=[FAKE]
    )
    (status,) = plan.settled
    assert status.state is PluginState.BROKEN
    assert "config.yaml" in status.detail
    assert "did you mean fake?" in status.detail


def test_a_section_that_is_switched_off_needs_no_plugin():
    plan = plugins.plan(
        settings(accelerators={"later": AcceleratorSettings(enabled=False)}), found=[FAKE]
    )
    assert [each.state for each in plan.settled] == [PluginState.DISABLED]


def test_only_the_plugin_whose_setting_changed_has_another_plan():
    found = [
        FoundPlugin(group="collectors", name=name, target=f"c:{name}", distribution="c")
        for name in ("cpu", "disks")
    ]
    before = plugins.plan(settings(), found=found).plugins
    after = plugins.plan(
        settings(collect=CollectSettings(interval_seconds=3.0, disks=("/data",))), found=found
    ).plugins
    assert before[0] == after[0]
    assert before[1] != after[1]
    assert after[1].values == (("disks", ("/data",)),)
