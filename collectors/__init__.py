"""Reads what this node has: its system, and the accelerators of each vendor.

Every class here is a plugin by `agent.contracts`, found through an entry point and never imported
by the agent. It reads, converts to base units once, and gives frozen values of `agent.model`;
who calls it, how often, and what becomes of the values is `agent.sampling`'s business.
"""
