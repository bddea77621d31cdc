"""The training loop: it repeats, it resumes, it stops early on nonsense, it runs in parallel."""

import errno
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from vadlib.__main__ import main, parser, settled
from vadlib.data.base import Video
from vadlib.data.clips import Clips
from vadlib.errors import VadError
from vadlib.lab import gpu
from vadlib.lab import train as training
from vadlib.lab.experiment import TrainConfig
from vadlib.lab.train import train

CONFIG = TrainConfig(epochs=2, batch_size=4, lr=1e-2, schedule="cosine")


def videos(seed=0):
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 255, (13, 8, 8, 1), dtype=np.uint8)
    return [Video("a", frames, key=f"train-{seed}")]


def net(width=4):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.Dropout(0.3),
        nn.Conv2d(width, 1, 1),
    )


def loss(model, batch):
    x = batch["frames"][:, 0].float() / 255
    return {"total": (model(x) - x).square().mean(), "size": x.new_tensor(float(len(x)))}


def run(model, config=CONFIG, **options):
    return train(model, Clips(videos()), loss, config, progress=False, **options)


def weights(model):
    return torch.cat([v.double().flatten() for v in model.state_dict().values()])


def test_the_same_seed_gives_the_same_weights_and_another_does_not():
    one, two, three = net(), net(), net()
    run(one)
    run(two)
    run(three, TrainConfig(epochs=2, batch_size=4, lr=1e-2, schedule="cosine", seed=1))
    assert torch.equal(weights(one), weights(two))
    assert not torch.equal(weights(one), weights(three))


@pytest.mark.parametrize("stop", [1, 3, 4, 7])
def test_a_run_that_was_stopped_ends_with_the_weights_of_one_that_was_not(tmp_path, stop):
    whole, parts = net(), net()
    reference = run(whole)
    run(parts, folder=tmp_path, stop_after=stop)
    again = net()  # a new process knows nothing but the folder
    history = run(again, folder=tmp_path)
    assert torch.equal(weights(again), weights(whole))
    assert history.steps == reference.steps and history.terms == reference.terms


def test_a_killed_process_resumes_exactly(tmp_path):
    """SIGKILL after the fifth step; the checkpoint on disk is the fourth step's."""
    script = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_train as t
seen = 0
def loss(model, batch):
    global seen
    seen += 1
    if seen == 6:
        os.kill(os.getpid(), signal.SIGKILL)
    return t.loss(model, batch)
t.train(t.net(), t.Clips(t.videos()), loss, t.CONFIG,
        progress=False, folder={str(tmp_path)!r}, save_every=0)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True)
    assert done.returncode == -9, done.stderr.decode()
    step = torch.load(tmp_path / "last.ckpt", weights_only=True)["step"]
    assert 0 < step < 8
    whole, resumed = net(), net()
    run(whole)
    run(resumed, folder=tmp_path)
    assert torch.equal(weights(resumed), weights(whole))


def test_history_counts_steps_samples_and_terms():
    history = run(net())
    assert history.steps == list(range(8)) and history.samples == 8 * 4
    assert len(history.terms["total"]) == 8 and history.terms["size"][3] == 1  # 13 = 4+4+4+1
    assert history.seconds > 0 and history.samples_per_second > 0


def test_every_clip_is_seen_once_an_epoch():
    seen = []

    def spy(model, batch):
        seen.extend(batch["index"].tolist())
        return loss(model, batch)

    train(net(), Clips(videos()), spy, CONFIG, progress=False)
    assert sorted(seen[:13]) == list(range(13)) and sorted(seen[13:]) == list(range(13))
    assert seen[:13] != seen[13:]


def test_the_learning_rate_follows_its_schedule():
    assert training.decay(0, 10, "cosine") == 1 and training.decay(10, 10, "cosine") < 1e-12
    assert training.decay(7, 10, "constant") == 1
    with pytest.raises(VadError, match="schedule"):
        training.decay(0, 10, "linear")


def test_each_step_has_the_rate_of_its_schedule(monkeypatch):
    asked, still = [], net()
    monkeypatch.setattr(training, "decay", lambda *what: asked.append(what) or 0.0)
    before = [p.clone() for p in still.parameters()]
    run(still)
    assert asked == [(step, 8, "cosine") for step in range(8)]
    assert all(torch.equal(a, b) for a, b in zip(before, still.parameters(), strict=True))


