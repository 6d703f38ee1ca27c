"""The one place where Ribosome's version stands."""

__version__ = "0.1.0"
