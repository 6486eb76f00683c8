"""natnetd: internal networks with NAT for virtualization hosts, kept true."""

__version__ = "0.1.0"