def test_a_network_trains_in_training_mode_and_comes_out_of_it():
    modes, trained = [], net().eval()

    def spy(model, batch):
        modes.append({part.training for part in trained.modules()})  # not of what wraps it
        return loss(model, batch)

    train(trained, Clips(videos()), spy, CONFIG, progress=False)
    assert modes == [{True}] * 8 and not any(part.training for part in trained.modules())


def test_half_a_pass_is_half_as_many_steps_and_one_at_least():
    assert run(net(), TrainConfig(epochs=0.5, batch_size=4, lr=1e-2)).steps == [0, 1]
    assert run(net(), TrainConfig(epochs=0.01, batch_size=4, lr=1e-2)).steps == [0]


def test_the_order_of_clips_is_the_same_on_every_machine():
    assert training.seed_of(0, 0, -1) == 6097494872759796696
    assert training.seed_of(0, 1, -1) != training.seed_of(0, 0, -1) != training.seed_of(1, 0, -1)


def test_checkpoints_are_written_on_the_way(tmp_path):
    """A run that dies in its sixth step has five behind it, and their seconds."""

    def mortal(model, batch):
        terms = loss(model, batch)
        if mortal.calls == 5:
            raise KeyboardInterrupt
        mortal.calls += 1
        return terms

    mortal.calls = 0
    with pytest.raises(KeyboardInterrupt):
        train(net(), Clips(videos()), mortal, CONFIG, progress=False, folder=tmp_path, save_every=0)
    kept = training.read(tmp_path / "last.ckpt")
    assert kept["step"] == 5 and kept["history"]["steps"] == [0, 1, 2, 3, 4]
    kept["history"] |= {"seconds": 1000.0, "cpu_seconds": 2000.0}
    training.write(tmp_path / "last.ckpt", kept)
    whole, again = net(), net()
    run(whole)
    history = run(again, folder=tmp_path)
    assert torch.equal(weights(again), weights(whole))
    assert 1000 < history.seconds < 1900 and 2000 < history.cpu_seconds < 2900
    assert history.samples == 8 * 4


