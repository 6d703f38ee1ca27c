"""Reads the log of `caffe train`, of BVLC Caffe to 1.0 and of NVCaffe 0.16.0 to 0.17.4.

A line is told by the first letters behind its prefix: most of a log are lines that say
nothing here, and they must cost next to nothing. What is kept from one line to the next
is of a fixed size, whatever the log.

Outputs are read by their names, because anything that a network leaves unconsumed is
printed beside them. Whatever is not finite becomes an event that makes the trial diverged:
a network whose outputs are NaN can print ``accuracy = 1``.
"""

import re
from collections.abc import Callable, Sequence
from math import isfinite, nan

from ribosome.backends.base import (
    Ending,
    Event,
    Failed,
    Finished,
    Iteration,
    Speed,
    Tested,
)
from ribosome.backends.caffe.endings import FAILED
from ribosome.backends.caffe.fatal import explained, fatal_ending, schema_error
from ribosome.backends.caffe.speed import Speedometer

MESSAGE_LIMIT = 400
"""Characters of a message."""

_DISPLAYED = re.compile(
    r"\((?:\S+ iter/s, (\S+)s/(\d{1,15}) iters?|\S+ s)\),(?: \S+ep,)? loss = ([^\s,]+)",
    re.ASCII,
)
_SNAPSHOT = re.compile(r"_iter_(\d{1,15})\.caffemodel", re.ASCII)
_LAYER = re.compile(r"Creating [Ll]ayer (?:'([^']+)'|(\S+))")
_STATED = re.compile(r"Solver performance on device \d+: (\S+) \* ", re.ASCII)
_NOTHING: tuple[Event, ...] = ()


