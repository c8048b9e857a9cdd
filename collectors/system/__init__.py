"""Reads this node itself from the kernel: host, CPU, memory, file systems.

Everything comes from /proc and two system calls, so that reading costs next to nothing and the
files can be handed in by a test. Each collector keeps parsing (pure) apart from reading.
"""
