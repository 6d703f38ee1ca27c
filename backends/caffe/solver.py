"""Writes a solver in the fields of Caffe's solver.prototxt."""

from functools import lru_cache

from ribosome.backends.caffe.check import check_form
from ribosome.backends.caffe.layers import number
from ribosome.backends.caffe.schema import Flavour
from ribosome.genome.solver import Solver


@lru_cache(maxsize=1024)
def solver_fields(solver: Solver, max_iterations: int, flavour: Flavour) -> str:
    """An update rule and its policy for a run of that length, those fields that matter."""
    schedule = solver.schedule(max_iterations)
    fields = {
        "type": f'"{solver.type}"',
        "base_lr": number(schedule.base_lr),
        "lr_policy": f'"{schedule.policy}"',
    }
    for name in _POLICY_FIELDS[schedule.policy]:
        fields[name] = number(getattr(schedule, name))
    for name in _TYPE_FIELDS[solver.type]:
        fields[name] = number(getattr(solver, name))
    fields["weight_decay"] = number(solver.weight_decay)
    fields["regularization_type"] = '"L2"'
    if solver.clip_gradients:
        fields["clip_gradients"] = number(solver.clip_gradients)
    text = "".join([f"{name}: {value}\n" for name, value in fields.items()])
    check_form(("solver", *fields), text, "SolverParameter", flavour)
    return text


_POLICY_FIELDS: dict[str, tuple[str, ...]] = {
    "fixed": (),
    "step": ("gamma", "stepsize"),
    "exp": ("gamma",),
    "inv": ("gamma", "power"),
    "poly": ("power",),
    "sigmoid": ("gamma", "stepsize"),
}
_TYPE_FIELDS: dict[str, tuple[str, ...]] = {
    "SGD": ("momentum",),
    "Nesterov": ("momentum",),
    "Adam": ("momentum", "momentum2", "delta"),
    "RMSProp": ("rms_decay", "delta"),
}
