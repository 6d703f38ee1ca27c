"""libEnsemble over MPI with random proposals: a manager and one rank for each worker.

The generator runs in the manager, so that every worker evaluates. Of the two variants
"persistent" tells the generator each result and asks it for one more proposal, as a search
must; "batches" is the least that libEnsemble can do: 100 proposals at a time, its fast
allocation, and no result told to anyone.
"""

from typing import Any

import numpy as np
from job import Job, answer, loss, told
from libensemble.alloc_funcs.fast_alloc import give_sim_work_first
from libensemble.alloc_funcs.start_only_persistent import only_persistent_gens
from libensemble.gen_funcs.persistent_sampling import persistent_uniform
from libensemble.gen_funcs.sampling import uniform_random_sample
from libensemble.libE import libE
from libensemble.tools import add_unique_random_streams
from mpi4py import MPI

_BATCH = 100


def noop(
    history: np.ndarray, _: dict[str, Any], sim_specs: dict[str, Any]
) -> tuple[np.ndarray, dict[str, Any]]:
    """The loss of each row, out of its values alone."""
    result = np.zeros(len(history), dtype=sim_specs["out"])
    result["f"] = [loss(row.astype(np.uint8).tobytes()) for row in history["x"]]
    return result, {}


def ways(job: Job) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The generator and the allocation of the job's variant, and what both remember."""
    bounds = {
        "lb": np.zeros(len(job.sizes)),
        "ub": np.array(job.sizes, dtype=float),
    }
    x = [("x", float, (len(job.sizes),))]
    if job.variant == "persistent":
        generator = {
            "gen_f": persistent_uniform,
            "persis_in": ["f", "x", "sim_id"],
            "out": x,
            "user": {"initial_batch_size": 2 * job.workers, **bounds},
        }
        user = {"async_return": True}
        return generator, {"alloc_f": only_persistent_gens, "user": user}, {}
    generator = {
        "gen_f": uniform_random_sample,
        "out": x,
        "user": {"gen_batch_size": _BATCH, **bounds},
    }
    allocation = {"alloc_f": give_sim_work_first, "user": {"num_active_gens": 1}}
    return generator, allocation, {"next_to_give": 0, "total_gen_calls": 0}


def main() -> None:
    """Run on every rank."""
    job = told()
    generator, allocation, memory = ways(job)
    history, _, _ = libE(
        {"sim_f": noop, "in": ["x"], "out": [("f", float)]},
        generator,
        {"sim_max": job.evaluations},
        add_unique_random_streams(memory, job.workers + 2),
        allocation,
        {
            "comms": "mpi",
            "mpi_comm": MPI.COMM_WORLD,
            "gen_on_manager": True,
            "disable_log_files": True,
            "disable_resource_manager": True,
            "safe_mode": False,
        },
    )
    if MPI.COMM_WORLD.rank == 0:
        ended = history[history["sim_ended"]]
        # Its own times: beginning and end of the run would cost it 1 s more.
        seconds = ended["sim_ended_time"].max() - ended["sim_started_time"].min()
        answer(len(ended), float(seconds))


if __name__ == "__main__":
    main()
