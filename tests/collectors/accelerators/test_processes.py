"""The list of a card's users: each once, and nothing that cannot be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.model.accelerator import AcceleratorProcess
from collectors.accelerators import processes
from collectors.accelerators.quantities import Unknown

entries = st.builds(
    AcceleratorProcess,
    pid=st.integers(1, 6),
    memory_used_bytes=st.none() | st.integers(-1, 9),
    utilization_ratio=st.none() | st.sampled_from([0.0, 0.5]),
)


@given(st.lists(entries, max_size=8))
def test_each_process_stands_once_with_what_all_entries_say(found):
    result = processes.gathered(found, memory_total_bytes=7)

    assert [each.pid for each in result] == sorted({each.pid for each in found})
    for each in result:
        said = [entry for entry in found if entry.pid == each.pid]
        if each.memory_used_bytes is not None:
            assert 0 <= each.memory_used_bytes <= 7
            assert all(entry.memory_used_bytes == each.memory_used_bytes for entry in said)
        if len(said) == 1 and 0 <= (said[0].memory_used_bytes or 0) <= 7:
            assert each == said[0]


def test_a_number_that_no_process_has_leaves_the_list_unknown():
    for pid in (0, -1, (1 << 22) + 1):
        found = processes.gathered([AcceleratorProcess(pid=pid)], memory_total_bytes=None)
        assert isinstance(found, Unknown)
        assert str(pid) in found.reason
