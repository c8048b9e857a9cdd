"""Speaks the standards: one package each, and only there the names that stand on the wire.

A protocol turns the agent's model into messages and messages into decisions. It reads nothing of
this machine itself, and knows no other protocol.
"""
