#!/bin/bash
#SBATCH --job-name=ribosome
#SBATCH --output=ribosome-%j.out
#SBATCH --open-mode=append
#SBATCH --time=2:00:00
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=2
#SBATCH --cpus-per-task=1
#SBATCH --gpus-per-node=1
#SBATCH --signal=URG@120
#SBATCH --no-kill
#
# A search by Ribosome on a cluster with Slurm.
# 2 ranks: 1 node x 1 worker (one for each GPU), and the master on the first node.
# It ends in good order before its time is up; submitted again, it goes on where it stopped.

set -euo pipefail

config='./-it'"'"'s "odd" $HOME `x` \ ü *.toml'
run='a run/it'"'"'s "odd" $HOME `x` \ ü *.toml'

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
    { for (i = 0; i < 1; i++) print }' >"$hosts"
export SLURM_HOSTFILE=$hosts
unset SLURM_NTASKS_PER_NODE SLURM_TASKS_PER_NODE SLURM_GPU_BIND

# A rank that ends, whatever its exit code, must not end the others (kill-on-bad-exit, wait).
srun \
    --mpi=pmi2 \
    --nodes=1 \
    --ntasks=2 \
    --distribution=arbitrary \
    --cpus-per-task=1 \
    --cpu-bind=none \
    --gpus-per-node=1 \
    --kill-on-bad-exit=0 \
    --wait=0 \
    --no-kill \
    --export=ALL \
    "${search[@]}"
