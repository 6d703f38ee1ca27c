#!/bin/bash
#SBATCH --job-name=ribosome
#SBATCH --output=ribosome-%j.out
#SBATCH --open-mode=append
#SBATCH --partition=gpu
#SBATCH --time=36:00:00
#SBATCH --nodes=3
#SBATCH --ntasks-per-node=5
#SBATCH --cpus-per-task=4
#SBATCH --gpus-per-node=4
#SBATCH --signal=URG@120
#SBATCH --no-kill
#
# A search by Ribosome on a cluster with Slurm.
# 13 ranks: 3 nodes x 4 workers (one for each GPU), and the master on the first node.
# It ends in good order before its time is up; submitted again, it goes on where it stopped.

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
    { for (i = 0; i < 4; i++) print }' >"$hosts"
export SLURM_HOSTFILE=$hosts
unset SLURM_NTASKS_PER_NODE SLURM_TASKS_PER_NODE SLURM_GPU_BIND

# A rank that ends, whatever its exit code, must not end the others (kill-on-bad-exit, wait).
srun \
    --mpi=pmi2 \
    --nodes=3 \
    --ntasks=13 \
    --distribution=arbitrary \
    --cpus-per-task=4 \
    --cpu-bind=none \
    --gpus-per-node=4 \
    --kill-on-bad-exit=0 \
    --wait=0 \
    --no-kill \
    --export=ALL \
    "${search[@]}"
