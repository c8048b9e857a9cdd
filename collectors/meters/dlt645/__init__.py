"""Owns meters that speak DL/T 645-2007 through a transparent TCP gateway."""
