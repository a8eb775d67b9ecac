"""What is made of the documents that match: the first in an order, of each value one, their number."""

from lutra.search.collectors.collapse import CollapseCollector
from lutra.search.collectors.collector import Collector
from lutra.search.collectors.count import CountCollector
from lutra.search.collectors.top import Top, TopCollector

__all__ = ["CollapseCollector", "Collector", "CountCollector", "Top", "TopCollector"]
