"""Plays the meters of a computing centre: Modbus, SNMP and Redfish, by a script of one's own.

What really flows is a set of curves over the day, so that what a register ought to have counted is
known exactly at every moment, whatever the script then does to the meter: wrap, reset, exchange,
silence, spike. Nothing here is shared with what reads meters.
"""
