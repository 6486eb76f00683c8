"""A host, an uplink, an "internet" and guests in namespaces that are gone with the process that made them.

Tests, benchmarks and `natnetd lab` stand on it. Nothing is imported here: a verb pays for what it uses only.
"""
