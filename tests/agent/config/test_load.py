from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.config.load import Loaded, load
from agent.config.settings import Settings
from agent.errors import ConfigError

Load = Callable[..., Loaded]
Problems = Callable[..., list[str]]

NODE = 'node: {code: "11010800005020000001", type: AI_BOX}\n'
API = "device_api: {password_file: password}\n"


def test_two_keys_are_enough(load_here: Load) -> None:
    settings = load_here(NODE).settings
    assert settings.node.address == "auto"
    assert settings.node.state_dir == "/var/lib/computility-agent"
    assert settings.device_api is None
    assert settings.metrics is None
    assert settings.acsmp == ()
    assert settings.collect.interval_seconds == 15
    assert settings.log.level == "info"


def test_a_code_without_quotes_keeps_its_zeros(load_here: Load) -> None:
    settings = load_here("node: {code: 01101080000502000000, type: CAP}").settings
    assert settings.node.code == "01101080000502000000"


def test_every_setting_arrives(load_here: Load, folder: Path) -> None:
    settings = load_here(
        NODE
        + textwrap.dedent("""
        device_api:
          listen: "[::1]:0"
          advertise_port: 443
          username: 管理员
          password_file: password
          prefix: ""
          tls: {certificate: client.pem, private_key: client.key, client_ca: city.pem}
        acsmp:
          - name: city
            url: https://Acsmp.example:8443/base/
            sm2_public_key_file: city.pem
            sm2: {order: c1c2c3, point_prefix: FALSE, encoding: HEX, der: true}
            keepalive_seconds: 2.5
            token_header: "X-Token: {token}"
            client_certificate: client.pem
            client_private_key: client.key
        collect: {disks: [/, /data]}
        accelerators:
          nvidia: {enabled: false, library: x.so, links: [{port: 1}]}
          ascend:
        metrics:
        log: {level: debug, format: json}
        """)
    ).settings
    api, platform = settings.device_api, settings.acsmp[0]
    assert api is not None
    assert (api.listen, api.advertise_port, api.username, api.prefix) == (
        "[::1]:0",
        443,
        "管理员",
        "",
    )
    assert api.password.reveal() == "opensesame"
    assert api.tls is not None
    assert api.tls.client_ca == str(folder / "city.pem")
    assert platform.url == "https://Acsmp.example:8443/base"
    assert (platform.sm2.order, platform.sm2.point_prefix, platform.sm2.der) == (
        "c1c2c3",
        False,
        True,
    )
    assert platform.keepalive_seconds == 2.5
    assert settings.collect.disks == ("/", "/data")
    assert settings.accelerators["nvidia"].enabled is False
    assert settings.accelerators["nvidia"].options.values == {
        "library": "x.so",
        "links": [{"port": "1"}],
    }
    assert settings.accelerators["ascend"].enabled == "auto"
    assert settings.metrics is not None
    assert settings.metrics.listen == "127.0.0.1:9810"


@pytest.mark.parametrize("off", ["metrics: null", "metrics: ~", ""])
def test_null_turns_a_section_off(load_here: Load, off: str) -> None:
    assert load_here(NODE + off).settings.metrics is None


def test_null_stands_for_an_absent_value(load_here: Load) -> None:
    text = (
        NODE
        + "device_api: {password_file: password, advertise_port: null, tls: null}\nacsmp: null\n"
    )
    settings = load_here(text).settings
    assert settings.device_api is not None
    assert settings.device_api.advertise_port is None
    assert settings.device_api.tls is None
    assert settings.acsmp == ()


def test_an_alias_stands_for_what_it_names(load_here: Load) -> None:
    settings = load_here(
        NODE.replace('"110', '&code "110')
        + API
        + "acsmp: [{name: a, url: http://h, code: *code, sm2_public_key_file: city.pem}]"
    ).settings
    assert settings.acsmp[0].code == "11010800005020000001"


