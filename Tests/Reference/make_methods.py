"""Writes PyTorch's float64 values of training steps with every gate, loss and network beyond make_reference.py.

    python3 Tests/Reference/make_methods.py Tests/MoETests/Fixtures

writes pytorch-attention.json, pytorch-methods.json and pytorch-stages.json there. Needs torch and numpy. Inputs and
initial weights are short decimals, so that the files hold them exactly; results have 12 significant digits.
"""

import sys
from pathlib import Path

import numpy
import torch
from make_reference import initial_values, tensors, text
from torch_methods import Method
from torch_models import Attention, Network, adam, clear_bias_gradients_before_batch_norm

STEPS, RATE = 5, 1e-2
CLASSES = [0, 2, 1, 0]  # the expert of every class

SMALL = {
    "rows": 7, "side": 8, "channels": 1, "experts": 3, "classes": 4,
    "expert": {"filters": [1], "hidden": [4], "batch_norm": [], "padding": 0},
    "gate": {"filters": [2], "hidden": [5, 4], "batch_norm": [1], "padding": 0},
}  # fmt: skip
STAGES = {
    "rows": 5, "side": 16, "channels": 3, "experts": 2, "classes": 4,
    "expert": {"filters": [2, 3, 4, 5], "hidden": [16, 8], "batch_norm": [2, 4], "padding": 1},
    "gate": {"filters": [3, 2, 2, 3], "hidden": [9, 8], "batch_norm": [2, 4], "padding": 1},
}  # fmt: skip

RULES = [
    {"rule": "expectation"},
    {"rule": "expectation", "temperature": 2.0},
    {"rule": "stochastic"},
    {"rule": "top-k", "k": 1, "weights": "full"},
    {"rule": "top-k", "k": 2, "weights": "renormalised", "temperature": 0.5},
    {"rule": "top-k", "k": 2, "weights": "full"},
]
REGULARISERS = [
    {"importance": 0.6},
    {"similarity": 2.0, "scale": 7.5},
    {"similarity": 0.01, "scaling": "authors"},
    {"dissimilarity": 3.0, "scale": "batch-max"},
    {"similarity": 1.5, "dissimilarity": 2.5, "distance": "squared-euclidean", "scale": 8.0},
    {"similarity": 0.02, "dissimilarity": 0.5, "scaling": "authors", "distance": "squared-euclidean", "scale": "batch-max"},
]  # fmt: skip
ALL = {"importance": 0.4, "similarity": 2.0, "dissimilarity": 1.0, "scale": 7.5}
TWO = {"expert_temperature": 3.0}

ATTENTION = [{"gate": "attentive", **case} for case in [
    *RULES,
    *[{"rule": "expectation", **regulariser} for regulariser in [REGULARISERS[0], REGULARISERS[4]]],
    *[{**rule, **ALL} for rule in RULES[1:]],
    *[{**rule, **TWO} for rule in [RULES[0], RULES[2], RULES[4], RULES[5]]],
    {**RULES[1], **TWO, **ALL},
    {**RULES[0], **ALL, "freeze": "experts"},
    {**RULES[5], "freeze": "gate"},
]]  # fmt: skip
METHODS = [{"gate": "softmax", **case} for case in [
    *[{**RULES[0], **regulariser} for regulariser in REGULARISERS],
    *[{**rule, **ALL} for rule in RULES[1:]],
    *[{**rule, **TWO} for rule in [RULES[0], RULES[2], RULES[4]]],
    {**RULES[1], **TWO, **ALL},
    {**RULES[0], "freeze": "gate"},
    {**RULES[0], "freeze": "experts"},
    {**RULES[1], "freeze": "experts", "teacher": True},
]] + [
    {"gate": "peeking"}, {"gate": "peeking", "temperature": 2.0}, {"gate": "loudest"},
    {"gate": "loss"}, {"gate": "loss", "importance": 0.5}, {"gate": "classes", "expert_of_class": CLASSES},
]  # fmt: skip
DEEP = [
    {"gate": "peeking"},
    {"gate": "softmax", "rule": "expectation"},
    {"gate": "attentive", "rule": "expectation", "importance": 0.5},
]


def network(layout, part, **output):
    return Network(**layout[part], side=layout["side"], channels=layout["channels"], **output)


def trunk(layout):
    return network(layout, "gate", headless=True)


