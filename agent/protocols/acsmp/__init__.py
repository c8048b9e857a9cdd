"""Speaks T/BAX 0006.5 (ACSMP): clause 7 towards platforms, annex G towards whoever asks this node.

`wire` is the only place with the standard's names; `session` registers with one platform and keeps
that alive (`cadence` decides when, `status` shows how it stands); `device_api` answers platforms,
behind `access`; `identifiers` names accelerators as annex H does.
"""
