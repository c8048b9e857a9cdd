"""Owns the kinds of meters, one package each, found through entry points."""
