"""Takes secrets and what names a machine out of texts, before they leave it. Pure."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from agent.app.redaction import Redactor

SECRETS = "secrets"
MASK = "***"
# A shorter one would be found in half of all words.
LEAST_CHARACTERS = 3
_LONG_WORD = 8

_PEM = re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?(?:-----END \1-----|\Z)", re.DOTALL)
# What stands behind these words is a secret, whoever wrote it; a name of a file is none. Every
# repetition has a bound: a line of the log may be long, and is not ours.
_LABELLED = re.compile(
    r"(?i)(?P<label>(?:password|passwd|passphrase|secret|token|community|api[_-]?key|"
    r"private[_-]?key|credential)[a-z0-9_-]{0,32}"
    r"(?<!_file)(?<!_format)(?<!_header)(?<!_changes)(?<!_seconds)(?<!_dir)"
    r"[\"']?[ \t]{0,8}[:=][ \t]{0,8})"
    r"(?P<value>\"(?:[^\"\\\n]|\\.){0,4096}\"|'[^'\n]{0,4096}'|\$\{[^}\s]{0,256}\}|"
    r"[^\s,;}\]\"']+)"
)
_AUTHORISATION = re.compile(
    r"(?i)(?P<label>\b(?:authorization[\"']?\s{0,8}[:=]\s{0,8}[\"']?(?:bearer|basic)?|bearer|basic)"
    r"[ \t]{1,8})(?P<value>(?!(?:bearer|basic)\b)[A-Za-z0-9+/=._~-]{6,})"
)
_USER_OF_URL = re.compile(
    r"(?i)(?P<label>(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,20}://)(?P<value>[^\s/@\"']{1,512})(?=@)"
)
_QUERY_OF_URL = re.compile(r"(?i)(?P<label>https?://[^\s?\"'<>]{1,2048}\?)(?P<value>[^\s\"'<>]+)")
# Values that say that there is none.
_NO_SECRET = re.compile(
    r"(?i)[\"']?(?:\*+|null|none|true|false|\d{1,5}|\$\{[A-Za-z0-9_]*\}|sm2|plain|)[\"']?"
)
# The template of a header is a setting.
_TEMPLATE = "{token}"


class Scrubber:
    """Learns from every text first, then takes out what must stay here; belongs to one thread."""

    def __init__(
        self,
        *,
        secrets: Iterable[str],
        host_names: Iterable[str] = (),
        user_names: Iterable[str] = (),
    ) -> None:
        known = set(secrets)
        # "Bearer …": the word behind it is the secret, and stands alone elsewhere.
        known |= {word for each in known for word in each.split() if len(word) >= _LONG_WORD}
        self.too_short = sum(1 for each in known if 0 < len(each) < LEAST_CHARACTERS)
        forms = {form for each in known if len(each) >= LEAST_CHARACTERS for form in _forms(each)}
        ordered = sorted(forms, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, ordered))) if ordered else None
        self._redactor = Redactor(host_names=host_names, user_names=user_names)
        self._hidden = 0

    @property
    def counts(self) -> Mapping[str, int]:
        """Return how much was taken out so far, by what it is."""
        return {SECRETS: self._hidden, **self._redactor.counts}

    def learn(self, text: str) -> None:
        """Take in what a text says under a label."""
        self._redactor.learn(text)

    def scrub(self, text: str) -> str:
        """Return the text without secrets, and with every name replaced."""
        if self._secrets is not None:
            text = self._secrets.sub(self._mask, text)
        text = _PEM.sub(self._mask, text)
        for pattern in (_AUTHORISATION, _LABELLED, _USER_OF_URL, _QUERY_OF_URL):
            text = pattern.sub(self._mask_value, text)
        return self._redactor.redact(text)

    def _mask(self, _: re.Match[str]) -> str:
        self._hidden += 1
        return MASK

    def _mask_value(self, found: re.Match[str]) -> str:
        value = found["value"]
        if _NO_SECRET.fullmatch(value) or _TEMPLATE in value:
            return found[0]
        self._hidden += 1
        mark = value[0] if value[0] in "\"'" else ""
        return f"{found['label']}{mark}{MASK}{mark}"


def _forms(secret: str) -> Iterable[str]:
    """Give the spellings in which a secret may stand in a text."""
    raw = secret.encode("utf-8", "surrogateescape")
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield quote(secret, safe="")
    yield quote(secret)
    yield repr(secret)[1:-1]
    if len(raw) >= LEAST_CHARACTERS:
        yield raw.hex()
        yield raw.hex().upper()
        yield base64.b64encode(raw).decode()
        yield base64.b64encode(raw).decode().rstrip("=")
