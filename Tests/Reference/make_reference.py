"""Writes PyTorch's float64 values of whole training steps, for the tests to compare with.

    python3 Tests/Reference/make_reference.py Tests/MoETests/Fixtures/pytorch-reference.json

Needs torch and numpy. Inputs and initial weights are short decimals, so that the file holds them exactly.
"""

import json
import sys

import numpy
import torch
from torch_models import Mixture, Network, adam, losses, train_step

# The side is odd after the convolution (7), so that pooling has a row and a column to leave out.
ROWS, SIDE, EXPERTS, CLASSES, STEPS, RATE = 7, 9, 3, 4, 5, 1e-2
EXPERT = {"filters": 1, "hidden": [5, 4], "outputs": CLASSES, "side": SIDE}
GATE = {"filters": 2, "hidden": [6, 5], "outputs": EXPERTS, "side": SIDE}

CASES = [
    {"name": "single", "gate": None, "rule": "single"},
    {"name": "single, weight decay", "gate": None, "rule": "single", "weight_decay": 0.02},
    {"name": "single, ties in the pooling", "gate": None, "rule": "single", "ties": True},
]
for batch_norm in [False, True]:
    gate = "batch-norm" if batch_norm else "plain"
    CASES += [
        {"gate": gate, "rule": "expectation", "temperature": 1.0},
        {"gate": gate, "rule": "expectation", "temperature": 2.0, "weight_decay": 0.01},
        {"gate": gate, "rule": "stochastic"},
        {"gate": gate, "rule": "top-k", "k": 1, "weights": "full"},
        {"gate": gate, "rule": "top-k", "k": 2, "weights": "renormalised", "temperature": 0.5},
        {"gate": gate, "rule": "top-k", "k": 2, "weights": "full"},
    ]
CASES.append({"gate": "plain", "rule": "top-k", "k": 2, "weights": "full", "expert_batch_norm": True})


def case_name(case):
    words = [case["rule"]]
    if "k" in case:
        words += [str(case["k"]), case["weights"]]
    if "temperature" in case:
        words.append(f"T = {case['temperature']}")
    words.append(case["gate"] + " gate")
    if case.get("expert_batch_norm"):
        words.append("BatchNorm in the experts")
    return ", ".join(words)


def build(case):
    batch_norm = case.get("expert_batch_norm", False)
    if case["gate"] is None:
        return Mixture([Network(**EXPERT)]).double()
    rule = {key: case[key] for key in ["rule", "k", "weights", "temperature"] if key in case}
    experts = [Network(**EXPERT, batch_norm=batch_norm) for _ in range(EXPERTS)]
    return Mixture(experts, Network(**GATE, batch_norm=case["gate"] == "batch-norm"), **rule).double()


def tensors(model):
    return {name: value for name, value in model.state_dict().items() if not name.endswith("num_batches_tracked")}


def numbers(values):
    return values.detach().numpy().ravel().tolist()


def initial_values(random, shapes):
    """Uniform in about ±1.7/sqrt(fan_in), four decimals; BatchNorm away from its usual start 1 and 0."""
    values = {}
    for name, shape in sorted(shapes.items()):
        if ".bn" in name and (name.endswith("weight") or name.endswith("running_var")):
            drawn = random.uniform(0.5, 1.5, shape)
        elif ".bn" in name:
            drawn = random.uniform(-0.5, 0.5, shape)
        else:
            weight = shapes[name.rsplit(".", 1)[0] + ".weight"]
            drawn = random.uniform(-1, 1, shape) * 1.7 / numpy.sqrt(numpy.prod(weight[1:]))
        values[name] = torch.tensor(numpy.round(drawn, 4))
    return values


def ties(random):
    """Images of two levels and a convolution that sees one pixel: most pooling windows hold equal values."""
    images = torch.tensor(random.integers(0, 2, (ROWS, 1, SIDE, SIDE)).astype(float))
    weight = torch.zeros(1, 1, 3, 3, dtype=torch.float64)
    weight[0, 0, 1, 1] = 0.75
    return images, weight


def run(case, images, labels, initial, random):
    model = build(case)
    values = {name: initial[name] for name in tensors(model)}
    changed = {}
    if case.pop("ties", False):
        images, weight = ties(random)
        values["experts.0.conv1.weight"] = weight
        changed = {"images": [numbers(image) for image in images], "parameters": {"experts.0.conv1.weight": numbers(weight)}}
    model.load_state_dict(values, strict=False)
    model.train()
    optimiser = adam(model, RATE, case.get("weight_decay", 0.0))

    # The gradients of the first step, then the parameters after the last. Statistics move with every step.
    state = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        row_losses = losses(model, images, labels)
    model.load_state_dict(state)
    step_losses = [train_step(model, optimiser, images, labels)]
    gradients = {name: numbers(parameter.grad) for name, parameter in model.named_parameters()}
    step_losses += [train_step(model, optimiser, images, labels) for _ in range(STEPS - 1)]
    final = {name: numbers(value) for name, value in tensors(model).items()}
    return {
        "name": case.get("name") or case_name(case),
        "gate": case["gate"], "rule": case["rule"], "k": case.get("k"), "weights": case.get("weights"),
        "temperature": case.get("temperature", 1.0), "weightDecay": case.get("weight_decay", 0.0),
        "expertBatchNorm": case.get("expert_batch_norm", False), "changed": changed or None,
        "losses": numbers(row_losses), "stepLosses": step_losses, "gradients": gradients, "final": final,
    }  # fmt: skip


def text(value, depth=0):
    """JSON with a line per array of numbers."""
    if isinstance(value, dict) and value:
        lines = [f"{'  ' * (depth + 1)}{json.dumps(key)}: {text(value[key], depth + 1)}" for key in value]
        return "{\n" + ",\n".join(lines) + "\n" + "  " * depth + "}"
    if isinstance(value, list) and value and isinstance(value[0], (dict, list)):
        lines = ["  " * (depth + 1) + text(element, depth + 1) for element in value]
        return "[\n" + ",\n".join(lines) + "\n" + "  " * depth + "]"
    return json.dumps(value, separators=(",", ":"))


def main(path):
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    random = numpy.random.default_rng(20230228)
    shapes = {}
    for case in CASES:
        shapes |= {name: tuple(value.shape) for name, value in tensors(build(case)).items()}
    initial = initial_values(random, shapes)
    images = torch.tensor(numpy.round(random.normal(0, 1, (ROWS, 1, SIDE, SIDE)), 3))
    labels = torch.tensor([0, 3, 1, 2, 2, 0, 1])
    reference = {
        "madeBy": f"Tests/Reference/make_reference.py with torch {torch.__version__.split('+')[0]}, float64",
        "side": SIDE, "experts": EXPERTS, "classes": CLASSES, "learningRate": RATE, "steps": STEPS,
        "expertFilters": EXPERT["filters"], "expertHidden": EXPERT["hidden"],
        "gateFilters": GATE["filters"], "gateHidden": GATE["hidden"],
        "images": [numbers(image) for image in images], "labels": labels.tolist(),
        "parameters": {name: numbers(initial[name]) for name in sorted(initial)},
        "cases": [run(case, images, labels, initial, random) for case in CASES],
    }  # fmt: skip
    with open(path, "w", encoding="utf-8") as file:
        file.write(text(reference) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