class LogParser:
    """A `ribosome.backends.base.Parser`.

    ``accuracy`` and ``loss`` are the names of the outputs to go by. A loss is told of when
    its rate is printed, a line or two below it, or at once where it is not finite; `Speed`
    each time that there is better evidence of it (`ribosome.backends.caffe.speed`).

    A run that was stopped early is `Finished` only by a validation of what it has reached,
    by ``caffe test``, behind it in the log.
    """

    def __init__(self, *, accuracy: str = "accuracy", loss: str = "loss") -> None:
        self._accuracy = accuracy
        self._loss = loss
        self._results = (f"{accuracy} = ", f"{loss} = ")
        self._speed = Speedometer()
        self._iteration = 0
        self._held: float | None = None  # its loss, until the rate is printed
        self._speaks_of_speed = False  # beside a displayed loss
        self._started = False
        self._stopped_early = False
        self._finished = False
        self._layer = ""  # the one that is being built
        self._schema_error = ""
        self._exception = ""
        self._net = ""  # which net is being validated: "0)" for the first
        self._tested_at = 0
        self._outputs: dict[str, float] = {}
        self._minute = ""
        self._minute_s = nan

    def feed(self, line: str) -> Sequence[Event]:
        """The events of one line; a line that is damaged or of no interest gives none."""
        end = line.find("] ")
        if end < 0 or line[0] not in "IWE":
            return self._feed_other(line, end)
        read = _LINES.get(line[end + 2 : end + 7])
        if read is not None:
            return read(self, line, line[end + 2 :])
        if line.startswith(self._results, end + 2) and "caffe.cpp" in line[:end]:
            return self._result(line[end + 2 :])
        return _NOTHING

    def _feed_other(self, line: str, end: int) -> Sequence[Event]:
        """A fatal line, or one without glog's prefix."""
        if end >= 0 and line[0] == "F":
            return self._fatal(line[:end], line[end + 2 :])
        read = _PLAIN.get(line[:5])
        return _NOTHING if read is None else read(self, line)

    def _read_indented(self, line: str, text: str) -> Sequence[Event]:
        text = text.lstrip()
        if text.startswith("["):  # NVCaffe's marks, of training and of a validation
            text = text.partition("]")[2].lstrip()
        elif text.startswith("("):
            text = text.partition(")")[2].lstrip()
        read = _LINES.get(text[:5])
        return _NOTHING if read is None else read(self, line, text)

    def _read_iteration(self, line: str, text: str) -> Sequence[Event]:
        """``Iteration 20 (25.4 iter/s, ...), loss = 0.5``, and what else begins so."""
        digits, _, rest = text[10:].partition(" ")
        try:
            if digits[-1:] == ",":
                iteration = int(digits[:-1][:15])
                if rest.startswith("lr = "):
                    rate = float(rest[5:].partition(",")[0])
                    if iteration != self._iteration:
                        return (*self._release(), Iteration(iteration, None, rate))
                    loss, self._held = self._held, None
                    return (Iteration(iteration, loss, rate),)
                return self._read_named(iteration, line, rest)
            found = _DISPLAYED.match(rest)
            if found is None:
                return _NOTHING
            told, of, printed = found.groups()
            iteration, loss = int(digits[:15]), float(printed)
            figure = self._speed.displayed(
                iteration,
                self._time_of_day(line),
                float(told) if told else None,
                int(of) if told else 0,
            )
        except ValueError:
            return _NOTHING
        self._speaks_of_speed = True
        return self._hold(iteration, loss, figure)

    def _hold(
        self, iteration: int, loss: float, figure: float | None
    ) -> Sequence[Event]:
        """Keep a loss until its rate comes; what there is to tell at once."""
        events = self._release() if self._held is not None else _NOTHING
        self._iteration = iteration
        if isfinite(loss):
            self._held = loss
        else:
            events = (*events, Iteration(iteration, loss))
        return events if figure is None else (*events, Speed(figure))

    def _read_named(self, iteration: int, line: str, rest: str) -> Sequence[Event]:
        """``Iteration 20, loss = 0.5``; ValueError where a number is damaged."""
        at = self._time_of_day(line)
        if rest.startswith("loss = "):
            loss = float(rest[7:])
            if self._speaks_of_speed:
                # The last line: one more forward pass behind the last iteration.
                figure = self._speed.interrupted(iteration, at)
            else:
                # BVLC's before 1.0, whose last line comes behind a snapshot.
                figure = self._speed.displayed(iteration, at, 0.0, 0)
            return self._hold(iteration, loss, figure)
        if rest.startswith("Testing net (#"):
            self._tested_at, self._net = iteration, rest[14:16]
            self._outputs.clear()
            figure = self._speed.validating(iteration, at)
            return (*self._release(), *_speed(figure))
        return _NOTHING

    def _release(self) -> tuple[Event, ...]:
        """A loss whose rate has not come."""
        loss, self._held = self._held, None
        return () if loss is None else (Iteration(self._iteration, loss),)

    def _read_test(self, line: str, text: str) -> Sequence[Event]:
        name, value = _output(text)
        if value is None:
            if text.startswith("Test interrupted"):
                self._outputs.clear()
            return _NOTHING
        self._speed.validated(self._time_of_day(line))
        if self._net != "0)":
            return self._diverging(name, value, "validation")
        return self._take(name, value, self._tested_at)

    def _read_training(self, _: str, text: str) -> Sequence[Event]:
        if "nan" not in text and "inf" not in text:
            return _NOTHING
        name, value = _output(text)
        return _NOTHING if value is None else self._diverging(name, value, "training")

    def _take(self, name: str, value: float, iteration: int) -> Sequence[Event]:
        """An output of a validation; a `Tested` once there are accuracy and loss."""
        outputs = self._outputs
        if name not in (self._accuracy, self._loss):
            return self._diverging(name, value, "validation")
        outputs[name] = value
        if len(outputs) < 2:
            return _NOTHING
        event = Tested(outputs[self._accuracy], outputs[self._loss], iteration)
        outputs.clear()
        if event.loss > _most_loss(event.accuracy):
            message = (
                f"the validation at iteration {iteration} has accuracy {event.accuracy} "
                f"and loss {event.loss}: outputs are NaN, or infinite"
            )
            return (event, Failed("diverged", message))
        return (event,)

    def _diverging(self, name: str, value: float, where: str) -> Sequence[Event]:
        if isfinite(value):
            return _NOTHING
        message = f"the output {name[:80]} of {where} is {value}"
        return (Failed("diverged", f"{message} at iteration {self._iteration}"),)

    def _read_batch(self, _: str, text: str) -> Sequence[Event]:
        """``Batch 3, loss = 0.02`` of `caffe test`: the results are still to come."""
        self._outputs.clear()
        if "nan" not in text and "inf" not in text:
            return _NOTHING
        name, _, rest = text.partition(" = ")
        value = _number(rest)
        if value is None:
            return _NOTHING
        return self._diverging(name.partition(", ")[2], value, "validation")

    def _result(self, text: str) -> Sequence[Event]:
        """``accuracy = 0.97``, of all batches of `caffe test`."""
        name, _, rest = text.partition(" = ")
        value = _number(rest)
        if value is None:
            return _NOTHING
        events = self._take(name, value, self._iteration)
        if events and not self._finished:
            self._finished = True
            return (*events, Finished())
        return events

    def _read_snapshot(self, line: str, text: str) -> Sequence[Event]:
        found = _SNAPSHOT.search(text)
        if found is None:
            return _NOTHING
        before = self._release()
        self._iteration = int(found[1])
        figure = self._speed.interrupted(self._iteration, self._time_of_day(line))
        return (*before, Iteration(self._iteration), *_speed(figure))

    def _read_end(self, _: str, text: str) -> Sequence[Event]:
        if text.startswith("Optimization stopped early"):
            self._stopped_early = True
        before = self._release()
        regular = text.startswith("Optimization Done") and not self._stopped_early
        if not regular or self._finished:
            return before
        self._finished = True
        return (*before, Finished())

    def _read_start(self, _: str, text: str) -> Sequence[Event]:
        if text.startswith(("Starting Optimization", "Solving ")):
            self._started = True
            self._layer = ""
        return _NOTHING

    def _read_stated(self, _: str, text: str) -> Sequence[Event]:
        found = _STATED.match(text)
        figure = _number(found[1]) if found else None
        if figure is None or not isfinite(figure):
            return _NOTHING
        return _speed(self._speed.stated(figure))

    def _read_layer(self, _: str, text: str) -> Sequence[Event]:
        if found := _LAYER.match(text):
            self._layer = (found[1] or found[2])[:200]
        return _NOTHING

    def _read_built(self, _: str, text: str) -> Sequence[Event]:
        if text.startswith("Network initialization done"):
            self._layer = ""
        return _NOTHING

    def _fatal(self, prefix: str, text: str) -> Sequence[Event]:
        text = text.partition(" (known types: ")[0].strip()
        if self._schema_error:
            text = f"{text}: {self._schema_error}"
            self._schema_error = ""
        building = bool(self._layer) or not self._started
        return self._fail(
            fatal_ending(prefix, text, building=building), explained(text)
        )

    def _read_schema(self, line: str) -> Sequence[Event]:
        """What protobuf says of a prototxt; the line that names the file follows."""
        self._schema_error = schema_error(line) or self._schema_error
        return _NOTHING

    def _read_exception(self, line: str) -> Sequence[Event]:
        if not line.startswith("terminate called"):
            return _NOTHING
        self._exception = line.strip()[:MESSAGE_LIMIT]
        if "bad_alloc" not in line:
            return _NOTHING  # what it was stands in the next line
        return self._fail("out_of_memory", self._exception)

    def _read_what(self, line: str) -> Sequence[Event]:
        exception, what = self._exception, line.strip()
        if not (exception and what.startswith("what():")) or "bad_alloc" in exception:
            return _NOTHING
        self._exception = ""
        text = f"{exception}: {what}"
        return self._fail(fatal_ending("", text, building=False), text)

    def _read_usage(self, line: str) -> Sequence[Event]:
        return (Failed("crashed", _cut(line.strip())),)

    def _read_supervisor(self, line: str) -> Sequence[Event]:
        if not line.startswith(FAILED):
            return _NOTHING
        return (Failed("crashed", _cut(line[len(FAILED) :].strip())),)

    def _time_of_day(self, line: str) -> float:
        """Seconds since midnight of a prefix's ``18:28:01.014175``; NaN for no such."""
        at = line.find(" ", 0, 16) + 1
        minute = line[at : at + 6]
        if minute != self._minute:
            self._minute, self._minute_s = minute, _minute(minute)
        try:
            return self._minute_s + float(line[at + 6 : at + 15])
        except ValueError:
            return nan

    def _fail(self, ending: Ending, text: str) -> Sequence[Event]:
        where = f"layer {self._layer}: " if self._layer else ""
        return (Failed(ending, _cut(where + text)),)


