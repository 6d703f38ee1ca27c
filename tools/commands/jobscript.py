"""`ribosome jobscript`: a batch script that runs a search on a cluster."""

import re
from pathlib import Path

import click


@click.command("jobscript")
@click.argument("config", type=click.Path(path_type=Path), required=False)
@click.option(
    "--system",
    "system_name",
    metavar="NAME|FILE.toml",
    required=True,
    help="summit, frontier, perlmutter, slurm, local, or a file of your own.",
)
@click.option("--show", is_flag=True, help="Print the system's file, to start from.")
@click.option(
    "--nodes",
    metavar="N",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="The nodes of the job.",
)
@click.option(
    "--time",
    "limit",
    metavar="T",
    help="The time limit: 1:30, 1:30:00, 90 and 90m are an hour and a half; 12h, 1-12:00. "
    "Needed but for local.",
)
@click.option("--account", metavar="A", default="", help="Who pays.")
@click.option(
    "--queue", metavar="Q", default="", help="LSF's queue, Slurm's partition."
)
@click.option("--name", metavar="NAME", help="The job's name; else that of CONFIG.")
@click.option(
    "--run", metavar="RUN", help="The run folder; else runs/NAME.", type=click.Path()
)
@click.option(
    "--gpus-per-node",
    metavar="N",
    type=click.IntRange(0, 1024),
    help="GPUs of a node, where the system's file is wrong or does not say.",
)
@click.option(
    "--workers-per-node",
    metavar="N",
    type=click.IntRange(1, 1024),
    help="Workers of a node without GPUs; where there are some, they decide.",
)
@click.option(
    "-o",
    "out",
    metavar="OUT",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the script there, executable; else to stdout.",
)
def command(
    config: Path | None,
    system_name: str,
    show: bool,
    nodes: int,
    limit: str | None,
    account: str,
    queue: str,
    name: str | None,
    run: str | None,
    gpus_per_node: int | None,
    workers_per_node: int | None,
    out: Path | None,
) -> None:
    """Write a job script that searches as the file CONFIG says.

    CONFIG and RUN are paths from the folder that the job is submitted in. The script goes
    on with the run if RUN is there already. Each GPU gets a worker of its own (or
    trials_per_gpu of them); the master takes no GPU.
    """
    import msgspec

    from ribosome.genome.errors import ConfigError
    from ribosome.runner.config import load_config
    from ribosome.runner.jobscript import Job, parse_time, render, warnings
    from ribosome.runner.system import load_system, system_text

    if show:
        click.echo(system_text(system_name), nl=False)
        return
    if config is None:
        raise click.UsageError("Missing argument 'CONFIG'.")
    system = load_system(system_name)
    if gpus_per_node not in (None, system.gpus_per_node):
        # The cores beside the GPUs are known for the system's own number of GPUs.
        system = msgspec.structs.replace(
            system, gpus_per_node=gpus_per_node, cores_of_gpus=()
        )
    if workers_per_node is not None:
        if system.gpus_per_node:
            raise click.UsageError(
                f"--workers-per-node is for nodes without GPUs, and these have "
                f"{system.gpus_per_node}, each with runner.trials_per_gpu workers: set "
                "that in CONFIG, or give another --gpus-per-node (0: train on the CPU)"
            )
        system = msgspec.structs.replace(system, workers_per_node=workers_per_node)
    settings = load_config(config)
    name = name if name is not None else re.sub(r"\W+", "_", config.stem, flags=re.A)
    try:
        job = Job(
            config=str(config),
            run=run if run is not None else f"runs/{name}",
            nodes=nodes,
            minutes=None if limit is None else parse_time(limit),
            name=name,
            account=account,
            queue=queue,
        )
        script = render(system, settings, job)
    except ConfigError as error:
        raise click.UsageError(str(error)) from None
    for warning in warnings(system, job):
        click.echo(f"ribosome: warning: {warning}", err=True)
    if out is None:
        click.echo(script, nl=False)
        return
    out.write_text(script, encoding="utf-8")
    out.chmod(0o755)
