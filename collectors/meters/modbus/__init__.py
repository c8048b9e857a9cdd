"""Owns meters that speak Modbus TCP, or Modbus RTU through a TCP gateway."""
