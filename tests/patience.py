"""How long a test waits for what has to come."""

PATIENCE = 90.0
"""Seconds after which something is taken to hang: a busy machine is slow, and where all goes well nobody waits."""
