"""The backends by name: those that come with Ribosome, and plug-ins.

A plug-in is an entry point of the group ``ribosome.backends`` that gives a Backend when
called without arguments. No framework is imported before its backend's trainer runs.
"""

from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points

from ribosome.backends.base import Backend
from ribosome.genome.errors import ConfigError

_OURS = {
    "pytorch": "ribosome.backends.pytorch.backend:PyTorch",
    "caffe": "ribosome.backends.caffe.backend:Caffe",
    "nvcaffe": "ribosome.backends.caffe.backend:nvcaffe",
}
_GROUP = "ribosome.backends"


def backend_names() -> tuple[str, ...]:
    """The names of all backends, ours first."""
    plugged = sorted(point.name for point in entry_points(group=_GROUP))
    return (*_OURS, *(name for name in plugged if name not in _OURS))


def backend(name: str) -> Backend:
    """The backend of a name. Raises ConfigError where there is none."""
    if name in _OURS:
        module, _, attribute = _OURS[name].partition(":")
        make: Callable[[], object] = getattr(import_module(module), attribute)
        return _checked(name, make())
    for point in entry_points(group=_GROUP):
        if point.name == name:
            try:
                made = point.load()()
            except Exception as error:
                raise ConfigError(
                    f"backend {name!r} of {point.value} does not load: {error}; "
                    "reinstall the package that brings it"
                ) from error
            return _checked(name, made)
    names = backend_names()
    near = get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names)}"
    raise ConfigError(f"no backend is called {name!r}; {hint}")


def _checked(name: str, made: object) -> Backend:
    if not isinstance(made, Backend):
        raise ConfigError(
            f"backend {name!r} is a {type(made).__name__}, which lacks emit, command, "
            "parser or ending; see ribosome.backends.base.Backend"
        )
    return made
