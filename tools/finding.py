"""What a check of this machine found."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "missing", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found; ``advice`` says what to do unless ``state`` is ok.

    Only a required thing that is missing makes the machine unfit; a note is worth
    knowing and stops nothing.
    """

    name: str
    state: State
    found: str
    advice: str = ""
    required: bool = False
