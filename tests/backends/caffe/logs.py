"""Writes logs as `caffe train` and `caffe test` do, of each version that is read.

Times are laid out by the arguments alone, so that what a parser must find is known in
closed form: an iteration takes ``batch_s``, three quarters of it before its line is
printed, a validation ``test_s`` and a snapshot ``snapshot_s``.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

FLAVOURS = ("bvlc rc5", "bvlc", "nvcaffe 0.16.5", "nvcaffe 0.16.6", "nvcaffe 0.17.1")
NEW_YEARS_EVE = datetime(2026, 12, 31, 23, 59, 55)


@dataclass
class Log:
    """Lines with glog's prefix; ``digits`` of the date are 4 or 8."""

    flavour: str = "bvlc"
    digits: int = 8
    now: datetime = NEW_YEARS_EVE
    lines: list[str] = field(default_factory=list)

    @property
    def bvlc(self) -> bool:
        """Whether this is BVLC's Caffe."""
        return self.flavour.startswith("bvlc")

    @property
    def marked(self) -> bool:
        """Whether lines say whether they are of training or of a validation."""
        return self.flavour == "nvcaffe 0.17.1"

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)

    def say(self, source: str, text: str, *, letter: str = "I") -> None:
        """A line of the main thread."""
        date = self.now.strftime("%Y%m%d")[-self.digits :]
        time = self.now.strftime("%H:%M:%S.%f")
        self.lines.append(f"{letter}{date} {time}  4031 {source}:239] {text}\n")

    def dump(self) -> None:
        """Some of a parameter dump, which has no prefix."""
        self.lines += ['layer {\n  name: "loss"\n', "  loss_weight: nan\n", "}\n"]

    def start(self) -> None:
        """All from the first line to the first iteration."""
        if not self.bvlc:
            version = self.flavour.removeprefix("nvcaffe ")
            self.say(
                "caffe.cpp", f"This is NVCaffe {version} started at Thu Dec 31 2026"
            )
        self.say("solver.cpp", "Initializing solver from parameters: ")
        self.dump()
        self.build("data", "conv1", "loss")
        self.say("caffe.cpp", "Starting Optimization")
        self.say("solver.cpp", "Solving net")

    def build(self, *layers: str, done: bool = True) -> None:
        """A net is built."""
        for name in layers:
            if self.bvlc:
                self.say("layer_factory.hpp", f"Creating layer {name}")
                self.say("net.cpp", f"Creating Layer {name}")
            else:
                text = f"Creating layer '{name}' of type 'Convolution'"
                self.say("layer_factory.hpp", text)
        if done:
            self.say("net.cpp", "Network initialization done.")

    def display(self, iteration: int, loss: str, *, printed: str) -> None:
        """The lines of a displayed iteration."""
        epochs = (
            "" if self.bvlc or "0.16.5" in self.flavour else f" {iteration}.2/60ep,"
        )
        told = "" if self.flavour == "bvlc rc5" else f" ({printed})"
        mark = "    [0.0] " if self.marked else ""
        self.say(
            "solver.cpp", f"{mark}Iteration {iteration}{told},{epochs} loss = {loss}"
        )
        mark = "    [0.0] " if self.marked else ""
        self.say(
            "solver.cpp",
            f"{mark}    Train net output #0: loss = {loss} (* 1 = {loss} loss)",
        )
        more = "" if self.bvlc else ", m = 0.9, wd = 0.0005, gs = 1"
        mark = "    [0.0] " if self.marked else ""
        self.say("sgd_solver.cpp", f"{mark}Iteration {iteration}, lr = 0.01{more}")

    def test(
        self, iteration: int, *, accuracy: str, loss: str, test_s: float = 0.0
    ) -> None:
        """A validation, its outputs in an order that a reader must not rely on."""
        self.say("solver.cpp", f"Iteration {iteration}, Testing net (#0)")
        self.lines.append(f"{self.lines[-1][:9]}")  # cut off in the middle
        self.wait(test_s)
        mark = "    (0.0)" if self.marked else ""
        self.say("solver.cpp", f"{mark}    Test net output #0: accuracy_top5 = 0.99")
        text = f"loss = {loss} (* 1 = {loss} loss)"
        self.say("solver.cpp", f"{mark}    Test net output #1: {text}")
        self.say("solver.cpp", f"{mark}    Test net output #2: accuracy = {accuracy}")

    def snapshot(self, iteration: int, *, snapshot_s: float = 0.0) -> None:
        """Weights and solver state are written."""
        name = f"snapshot_iter_{iteration}"
        self.say("solver.cpp", f"Snapshotting to binary proto file {name}.caffemodel")
        text = f"Snapshotting solver state to binary proto file {name}.solverstate"
        self.say("sgd_solver.cpp", text)
        self.wait(snapshot_s)

    def stop_early(self) -> None:
        """What follows a SIGINT and its snapshot."""
        mark = "[0.0] " if self.marked else "" if self.bvlc else " "
        self.say("solver.cpp", f"{mark}Optimization stopped early.")
        self.say(
            "caffe.cpp",
            "Optimization Done." if self.bvlc else "Optimization Done in 4s",
        )

    def done(self) -> None:
        """The regular end."""
        if self.bvlc:
            self.say("solver.cpp", "Optimization Done.")
            self.say("caffe.cpp", "Optimization Done.")
        else:
            self.say("caffe.cpp", "Optimization Done in 2h 8m 22s")

    def test_command(self, *, accuracy: str, loss: str) -> None:
        """All of `caffe test`."""
        self.say("caffe.cpp", "Use CPU.")
        self.build("data", "conv1", "loss", "accuracy")
        for batch in range(2):
            self.say("caffe.cpp", f"Batch {batch}, accuracy = {accuracy}")
            self.say("caffe.cpp", f"Batch {batch}, loss = {loss}")
        self.say("caffe.cpp", f"Loss: {loss}")
        self.say("caffe.cpp", f"accuracy = {accuracy}")
        self.say("caffe.cpp", f"loss = {loss} (* 1 = {loss} loss)")


