"""The benchmark of the search, in simulated time: ``python -m bench.search``."""
