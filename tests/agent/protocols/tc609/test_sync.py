"""What was declared, brought to a platform on a real socket."""

from __future__ import annotations

import pytest

from agent.errors import ConflictError, PlatformRejected, TransientError
from agent.model.secret import Secret
from agent.protocols.tc609.platform_client import Access, PlatformClient
from agent.protocols.tc609.sync import Declaration, EntityKind, PlatformSync, SyncAction
from agent.store.database import Database
from agent.store.outbox import OUTBOX
from agent.store.platform_ids import PlatformIds
from agent.transport.client import HttpClient
from tests.agent.protocols.tc609.declarations import centre, project
from tests.agent.protocols.tc609.fake_platform import PASSWORD, USERNAME, FakePlatform

DECLARED = Declaration(projects=(project(),), centres=(centre(),))


@pytest.fixture
def platform():
    platform = FakePlatform()
    yield platform
    platform.close()


@pytest.fixture
def sync_of(platform, clock, tmp_path):
    opened = []
    database = Database(tmp_path, schema=OUTBOX)

    def make(declaration: Declaration = DECLARED) -> PlatformSync:
        http = HttpClient(base_url=platform.url, user_agent="test/1")
        opened.append(http)
        client = PlatformClient(
            http,
            access=Access(username=USERNAME, password=Secret(PASSWORD)),
            signer=None,
            clock=clock,
            investment_group="computePowerInvestment",
        )
        return PlatformSync(
            "city",
            declaration=declaration,
            client=client,
            identifiers=PlatformIds(database),
            clock=clock,
        )

    yield make
    for http in opened:
        http.close()
    database.close()


def actions(plans):
    return [plan.action for plan in plans]


def writes(platform):
    return [one for one in platform.requests if one[0] != "GET" and one[1] != "/api/token"]


@pytest.mark.parametrize("wraps_data", [False, True])
def test_what_is_not_there_is_created_once(platform, sync_of, wraps_data):
    platform.wraps_data = wraps_data
    sync = sync_of()
    assert actions(sync.apply()) == [SyncAction.CREATE] * 2
    assert platform.centres[1]["projectId"] == "1"
    assert actions(sync.apply()) == [SyncAction.UNCHANGED] * 2
    assert len(writes(platform)) == 2
    assert sync_of().identifier_of(EntityKind.CENTRE, centre().name) == 1


def test_a_plan_changes_nothing(platform, sync_of):
    assert actions(sync_of().plan()) == [SyncAction.CREATE] * 2
    assert writes(platform) == []


def test_only_what_differs_is_changed(platform, sync_of):
    sync_of().apply()
    changed = Declaration(
        projects=(project(),), centres=(centre(description="二期", longitude=113.6),)
    )
    plans = sync_of(changed).plan()
    assert actions(plans) == [SyncAction.UNCHANGED, SyncAction.CHANGE]
    assert {(one.name, one.declared, one.found) for one in plans[1].differences} == {
        ("description", "二期", "一期 1200 架"),
        ("longitude", 113.6, 113.59723),
    }
    sync_of(changed).apply()
    assert platform.calls("PUT", "/api/project") == 0
    assert platform.calls("PUT", "/api/computePowerCenter") == 1
    assert actions(sync_of(changed).apply()) == [SyncAction.UNCHANGED] * 2


def test_what_the_standard_cannot_change_is_shown_and_left(platform, sync_of):
    sync_of().apply()
    platform.projects[1]["province"] = "330000"
    platform.centres[1]["city"] = "440300"
    less = Declaration(projects=(project(),), centres=(centre(description=None),))
    sync = sync_of(less)
    plans = sync.apply()
    assert actions(plans) == [SyncAction.UNCHANGED] * 2
    shown = {one.name: one.is_changeable for plan in plans for one in plan.differences}
    assert shown == {"province": False, "city": False, "description": False}
    assert len(writes(platform)) == 2


def test_numbers_and_codes_that_come_as_text_are_no_difference(platform, sync_of):
    sync_of().apply()
    platform.centres[1] |= {"longitude": "113.597230", "clusterId": 4, "productionDate": "2024-1-9"}
    platform.projects[1]["computePowerInvestment"] |= {"totalInvestment": "12000.50", "more": 1}
    assert actions(sync_of().apply()) == [SyncAction.UNCHANGED] * 2


def test_a_centre_that_was_renamed_there_gets_its_name_again(platform, sync_of):
    sync_of().apply()
    platform.centres[1]["name"] = "别的名字"
    assert actions(sync_of().apply()) == [SyncAction.UNCHANGED, SyncAction.CHANGE]
    assert platform.centres[1]["name"] == centre().name
    assert len(platform.centres) == 1


@pytest.mark.parametrize(("path", "table"), [
    ("POST /api/project", "projects"), ("POST /api/computePowerCenter", "centres"),
])  # fmt: skip
def test_a_creation_whose_answer_was_lost_is_found_and_not_repeated(platform, sync_of, path, table):
    platform.faults, platform.faults_from = ["lose"], path
    sync_of().apply()
    assert len(getattr(platform, table)) == 1
    assert actions(sync_of().apply()) == [SyncAction.UNCHANGED] * 2


def test_a_creation_that_may_still_be_under_way_is_not_repeated(platform, sync_of, clock):
    platform.faults, platform.faults_from = ["drop"], "POST /api/project"
    with pytest.raises(TransientError):
        sync_of().apply()
    with pytest.raises(TransientError, match="may still be at it") as caught:
        sync_of().apply()
    assert caught.value.retry_after_seconds == pytest.approx(600)
    assert platform.calls("POST", "/api/project") == 1
    clock.advance(600)
    assert actions(sync_of().apply()) == [SyncAction.CREATE] * 2


def test_a_refused_creation_may_be_repeated_at_once(platform, sync_of):
    platform.faults = [(200, b'{"code": 10005, "msg": "x"}')]
    platform.faults_from = "POST /api/project"
    with pytest.raises(PlatformRejected):
        sync_of().apply()
    assert actions(sync_of().apply()) == [SyncAction.CREATE] * 2


def test_an_answer_without_an_id_is_followed_by_a_question(platform, sync_of):
    platform.faults, platform.faults_from = ["no id"], "POST /api/project"
    plans = sync_of().apply()
    assert plans[0].action is SyncAction.CREATE
    assert plans[0].identifier == 1
    assert platform.centres[1]["projectId"] == "1"


def test_several_of_one_name_are_a_conflict_unless_the_id_is_known(platform, sync_of):
    sync_of().apply()
    platform.centres[2] = dict(platform.centres[1])
    assert sync_of().plan()[1].identifier == 1
    platform.projects[2] = dict(platform.projects[1])
    sync_of()._identifiers.forget("city", kind="project", name=project().name)
    with pytest.raises(ConflictError, match="ids 1, 2"):
        sync_of().plan()


def test_a_declaration_must_hold_together():
    with pytest.raises(ValueError, match="not declared"):
        Declaration(centres=(centre(),))
    with pytest.raises(ValueError, match="two have the name"):
        Declaration(projects=(project(), project()))
