"""What is made of the documents that match: the first in an order, their number."""

from lutra.search.collectors.collector import Collector
from lutra.search.collectors.count import CountCollector
from lutra.search.collectors.top import Top, TopCollector

__all__ = ["Collector", "CountCollector", "Top", "TopCollector"]
