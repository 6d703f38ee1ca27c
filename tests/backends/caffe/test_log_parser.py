"""Events from Caffe's log, of every version and of every way to end."""

from collections.abc import Iterable
from functools import reduce
from random import Random

import pytest

from ribosome.backends import base
from ribosome.backends.base import Event, Failed, Finished, Iteration
from ribosome.backends.caffe.log_parser import MESSAGE_LIMIT, LogParser
from ribosome.runner.verdict import Seen, judge, observe
from tests.backends.caffe.logs import FLAVOURS, Log, training


def events(lines: Iterable[str]) -> list[Event]:
    """What a fresh parser says of a log."""
    parser = LogParser()
    return [event for line in lines for event in parser.feed(line)]


def seen(lines: Iterable[str]) -> Seen:
    """What the runner has seen of a log."""
    return reduce(observe, events(lines), Seen())


def ending(lines: Iterable[str], *, exit_code: int = 0) -> str:
    """The verdict on a trial with this log."""
    return judge(seen(lines), exit_code, says=lambda _: None).ending


each_flavour = pytest.mark.parametrize("flavour", FLAVOURS)


@each_flavour
@pytest.mark.parametrize("digits", [4, 8])
def test_a_whole_run_is_read(flavour: str, digits: int) -> None:
    """Losses, rates, the validation and the end, of every version and both prefixes."""
    found = events(training(flavour, iterations=40, display=10, digits=digits))
    displayed = [0, 10, 20, 30] if "bvlc" in flavour else [0, 1, 2, 10, 20, 30, 39]
    losses = {e.iteration: e.loss for e in found if isinstance(e, Iteration) and e.loss}
    assert losses == {i: float(f"{2.3 / (1 + i):.6g}") for i in [*displayed, 40]}
    rates = [e.iteration for e in found if isinstance(e, Iteration) and e.lr == 0.01]
    assert rates == displayed
    assert [e for e in found if isinstance(e, base.Tested | Finished | Failed)] == [
        base.Tested(accuracy=0.95, loss=0.25, iteration=40),
        Finished(),
    ]


@each_flavour
def test_a_whole_run_is_ok(flavour: str) -> None:
    """The runner makes a fitness of it."""
    assert ending(training(flavour)) == "ok"


@each_flavour
@pytest.mark.parametrize("bad", ["nan", "-nan", "inf", "-inf"])
def test_a_loss_that_is_not_finite_has_diverged(flavour: str, bad: str) -> None:
    """Wherever it stands, whatever accuracy is printed, whatever the exit code."""
    in_training = training(
        flavour, loss=lambda i: bad if i > 5 else "2.3", accuracy="1"
    )
    in_test = training(flavour, accuracy="1", test_loss=bad)
    output = [
        line.replace(f"= {2.3 / 11:.6g} (* 1 = {2.3 / 11:.6g}", f"= {bad} (* 1 = {bad}")
        for line in training(flavour, accuracy="1")
    ]
    assert output != training(flavour, accuracy="1")
    for log in (in_training, in_test, output):
        for exit_code in (0, 134):
            assert ending(log, exit_code=exit_code) == "diverged"


def test_an_abort_behind_the_regular_end_of_a_nan_run_has_diverged() -> None:
    """MAX pooling of NaN spoils memory, which shows only at the very end."""
    log = training("bvlc", loss=lambda i: "-nan" if i else "2.3", accuracy="1")
    log += ["double free or corruption (out)\n", "*** Aborted at 1795458421 ***\n"]
    assert ending(log, exit_code=134) == "diverged"


@each_flavour
def test_a_capped_loss_has_diverged(flavour: str) -> None:
    """87.3365 is Caffe's infinity."""
    assert ending(training(flavour, accuracy="1", test_loss="87.3365")) == "diverged"


