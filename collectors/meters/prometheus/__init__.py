"""Owns meters that a Prometheus-compatible server collects: one query is one meter."""
