"""What the exit codes of caffe and its supervisor say."""

import pytest

from ribosome.backends.base import Ending
from ribosome.backends.caffe.endings import NO_CAFFE, ending


@pytest.mark.parametrize(
    ("code", "says"), [(0, "ok"), (1, "crashed"), (2, "crashed"), (NO_CAFFE, "crashed")]
)
def test_some_codes_tell_the_ending(code: int, says: Ending) -> None:
    """Those that only one thing can mean."""
    assert ending(code) == says


@pytest.mark.parametrize("code", [134, -6, 137, -9, 143, -15, 139, 99])
def test_an_abort_says_nothing(code: int) -> None:
    """It ends bad networks, missing files and runs that had come to their end."""
    assert ending(code) is None