@pytest.mark.parametrize(
    ("accuracy", "loss", "verdict"),
    [
        ("1", "9.70406", "diverged"),  # half precision's cap
        ("0.8", "52.4", "diverged"),  # NaN for some images alone
        ("0.8", "17.4", "ok"),  # the wrong ones are all capped
        ("1", "8.9", "ok"),
        ("0", "87.3", "ok"),
    ],
)
def test_an_accuracy_that_its_loss_belies_has_diverged(
    accuracy: str, loss: str, verdict: str
) -> None:
    """A GPU turns the loss of NaN into its cap, and counts the image as right."""
    assert (
        ending(training("nvcaffe 0.17.1", accuracy=accuracy, test_loss=loss)) == verdict
    )


def test_another_output_that_is_not_finite_has_diverged() -> None:
    """Also one that is neither accuracy nor loss."""
    log = [line.replace("top5 = 0.99", "top5 = -nan") for line in training("bvlc")]
    assert ending(log) == "diverged"


def test_an_accuracy_without_its_loss_is_no_validation() -> None:
    """``accuracy = 1`` alone, in a log that is cut off, is no fitness."""
    log = [line for line in training("bvlc", accuracy="1") if "#1: loss" not in line]
    assert seen(log).tested is None


def test_outputs_have_the_names_that_are_asked_for() -> None:
    """Another name than the default."""
    parser = LogParser(accuracy="accuracy_top5", loss="loss")
    found = [event for line in training("bvlc") for event in parser.feed(line)]
    assert base.Tested(0.99, 0.25, 40) in found


