"""Counts that are published, and closed formulas: what the tracer must give to the last digit."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

import pytest
import torch
from torch import nn

from sevenfold.counting import trace
from sevenfold.models import MODELS


def gpt_forward_flops(
    layers: int, width: int, vocabulary: int, batch: int, time_: int, *, causal: bool = False
) -> int:
    """2 FLOPs a MAC: 12 width^2 a token and layer, two attention products, and the head."""
    pairs = time_ * (time_ + 1) // 2 if causal else time_ * time_
    matrices = batch * time_ * (12 * layers * width**2 + width * vocabulary)
    return 2 * (matrices + batch * layers * 2 * pairs * width)


@pytest.mark.parametrize(("batch", "time_"), [(1, 1), (3, 17), (1, 64)])
@pytest.mark.parametrize("causal", [False, True])
def test_gpt_formula(batch: int, time_: int, causal: bool) -> None:
    entry = MODELS["gpt2-nano"]
    settings = {"layers": 3, "width": 48, "heads": 4, "vocabulary": 71}
    module = entry.build_meta(settings)
    graph = trace(module, entry.example(settings, batch=batch, seq=time_), causal=causal)
    expected = gpt_forward_flops(3, 48, 71, batch, time_, causal=causal)
    assert graph.flops == expected
    assert graph.flops_backward == 2 * expected


def test_gpt2() -> None:
    """124M at batch 1, sequence 1024: 2.916483e11 FLOPs forward, 124,439,808 parameters."""
    entry = MODELS["gpt2"]
    graph = trace(entry.build_meta(), entry.example(batch=1, seq=1024))
    assert graph.flops == gpt_forward_flops(12, 768, 50_257, 1, 1024) == 291_648_307_200
    assert graph.params == 124_439_808
    assert sum(op.params for op in graph.operators) == graph.params  # the tied head counts once


def test_gpt3_in_seconds() -> None:
    """175B at batch 1, sequence 2048: 7.348043e14 forward, 2.204413e15 in all; the limit is 15 s with imports."""
    entry = MODELS["gpt3-175b"]
    start = time.process_time()
    graph = trace(entry.build_meta(), entry.example(batch=1, seq=2048))
    seconds = time.process_time() - start
    assert f"{graph.flops:.6e}" == "7.348043e+14"
    assert f"{graph.flops + graph.flops_backward:.6e}" == "2.204413e+15"
    assert graph.flops == gpt_forward_flops(96, 12_288, 50_257, 1, 2048)
    assert graph.params == 174_604_259_328
    assert seconds < 12  # 2 to 4 on the machine of 2 cores that this was written on


class Bottleneck(nn.Module):
    """ResNet v1.5: the stride is in the 3x3 convolution."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, 4 * width, 1, bias=False),
            nn.BatchNorm2d(4 * width),
        )
        self.skip: nn.Module = nn.Identity()
        if stride != 1 or channels != 4 * width:
            convolution = nn.Conv2d(channels, 4 * width, 1, stride=stride, bias=False)
            self.skip = nn.Sequential(convolution, nn.BatchNorm2d(4 * width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.skip(x))


def resnet50() -> nn.Module:
    stem = [nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
    blocks: list[nn.Module] = []
    channels = 64
    for stage, (width, depth) in enumerate([(64, 3), (128, 4), (256, 6), (512, 3)]):
        for place in range(depth):
            blocks.append(Bottleneck(channels, width, 2 if stage and not place else 1))
            channels = 4 * width
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000)]
    return nn.Sequential(*stem, nn.MaxPool2d(3, stride=2, padding=1), *blocks, *head)


def test_resnet50() -> None:
    """8.178369e9 FLOPs at 224 x 224 and 25,557,032 parameters (torchvision's resnet50 has both)."""
    with torch.device("meta"):
        module, image = resnet50(), torch.empty(1, 3, 224, 224)
    graph = trace(module, (image,))
    assert f"{graph.flops:.6e}" == "8.178369e+09"
    assert graph.params == 25_557_032
    first = graph.operators[0]
    assert first.kind == "conv"
    expected = {"N": 1, "K": 64, "C": 3, "P": 112, "Q": 112, "R": 7, "S": 7, "stride_h": 2, "stride_w": 2}
    expected |= {"dilation_h": 1, "dilation_w": 1, "groups": 1, "transposed": 0, "products": 1}
    assert first.bounds == expected
    # The image wants no gradient, so the first layer's backward is one product and not two.
    assert graph.flops_backward == 2 * graph.flops - first.flops


def test_alexnet() -> None:
    """0.714 G MACs and 61,100,840 parameters: torchvision's AlexNet ("One weird trick")."""
    layers: list[nn.Module] = []
    for channels, filters, kernel, stride, padding, pool in [
        (3, 64, 11, 4, 2, True),
        (64, 192, 5, 1, 2, True),
        (192, 384, 3, 1, 1, False),
        (384, 256, 3, 1, 1, False),
        (256, 256, 3, 1, 1, True),
    ]:
        layers += [nn.Conv2d(channels, filters, kernel, stride, padding), nn.ReLU()]
        layers += [nn.MaxPool2d(3, 2)] if pool else []
    layers += [nn.Flatten(), nn.Linear(9216, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU()]
    graph = trace(nn.Sequential(*layers, nn.Linear(4096, 1000)).to("meta"), (torch.empty(1, 3, 224, 224),))
    assert f"{graph.macs / 1e9:.3f}" == "0.714"
    assert graph.params == 61_100_840


def test_bert_base_encoder() -> None:
    """9.663794e10 FLOPs at sequence 512: twelve encoder layers of BERT-base."""
    with torch.device("meta"):
        layer = nn.TransformerEncoderLayer(768, 12, 3072, activation="gelu", batch_first=True)
        module = nn.TransformerEncoder(layer, 12, enable_nested_tensor=False)
        hidden = torch.empty(1, 512, 768)
    graph = trace(module, (hidden,))
    assert f"{graph.flops:.6e}" == "9.663676e+10"
    # The published figure has BERT's pooler too, one more 768 x 768 product on the first token.
    pooler = 2 * 768 * 768
    assert f"{graph.flops + pooler:.6e}" == "9.663794e+10"
    assert sum(op.flops for op in graph.select("forward", "attention")) == 2 * 12 * 2 * 512 * 512 * 768


@pytest.mark.slow
def test_gpt3_from_the_command_line_in_15_s_and_2_gb() -> None:
    """The whole command, imports included, on a machine that is not busy."""
    command = [sys.executable, "-m", "sevenfold", "count", "gpt3-175b", "--batch", "1", "--seq", "2048", "--json"]
    start = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    assert json.loads(done.stdout)["params"] == 174_604_259_328
    assert seconds < 15
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 < 2e9
