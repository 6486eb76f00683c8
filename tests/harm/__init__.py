"""What may happen to a host: small functions, each with a weight; what they break of others they note."""

from harm import bridges, frames, guests, others, servers, service, table, traffic
from harm.way import HARMS, Harm

__all__ = ["HARMS", "Harm", "bridges", "frames", "guests", "others", "servers", "service", "table", "traffic"]
