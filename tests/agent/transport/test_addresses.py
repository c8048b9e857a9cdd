"""What of an address may be shown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.errors import PermanentError
from agent.transport import addresses

SECRETS = st.text(alphabet="hunter2%:/?#@ \\é\n", min_size=0, max_size=12)


@given(user=SECRETS, password=SECRETS, query=SECRETS)
def test_secrets_of_an_address_are_never_shown(user, password, query):
    url = f"https://u{user}:Q7Z{password}@host.example/a?Q7Z{query}"
    shown = addresses.masked(url)
    try:
        address = addresses.parse(url)
        shown += repr(address) + address.shown
    except PermanentError as error:
        shown += repr(error)
    # What stands before a slash or ? that was not escaped is path or query, not a password.
    if not set("/?#\\") & set(user + password):
        assert "Q7Z" not in shown


@given(text=st.text(max_size=60))
def test_any_text_can_be_masked(text):
    addresses.masked(text)
    addresses.masked(f"http://{text}")


def test_a_masked_address_still_says_where():
    assert addresses.masked("http://u:p@Host.example:80/a/b?c=d#e") == (
        "http://host.example/a/b?***"
    )
    assert addresses.masked("https://[::1]:8443/a") == "https://[::1]:8443/a"


def test_an_address_is_brought_to_what_http_sends():
    address = addresses.parse("http://host/算法 1.tar?x=é")
    assert address.target.reveal() == "/%E7%AE%97%E6%B3%95%201.tar?x=%C3%A9"
