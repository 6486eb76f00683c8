"""The keys of per-guest numbers."""

from natnetd.file.grammar import Key
from natnetd.file.shapes import SWITCH, whole

MOST = 1000

COUNT_GUESTS = Key(
    "count_guests",
    SWITCH,
    "Whether each guest's packets, bytes and connections are counted, by its address, for `natnetd top`, "
    "`natnetd status --guests` and `metrics: {guests: 10}`. A packet of such a network costs some 7 % more. "
    "Networks are counted as a whole in any case. See docs/guests.md.",
    "`false`",
    (True,),
    value=False,
)
GUESTS = Key(
    "guests",
    whole(0, MOST),
    "How many guests have series of their own: those that moved most bytes, of networks with `count_guests`. "
    "Each takes five series, and every guest that ever was among them stays in Prometheus's storage.",
    "`0`",
    (10,),
    value=0,
)
