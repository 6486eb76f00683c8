"""The real host: the only files that know pyroute2, libnftables and /proc."""

from natnetd.linux.host import LinuxHost, open_host

__all__ = ["LinuxHost", "open_host"]