_LINES: dict[str, Callable[[LogParser, str, str], Sequence[Event]]] = {
    "Itera": LogParser._read_iteration,
    "    T": LogParser._read_indented,
    "    [": LogParser._read_indented,
    "    (": LogParser._read_indented,
    "[0.0]": LogParser._read_indented,
    " Opti": LogParser._read_indented,
    "Test ": LogParser._read_test,
    "Train": LogParser._read_training,
    "Batch": LogParser._read_batch,
    "Snaps": LogParser._read_snapshot,
    "Optim": LogParser._read_end,
    "Start": LogParser._read_start,
    "Solvi": LogParser._read_start,
    "Solve": LogParser._read_stated,
    "Creat": LogParser._read_layer,
    "Netwo": LogParser._read_built,
}
"""By the first five letters behind glog's prefix."""

_PLAIN: dict[str, Callable[[LogParser, str], Sequence[Event]]] = {
    "[libp": LogParser._read_schema,
    "termi": LogParser._read_exception,
    "  wha": LogParser._read_what,
    "ERROR": LogParser._read_usage,
    FAILED[:5]: LogParser._read_supervisor,
}
"""By the first five letters of a line without a prefix."""


def _most_loss(accuracy: float) -> float:
    """The highest mean loss that a validation of this accuracy can have.

    Caffe caps a sample's loss, at 87.34 in single precision. That of a right one is below
    ln(classes), unless it is right only because nothing outranks NaN: on a GPU that has the
    capped loss, 9.70 in NVCaffe's half precision.
    """
    return 9.0 * accuracy + 87.34 * (1.0 - accuracy)


def _speed(figure: float | None) -> Sequence[Event]:
    return _NOTHING if figure is None else (Speed(figure),)


def _output(text: str) -> tuple[str, float | None]:
    """Name and value of ``Test net output #0: accuracy = 0.9``; no value: it is none."""
    head, _, rest = text.partition(" = ")
    if " net output #" not in head:
        return "", None
    return head[head.find(": ") + 2 :], _number(rest)


def _number(text: str) -> float | None:
    """The number that a text begins with."""
    first = text.partition(" ")[0].rstrip(",\r\n")
    try:
        return float(first)
    except ValueError:
        return None


def _minute(text: str) -> float:
    """Seconds of the day at the beginning of a minute, ``18:28:``; NaN if it is none."""
    hours, minutes, rest = (*text.split(":"), "")[:3] if text.count(":") == 2 else "???"
    if rest or not (hours.isdecimal() and minutes.isdecimal()):
        return nan
    return 3600.0 * int(hours) + 60.0 * int(minutes)


def _cut(text: str) -> str:
    return text if len(text) <= MESSAGE_LIMIT else text[: MESSAGE_LIMIT - 3] + "..."
