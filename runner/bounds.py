"""What a number from a worker or a journal may be: what SQLite keeps, and nothing endless."""

from typing import Annotated

from msgspec import Meta

Number = Annotated[int, Meta(ge=1, le=2**63 - 1)]
"""Of a trial or a worker."""

Amount = Annotated[float, Meta(ge=-1e308, le=1e308)]
"""Finite: neither NaN nor infinite."""

Size = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Share = Annotated[float, Meta(ge=0, le=1)]

GenomeText = Annotated[str, Meta(pattern=r"\A[\w.~-]{0,65536}\Z")]
"""Of a genome, empty before it is drawn."""

Word = Annotated[str, Meta(pattern=r"\A[\w.-]{0,65536}\Z")]
"""Of letters, digits, points, underscores and hyphens: it may be part of a file's name."""
