"""One training loop for every method: progress, checkpoints, exact resume, any device."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from tqdm.auto import tqdm

from vadlib.data.clips import Clips
from vadlib.detector import History
from vadlib.errors import VadError, writing
from vadlib.lab.experiment import TrainConfig

Loss = Callable[[nn.Module, dict[str, Tensor]], dict[str, Tensor]]


def pick_device(device: str = "auto") -> str:
    """ "auto" is the GPU where there is one, else the CPU. Raises VadError for a missing device."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind = device.split(":")[0]
    if kind not in ("cpu", "cuda", "mps"):
        raise VadError(f"unknown device {device!r}", "Use 'auto', 'cpu', 'cuda' or 'mps'.")
    if kind == "cuda" and not torch.cuda.is_available():
        raise VadError("no CUDA device on this machine", "Use DEVICE=cpu or DEVICE=auto.")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise VadError("no MPS device on this machine", "Use DEVICE=cpu or DEVICE=auto.")
    return device


def make_fabric(device: str) -> Fabric:
    """Fabric for one process, or for all that `torchrun` started; bf16 on a GPU."""
    kind = device.split(":")[0]
    world = int(os.environ.get("WORLD_SIZE", "1"))
    fabric = Fabric(
        accelerator="cuda" if kind == "cuda" else kind,
        devices=int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
        num_nodes=world // int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
        strategy="ddp" if world > 1 else "auto",
        precision="bf16-mixed" if kind == "cuda" else "32-true",
    )
    fabric.launch()
    return fabric


def train(
    net: nn.Module,
    clips: Clips,
    loss: Loss,
    config: TrainConfig,
    *,
    device: str = "cpu",
    folder: Path | str | None = None,
    save_every: float = 60.0,
    stop_after: int | None = None,
    progress: bool = True,
) -> History:
    """Minimise `loss` over `clips` with Adam; the weights of `net` are changed in place.

    loss        (net, batch) -> terms, of which "total" is minimised; all are logged
    folder      where to keep `last.ckpt`; a run that was killed goes on from there, and ends with
                the weights that it would have had (bit for bit on a CPU)
    save_every  seconds between checkpoints
    stop_after  stop early after so many steps, as a kill would (for tests)

    Every step seeds its own randomness from (seed, step, process), so that nothing but weights and
    optimiser has to be kept. Raises VadError when the loss is not a number, or when the folder
    holds a run with another configuration.
    """
    fabric = make_fabric(device)
    net.to(fabric.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(net.parameters(), lr=config.lr)
    model, optimizer = fabric.setup(net, optimizer)
    per_epoch = math.ceil(len(clips) / config.batch_size)
    total = max(1, round(config.epochs * per_epoch))
    state = {"step": 0, "history": History(), "run": fingerprint(net, clips, config)}
    checkpoint = Path(folder) / "last.ckpt" if folder is not None else None
    if checkpoint and checkpoint.exists():
        resume(checkpoint, net, optimizer, state)

    history: History = state["history"]
    net.train()
    started = saved = time.monotonic()
    spent = history.seconds
    bar = tqdm(  # type: ignore[call-overload]
        total=total,
        initial=state["step"],
        desc="training",
        unit="step",
        leave=False,
        mininterval=0.5,
        **({} if progress and fabric.is_global_zero else {"disable": True}),  # type: ignore
    )
    while state["step"] < total:
        step = state["step"]
        for group in optimizer.param_groups:
            group["lr"] = config.lr * decay(step, total, config.schedule)
        torch.manual_seed(seed_of(config.seed, step, fabric.global_rank))
        batch = fetch(clips, config, step, per_epoch, fabric)
        terms = loss(model, batch)
        values = {name: float(term.detach()) for name, term in terms.items()}
        stop_if_nan(values, step, config)
        optimizer.zero_grad()
        fabric.backward(terms["total"])
        optimizer.step()
        state["step"] = step + 1
        log(history, step, values)
        history.samples += config.batch_size
        history.seconds = spent + time.monotonic() - started
        bar.update()
        bar.set_postfix({k: f"{v:.4f}" for k, v in values.items()}, refresh=False)
        if stop_after is not None and state["step"] >= stop_after:
            break
        if checkpoint and time.monotonic() - saved > save_every:
            save(checkpoint, net, optimizer, state, fabric)
            saved = time.monotonic()
    bar.close()
    if checkpoint:
        save(checkpoint, net, optimizer, state, fabric)
    net.eval()
    return history


def fetch(clips: Clips, config: TrainConfig, step: int, per_epoch: int, fabric: Fabric) -> dict:
    """This process's share of a step's batch; the order depends on seed and epoch alone."""
    epoch, within = divmod(step, per_epoch)
    order = torch.Generator().manual_seed(seed_of(config.seed, epoch, -1))
    chosen = torch.randperm(len(clips), generator=order)
    chosen = chosen[within * config.batch_size : (within + 1) * config.batch_size]
    if len(chosen) < fabric.world_size:  # every process needs a clip, or the others wait for ever
        chosen = chosen.repeat(fabric.world_size)
    share = chosen[fabric.global_rank :: fabric.world_size]
    return {k: v.to(fabric.device) for k, v in clips[share.numpy()].items()}


def seed_of(*parts: int) -> int:
    """One 63-bit seed from several numbers, alike on every machine."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()) >> 1


def decay(step: int, total: int, schedule: str) -> float:
    """The factor on the learning rate at a step, in [0, 1]."""
    if schedule == "constant":
        return 1.0
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * step / total))
    raise VadError(f"unknown schedule {schedule!r}", "Use 'constant' or 'cosine'.")


def stop_if_nan(values: dict[str, float], step: int, config: TrainConfig) -> None:
    """Raises VadError naming the terms of the loss that are no longer finite."""
    bad = [name for name, value in values.items() if not math.isfinite(value)]
    if bad:
        raise VadError(
            f"training diverged at step {step}: {', '.join(bad)} is {values[bad[0]]}",
            f"Lower the learning rate (now {config.lr}), and check the input for NaN.",
        )


def log(history: History, step: int, values: dict[str, float]) -> None:
    """Append the terms of the loss at a step."""
    history.steps.append(step)
    for name, value in values.items():
        history.terms.setdefault(name, []).append(value)


# ---------------------------------------------------------------------------------- checkpoints


def fingerprint(net: nn.Module, clips: Clips, config: TrainConfig) -> str:
    """What must agree for a run to go on: shapes of the weights, the clips, the config."""
    shapes = {name: list(p.shape) for name, p in net.state_dict().items()}
    what = json.dumps([shapes, [v.key for v in clips.videos], len(clips), asdict(config)])
    return hashlib.blake2b(what.encode(), digest_size=8).hexdigest()


def write(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint whole or not at all. Raises VadError where the disk does not take it."""
    packed = io.BytesIO()
    torch.save(content, packed)  # to a disk without room it would raise what says nothing
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with writing(path, "Choose a file in a folder that you may write to."):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(packed.getbuffer())
            os.replace(part, path)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)


