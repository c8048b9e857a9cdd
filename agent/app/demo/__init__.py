"""The demonstrations: a node and its platform, and a computing centre hour by hour."""
