"""Timing: who is called how often, in which order, and what is counted."""

import pytest
import torch

from vadlib.lab import timing


def test_models_take_turns_after_their_warm_up():
    calls = []
    models = {name: lambda x, name=name: calls.append(name) for name in ("a", "b")}
    speeds = timing.throughput(models, torch.zeros(4, 2), rounds=3, warmup=2)
    assert calls == ["a", "b"] * 5
    assert {name: len(v) for name, v in speeds.items()} == {"a": 3, "b": 3}


def test_frames_of_a_batch_over_the_seconds_of_one_call(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock[0])

    def takes(seconds):
        def model(x):
            clock[0] += seconds

        return model

    models = {"slow": takes(0.5), "fast": takes(0.125)}
    speeds = timing.throughput(models, torch.zeros(8, 1), rounds=2, warmup=1)
    assert speeds["slow"] == pytest.approx([16, 16]) and speeds["fast"] == pytest.approx([64, 64])


def test_no_gradient_is_kept():
    weight, seen = torch.ones(2, requires_grad=True), []
    timing.throughput(
        {"a": lambda x: seen.append((weight * x).requires_grad)}, torch.zeros(2), 1, 0
    )
    assert seen == [False]


def test_the_faster_precision_is_the_one_with_the_higher_peak(monkeypatch):
    peaks = {"float32": 100.0, "bfloat16": 119.0}
    monkeypatch.setattr(timing, "convolution_peak", peaks.get)
    assert not timing.bfloat16_is_faster()
    peaks["bfloat16"] = 121.0
    assert timing.bfloat16_is_faster()


def test_the_peak_is_work_over_cpu_time_and_leaves_the_threads_alone(monkeypatch):
    clock, threads = [0.0], torch.get_num_threads()

    def tick():
        clock[0] += 0.5
        return clock[0]

    monkeypatch.setattr(timing.time, "process_time", tick)
    timing.convolution_peak.cache_clear()
    flops = 2 * 9 * 8 * 8 * 48 * 64  # a multiplication and an addition for each weight and place
    assert timing.convolution_peak("float32", channels=8, rounds=1) == 4 * flops / 0.5
    timing.convolution_peak.cache_clear()
    assert torch.get_num_threads() == threads