def test_other_test_nets_are_passed_over() -> None:
    """The first of several decides."""
    log = Log()
    log.test(5, accuracy="0.5", loss="1")
    log.test(5, accuracy="0.9", loss="2")
    again = [line.replace("(#0)", "(#1)") for line in log.lines[len(log.lines) // 2 :]]
    assert events(log.lines[: len(log.lines) // 2] + again) == [
        base.Tested(0.5, 1.0, 5)
    ]


@each_flavour
def test_a_run_that_was_stopped_has_not_finished(flavour: str) -> None:
    """``Optimization Done`` behind ``stopped early`` is no regular end."""
    log = Log(flavour)
    log.start()
    log.test(10, accuracy="0.5", loss="1")
    log.snapshot(13)
    log.stop_early()
    found = seen(log.lines)
    assert (found.iteration, found.finished) == (13, False)


@each_flavour
def test_a_validation_of_what_was_reached_ends_a_run(flavour: str) -> None:
    """The last validation counts, at the iteration of the snapshot."""
    log = Log(flavour)
    log.start()
    log.test(10, accuracy="0.5", loss="1")
    log.snapshot(13)
    log.stop_early()
    log.test_command(accuracy="0.75", loss="0.5")
    assert events(log.lines)[-2:] == [base.Tested(0.75, 0.5, 13), Finished()]
    assert ending(log.lines) == "ok"


def test_a_validation_of_nan_ends_a_run_as_diverged() -> None:
    """Of `caffe test` too, from its first batch on."""
    log = Log()
    log.test_command(accuracy="1", loss="-nan")
    assert ending(log.lines) == "diverged"
    batch = next(i for i, line in enumerate(log.lines) if "Batch 0, loss" in line)
    assert isinstance(events(log.lines[: batch + 1])[0], Failed)


FATAL = [
    (
        "blob.cpp",
        "Check failed: shape[i] >= 0 (-11 vs. 0) ",
        "invalid",
        "layer conv3_0: Check failed: shape[i] >= 0 (-11 vs. 0)",
    ),
    (
        "layer_factory.hpp",
        "Check failed: registry.count(type) == 1 (0 vs. 1) Unknown layer type: ReLUX "
        "(known types: AbsVal, HDF5Data, HDF5Output)",
        "invalid",
        "layer conv3_0: Check failed: registry.count(type) == 1 (0 vs. 1) "
        "Unknown layer type: ReLUX",
    ),
    (
        "db_lmdb.hpp",
        "Check failed: mdb_status == 0 (2 vs. 0) No such file or directory",
        "crashed",
        "layer conv3_0: Check failed: mdb_status == 0 (2 vs. 0) "
        "No such file or directory",
    ),
    (
        "syncedmem.hpp",
        "Check failed: error == cudaSuccess (2 vs. 0)  out of memory",
        "out_of_memory",
        "layer conv3_0: Check failed: error == cudaSuccess (2 vs. 0)  out of memory",
    ),
    (
        "syncedmem.hpp",
        "Check failed: *ptr host allocation of size 17179869184 failed",
        "out_of_memory",
        "layer conv3_0: Check failed: *ptr host allocation of size 17179869184 failed",
    ),
    (
        "cudnn_conv_layer.cpp",
        "Check failed: status == CUDNN_STATUS_SUCCESS (4 vs. 0)  "
        "CUDNN_STATUS_INTERNAL_ERROR",
        "crashed",
        "layer conv3_0: Check failed: status == CUDNN_STATUS_SUCCESS (4 vs. 0)  "
        "CUDNN_STATUS_INTERNAL_ERROR",
    ),
    (
        "hdf5_data_layer.cpp",
        "Check failed: source_file.is_open() ",
        "crashed",
        "layer conv3_0: Check failed: source_file.is_open()",
    ),
]


@each_flavour
@pytest.mark.parametrize(("source", "text", "how", "message"), FATAL)
def test_a_fatal_line_names_the_layer(
    flavour: str, source: str, text: str, how: base.Ending, message: str
) -> None:
    """While a network is built, the layer at hand stands in front."""
    log = Log(flavour)
    log.say("solver.cpp", "Initializing solver from parameters: ")
    log.build("data", "conv3_0", done=False)
    log.say(source, text, letter="F")
    log.lines += ["*** Check failure stack trace: ***\n", "    @  0x7f caffe::Net<>\n"]
    assert events(log.lines) == [Failed(how, message)]


def test_an_unknown_bottom_is_invalid() -> None:
    """It is found before any layer is made, and names the layer itself."""
    log = Log()
    text = "Unknown bottom blob 'poolX' (layer 'ip1', bottom index 0)"
    log.say("insert_splits.cpp", text, letter="F")
    assert events(log.lines) == [Failed("invalid", text)]


def test_a_field_that_caffe_lacks_is_invalid() -> None:
    """Protobuf says which in a line of its own, before the one that gives up."""
    log = Log()
    what = (
        'Message type "caffe.ConvolutionParameter" has no field named "kernel_sizee".'
    )
    where = "google/protobuf/text_format.cc:337"
    parsing = "Error parsing text-format caffe.NetParameter"
    log.lines.append(f"[libprotobuf ERROR {where}] {parsing}: 12:20: {what}\n")
    text = "Check failed: ReadProtoFromTextFile(param_file, param) Failed to parse"
    log.say("upgrade_proto.cpp", f"{text} NetParameter file: net.prototxt", letter="F")
    message = f"{text} NetParameter file: net.prototxt: 12:20: {what}"
    assert events(log.lines) == [Failed("invalid", message)]


def test_a_snapshot_that_finds_no_room_says_so() -> None:
    """Caffe 1.0's line on a full disk, in words."""
    log = Log()
    log.say("solver.cpp", "Starting Optimization")
    text = "Check failed: proto.SerializeToOstream(&output)"
    log.say("io.cpp", f"{text} ", letter="F")
    message = (
        "caffe could not write its snapshot into the trial's folder: no space is left on "
        f"its disk, or in its quota ({text})"
    )
    assert events(log.lines) == [Failed("crashed", message)]


def test_a_check_that_fails_in_training_is_a_crash() -> None:
    """The network was built: it is not to blame, and no layer is named."""
    log = Log()
    log.start()
    log.say("math_functions.cpp", "Check failed: n >= 0 (-1 vs. 0)", letter="F")
    assert events(log.lines) == [Failed("crashed", "Check failed: n >= 0 (-1 vs. 0)")]


@pytest.mark.parametrize(
    ("line", "event"),
    [
        (
            "ERROR: unknown command line flag 'solvr'\n",
            Failed("crashed", "ERROR: unknown command line flag 'solvr'"),
        ),
        (
            "terminate called after throwing an instance of 'std::bad_alloc'\n",
            Failed(
                "out_of_memory",
                "terminate called after throwing an instance of 'std::bad_alloc'",
            ),
        ),
        (
            "ribosome failed: no caffe: run `make caffe`\n",
            Failed("crashed", "no caffe: run `make caffe`"),
        ),
    ],
)
def test_a_line_without_a_prefix_may_tell_the_end(line: str, event: Event) -> None:
    """What is not glog's: gflags', C++'s and the supervisor's own."""
    assert events([line]) == [event]


def test_an_exception_is_told_with_what_it_says() -> None:
    """C++ says it in the next line."""
    thrown = "terminate called after throwing an instance of 'std::out_of_range'"
    what = "what():  basic_string::substr"
    assert events([f"{thrown}\n", f"  {what}\n"]) == [
        Failed("crashed", f"{thrown}: {what}")
    ]


def test_messages_are_short() -> None:
    """Of a long line the beginning is kept, with the layer."""
    log = Log()
    log.build("conv1", done=False)
    log.say("blob.cpp", "Check failed: " + "x" * 4096, letter="F")
    (failed,) = events(log.lines)
    assert isinstance(failed, Failed)
    assert len(failed.message) == MESSAGE_LIMIT
    assert failed.message.startswith("layer conv1: Check failed: xxx")


@pytest.mark.parametrize("end", ["", "\r", "\r\n", "\n"])
def test_a_line_may_end_in_any_way(end: str) -> None:
    """The runner gives lines without their ends."""
    lines = [line.rstrip("\n") + end for line in training("nvcaffe 0.16.6")]
    assert events(lines) == events(training("nvcaffe 0.16.6"))


def test_other_threads_may_write_between_the_lines() -> None:
    """Also in the midst of a validation, and with the end of their own lines missing."""
    log = training("bvlc")
    other = "I20261231 23:59:59.000000  4036 data_layer.cpp:73] Restarting data pre"
    mixed = [part for line in log for part in (line, other, "layer {\n", "\n")]
    assert events(mixed) == events(log)


def test_damaged_lines_never_raise() -> None:
    """Whatever is cut, doubled or overwritten."""
    random = Random(1)
    logs = [training(f, test_every=7) + FAILURES for f in FLAVOURS]
    for _ in range(3_000):
        parser = LogParser()
        for line in random.sample(random.choice(logs), 8):
            parser.feed(mutated(line, random))


FAILURES = [
    "[libprotobuf ERROR google/protobuf/text_format.cc:337] Error parsing text\n",
    "F20261123 18:27:01.703181  4272 blob.cpp:32] Check failed: shape[i] >= 0\n",
    "terminate called after throwing an instance of 'std::bad_alloc'\n",
    "  what():  std::bad_alloc\n",
    "ribosome failed: x\n",
]


def mutated(line: str, random: Random) -> str:
    """A line with some of its characters cut out, doubled or replaced."""
    for _ in range(random.randint(1, 4)):
        begin = random.randrange(len(line) + 1)
        end = begin + random.randint(0, 12)
        piece = random.choice(
            [
                "",
                line[begin:end] * 2,
                "] ",
                "\x00",
                "\ud800",
                "-nan",
                "1e999",
                "٣",
                "_1",
            ]
        )
        line = line[:begin] + piece + line[end:]
    return line


def test_what_is_kept_does_not_grow() -> None:
    """Neither long lines nor many make the parser larger."""
    parser = LogParser()
    log = Log()
    log.build("x" * 100_000, done=False)
    for number in range(200):
        log.say("solver.cpp", f"Test net output #{number}: name{number} = 0.5")
    for line in [*log.lines, "terminate called after " + "y" * 100_000]:
        parser.feed(line)
    kept = [str(value) for value in vars(parser).values()]
    assert max(map(len, kept)) <= MESSAGE_LIMIT
