"""What every test shares: a cache of its own, made once and kept under build/."""

import os
from pathlib import Path

from hypothesis import settings

os.environ["RIBOSOME_CACHE"] = str(Path(__file__).parents[1] / "build" / "test-cache")
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A busy machine is no failure; CI draws the same examples every time.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")
