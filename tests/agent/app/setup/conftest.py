"""Certificates for what is asked."""

from __future__ import annotations

from tests.agent.transport.conftest import Certificates, certificates

__all__ = ["Certificates", "certificates"]
