"""What every test shares: a cache of its own, made once and kept under build/."""

import os
from pathlib import Path

os.environ["RIBOSOME_CACHE"] = str(Path(__file__).parents[1] / "build" / "test-cache")
os.environ.setdefault("OMP_NUM_THREADS", "1")
