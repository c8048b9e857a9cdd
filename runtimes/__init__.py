"""Owns the engines that run containers, one package each, found through entry points.

A runtime imports `agent.contracts`, `agent.model` and `agent.errors` and nothing else of the agent.
"""
