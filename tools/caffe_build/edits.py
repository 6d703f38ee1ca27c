"""What is changed in the unpacked sources, and why.

The first edit lets them compile. The others give back what BVLC Caffe 1.0 does and the
sdist's sources do not: they come from a fork of code that is older than 1.0. Each was
found by comparing behaviour, and the text that is put in is ours.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from ribosome.tools.caffe_build.report import BuildError


@dataclass(frozen=True, slots=True)
class Edit:
    """A regular expression that matches once in a file, and what takes its place."""

    path: str
    find: str
    put: str
    why: str


EDITS = (
    Edit(
        "src/caffe/net.cpp",
        r'#include "caffe/test/[^"]*"\n',
        "",
        "it needs no header of the tests, which are not unpacked",
    ),
    Edit(
        "src/caffe/util/io.cpp",
        r"(bool ReadProtoFromBinaryFile\([^}]*SetTotalBytesLimit\()536870912",
        r"\g<1>2147483647",
        "a caffemodel above 512 MiB, such as VGG-16's, is read",
    ),
    Edit(
        "tools/caffe.cpp",
        r"(solver->Restore\(FLAGS_snapshot\.c_str\(\)\);\s*\})",
        r"""\1
  if (FLAGS_snapshot.empty()) {
    std::istringstream files(FLAGS_weights);
    for (std::string file; std::getline(files, file, ',');) {
      LOG(INFO) << "Finetuning from " << file;
      solver->net()->CopyTrainedLayersFrom(file);
      for (const auto& test_net : solver->test_nets()) {
        test_net->CopyTrainedLayersFrom(file);
      }
    }
  }""",
        "`caffe train -weights` begins from those weights, not silently from random ones",
    ),
    Edit(
        "src/caffe/layers/batch_norm_layer.cpp",
        r"(eps_ = param\.eps\(\);)",
        r"""\1
  for (int i = 0; i < 3; ++i) {
    if (this->layer_param_.param_size() == i) {
      this->layer_param_.add_param()->set_lr_mult(0);
    }
    CHECK_EQ(this->layer_param_.param(i).lr_mult(), 0)
        << "the statistics of " << this->layer_param_.name() << " are not learned";
  }""",
        "the solver lets running means and variances alone, which weight decay would shrink",
    ),
    Edit(
        "src/caffe/layers/eltwise_layer.cpp",
        r"// (for \(int i = 1;.*)\n\s*// (.*CHECK\(.*)\n\s*// \}",
        r"\1\n\2\n  }",
        "addends of unequal shapes are refused",
    ),
    Edit(
        "src/caffe/layers/scale_layer.cpp",
        r"// (for .*)\n\s*// (.*CHECK_EQ.*)\n\s*// (.*)\n\s*// (.*)\n\s*// \}",
        r"\1\n\2\n\3\n\4\n  }",
        "a scale that does not fit its axes is refused",
    ),
    Edit(
        "include/caffe/data_reader.hpp",
        r"(return param\.name\(\)) \+",
        r"""\1 + (param.phase() == TRAIN ? ":train" : ":test") +""",
        "training and testing each read an LMDB from its start, though it be the same one",
    ),
    Edit(
        "src/caffe/solver.cpp",
        r"(namespace caffe \{\n)",
        r"""#include <chrono>
#include <cmath>
#include <sstream>

\1
struct Pace {
  explicit Pace(int iteration) : begin(Clock::now()), from(iteration) {}

  std::string until(int iteration, int display) {
    const Clock::time_point now = Clock::now();
    const double exact = std::chrono::duration<double>(now - begin).count();
    const double seconds = std::round(exact * 1000) / 1000;
    std::ostringstream text;
    text << " (" << (iteration - from) / (seconds > 0 ? seconds : 1) << " iter/s, "
         << seconds << "s/" << display << " iters)";
    begin = now;
    from = iteration;
    return text.str();
  }

  typedef std::chrono::steady_clock Clock;
  Clock::time_point begin;
  int from;
};
""",
        "iterations per second can be measured",
    ),
    Edit(
        "src/caffe/solver.cpp",
        r"(const int start_iter = iter_;)",
        r"\1\n  Pace pace(start_iter);",
        "iterations per second are measured",
    ),
    Edit(
        "src/caffe/solver.cpp",
        r'(<< "Iteration " << iter_)(\n\s*<< ", loss = ")',
        r"\1 << pace.until(iter_, param_.display())\2",
        "iterations per second are logged",
    ),
)


def apply_edits(source: Path) -> None:
    """Change the unpacked sources. Raises BuildError if they are not as expected."""
    for edit in EDITS:
        path = source / edit.path
        changed, times = re.subn(edit.find, edit.put, path.read_text(encoding="utf-8"))
        if times != 1:
            raise BuildError(
                f"{path}: cannot be edited so that {edit.why}: {edit.find!r} is there "
                f"{times} times, not once; delete {source} and run `make caffe` again"
            )
        path.write_text(changed, encoding="utf-8")
