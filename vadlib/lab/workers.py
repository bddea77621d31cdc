"""Who does the work of a grid: processes of this machine, a scheduler's, or jobs of Slurm."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from vadlib.errors import VadError

PATIENCE = 15  # seconds in which a scheduler must answer
GPU = "GPU"  # the name of the slots that workers with a GPU offer


@contextmanager
def connect(
    address: str | None = None,
    workers: int | None = None,
    gpus: int | None = None,
    jobs: dict[str, Any] | None = None,
) -> Iterator[Any]:
    """A client of Dask with workers that each do one run at a time.

    address  a scheduler's, as `dask scheduler` prints it; None starts one on this machine
    workers  processes here; as many as there are cores when None, and none with `jobs`
    gpus     of this machine: a worker each, which sees that one only; those that are there if None
    jobs     what `submitted` is asked for, which then makes the workers
    Raises VadError where Dask is missing, or the scheduler does not answer.
    """
    _distributed()
    with ExitStack() as stack:
        if address is None:
            here = (0, 0) if jobs else (workers, gpus)
            address = stack.enter_context(local(*here, reachable=bool(jobs))).scheduler_address
        client = stack.enter_context(_client(str(address)))
        stack.enter_context(submitted(client, jobs))
        yield client


def _distributed() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise VadError("Dask is not installed", "pip install 'vadlib[cluster]'") from error
    return distributed


@contextmanager
def _client(address: str) -> Iterator[Any]:
    distributed = _distributed()
    try:
        client = distributed.Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise VadError(
            f"no scheduler answers at {address}",
            "Start one (`dask scheduler`), and give the address that it prints.",
        ) from error
    try:
        yield client
    finally:
        with suppress(TimeoutError, OSError):  # from a scheduler that is gone
            client.close(timeout=2)


@contextmanager
def local(workers: int | None, gpus: int | None = None, reachable: bool = False) -> Iterator[Any]:
    """A scheduler and workers on this machine.

    reachable  by other machines; otherwise by this one alone
    """
    _distributed()
    from distributed import Nanny, Scheduler, SpecCluster

    gpus = visible_gpus() if gpus is None else gpus
    # no limit of memory: it is the runs that need it, and they are processes of their own
    options: dict[str, Any] = {"nthreads": 1, "memory_limit": 0, "silence_logs": 50}
    slots = [{"env": {"CUDA_VISIBLE_DEVICES": str(i)}, "resources": {GPU: 1}} for i in range(gpus)]
    slots = slots or [{} for _ in range(cores() if workers is None else workers)]
    cluster = SpecCluster(
        {i: {"cls": Nanny, "options": options | slot} for i, slot in enumerate(slots)},
        {
            "cls": Scheduler,
            "options": {
                "host": None if reachable else "127.0.0.1",
                "port": 0,
                "dashboard": False,
                "dashboard_address": ":0",
            },
        },
        silence_logs=50,  # pyright: ignore[reportArgumentType]  # a level
    )
    with cluster:
        yield cluster


def cores() -> int:
    """Cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def visible_gpus() -> int:
    """GPUs of this machine that PyTorch can use."""
    import torch

    return torch.cuda.device_count()


@contextmanager
def submitted(client: Any, jobs: dict[str, Any] | None) -> Iterator[list[Any]]:
    """Workers as jobs of Slurm, through submitit, until the block ends; none where `jobs` is None.

    jobs  "count"; "folder" of their logs, shared with them; "gpu", whether each has one; "cluster",
          "slurm", or "local" for processes of this machine; further entries are submitit's, such as
          timeout_min=600 or slurm_partition="long"
    Raises VadError where submitit is missing or has no such cluster.
    """
    if jobs is None:
        yield []
        return
    try:
        import submitit
    except ImportError as error:
        raise VadError("submitit is not installed", "pip install 'vadlib[cluster]'") from error
    asked = dict(jobs)
    count, folder, gpu = asked.pop("count"), Path(asked.pop("folder")), asked.pop("gpu", False)
    try:
        executor = submitit.AutoExecutor(folder=folder, cluster=asked.pop("cluster", "slurm"))
    except RuntimeError as error:  # sbatch is not there
        raise VadError(f"Slurm is not to be had here ({error})", "Submit from a login node.") from (
            error
        )
    executor.update_parameters(name="vadlib-grid", gpus_per_node=int(gpu), **asked)
    made = [executor.submit(serve, client.scheduler.address, gpu) for _ in range(count)]
    try:
        yield made
    finally:
        for job in made:
            job.cancel()


def serve(address: str, gpu: bool = False) -> None:
    """What a job does: be a worker of the scheduler at `address` until that one goes away."""
    command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1"]
    slot = ["--resources", f"{GPU}=1"] if gpu else []
    limits = ["--memory-limit", "0", "--no-dashboard", "--death-timeout", "120"]
    subprocess.run([*command, *limits, *slot], check=True)
