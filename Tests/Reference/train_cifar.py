"""Trains the CIFAR-100 mixture of scripts/pytorch_step.py in PyTorch for a few epochs and prints its figures, a line an epoch.

To hold a run of `moe-dist train --dataset cifar-100` against: the same networks, augmentation, optimiser and batch, but
PyTorch's own random numbers, so that figures agree in size, not in digits.
"""

import argparse
import json
import math
import pathlib
import sys
import time

import torch
from torch.nn import functional as F

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))
from moe_dist_torch import read_cifar_100  # noqa: E402
from pytorch_models import Mixture  # noqa: E402

MEAN = torch.tensor((0.5074, 0.4867, 0.4411)).view(1, 3, 1, 1)
DEVIATION = torch.tensor((0.2011, 0.1987, 0.2025)).view(1, 3, 1, 1)


def augmented(images: torch.Tensor) -> torch.Tensor:
    """Random flips, and crops of 32 from reflected margins of 4, an image each."""
    padded = F.pad(images.float(), (4, 4, 4, 4), mode="reflect")
    rows = []
    for image, flip, top, left in zip(
        padded, torch.rand(len(images)) < 0.5, torch.randint(0, 9, (len(images),)), torch.randint(0, 9, (len(images),))
    ):
        crop = image[:, top : top + 32, left : left + 32]
        rows.append(crop.flip(2) if flip else crop)
    return torch.stack(rows)


def normalised(images: torch.Tensor) -> torch.Tensor:
    return (images.float() / 255 - MEAN) / DEVIATION


def entropy(p: torch.Tensor) -> torch.Tensor:
    """Of the distributions along the last dimension, in bits."""
    return -torch.xlogy(p, p).sum(dim=-1) / math.log(2)


@torch.no_grad()
def evaluate(model: Mixture, images: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Test figures; mutual_information is I(E;Y) of the arg-max expert and that expert's own answer."""
    model.eval()
    wrong, outside, loss, gates = 0, 0, 0.0, []
    chosen = torch.zeros(len(model.experts), 100, dtype=torch.float64)
    for first in range(0, len(images), 1000):
        x, y = normalised(images[first : first + 1000]), labels[first : first + 1000]
        p = F.softmax(model.gate(x), dim=1)
        answers = torch.stack([F.softmax(expert(x), dim=1) for expert in model.experts], dim=1)
        mixture = torch.einsum("be,bec->bc", p, answers)
        best = mixture.topk(5, dim=1).indices
        wrong += int((best[:, 0] != y).sum())
        outside += int((best != y[:, None]).all(dim=1).sum())
        loss -= float(mixture.gather(1, y[:, None]).log().sum())
        expert = p.argmax(dim=1)
        own = answers[torch.arange(len(y)), expert].argmax(dim=1)
        chosen.index_put_((expert, own), torch.ones(len(y), dtype=torch.float64), accumulate=True)
        gates.append(p)
    p, joint = torch.cat(gates).double(), chosen / len(images)
    information = entropy(joint.sum(dim=1)) + entropy(joint.sum(dim=0)) - entropy(joint.flatten())
    return {
        "test_error": wrong / len(images),
        "top5_error": outside / len(images),
        "test_loss": loss / len(images),
        "mutual_information": float(information),
        "sample_entropy": float(entropy(p).mean()),
        "usage_entropy": float(entropy(p.mean(dim=0))),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=pathlib.Path, help="of train.bin and test.bin")
    parser.add_argument("--model", choices=("cifar", "cifar-small"), default="cifar-small")
    parser.add_argument("--experts", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    images, labels = read_cifar_100(arguments.directory / "train.bin")
    model = Mixture(arguments.model, arguments.experts)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(arguments.epochs):
        model.train()
        began, total = time.perf_counter(), 0.0
        for rows in torch.randperm(len(images)).split(arguments.batch_size):
            loss = model(normalised(augmented(images[rows])), labels[rows])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            total += float(loss) * len(rows)
        figures = {"epoch": epoch + 1, "train_loss": total / len(images), "seconds": time.perf_counter() - began}
        print(json.dumps(figures | evaluate(model, *read_cifar_100(arguments.directory / "test.bin"))), flush=True)


if __name__ == "__main__":
    main()
