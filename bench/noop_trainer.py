"""A trainer that trains nothing: it prints what one that has trained would print."""

import os
from collections.abc import Sequence

LOG = (
    "event=first_iteration iteration=0 loss=2.3 lr=0.1\n"
    "event=speed batches_per_s=50\n"
    "event=test accuracy=0.75 loss=0.5 iteration=10\n"
    "event=done"
)


def serve(argv: Sequence[str]) -> int:
    """Print it and be done; a warm start's."""
    del argv
    os.write(1, LOG.encode() + b"\n")
    return 0
