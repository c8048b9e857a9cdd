"""Owns a runtime in memory for tests of the logic above it."""
