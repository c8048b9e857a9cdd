"""Which chips a replica is given."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import TransientError
from agent.model.accelerator import Accelerator, AcceleratorKind, AcceleratorReading, Health
from agent.model.view import AcceleratorView, AgentView, PluginState, PluginStatus
from agent.workloads import placement


def chip(uuid, *, vendor="acme", total=16, used=0, health=Health.OK, parent=None, index=0):
    return AcceleratorView(
        accelerator=Accelerator(
            uuid=uuid,
            vendor=vendor,
            kind=AcceleratorKind.NPU,
            index=index,
            product_name=None,
            memory_total_bytes=total,
            parent_uuid=parent,
        ),
        reading=AcceleratorReading(uuid=uuid, memory_used_bytes=used, health=health),
    )


def view(*chips, plugins=()):
    return AgentView(
        taken_at=datetime(2026, 1, 1, tzinfo=timezone.utc),
        taken_monotonic_seconds=0.0,
        accelerators=tuple(chips),
        plugins=tuple(plugins),
    )


def anybody(_vendor):
    return True


def nobody(_vendor):
    return False


def choose(seen, *, count=1, taken=None, can_grant=anybody):
    chosen = placement.choose(seen, count=count, taken=taken or {}, can_grant=can_grant)
    return [each.accelerator.uuid for each in chosen]


def reason(seen, **more):
    with pytest.raises(TransientError) as refused:
        choose(seen, **more)
    return refused.value.reason


def test_a_replica_that_wants_none_gets_none_wherever_it_is():
    assert choose(view(chip("a")), count=0) == []
    assert choose(view(), count=0) == []


def test_replicas_spread_before_memory_counts():
    seen = view(chip("a", used=1), chip("b", used=15))
    assert choose(seen) == ["a"]
    assert choose(seen, taken={"a": 1}) == ["b"]
    assert choose(seen, taken={"a": 1, "b": 1}) == ["a"]


def test_the_most_free_memory_goes_first_and_unknown_last():
    silent = chip("a", used=None)
    assert choose(view(silent, chip("b", used=16), chip("c", used=3)), count=3) == ["c", "b", "a"]


def test_a_chip_in_a_critical_state_is_not_given_and_a_warned_or_silent_one_is():
    seen = view(
        chip("a", health=Health.CRITICAL),
        chip("b", health=Health.WARNING, used=1),
        chip("c", health=Health.UNKNOWN, used=2),
    )
    assert choose(seen, count=2) == ["b", "c"]
    assert reason(seen, count=3) == (
        "a replica wants 3 accelerators of one vendor; this node has 2 of acme, 1 in a critical "
        "state"
    )


def test_of_a_card_that_is_cut_its_slices_are_given():
    seen = view(chip("card", total=80), chip("s1", parent="card", total=10), chip("whole"))
    assert choose(seen, count=2) == ["whole", "s1"]
    reason(seen, count=3)


def test_the_slices_of_a_sick_card_follow_their_own_state():
    seen = view(chip("card", health=Health.CRITICAL), chip("s1", parent="card"))
    assert choose(seen) == ["s1"]


def test_all_chips_of_a_replica_are_of_one_vendor():
    seen = view(chip("a1"), chip("b1", vendor="bolt", used=9), chip("b2", vendor="bolt", used=9))
    assert choose(seen, count=2) == ["b1", "b2"]
    assert "1 of acme, 2 of bolt" in reason(seen, count=3)


def test_of_two_vendors_the_less_used_one_serves():
    seen = view(chip("a"), chip("b", vendor="bolt", used=9))
    assert choose(seen) == ["a"]
    assert choose(seen, taken={"a": 1}) == ["b"]


def test_a_vendor_whose_plugin_hands_out_none_is_passed_over():
    seen = view(chip("a"), chip("b", vendor="bolt"))
    assert choose(seen, can_grant=lambda vendor: vendor == "bolt") == ["b"]
    assert "2 whose plugin hands none to containers" in reason(seen, can_grant=nobody)


def test_a_node_without_any_says_so():
    assert reason(view()).endswith("this node has none")


CHIPS = st.lists(
    st.builds(
        chip,
        st.integers(0, 30).map(str),
        vendor=st.sampled_from(["acme", "bolt"]),
        total=st.none() | st.integers(0, 99),
        used=st.none() | st.integers(0, 99),
        health=st.sampled_from(Health),
        parent=st.none() | st.integers(0, 30).map(str),
        index=st.integers(0, 7),
    ),
    max_size=12,
    unique_by=lambda each: each.accelerator.uuid,
)
TAKEN = st.dictionaries(st.integers(0, 30).map(str), st.integers(0, 3))


@given(chips=CHIPS, count=st.integers(0, 4), taken=TAKEN, silent=st.booleans())
def test_whatever_is_chosen_may_be_given_and_nothing_less_used_is_left(chips, count, taken, silent):
    def can_grant(vendor):
        return not (silent and vendor == "bolt")

    cut = {(each.accelerator.vendor, each.accelerator.parent_uuid) for each in chips}
    usable = [
        each
        for each in chips
        if each.reading.health is not Health.CRITICAL
        and can_grant(each.accelerator.vendor)
        and (each.accelerator.vendor, each.accelerator.uuid) not in cut
    ]
    most = max(
        [sum(each.accelerator.vendor == name for each in usable) for name in ("acme", "bolt")]
    )
    try:
        chosen = placement.choose(view(*chips), count=count, taken=taken, can_grant=can_grant)
    except TransientError:
        assert most < count
        return
    assert len(chosen) == len({each.accelerator.uuid for each in chosen}) == count
    assert all(each in usable for each in chosen)
    assert len({each.accelerator.vendor for each in chosen}) <= 1
    if chosen:
        left = [
            taken.get(each.accelerator.uuid, 0)
            for each in usable
            if each.accelerator.vendor == chosen[0].accelerator.vendor and each not in chosen
        ]
        worst = max(taken.get(each.accelerator.uuid, 0) for each in chosen)
        assert all(worst <= other for other in left)


@given(chips=CHIPS, count=st.integers(0, 2), taken=TAKEN, order=st.randoms())
def test_the_order_in_which_chips_are_listed_decides_nothing(chips, count, taken, order):
    mixed = list(chips)
    order.shuffle(mixed)
    outcomes = []
    for listed in (chips, mixed):
        try:
            outcomes.append(choose(view(*listed), count=count, taken=taken))
        except TransientError as error:
            outcomes.append(error.reason)
    assert outcomes[0] == outcomes[1]


def automatic(*chips, can_grant=anybody, state=PluginState.ACTIVE):
    plugin = PluginStatus(group="accelerators", name="acme", state=state)
    return placement.automatic_count(view(*chips, plugins=[plugin]), can_grant=can_grant)


def test_where_nobody_says_a_replica_gets_one_chip_where_there_is_any():
    assert automatic(chip("a")) == 1
    assert automatic(chip("a", health=Health.CRITICAL)) == 1
    assert automatic(chip("a"), can_grant=nobody) == 0
    assert automatic() == 0
    assert automatic(state=PluginState.ABSENT) == 0


def test_a_plugin_that_has_not_answered_yet_is_waited_for():
    assert automatic(chip("a"), state=PluginState.STARTING) == 1
    with pytest.raises(TransientError, match="acme starting"):
        automatic(state=PluginState.STARTING)
