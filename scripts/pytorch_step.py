"""Times the training step of one of the paper's mixtures in eager PyTorch on the CPU; scripts/compare-pytorch runs it.

The same networks, loss, optimiser and batch as `moe-dist train` with the options of that script: mixture cross-entropy,
fused Adam, batches gathered from float32 tensors in memory, which the clock includes. Prints one JSON object.
"""

import argparse
import json
import pathlib
import resource
import statistics
import time

import torch

import pytorch_check
from moe_dist_torch import read_idx
from pytorch_models import MODELS, FusedMixture, Mixture, mean_distance

NORMALISATION = {
    "mnist": (0.1307, 0.3081),
    "fashion-mnist": (0.2859, 0.3530),
    "cifar": (0.4744, 0.2003),
    "cifar-small": (0.4744, 0.2003),
}


def idx_file(directory: str, name: str) -> pathlib.Path:
    """The file of that name, plain or gzip."""
    plain = pathlib.Path(directory) / name
    return plain if plain.exists() else plain.with_name(f"{name}.gz")


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
        pixels = read_idx(idx_file(directory, "train-images-idx3-ubyte"))
        labels = read_idx(idx_file(directory, "train-labels-idx1-ubyte")).long()
    mean, deviation = NORMALISATION[model]
    images = pixels.float().div_(255).sub_(mean).div_(deviation)
    return images if images.dim() == 4 else images.unsqueeze(1), labels


def quantile(values: list[float], share: float) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[round(100 * share) - 1]


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MODELS, default="fashion-mnist")
    parser.add_argument("--experts", type=int, default=5)
    parser.add_argument("--gate", choices=["softmax", "attentive"], default="softmax")
    parser.add_argument("--top-1", action="store_true", help="only the best expert of each row runs")
    parser.add_argument("--similarity", type=float, default=0, help="weight of the similarity regulariser (default 0)")
    parser.add_argument("--hand-fused", action="store_true", help="the fused program; dense, softmax, not for CIFAR")
    parser.add_argument("--channels-last", action="store_true", help="images and weights with the channels innermost")
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--steps", type=int, default=30, help="steps that count (default 30)")
    parser.add_argument("--warm-up", type=int, default=5, help="steps before them (default 5)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--data-dir", help="directory of the IDX files; random bytes without it")
    parser.add_argument("--check", action="store_true", help="compare the programs in float64 and end")
    arguments = parser.parse_args()
    cifar = arguments.model.startswith("cifar")
    if arguments.gate == "attentive" and (cifar or arguments.top_1):
        parser.error("the attentive gate is for the dense MNIST and FashionMNIST models")
    if arguments.top_1 and arguments.similarity:
        parser.error("--similarity is for the dense models")
    if arguments.hand_fused and (cifar or arguments.top_1 or arguments.similarity or arguments.gate != "softmax"):
        parser.error("--hand-fused is for the dense MNIST and FashionMNIST models under a softmax gate")
    return arguments


def main() -> None:
    arguments = options()
    if arguments.check:
        return pytorch_check.check()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    images, labels = images_and_labels(arguments.data_dir, arguments.model)
    model = Mixture(
        arguments.model, arguments.experts, arguments.gate == "attentive", arguments.top_1, arguments.similarity,
        mean_distance(images) if arguments.similarity else 1.0,
    )  # fmt: skip
    plain = model
    if arguments.hand_fused:
        model = FusedMixture(model)
    if arguments.channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
        model = model.to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    order = torch.randperm(len(images))

    seconds, used, loss = [], [], torch.zeros(())
    for step in range(arguments.warm_up + arguments.steps):
        first = step * arguments.batch_size % (len(images) - arguments.batch_size + 1)
        rows = order[first : first + arguments.batch_size]
        began = time.perf_counter()
        loss = model(images[rows], labels[rows])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        seconds.append(time.perf_counter() - began)
        used.append(plain.experts_used)

    counted = seconds[arguments.warm_up :]
    print(
        json.dumps(
            {
                "torch": torch.__version__,
                "threads": torch.get_num_threads(),
                "parameters": sum(p.numel() for p in model.parameters()),
                "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                "steps": len(counted),
                "experts_used": statistics.median(used[arguments.warm_up :]),
                "loss": loss.item(),
                "step_seconds_median": statistics.median(counted),
                "step_seconds_p10": quantile(counted, 0.1),
                "step_seconds_p90": quantile(counted, 0.9),
            }
        )
    )


if __name__ == "__main__":
    main()
