"""The task: what a network is for. Its input shape decides what fits."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Training:
    """How long and how a network is trained before it is judged.

    Training ends after ``max_iterations``, or once ``time_limit_s`` seconds of it have
    passed (start-up and validation not counted), whichever comes first; 0: no such limit.
    ``precision`` "auto" is mixed where the device gains from it. ``threads`` are the
    trainer's CPU threads. ``display`` is the number of iterations between log lines.
    ``precision`` "half" is mixed with arithmetic in half precision as well, which NVIDIA's
    Caffe can do. ``data_layer`` is the form in which Caffe reads the images.

    ``checks`` is the number of validations during training, which change nothing in it.
    ``check_first`` has PyTorch's trainer try, before the first iteration, whether the
    network can learn at all.
    """

    max_iterations: int = 300
    time_limit_s: float = 0.0
    test_batch_size: int = 256
    display: int = 50
    precision: str = "auto"  # single, mixed, half
    threads: int = 1
    data_layer: str = "lmdb"  # hdf5
    checks: int = 0
    check_first: bool = False

    @property
    def check_every(self) -> int:
        """The iterations from one check to the next; 0 for no checks.

        They are spaced evenly over ``max_iterations``, so that there are none where time
        alone ends training; where it does so early, there are fewer.
        """
        return -(-self.max_iterations // (self.checks + 1)) if self.checks else 0


@dataclass(frozen=True, slots=True)
class Task:
    """An image classification task, as an emitter and a trainer need to know it.

    A trainer sees (pixel - mean) * scale, with one mean per channel, or none for zero:
    Caffe's transform_param. ``data`` is the data folder, empty where none is needed (to
    show or to decode a genome); ``train`` and ``val`` are its numbers of images, 0 where
    they are not known.
    """

    name: str
    channels: int
    height: int
    width: int
    classes: int
    mean: tuple[float, ...] = ()
    scale: float = 1.0
    data: str = ""
    train: int = 0
    val: int = 0
    training: Training = Training()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image."""
        return (self.channels, self.height, self.width)


DIGITS = Task("digits", 1, 8, 8, 10, scale=0.0625, train=1437, val=360)
"""The default task where a command needs shapes only: scikit-learn's digits."""
