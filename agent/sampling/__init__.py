"""Reads this node: finds the plugins, runs them, and keeps the one `AgentView`.

System collectors run in threads of the daemon. Accelerator plugins run in child processes, one
each, because a vendor's library can hang in the kernel or crash its process. Every reading has its
age; one that is too old becomes unknown. Only `Sampler` makes views, and everybody may read them.
This file imports nothing: the children load it too, and they have to stay small.
"""
