"""What the tests of GPUs share: machines without any that look as if they had some."""

from pathlib import Path

from ribosome.runner.gpus import CUDA, Gpu


def nvidia_smi(folder: Path, script: str) -> dict[str, str]:
    """An environment whose only program is an nvidia-smi that runs a shell script."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"PATH": str(folder)}


def listing(folder: Path, text: str) -> dict[str, str]:
    """An environment whose nvidia-smi prints a listing."""
    return nvidia_smi(folder, f"/bin/cat <<'EOF'\n{text}EOF")


def gpu_lines(*names: str) -> str:
    """What `nvidia-smi -L` prints of GPUs with these UUIDs, "GPU-" left out."""
    return "".join(
        f"GPU {index}: NVIDIA H100 80GB HBM3 (UUID: GPU-{name})\n"
        for index, name in enumerate(names)
    )


def kfd(folder: Path, *unique_ids: int, denied: int = 0) -> str:
    """A folder like that of AMD's driver: a CPU, then GPUs with these unique ids.

    Of ``denied`` further ones, which are other jobs', nothing can be read.
    """
    texts = [("0", "simd_count 0\nunique_id 0\n")]
    texts += [(str(7 + n), f"simd_count 440\nunique_id {n}\n") for n in unique_ids]
    for number, (gpu_id, properties) in enumerate(texts):
        node = folder / "nodes" / str(number)
        node.mkdir(parents=True)
        (node / "gpu_id").write_text(f"{gpu_id}\n")
        (node / "properties").write_text(properties)
    for number in range(len(texts), len(texts) + denied):
        # As root nothing is denied; a folder cannot be read as a file by anybody.
        (folder / "nodes" / str(number) / "gpu_id").mkdir(parents=True)
    return str(folder / "nodes")


def gpus(*identities: str) -> tuple[Gpu, ...]:
    """NVIDIA GPUs that are known by index."""
    return tuple(Gpu(CUDA, str(n), name) for n, name in enumerate(identities))
