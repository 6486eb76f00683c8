"""What is written of networks means what prometheus_client would have written."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families

from natnetd.exposition import of_networks
from natnetd.host import State
from natnetd.rows import Counter

NAMES = st.text('ab."\\\\\n{}=,ü', min_size=1, max_size=8)
COUNTERS = st.builds(Counter, st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))


class Library:
    """The same figures, by prometheus_client."""

    def __init__(self, states: dict[str, State], traffic: dict[str, Counter]) -> None:
        self.states = states
        self.traffic = traffic

    def collect(self) -> list[Metric]:
        both, forwarded = ["network", "direction"], "natnetd_network_forwarded"
        synced = GaugeMetricFamily(
            "natnetd_network_in_sync", "Whether a network is as the file says.", labels=["network"]
        )
        packets = CounterMetricFamily(f"{forwarded}_packets", "Packets forwarded for a network.", labels=both)
        size = CounterMetricFamily(f"{forwarded}_bytes", "Bytes forwarded for a network.", labels=both)
        for name, state in self.states.items():
            synced.add_metric([name], int(state is State.IN_SYNC))
        for element, count in self.traffic.items():
            side, _, name = element.partition(" ")
            labels = [name, {"tx": "egress", "rx": "ingress"}[side]]
            packets.add_metric(labels, count.packets)
            size.add_metric(labels, count.bytes)
        return [synced, packets, size]


def meant(text: str) -> set[tuple[object, ...]]:
    """What a reader makes of it."""
    families = [*text_string_to_metric_families(text)]
    told: set[tuple[object, ...]] = {(f.name, f.type, f.documentation) for f in families}
    samples = [sample for f in families for sample in f.samples]
    figures = {(s.name, tuple(sorted(s.labels.items())), s.value) for s in samples}
    assert len(figures) == len(samples)
    return told | figures


@given(
    st.dictionaries(NAMES, st.sampled_from(State)),
    st.dictionaries(NAMES.flatmap(lambda n: st.sampled_from([f"tx {n}", f"rx {n}"])), COUNTERS),
)
def test_a_reader_sees_no_difference(states: dict[str, State], traffic: dict[str, Counter]) -> None:
    registry = CollectorRegistry()
    registry.register(Library(states, traffic))
    told = of_networks(states, {**traffic, "guest somebody": Counter(1, 1)})
    assert meant(told) == meant(generate_latest(registry).decode())
