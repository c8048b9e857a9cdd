from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from agent.config.load import Loaded
from agent.config.settings import DeviceApiSettings, NodeSettings, Settings
from agent.config.show import render
from agent.model.secret import Secret

Load = Callable[..., Loaded]

TEXT = """\
node: {code: "01101080000502000000", type: AI_BOX, state_dir: state}
device_api: {password_file: password}
acsmp:
  - name: "no"
    url: https://h
    username: city
    password: ${CITY}
    sm2_public_key_file: city.pem
    token_header: "X-Key: ${API_KEY} {token}"
  - name: "7"
    url: https://i
    sm2_public_key_file: city.pem
collect: {interval_seconds: 2.5, disks: [/, "/a b$$c", "/$${CITY}", "/数据"]}
accelerators:
  nvidia: {enabled: true, library: "${LIBRARY}", links: [{port: 1, "on": [a, []]}, {}], none: }
metrics: {}
"""
ENVIRONMENT = {"CITY": "hunter2", "API_KEY": "abracadabra", "LIBRARY": "swordfish"}


def test_what_is_printed_loads_again_from_another_folder(load_here: Load, folder: Path) -> None:
    loaded = load_here(TEXT, environment=ENVIRONMENT)
    text = render(loaded)
    (folder / "config.yaml").unlink(missing_ok=True)
    again = load_here(text, environment=ENVIRONMENT)
    assert again.settings == loaded.settings
    assert render(again) == text


def test_no_secret_is_printed(load_here: Load, folder: Path) -> None:
    text = render(load_here(TEXT, environment=ENVIRONMENT))
    for secret in ("opensesame", *ENVIRONMENT.values()):
        assert secret not in text
    assert f"  password_file: {folder}/password\n" in text
    assert '    password: "${CITY}"\n' in text
    assert '    token_header: "X-Key: ${API_KEY} {token}"\n' in text
    assert '    library: "${LIBRARY}"\n' in text


def test_a_long_key_hides_its_secret_too(load_here: Load) -> None:
    node = 'node: {code: "01101080000502000000", type: AI_BOX}\n'
    plugin = f"accelerators:\n  x:\n    {'k' * 90}: {{{'m' * 90}: '${{CITY}}'}}\n"
    text = render(load_here(node + plugin, environment=ENVIRONMENT))
    assert "hunter2" not in text
    assert "${CITY}" in text


def test_defaults_are_printed(load_here: Load) -> None:
    text = render(load_here('node: {code: "01101080000502000000", type: AI_BOX}'))
    assert text == (
        "node:\n"
        '  code: "01101080000502000000"\n'
        "  type: AI_BOX\n"
        "  address: auto\n"
        "  state_dir: /var/lib/computility-agent\n"
        "device_api: null\n"
        "acsmp: []\n"
        "collect:\n"
        "  interval_seconds: 15\n"
        "  disks: auto\n"
        "accelerators: {}\n"
        "runtime:\n"
        "  kind: docker\n"
        '  socket: "unix:///var/run/docker.sock"\n'
        "workloads:\n"
        "  download:\n"
        "    parallel: 2\n"
        "    rate_limit_mib_per_second: null\n"
        "    minimum_free_gib: 2\n"
        "    give_up_hours: 24\n"
        "  package_maximum_gib: 64\n"
        "  limits:\n"
        "    cpus: null\n"
        "    memory_gib: null\n"
        "    processes: 4096\n"
        "  accelerators: auto\n"
        "  capabilities: []\n"
        "meters: []\n"
        "ledger:\n"
        "  readings_days: 400\n"
        "  hours_days: 3660\n"
        "  close_after_seconds: 120\n"
        "  edge_gap_seconds: 900\n"
        "  coverage_threshold_ratio: 0.9\n"
        "  time_zone: Asia/Shanghai\n"
        "centre: null\n"
        "monitoring: []\n"
        "outbox:\n"
        "  maximum_mib: 64\n"
        "  keep_days: 400\n"
        "metrics: null\n"
        "log:\n"
        "  level: info\n"
        "  format: text\n"
    )


def test_a_secret_of_unknown_source_is_masked() -> None:
    settings = Settings(
        node=NodeSettings(code="1" * 20, type="CAP"),
        device_api=DeviceApiSettings(password=Secret("hunter2")),
    )
    assert 'password_file: "***"' in render(Loaded(settings=settings))
