"""computility-agent: registers compute with platforms, keeps it alive and reports what it has.

Start reading at `agent.contracts` (what a plugin must be), then `agent.app.build` (how the parts
are wired). ARCHITECTURE.md holds the plan of the house.
"""

__version__ = "0.1.0"
