#!/bin/bash
#SBATCH --job-name=ribosome
#SBATCH --output=ribosome-%j.out
#SBATCH --open-mode=append
#SBATCH --account=abc123
#SBATCH --partition=batch
#SBATCH --time=2:00:00
#SBATCH --nodes=2
#SBATCH --exclusive
#SBATCH --gpus-per-node=8
#SBATCH -C nvme
#SBATCH --signal=URG@120
#SBATCH --no-kill
#
# A search by Ribosome on OLCF Frontier: 8 GCDs of MI250X and 56 cores a node.
# 17 ranks: 2 nodes x 8 workers (one for each GPU), and the master on the first node.
# It ends in good order before its time is up; submitted again, it goes on where it stopped.

module load cray-mpich rocm

set -euo pipefail

config=digits.toml
run=runs/digits

if ! command -v ribosome >/dev/null; then
    echo "ribosome is not on PATH: activate its environment before this line" >&2
    exit 1
fi
search=(ribosome search "$config" -o "$run" --progress plain)
if [[ -e "$run/journal.sqlite" ]]; then
    search+=(--resume)
fi

# The first node is named once more than the others: rank 0, the master, is there.
hosts=$(mktemp)
trap 'rm -f "$hosts"' EXIT
scontrol show hostnames "$SLURM_JOB_NODELIST" | awk '
    NR == 1 { print }
    { for (i = 0; i < 8; i++) print }' >"$hosts"
export SLURM_HOSTFILE=$hosts
unset SLURM_NTASKS_PER_NODE SLURM_TASKS_PER_NODE SLURM_GPU_BIND

# Each worker runs on the cores beside its GPU, the master on one of its own.
on_its_cores() {
    local cores=(49-55 57-63 17-23 25-31 1-7 9-15 33-39 41-47)
    local place=$SLURM_LOCALID
    if ((SLURM_NODEID == 0)); then
        if ((place == 0)); then exec taskset --cpu-list 49 "$@"; fi
        place=$((place - 1))
        cores[0]=50-55
    fi
    exec taskset --cpu-list "${cores[place]}" "$@"
}

# A rank that ends, whatever its exit code, must not end the others (kill-on-bad-exit, wait).
srun \
    --mpi=cray_shasta \
    --nodes=2 \
    --ntasks=17 \
    --distribution=arbitrary \
    --overcommit \
    --cpu-bind=none \
    --gpus-per-node=8 \
    --kill-on-bad-exit=0 \
    --wait=0 \
    --no-kill \
    --export=ALL \
    bash -c "$(declare -f on_its_cores); on_its_cores \"\$@\"" bash "${search[@]}"
