"""Plays the platforms: that of T/BAX 0006.5 (clause 7, annexes F and G, A.1 to A.4) and of TC609.

It is written from the standards' tables alone and shares no wire code with the agent that it
judges. It owns the tables as data, the strict check of a message, the register of computing nodes,
the read-back of their device APIs, the shelf of packages, the misbehaviour that an integrator can
ask for, and in `monitoring` all that is of TC609. `run` has what others use: `Simulator`,
`SimulatorSettings`, the command's arguments.
"""
