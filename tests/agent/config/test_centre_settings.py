"""The section `centre`: what it needs, and what is said where it is wrong."""

from __future__ import annotations

import pytest

NODE = 'node: {code: "11010800005020000001", type: AI_BOX}\n'
USERS = "  users: [{username: city, password_file: password}]\n"
TLS = "  tls: {certificate: city.pem, private_key: city.pem}\n"


def section(text, *, users=USERS, tls=TLS):
    return f"{NODE}centre:\n  id: 7\n{users}{tls}{text}"


def test_a_centre_needs_an_id_or_a_name_and_somebody_who_asks(problems_of):
    problems = problems_of(f"{NODE}centre:\n{TLS}")
    assert any("centre: expected id or name" in each for each in problems)
    assert any("centre.users: missing" in each for each in problems)


def test_two_users_have_two_names(problems_of):
    users = (
        "  users:\n"
        "    - {username: city, password_file: password}\n"
        "    - {username: city, password_file: password}\n"
    )
    (problem,) = problems_of(section("", users=users))
    assert 'centre.users[1].username: expected one of its own, "city" is taken' in problem


@pytest.mark.parametrize(
    ("sign", "words"),
    [
        ("{mode: hmac-sm3}", "centre.sign.secret: missing; the mode hmac-sm3 needs secret_file"),
        ("{mode: sm2}", "centre.sign.public_key_file: missing; the mode sm2 needs the platform's"),
        ("{mode: hmac-sm4}", 'did you mean "hmac-sm3"'),
        (
            "{mode: sha256-tif, secret_file: password, timestamp: false}",
            "sha256-tif signs the time",
        ),
    ],
)
def test_a_signature_lacks_nothing(problems_of, sign, words):
    (problem,) = problems_of(section(f"  sign: {sign}\n"))
    assert words in problem


def test_without_tls_somebody_may_listen(load_here):
    warnings = [str(each) for each in load_here(section("", tls="")).warnings]
    assert any("without tls the passwords and tokens" in each for each in warnings)
    assert load_here(section("")).warnings == ()


def test_figures_have_the_names_that_the_agent_knows(problems_of):
    text = (
        "  members: {cpu_utilisation_ratio: a.b}\n"
        "  sources:\n"
        "    nodes: prometheus\n"
        "    prometheus:\n"
        "      url: https://192.0.2.30:9090\n"
        "      queries: {nodes_count: 'count(up)', node_count: 'count(up)'}\n"
    )
    problems = "\n".join(problems_of(section(text)))
    assert 'centre.members.cpu_utilisation_ratio: unknown setting; did you mean "cpu_' in problems
    assert 'prometheus.queries.nodes_count: unknown setting; did you mean "node_count"' in problems


def test_prometheus_as_the_source_needs_its_server(problems_of):
    (problem,) = problems_of(section("  sources: {nodes: prometheus}\n"))
    assert "centre.sources.prometheus: missing" in problem


@pytest.mark.parametrize(
    ("given", "missing"),
    [("username: reader", "password"), ("password_file: password", "username")],
)
def test_a_user_of_prometheus_has_a_password(problems_of, given, missing):
    text = (
        "  sources:\n"
        "    nodes: prometheus\n"
        "    prometheus:\n"
        "      url: https://192.0.2.30:9090\n"
        "      queries: {node_count: 'count(up)'}\n"
        f"      {given}\n"
    )
    (problem,) = problems_of(section(text))
    assert f"centre.sources.prometheus.{missing}: missing; " in problem


def test_other_agents_are_a_list_with_their_passwords(load_here, problems_of):
    text = (
        "  sources:\n    nodes:\n      - {url: 'http://192.0.2.21:8123', password_file: password}\n"
    )
    loaded = load_here(section(text))
    (source,) = loaded.settings.centre.sources.nodes
    assert (source.username, source.prefix) == ("admin", "/ACSMP")
    assert [str(each) for each in loaded.warnings if "shows the password" in str(each)]
    (problem,) = problems_of(section(text.replace(", password_file: password", "")))
    assert "centre.sources.nodes[0].password: missing" in problem