def training(
    flavour: str = "bvlc",
    *,
    iterations: int = 40,
    display: int = 10,
    batch_s: float = 0.05,
    test_every: int = 0,
    test_s: float = 3.0,
    snapshot_every: int = 0,
    snapshot_s: float = 2.0,
    loss: Callable[[int], str] = lambda iteration: f"{2.3 / (1 + iteration):.6g}",
    accuracy: str = "0.95",
    test_loss: str = "0.25",
    digits: int = 8,
    begin: datetime = NEW_YEARS_EVE,
) -> list[str]:
    """The log of a whole run that comes to its regular end."""
    log = Log(flavour, digits, begin)
    log.start()
    last, told = begin, 0
    for iteration in range(iterations):
        if test_every and iteration and iteration % test_every == 0:
            log.test(iteration, accuracy="0.5", loss="1.5", test_s=test_s)
        log.wait(0.75 * batch_s)
        for printed in _printed(log, iteration, iterations, display, last, told):
            log.display(iteration, loss(iteration), printed=printed)
            last, told = log.now, iteration
        log.wait(0.25 * batch_s)
        if snapshot_every and (iteration + 1) % snapshot_every == 0:
            log.snapshot(iteration + 1, snapshot_s=snapshot_s)
    log.snapshot(iterations)
    log.wait(0.3 * batch_s)
    log.say("solver.cpp", f"Iteration {iterations}, loss = {loss(iterations)}")
    log.test(iterations, accuracy=accuracy, loss=test_loss, test_s=test_s)
    if not log.bvlc:
        speed = 0.9 / batch_s
        text = f"{speed:.4g} * 64 = {speed * 64:.4g} img/sec"
        log.say("caffe.cpp", f"Solver performance on device 0: {text}")
    log.done()
    return log.lines


def _printed(
    log: Log, iteration: int, iterations: int, display: int, last: datetime, told: int
) -> Iterator[str]:
    """What stands in brackets in a displayed line; nothing for one that is not."""
    seconds = (log.now - last).total_seconds()
    if log.bvlc:
        if iteration % display == 0:
            speed = display / seconds if iteration else -3.85e-43
            yield f"{speed:.6g} iter/s, {seconds:.3f}s/{display} iters"
    elif iteration < 3:
        yield f"{seconds:.3f} s"
    elif iteration % display == 0 or iteration == iterations - 1:
        batches = iteration - told
        yield f"{batches / seconds:.6g} iter/s, {seconds:.3f}s/{batches} iter"
