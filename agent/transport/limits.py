"""What one listener grants its clients."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """Bounds what clients of one listener may cost; every value is above 0.

    `header_seconds` runs from the first byte of a request to the end of its headers, and covers a
    TLS handshake; `request_seconds` runs from the first byte to the last of the body;
    `answer_seconds` is the time in which a client has to take an answer; `idle_seconds` is how long
    a connection may wait for its next request. At `connections` the longest idle one makes room.
    """

    max_body_bytes: int = 4 * 1024 * 1024
    max_header_bytes: int = 16 * 1024
    header_seconds: float = 10.0
    request_seconds: float = 30.0
    answer_seconds: float = 60.0
    idle_seconds: float = 60.0
    connections: int = 256
    threads: int = 4

    @property
    def shortest_seconds(self) -> float:
        """Return the least of the time limits: no deadline can arise that ends sooner."""
        return min(
            self.header_seconds, self.request_seconds, self.answer_seconds, self.idle_seconds
        )
