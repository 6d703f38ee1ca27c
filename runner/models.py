"""The models of the tuning phase, as the journal keeps them: plain numbers, as they travel."""

from dataclasses import dataclass

import msgspec

from ribosome.runner.messages import Model
from ribosome.search.svm import Fitted, Svm


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A model by which trials of the tuning phase draw; they name it by its ``number``.

    ``template`` is the genome, a text, whose hyperparameters are tuned. ``fitted`` is the
    machine and how it was found, from so many ``results``; None draws at random.
    """

    number: int
    template: str
    fitted: Fitted | None = None
    results: int = 0

    def message(self, *, among: int) -> Model:
        """What workers are told, to take the best of ``among`` that it calls good."""
        svm = self.fitted.svm if self.fitted else None
        return Model(self.number, self.template, svm, among)


encode_fitted = msgspec.json.Encoder().encode
_decode_fitted = msgspec.json.Decoder(Fitted | None).decode


def decode_fitted(text: str) -> Fitted | None:
    """A machine that `encode_fitted` wrote. Raises ValueError for what none can be."""
    fitted: Fitted | None = _decode_fitted(text)
    if fitted is not None and not _is_whole(fitted.svm):
        raise ValueError("a model's vectors differ in length")
    return fitted


def _is_whole(svm: Svm) -> bool:
    places = {len(svm.centre), len(svm.scale), *map(len, svm.support)}
    return len(places) == 1 and len(svm.support) == len(svm.coefficients) > 0
