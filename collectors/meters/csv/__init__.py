"""Owns readings that people or programs write into a file, which is followed as it grows."""