def read(path: Path | str) -> dict[str, Any]:
    """Read a checkpoint. Raises VadError naming the file when it is missing or damaged.

    Not a flipped bit goes unnoticed: the file is a zip, whose checksums torch writes and never
    reads.
    """
    path = Path(path)
    if not path.exists():
        raise VadError(f"{path} is missing", "Train it, or fetch the file from the repository.")
    try:
        with zipfile.ZipFile(path) as file:
            damaged = file.testzip()
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zipfile and torch raise half a dozen kinds for a damaged file
        raise VadError(f"{path} is not a readable checkpoint", "Delete it and train again.") from (
            error
        )
    if damaged or not isinstance(content, dict):
        what = f"damaged: {damaged} is not what was written" if damaged else "not a checkpoint"
        raise VadError(f"{path} is {what}", "Delete it and train again.")
    return content


def save(path: Path, net: nn.Module, optimizer: Any, state: dict, fabric: Fabric) -> None:
    """Write all that an interrupted training needs to go on; only one process writes."""
    if fabric.is_global_zero:
        history = asdict(state["history"])
        content = {"net": net.state_dict(), "optimizer": optimizer.state_dict()}
        write(path, {**content, "step": state["step"], "run": state["run"], "history": history})
    fabric.barrier()


def resume(path: Path, net: nn.Module, optimizer: Any, state: dict) -> None:
    """Go on where `path` stopped. Raises VadError when it belongs to another run."""
    content = read(path)
    if content.get("run") != state["run"]:
        raise VadError(
            f"{path} belongs to a run with another architecture, data or configuration",
            "Delete it, or train in another folder.",
        )
    net.load_state_dict(content["net"])
    optimizer.load_state_dict(content["optimizer"])
    state["step"], state["history"] = content["step"], History(**content["history"])
