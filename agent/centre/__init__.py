"""Owns the hours of a computing centre: reads its meters, keeps the ledger, closes the hours.

What a method has returned from is on the disk. The arithmetic is `agent.metering`'s.
"""