def test_checkpoints_are_not_written_before_their_time(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(training, "save", lambda *what: written.append(what[3]["step"]))
    run(net(), folder=tmp_path)
    assert written == [8]


def test_training_stops_at_the_first_nan_and_names_the_term():
    def broken(model, batch):
        terms = loss(model, batch)
        return {**terms, "extra": terms["total"].new_tensor(float("nan"))}

    with pytest.raises(VadError, match="diverged at step 0: extra is nan"):
        train(net(), Clips(videos()), broken, CONFIG, progress=False)


def test_another_architecture_does_not_resume(tmp_path):
    run(net(), folder=tmp_path, stop_after=2)
    with pytest.raises(VadError, match="another architecture"):
        run(net(width=5), folder=tmp_path)
    with pytest.raises(VadError, match="another architecture"):
        train(net(), Clips(videos(1)), loss, CONFIG, progress=False, folder=tmp_path)
    with pytest.raises(VadError, match="another architecture"):
        run(net(), TrainConfig(epochs=2, batch_size=4, lr=2e-2, schedule="cosine"), folder=tmp_path)
    with pytest.raises(VadError, match="is missing"):
        training.read(tmp_path / "other.ckpt")


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint", None])
def test_a_damaged_checkpoint_is_named(tmp_path, damage):
    run(net(), folder=tmp_path, stop_after=2)
    path = tmp_path / "last.ckpt"
    path.write_bytes(path.read_bytes()[:200] if damage is None else damage)
    with pytest.raises(VadError, match="last.ckpt is not a readable checkpoint"):
        run(net(), folder=tmp_path)


def test_a_checkpoint_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "new" / "folder" / "x.pt"
    training.write(path, {"a": 1})
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(Path, "write_bytes", lambda *a: (_ for _ in ()).throw(full))
    with pytest.raises(VadError, match="no disk space left for .*x.pt"):
        training.write(path, {"a": 2})
    assert training.read(path) == {"a": 1} and os.listdir(path.parent) == ["x.pt"]


def test_unknown_and_missing_devices_are_refused():
    with pytest.raises(VadError, match="unknown device"):
        training.pick_device("tpu")
    assert training.pick_device("auto") in ("cpu", "cuda")
    if not torch.cuda.is_available():
        with pytest.raises(VadError, match="no CUDA"):
            training.pick_device("cuda:0")


@pytest.mark.parametrize("world", [1, 2, 3])
def test_processes_share_a_batch_without_seeing_a_clip_twice(world):
    """13 clips in batches of 4: the last is one clip, and nobody goes without."""
    clips = Clips(videos())

    def numbers(step, rank, world):
        fabric = SimpleNamespace(world_size=world, global_rank=rank, device="cpu")
        frames = training.fetch(clips, CONFIG, step, 4, fabric)["frames"]
        return frames.double().flatten(1).sum(1).tolist()

    for step in range(3):
        seen = [number for rank in range(world) for number in numbers(step, rank, world)]
        assert sorted(seen) == sorted(numbers(step, 0, 1)) and len(seen) == 4
    assert [len(numbers(3, rank, world)) for rank in range(world)] == [1] * world


def test_two_processes_train_and_end_with_equal_weights(tmp_path):
    """torchrun with gloo on the CPU; both processes see different clips and agree on weights."""
    script = tmp_path / "parallel.py"
    script.write_text(f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import torch, test_train as t
seen = []
def loss(model, batch):
    seen.extend(batch["index"].tolist())
    return t.loss(model, batch)
model = t.net()
before = t.weights(model)
t.train(model, t.Clips(t.videos()), loss, t.CONFIG, progress=False)
out = {{n: p.detach() for n, p in model.named_parameters()}}
moved = bool((before != t.weights(model)).any())
torch.save((out, seen, moved), {str(tmp_path)!r} + f"/{{os.environ['RANK']}}.pt")
""")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run([*command, str(script)], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    (one, seen_one, moved), (two, seen_two, _) = (
        torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1)
    )
    assert moved and one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert seen_one != seen_two
    assert set(seen_one) | set(seen_two) == set(range(13))


# --------------------------------------------------------- one long run, tested on the way

LONG = TrainConfig(epochs=5, batch_size=4, lr=1e-2, schedule="wsd")


def test_the_rate_warms_up_stays_and_falls_to_zero_in_the_last_fifth():
    rates = [training.decay(step, 1000, "wsd") for step in range(1000)]
    assert rates[0] == pytest.approx(1 / training.WARM_UP) and rates[training.WARM_UP] == 1
    assert all(r == 1 for r in rates[training.WARM_UP : 801]) and rates[900] == pytest.approx(0.5)
    assert rates[999] == pytest.approx(1 / 200)


def test_a_longer_share_goes_on_from_the_trunk_and_ends_as_if_trained_from_the_start(tmp_path):
    steps, whole, branch = [], net(), net()

    def counted(model, batch):
        steps.append(len(batch["frames"]))
        return loss(model, batch)

    clips = Clips(videos())
    reference = train(whole, clips, loss, LONG, progress=False)
    half = train(net(), clips, loss, replace(LONG, share=0.5), progress=False, folder=tmp_path)
    other = train(net(), clips, loss, replace(LONG, share=0.5), progress=False)
    assert half.terms == other.terms
    done = training.stable(len(half.steps))  # of the trunk: the decay is a branch of its own
    history = train(branch, clips, counted, LONG, progress=False, folder=tmp_path)
    assert len(steps) == len(reference.steps) - done < len(reference.steps)
    assert torch.equal(weights(branch), weights(whole)) and history.terms == reference.terms
    assert history.samples == reference.samples


def test_a_share_that_was_killed_in_its_decay_goes_on_there(tmp_path):
    whole, again = net(), net()
    train(whole, Clips(videos()), loss, LONG, progress=False)
    train(net(), Clips(videos()), loss, LONG, progress=False, folder=tmp_path, stop_after=17)
    assert training.stable(20) == 16
    train(again, Clips(videos()), loss, LONG, progress=False, folder=tmp_path)
    assert torch.equal(weights(again), weights(whole))


def test_nothing_is_trained_on_videos_held_out_and_their_loss_is_that_of_the_network(tmp_path):
    both = [*videos(0), *videos(1)]
    alone, aside = net(), net()
    config = replace(LONG, epochs=2)
    train(alone, Clips(both[:1]), loss, config, progress=False)
    history = train(
        aside, Clips(both), loss, replace(config, holdout=1), progress=False, folder=tmp_path
    )
    assert torch.equal(weights(alone), weights(aside))
    for video, said in zip(both, (history.seen, history.held_out), strict=True):
        x = torch.from_numpy(video.frames).permute(0, 3, 1, 2).float() / 255
        with torch.no_grad():
            assert said["total"] == pytest.approx(float((aside(x) - x).square().mean()), rel=1e-5)
    with pytest.raises(VadError, match="Hold out fewer"):
        train(net(), Clips(both), loss, replace(config, holdout=2), progress=False)


def test_flops_of_a_step_are_those_of_its_convolutions(tmp_path):
    config = replace(LONG, epochs=1, holdout=1)
    history = train(
        net(), Clips([*videos(0), *videos(1)]), loss, config, progress=False, folder=tmp_path
    )
    first, last = 2 * 8 * 8 * 4 * 9, 2 * 8 * 8 * 4  # one forward pass of each convolution, a clip
    # backward: twice the forward pass, but nobody asks for the gradient of the frame
    assert history.flops_per_sample == first * 2 + last * 3
    assert history.flops == history.flops_per_sample * history.samples > 0


def test_bfloat16_computes_in_bfloat16_and_says_so():
    seen = []

    def looks(model, batch):
        model.module[0].register_forward_hook(lambda m, i, o: seen.append(o.dtype))
        return loss(model, batch)

    history = train(
        net(), Clips(videos()), looks, replace(LONG, epochs=0.3, precision="bfloat16"),
        progress=False,
    )  # fmt: skip
    assert history.precision == "bfloat16" and set(seen) == {torch.bfloat16}
    assert run(net()).precision == "float32"


def test_auto_takes_what_is_faster_here(monkeypatch):
    monkeypatch.setattr(training, "bfloat16_is_faster", lambda: True)
    assert training.pick_precision("auto", "cpu") == "bfloat16"
    monkeypatch.setattr(training, "bfloat16_is_faster", lambda: False)
    assert training.pick_precision("auto", "cpu") == "float32"
    with pytest.raises(VadError, match="'auto'"):
        training.pick_precision("float16", "cpu")


def test_the_second_gpu_is_the_only_one_from_then_on(monkeypatch):
    """None is here; what counts is what PyTorch is told before it looks."""
    monkeypatch.setenv(gpu.SEEN, "so that it is put back")
    monkeypatch.delenv(gpu.SEEN)
    assert [gpu.only(device) for device in ("cpu", "cuda", "auto")] == ["cpu", "cuda", "auto"]
    assert gpu.SEEN not in os.environ
    assert gpu.only("cuda:1") == "cuda" and os.environ[gpu.SEEN] == "1"
    monkeypatch.setenv(gpu.SEEN, "4,6")
    assert gpu.only("cuda:1") == "cuda" and os.environ[gpu.SEEN] == "6"
    with pytest.raises(VadError, match="no cuda:1 among the GPUs that CUDA_VISIBLE_DEVICES=6"):
        gpu.only("cuda:1")
    assert main(["reproduce", "maam-ped2-standard", "--device", "cuda:2"]) == 2
    monkeypatch.setenv(gpu.SEEN, "4,6")
    options = parser().parse_args(["reproduce", "x", "--device", "cuda:0"])
    settled(options)
    assert options.device == "cuda" and os.environ[gpu.SEEN] == "4"


def test_processes_are_shared_out_over_machines(monkeypatch):
    asked = {}

    class Noted:
        def __init__(self, **how):
            asked.update(how)

        def launch(self):
            asked["launched"] = True

    monkeypatch.setattr(training, "Fabric", Noted)
    for world, local in ((1, 1), (2, 2), (6, 2), (8, 4)):
        monkeypatch.setenv("WORLD_SIZE", str(world))
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(local))
        training.make_fabric("cpu")
        assert asked["devices"] == local and asked["num_nodes"] * local == world
        assert asked["strategy"] == ("ddp" if world > 1 else "auto") and asked.pop("launched")
