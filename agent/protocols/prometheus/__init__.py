"""Owns the words of the HTTP API of Prometheus, as far as questions for one number need them."""
