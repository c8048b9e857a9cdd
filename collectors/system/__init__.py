"""Reads this node itself: host, CPU, memory, file systems.

CPU and memory come through psutil; names and file systems from files and system calls of the
kernel. Each collector keeps what it makes of the figures (pure) apart from reading them, and what
it reads from can be handed in by a test.
"""
