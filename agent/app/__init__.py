"""Wires the parts of the agent and runs them.

`build` alone constructs services; `lifecycle` starts, reloads and stops them; `status` and
`metrics` show them. The other modules are the operations behind commands.
"""