# What is wrong, and what is said of it: the whole text of every problem.
BAD = {
    "code is short": (
        'node:\n  type: AI_BOX\n  code: "1101"\n',
        'config.yaml:3:9: node.code: expected 20 digits, found "1101" (it has 4 digits)',
    ),
    "code has a letter": (
        "node:\n  type: AI_BOX\n  code: 1101080000502000000X\n",
        'config.yaml:3:9: node.code: expected 20 digits, found "1101080000502000000X"',
    ),
    "code has digits of another script": (
        "node:\n  type: AI_BOX\n  code: １２３４\n",
        'config.yaml:3:9: node.code: expected 20 digits, found "１２３４"',
    ),
    "code is missing": (
        "node:\n  type: AI_BOX\n",
        "config.yaml:1:1: node.code: missing; expected 20 digits",
    ),
    "node is missing": (
        "log: {}\n",
        "config.yaml:1:1: node: missing; expected a section",
    ),
    "type is misspelt": (
        "node:\n  code: 11010800005020000001\n  type: ai-box\n",
        (
            "config.yaml:3:9: node.type: expected EDGE_COMPUTE_DEVICE, FRONT_END_DEVICE, "
            'AI_CAMERA, AI_BOX, AI_CLOUD, CAP or CAD, found "ai-box"; did you mean "AI_BOX"?'
        ),
    ),
    "key is misspelt": (
        NODE + "log:\n  levl: info\n",
        'config.yaml:3:3: log.levl: unknown setting; did you mean "level"?',
    ),
    "key is unknown": (
        NODE + "log:\n  zzz: info\n",
        "config.yaml:3:3: log.zzz: unknown setting; known here: level, format",
    ),
    "section is misspelt": (
        NODE + "device-api: {}\n",
        'config.yaml:2:1: device-api: unknown setting; did you mean "device_api"?',
    ),
    "key is given twice": (
        NODE + "log:\n  level: info\n  level: debug\n",
        "config.yaml:4:3: log.level: given twice; first on line 3",
    ),
    "value is missing": (
        NODE + "log:\n  level:\n",
        "config.yaml:3:3: log.level: expected debug, info, warning or error, found nothing",
    ),
    "address has three parts": (
        "node: {code: 11010800005020000001, type: CAP, address: 10.0.1}",
        'config.yaml:1:56: node.address: expected auto or an IPv4 address, found "10.0.1"',
    ),
    "listen is a port alone": (
        NODE + "metrics: {listen: 9810}\n",
        (
            "config.yaml:2:19: metrics.listen: expected host:port or [IPv6 address]:port, "
            'found "9810" (write 0.0.0.0:9810)'
        ),
    ),
    "port is too high": (
        NODE + "metrics: {listen: 'localhost:70000'}\n",
        (
            "config.yaml:2:19: metrics.listen: expected host:port or [IPv6 address]:port, "
            'found "localhost:70000" (the port must be 0 to 65535)'
        ),
    ),
    "number has a unit": (
        NODE + "collect: {interval_seconds: 15s}\n",
        'config.yaml:2:29: collect.interval_seconds: expected a number from 1 to 3600, found "15s"',
    ),
    "number is not finite": (
        NODE + "collect: {interval_seconds: .nan}\n",
        (
            "config.yaml:2:29: collect.interval_seconds: expected a number from 1 to 3600, "
            'found ".nan"'
        ),
    ),
    "disks are one path": (
        NODE + "collect: {disks: /data}\n",
        (
            "config.yaml:2:18: collect.disks: expected auto or a list of values, each an absolute "
            'path, found "/data"'
        ),
    ),
    "disks are relative": (
        NODE + "collect:\n  disks:\n    - /\n    - data\n",
        'config.yaml:5:7: collect.disks[1]: expected an absolute path, found "data"',
    ),
    "boolean is yes": (
        NODE + "accelerators: {nvidia: {enabled: yes}}\n",
        'config.yaml:2:34: accelerators.nvidia.enabled: expected auto, true or false, found "yes"',
    ),
    "section is a text": (
        NODE + "log: info\n",
        'config.yaml:2:6: log: expected a section, found "info"',
    ),
    "list is a section": (
        NODE + API + "acsmp: {name: city}\n",
        "config.yaml:3:8: acsmp: expected a list of sections, found a section",
    ),
    "file is not there": (
        NODE + API[:-2] + ", tls: {certificate: no.pem, private_key: client.key}}\n",
        "config.yaml:2:58: device_api.tls.certificate: there is no file no.pem",
    ),
    "file is a folder": (
        NODE + API[:-2] + ", tls: {certificate: ., private_key: client.key}}\n",
        "config.yaml:2:58: device_api.tls.certificate: FOLDER is a folder, not a file",
    ),
    "path begins with a tilde": (
        NODE + API[:-2] + ", tls: {certificate: ~/x, private_key: client.key}}\n",
        (
            "config.yaml:2:58: device_api.tls.certificate: expected the path of a file, "
            'found "~/x" (~ is not replaced here)'
        ),
    ),
    "path has a null character": (
        NODE + API[:-2] + ', tls: {certificate: "\\0", private_key: client.key}}\n',
        "config.yaml:2:58: device_api.tls.certificate: the control character U+0000 is in it",
    ),
    "user name has a colon": (
        NODE + "device_api: {password_file: password, username: 'a:b'}\n",
        (
            "config.yaml:2:49: device_api.username: expected a text of 1 to 32 characters without "
            'a colon, found "a:b"'
        ),
    ),
    "prefix ends with a slash": (
        NODE + "device_api: {password_file: password, prefix: /a/}\n",
        (
            "config.yaml:2:47: device_api.prefix: expected a path such as /ACSMP, without a slash "
            'at its end, found "/a/"'
        ),
    ),
    "header would be two": (
        NODE
        + API
        + "acsmp:\n"
        + "  - name: a\n"
        + "    url: https://h\n"
        + "    sm2_public_key_file: city.pem\n"
        + '    token_header: "A: {token}\\r\\nB: c"\n',
        (
            'config.yaml:7:19: acsmp[0].token_header: expected a header "Name: value" with {token} '
            'in its value, found "A: {token}\\r\\nB: c" (it has more than one line)'
        ),
    ),
    "state_dir is too long for a socket": (
        "node: {code: 11010800005020000001, type: CAP, state_dir: /" + "x" * 97 + "}",
        (
            "config.yaml:1:47: node.state_dir: expected a path of at most 96 bytes, because the "
            "local socket stands in it; found 98"
        ),
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_fault_is_named_with_its_place(problems_of: Problems, folder: Path, name: str) -> None:
    text, expected = BAD[name]
    assert [line.replace(str(folder), "FOLDER") for line in problems_of(text)] == [expected]


def test_every_fault_is_named_at_once_in_the_order_of_the_file(problems_of: Problems) -> None:
    found = problems_of(
        textwrap.dedent("""\
        log: {level: loud, formt: json}
        metrics: {listen: x}
        node:
          typ: AI_BOX
          code: 1
        acsmp:
          - name: city
            url: ftp://x
            password_format: plain
        """)
    )
    assert [line.split(": ", 2)[:2] for line in found] == [
        ["config.yaml:1:14", "log.level"],
        ["config.yaml:1:20", "log.formt"],
        ["config.yaml:2:19", "metrics.listen"],
        ["config.yaml:3:1", "node.type"],
        ["config.yaml:4:3", "node.typ"],
        ["config.yaml:5:9", "node.code"],
        ["config.yaml:6:1", "acsmp"],
        ["config.yaml:8:10", "acsmp[0].url"],
        ["config.yaml:9:5", "acsmp[0].password_format"],
    ]


def test_a_variable_is_replaced(load_here: Load) -> None:
    loaded = load_here(
        "node: {code: '${CODE}', type: 'AI_${KIND}', state_dir: /a$$b$c}",
        environment={"CODE": "1" * 20, "KIND": "BOX"},
    )
    assert loaded.settings.node.code == "1" * 20
    assert loaded.settings.node.type == "AI_BOX"
    assert loaded.settings.node.state_dir == "/a$b$c"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${NOPE}", "the environment variable NOPE is not set"),
        ("${}", "expected ${NAME}; a dollar sign itself is written $$"),
        ("${A", "expected ${NAME}; a dollar sign itself is written $$"),
        (
            "${LINES}",
            "the environment variable LINES has a line break or another control character in it",
        ),
    ],
)
def test_an_unusable_variable_is_one_problem(
    problems_of: Problems, text: str, expected: str
) -> None:
    found = problems_of(NODE + f"log:\n  level: '{text}'\n", environment={"LINES": "a\nb"})
    assert found == [f"config.yaml:3:10: log.level: {expected}"]


