"""The configuration file: from nodes with their places to a checked `Config`; `natnetd.config` reads it."""