def build(layout, options):
    experts = [network(layout, "expert", outputs=layout["classes"]) for _ in range(layout["experts"])]
    gate = None
    if options["gate"] == "attentive":
        gate = trunk(layout)
    elif options["gate"] in ["softmax", "loss"]:
        gate = network(layout, "gate", outputs=layout["experts"])
    width = layout["expert"]["hidden"][-1]
    teacher = (trunk(layout).double(), Attention(width).double()) if options.get("teacher") else None
    return Method(experts, gate, width, options, teacher).double()


def teacher_tensors(model):
    gate, attention = model.teacher
    parts = {f"gate.{name}": value for name, value in tensors(gate).items()}
    return parts | {f"attention.{name}": value for name, value in tensors(attention).items()}


def numbers(values):
    return [float(f"{value:.12g}") for value in values.detach().numpy().ravel()]


def camel(name):
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def train_step(model, optimiser, images, labels):
    """One step; returns what Method.step found before it."""
    optimiser.zero_grad(set_to_none=False)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.grad = torch.zeros_like(parameter)
    found = model.step(images, labels)
    losses = [found["gate"]] if found["gate"] is found["experts"] else [found["gate"], found["experts"]]
    sum(loss for loss in losses if loss.requires_grad).backward()
    clear_bias_gradients_before_batch_norm(model)
    optimiser.step()
    return found


def run(layout, options, images, labels, initial, teacher):
    model = build(layout, options)
    model.load_state_dict({name: initial[name] for name in tensors(model)}, strict=False)
    if model.teacher:
        for prefix, module in zip(["gate.", "attention."], model.teacher):
            own = {name: teacher[prefix + name] for name in tensors(module)}
            module.load_state_dict(own, strict=False)
    model.prepare()
    optimiser = adam(model, RATE)
    found = [train_step(model, optimiser, images, labels)]
    gradients = {name: numbers(p.grad) for name, p in model.named_parameters() if p.requires_grad}
    found += [train_step(model, optimiser, images, labels) for _ in range(STEPS - 1)]
    return {
        "options": {camel(name): value for name, value in options.items() if name not in ["scale", "teacher"]}
        | {"scale": str(options.get("scale", 1.0)), "teacher": bool(options.get("teacher"))},
        "losses": numbers(found[0]["rows"]),
        "probabilities": [numbers(row) for row in found[0]["p"]],
        "gateLosses": [step["gate"].item() for step in found],
        "expertLosses": [step["experts"].item() for step in found],
        "gradients": gradients,
        "final": {name: numbers(value) for name, value in tensors(model).items()},
    }


def write(path, layout, cases, random):
    shapes, of_teacher = {}, {}
    for case in cases:
        model = build(layout, case)
        shapes |= {name: tuple(value.shape) for name, value in tensors(model).items()}
        if model.teacher:
            of_teacher = {name: tuple(value.shape) for name, value in teacher_tensors(model).items()}
    initial, teacher = initial_values(random, shapes), initial_values(random, of_teacher)
    shape = (layout["rows"], layout["channels"], layout["side"], layout["side"])
    images = torch.tensor(numpy.round(random.normal(0, 1, shape), 2))
    labels = torch.tensor([0, 3, 1, 2, 2, 0, 1][: layout["rows"]])
    reference = {
        "madeBy": f"Tests/Reference/make_methods.py with torch {torch.__version__.split('+')[0]}, float64",
        **{name: layout[name] for name in ["side", "channels", "experts", "classes"]},
        **{name: {camel(key): layout[name][key] for key in layout[name]} for name in ["expert", "gate"]},
        "learningRate": RATE,
        "images": [numbers(image) for image in images],
        "labels": labels.tolist(),
        "parameters": {name: numbers(initial[name]) for name in sorted(initial)},
        "teacher": {name: numbers(teacher[name]) for name in sorted(teacher)},
        "cases": [run(layout, case, images, labels, initial, teacher) for case in cases],
    }
    path.write_text(text(reference) + "\n", encoding="utf-8")


def main(directory):
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    random = numpy.random.default_rng(20230301)
    for name, layout, cases in [("attention", SMALL, ATTENTION), ("methods", SMALL, METHODS), ("stages", STAGES, DEEP)]:
        write(Path(directory) / f"pytorch-{name}.json", layout, cases, random)


if __name__ == "__main__":
    main(sys.argv[1])