def test_a_message_never_shows_what_came_from_a_variable(problems_of: Problems) -> None:
    found = problems_of(NODE + "metrics: {listen: '${WHERE}'}\n", environment={"WHERE": "hunter2"})
    assert found == [
        (
            "config.yaml:2:19: metrics.listen: expected host:port or [IPv6 address]:port, "
            'found "${WHERE}"'
        )
    ]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:hunter2@h/x", "https://***@h/x"),
        ("https://h/x?token=hunter2", "https://h/x?***"),
    ],
)
def test_a_message_never_shows_what_a_url_may_hide(
    problems_of: Problems, url: str, shown: str
) -> None:
    found = problems_of(NODE + API + f"acsmp:\n  - url: {url}\n    name: a\n")
    assert "hunter2" not in "".join(found)
    assert f'found "{shown}"' in "".join(found)


def test_a_plugin_that_nobody_knows_gets_the_nearest_name(
    problems_of: Problems, load_here: Load
) -> None:
    text = NODE + "accelerators:\n  nvida: {}\n"
    assert "nvida" in load_here(text).settings.accelerators
    assert problems_of(text, known_accelerators=["ascend", "nvidia"]) == [
        'config.yaml:3:3: accelerators.nvida: unknown setting; did you mean "nvidia"?'
    ]


def test_a_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    with pytest.raises(ConfigError) as caught:
        load(path, environment={})
    assert str(caught.value) == f"{path}: there is no such file; see config.example.yaml"


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path, environment={})


def test_a_relative_path_is_relative_to_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "config.yaml").write_text(NODE + API)
    monkeypatch.chdir(folder.parent)
    settings: Settings = load(Path(folder.name, "config.yaml"), environment={}).settings
    assert settings.device_api is not None
    assert settings.device_api.password.reveal() == "opensesame"
