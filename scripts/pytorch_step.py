"""Times the training step of the paper's dense mixture in plain, vectorised eager PyTorch on the CPU.

The same networks, loss, optimiser and batch as `moe-dist train --combine expectation` (README.md names the paper): a
softmax gate and E experts, mixture cross-entropy, Adam. Written as a PyTorch user would write it: modules, a stack over
experts, fused Adam, batches gathered from float32 tensors in memory. Prints one JSON object.
"""

import argparse
import gzip
import json
import pathlib
import statistics
import struct
import time

import torch
from torch import nn
from torch.nn import functional as F

NORMALISATION = {
    "mnist": (0.1307, 0.3081),
    "fashion-mnist": (0.2859, 0.3530),
    "cifar": (0.4744, 0.2003),
    "cifar-small": (0.4744, 0.2003),
}


class Expert(nn.Module):
    """conv 3×3 1→1, ReLU, max pool, 169→H1→32→classes."""

    def __init__(self, hidden: int, classes: int = 10):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3)
        self.fc1 = nn.Linear(169, hidden)
        self.fc2 = nn.Linear(hidden, 32)
        self.out = nn.Linear(32, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(F.relu(self.conv(x)), 2).flatten(1)
        return self.out(F.relu(self.fc2(F.relu(self.fc1(x)))))


class Gate(nn.Module):
    """conv 3×3 1→channels, BatchNorm where the paper has it, ReLU, max pool, two hidden layers, one logit per expert."""

    def __init__(self, channels: int, hidden: int, normalise: bool, experts: int):
        super().__init__()
        self.conv = nn.Conv2d(1, channels, 3)
        self.norm = nn.BatchNorm2d(channels) if normalise else nn.Identity()
        self.fc1 = nn.Linear(169 * channels, hidden)
        self.fc2 = nn.Linear(hidden, 32)
        self.out = nn.Linear(32, experts)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(F.relu(self.norm(self.conv(x))), 2).flatten(1)
        return self.out(F.relu(self.fc2(F.relu(self.fc1(x)))))


class Cifar(nn.Module):
    """Four padded convolutions, each with ReLU and max pool, the second and the fourth with BatchNorm; two hidden layers."""

    def __init__(self, filters: tuple[int, ...], hidden: tuple[int, int], outputs: int):
        super().__init__()
        layers: list[nn.Module] = []
        for index, (below, width) in enumerate(zip((3,) + filters, filters)):
            normalise = index % 2 == 1
            layers.append(nn.Conv2d(below, width, 3, padding=1, bias=not normalise))
            layers += [nn.BatchNorm2d(width)] if normalise else []
            layers += [nn.ReLU(), nn.MaxPool2d(2)]
        self.convolutions = nn.Sequential(*layers)
        self.fc1 = nn.Linear(4 * filters[-1], hidden[0])
        self.fc2 = nn.Linear(hidden[0], hidden[1])
        self.out = nn.Linear(hidden[1], outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.convolutions(x).flatten(1)
        return self.out(F.relu(self.fc2(F.relu(self.fc1(x)))))


def networks(model: str, experts: int) -> tuple[nn.Module, list[nn.Module]]:
    """The gate and the experts of a named model."""
    filters = (64, 128, 256, 512)
    if model == "cifar":
        gate = Cifar(filters, (1024, 256), experts)
        return gate, [Cifar((16, 32, 64, 128), (1024, 256), 100) for _ in range(experts)]
    if model == "cifar-small":
        gate = Cifar(filters, (512, 64), experts)
        return gate, [Cifar((8, 16, 32, 64), (128, 64), 100) for _ in range(experts)]
    fashion = model == "fashion-mnist"
    gate = Gate(8, 512, True, experts) if fashion else Gate(1, 128, False, experts)
    return gate, [Expert(64 if fashion else 5) for _ in range(experts)]


class Mixture(nn.Module):
    """ln m(x) of the label: logsumexp over experts of ln p + ln y."""

    def __init__(self, model: str, experts: int):
        super().__init__()
        self.gate, several = networks(model, experts)
        self.experts = nn.ModuleList(several)

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        log_p = F.log_softmax(self.gate(x), dim=1)  # (B, E)
        logits = torch.stack([expert(x) for expert in self.experts], dim=1)  # (B, E, C)
        log_y = F.log_softmax(logits, dim=2)
        log_y_label = log_y.gather(2, labels[:, None, None].expand(-1, log_y.shape[1], 1)).squeeze(2)
        return -torch.logsumexp(log_p + log_y_label, dim=1).mean()


def read_idx(directory: pathlib.Path, name: str) -> torch.Tensor:
    """The bytes of an IDX file, plain or gzip, in its own shape."""
    plain = directory / name
    data = plain.read_bytes() if plain.exists() else gzip.decompress((directory / f"{name}.gz").read_bytes())
    dimensions = data[3]
    shape = struct.unpack(f">{dimensions}I", data[4 : 4 + 4 * dimensions])
    return torch.frombuffer(bytearray(data[4 + 4 * dimensions :]), dtype=torch.uint8).reshape(shape)


def images_and_labels(directory: str | None, model: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The training set as normalised float32 (N, 1, 28, 28), or noise of that size where there is no directory.

    CIFAR's networks get noise (N, 3, 32, 32) with 100 classes.
    """
    if model.startswith("cifar"):
        generator = torch.Generator().manual_seed(0)
        pixels = torch.randint(0, 256, (10_000, 3, 32, 32), generator=generator, dtype=torch.uint8)
        labels = torch.randint(0, 100, (10_000,), generator=generator)
    elif directory is None:
        generator = torch.Generator().manual_seed(0)
        pixels = torch.randint(0, 256, (60_000, 28, 28), generator=generator, dtype=torch.uint8)
        labels = torch.randint(0, 10, (60_000,), generator=generator)
    else:
        pixels = read_idx(pathlib.Path(directory), "train-images-idx3-ubyte")
        labels = read_idx(pathlib.Path(directory), "train-labels-idx1-ubyte").long()
    mean, deviation = NORMALISATION[model]
    images = (pixels.float() / 255 - mean) / deviation
    return images if images.dim() == 4 else images.unsqueeze(1), labels


def quantile(values: list[float], share: float) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[round(100 * share) - 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=NORMALISATION, default="fashion-mnist")
    parser.add_argument("--experts", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--warm-up", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--data-dir", help="directory of the IDX files; random bytes without it")
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    images, labels = images_and_labels(arguments.data_dir, arguments.model)
    model = Mixture(arguments.model, arguments.experts)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    order = torch.randperm(len(images))

    seconds, loss = [], torch.zeros(())
    for step in range(arguments.warm_up + arguments.steps):
        first = step * arguments.batch_size % (len(images) - arguments.batch_size + 1)
        rows = order[first : first + arguments.batch_size]
        began = time.perf_counter()
        loss = model(images[rows], labels[rows])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        seconds.append(time.perf_counter() - began)

    counted = seconds[arguments.warm_up :]
    print(
        json.dumps(
            {
                "torch": torch.__version__,
                "threads": torch.get_num_threads(),
                "parameters": sum(p.numel() for p in model.parameters()),
                "steps": len(counted),
                "loss": loss.item(),
                "step_seconds_median": statistics.median(counted),
                "step_seconds_p10": quantile(counted, 0.1),
                "step_seconds_p90": quantile(counted, 0.9),
            }
        )
    )


main()
