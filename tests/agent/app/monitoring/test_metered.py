"""A month's figures come from the meters where there are any, and wait while these cannot tell."""

from __future__ import annotations

import fcntl
import io
from datetime import timedelta

import pytest

from tests.agent.app.monitoring_home import Home, utc
from tests.agent.centre.conftest import wait_until

# January in Shanghai.
FIRST, END = utc(2023, 12, 31, 16), utc(2024, 1, 31, 16)
METERS = [
    {"name": "incomer", "kind": "csv", "role": "facility_total"},
    {"name": "pdu", "kind": "csv", "role": "it"},
]


@pytest.fixture
def home(tmp_path):
    one = Home(tmp_path, now=utc(2024, 2, 3))
    one.sections["meters"] = METERS
    # What a person fills in holds only where no meter tells.
    one.figures(m2024_01={"electricity_kwh": 5, "rack_ratio": 0.5})
    yield one
    one.stop()


def readings(*, hours, kilowatts):
    """Return the registers of a month, hour by hour."""
    rows = ["meter,time,energy_kwh,water_litres,power_kw"]
    for hour in range(hours + 1):
        at = (FIRST + timedelta(hours=hour)).isoformat()
        rows += [f"{name},{at},{hour * power},," for name, power in kilowatts.items()]
    return io.BytesIO("\n".join(rows).encode())


def send_in(home, *, hours):
    centre = home.wiring.centre.centre
    done = centre.import_file(readings(hours=hours, kilowatts={"incomer": 125, "pdu": 100}))
    assert done.refused_count == 0
    centre.close_due()


def electricity(platform):
    return platform.reports[1, "2024-01"]["computeElectricitySynergy"]


def test_a_month_of_the_ledger_is_reported_and_once_more_when_late_readings_change_it(home):
    city = home.add("city")
    home.start()
    wait_until(lambda: (1, "2024-01") in city.reports)
    assert electricity(city) == {"electricityConsume": 5}
    send_in(home, hours=500)
    home.look()
    wait_until(lambda: "pue" not in electricity(city) and home.status("city")["trouble"] is None)
    send_in(home, hours=744)
    home.look()
    wait_until(lambda: electricity(city).get("electricityConsume") == 744 * 125)
    assert electricity(city) == {
        "electricityConsume": 744 * 125,
        "itElectricityConsume": 744 * 100,
        "pue": 1.25,
    }
    wait_until(lambda: home.status("city")["waiting"] == 0)
    sent = city.calls("POST", "/api/monthReport")
    home.look()
    wait_until(lambda: home.status("city")["trouble"] is None)
    assert city.calls("POST", "/api/monthReport") == sent


def test_while_the_ledger_cannot_be_used_no_month_is_made_of_the_file_alone(home):
    city = home.add("city")
    with (home.folder / "ledger.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        home.start()
        wait_until(lambda: home.status("city")["trouble"])
        assert "ledger" in home.status("city")["trouble"]
        assert city.reports == {}
        assert home.status("city")["waiting"] == 0
