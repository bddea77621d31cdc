"""One training loop for every method: progress, checkpoints, exact resume, any device."""

from __future__ import annotations

import copy
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

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from tqdm.auto import tqdm

from vadlib.data.clips import Clips
from vadlib.detector import History
from vadlib.errors import VadError, writing
from vadlib.lab.experiment import TrainConfig
from vadlib.lab.timing import bfloat16_is_faster

WARM_UP = 50  # steps in which a "wsd" run comes to its full rate
DECAY = 0.2  # share of a "wsd" run in which its rate falls
HELD = 256  # clips on which a held-out loss is measured, at most
Loss = Callable[[nn.Module, dict[str, Tensor]], dict[str, Tensor]]


def pick_device(device: str = "auto") -> str:
    """ "auto" is the GPU where there is one, else the CPU. Raises VadError for a missing device."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, colon, index = str(device).partition(":")
    if kind not in ("cpu", "cuda", "mps") or (colon and not index.isdecimal()):
        raise VadError(
            f"unknown device {device!r}", "Use 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'."
        )
    if kind == "cuda" and not torch.cuda.is_available():
        raise VadError("no CUDA device on this machine", "Use DEVICE=cpu or DEVICE=auto.")
    if kind == "cuda" and int(index or 0) >= (count := torch.cuda.device_count()):
        raise VadError(f"no {device} among {count} CUDA devices", "cuda:0 is the first.")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise VadError("no MPS device on this machine", "Use DEVICE=cpu or DEVICE=auto.")
    return device


def pick_precision(precision: str, device: str) -> str:
    """ "auto" is bfloat16 where this device computes faster in it, else float32.

    Raises VadError for another name.
    """
    if precision not in ("float32", "bfloat16", "auto"):
        raise VadError(f"unknown precision {precision!r}", "Use 'float32', 'bfloat16' or 'auto'.")
    if precision != "auto":
        return precision
    return (
        "bfloat16" if pick_device(device).startswith("cuda") or bfloat16_is_faster() else "float32"
    )


def make_fabric(device: str, precision: str = "float32") -> Fabric:
    """Fabric for one process, or for all that `torchrun` started; precision as `pick_precision`.

    device  "cuda:1" is the second GPU; with `torchrun` each process has its own, whatever it says
    """
    kind, _, index = device.partition(":")
    world = int(os.environ.get("WORLD_SIZE", "1"))
    own = kind == "cuda" and index and world == 1
    fabric = Fabric(
        accelerator=kind,
        devices=[int(index)] if own else int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
        num_nodes=world // int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
        strategy="ddp" if world > 1 else "auto",
        precision="bf16-mixed" if precision == "bfloat16" else "32-true",
    )
    fabric.launch()
    return fabric


def sane(config: TrainConfig) -> None:
    """Raises VadError naming a field of a config by which nothing can be trained."""
    ranges = {"epochs": (0, 1e6), "batch_size": (0, 1e6), "lr": (0, 1e3), "share": (0, 1)}
    for name, (low, high) in (ranges | {"seed": (-1, 2**63 - 1)}).items():
        value = getattr(config, name)
        if not low < value <= high:
            raise VadError(
                f"a training's {name} is {value}", f"Choose above {low}, and at most {high:g}."
            )


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
    optimiser has to be kept. With the schedule "wsd" the folder also keeps `trunk.ckpt`, the state
    before the rate went down: a run with a larger `share` goes on from there, and ends as if it had
    been trained from the first step. Raises VadError when the loss is not a number, when the
    folder holds a run with another configuration, and as `sane` does.
    """
    sane(config)
    precision = pick_precision(config.precision, device)
    fabric = make_fabric(device, precision)
    net.to(fabric.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(net.parameters(), lr=config.lr)
    model, optimizer = fabric.setup(net, optimizer)
    clips, kept_aside = held_out(clips, config.holdout)
    per_epoch = math.ceil(len(clips) / config.batch_size)
    total = max(1, round(config.epochs * config.share * per_epoch))
    run = fingerprint(net, clips, config)
    state = {"step": 0, "history": History(precision=precision), "run": run}
    checkpoint = Path(folder) / last_name(config) if folder is not None else None
    trunk = Path(folder) / "trunk.ckpt" if folder is not None and config.schedule == "wsd" else None
    if checkpoint and checkpoint.exists():
        resume(checkpoint, net, optimizer, state)
    elif trunk and trunk.exists():
        resume(trunk, net, optimizer, state)

    history: History = state["history"]
    history.precision = precision if precision == history.precision else "mixed"
    if config.holdout and not history.flops_per_sample:
        history.flops_per_sample = flops_per_sample(net, loss, clips, config, fabric)
    net.train()
    started = saved = time.monotonic()
    used, spent, worked = time.process_time(), history.seconds, history.cpu_seconds
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
        if trunk and step == stable(total):
            save(trunk, net, optimizer, state, fabric)
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
        history.cpu_seconds = worked + time.process_time() - used
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
    if kept_aside is not None:
        history.seen = mean_loss(net, clips, loss, config, len(kept_aside))
        history.held_out = mean_loss(net, kept_aside, loss, config, len(kept_aside))
    return history


def held_out(clips: Clips, videos: int) -> tuple[Clips, Clips | None]:
    """The clips to train on, and those of the last `videos` videos, on which nothing is trained.

    Raises VadError when no video would be left to train on.
    """
    if not videos:
        return clips, None
    first = len(clips.videos) - videos
    if first < 1:
        raise VadError(
            f"holdout={videos} of {len(clips.videos)} training videos leaves none to train on",
            "Hold out fewer.",
        )
    return clips.of(range(first)), clips.of(range(first, len(clips.videos)))


@torch.no_grad()
def mean_loss(
    net: nn.Module, clips: Clips, loss: Loss, config: TrainConfig, count: int
) -> dict[str, float]:
    """Each term of the loss, averaged over `count` clips spread evenly, as in a test: no dropout.

    What a loss draws at random is drawn alike each time, so that two states can be compared.
    """
    device = next(net.parameters()).device
    which = np.linspace(0, len(clips) - 1, min(count, len(clips), HELD)).round().astype(int)
    torch.manual_seed(seed_of(config.seed, -2))
    sums: dict[str, float] = {}
    for start in range(0, len(which), config.batch_size):
        part = which[start : start + config.batch_size]
        batch = {k: v.to(device) for k, v in clips[part].items()}
        for name, term in loss(net, batch).items():
            sums[name] = sums.get(name, 0.0) + float(term) * len(part) / len(which)
    return sums


def flops_per_sample(
    net: nn.Module, loss: Loss, clips: Clips, config: TrainConfig, fabric: Fabric
) -> float:
    """FLOPs of a training step, forward and backward, for one clip; counted on a copy."""
    other = copy.deepcopy(net).train()
    batch = fetch(clips, config, 0, math.ceil(len(clips) / config.batch_size), fabric)
    with FlopCounterMode(display=False) as counter:
        loss(other, batch)["total"].backward()
    return counter.get_total_flops() / len(batch["frames"])


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
    """The factor on the learning rate at a step, in [0, 1].

    "wsd" (warm-up, stable, decay) rises over the first `WARM_UP` steps, stays, and falls to zero
    over the last fifth. Until then it does not depend on `total`: from one long run short decays
    are branched off at any length (Hägele et al., 2024).
    """
    if schedule == "constant":
        return 1.0
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * step / total))
    if schedule == "wsd":
        down = (total - step) / (total - stable(total)) if step >= stable(total) else 1.0
        return min((step + 1) / WARM_UP, down, 1.0)
    raise VadError(f"unknown schedule {schedule!r}", "Use 'constant', 'cosine' or 'wsd'.")


def stable(total: int) -> int:
    """The step of a "wsd" run at which the rate begins to fall."""
    return min(total - 1, round(total * (1 - DECAY)))


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


def last_name(config: TrainConfig) -> str:
    """The file that an interrupted run goes on from; every share of a training has its own."""
    return "last.ckpt" if config.share == 1 else f"share-{config.share:g}.ckpt"


def fingerprint(net: nn.Module, clips: Clips, config: TrainConfig) -> str:
    """What must agree for a run to go on: shapes of the weights, the clips, the config."""
    shapes = {name: list(p.shape) for name, p in net.state_dict().items()}
    how = asdict(config) | ({"share": None} if config.schedule == "wsd" else {})
    what = json.dumps([shapes, [v.key for v in clips.videos], len(clips), how])
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
