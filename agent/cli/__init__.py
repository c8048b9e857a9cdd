"""The commands: each parses its words, calls one operation of `agent.app` and prints.

Exit status: 0 done, 1 failed, 2 bad input (a word of the command or the configuration).
"""
