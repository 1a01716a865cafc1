"""Whether the programs that pytorch_step.py times compute what they should, in float64.

Every plain mixture against its definition, written out sample by sample and pair by pair; the hand-fused mixture against
the plain one, loss and every gradient; and the numbers of parameters against the paper's.
"""

import math

import torch
from torch.nn import functional as F

from pytorch_models import FusedMixture, Mixture, fused_tensors, mean_distance

TOLERANCE = 1e-9
PARAMETERS = [
    ("mnist", 5, False, 32_973),
    ("mnist", 5, True, 34_856),
    ("fashion-mnist", 5, False, 775_913),
    ("cifar", 20, False, 22_137_572),
    ("cifar-small", 20, False, 20 * 72_260 + 2_634_836),
]


def definition(model: Mixture, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The loss from probabilities: no log space, no batching over experts, one row or one pair of rows at a time."""
    hidden = [expert.hidden(x) for expert in model.experts]
    answers = [F.softmax(expert.out(F.relu(h)), dim=1) for expert, h in zip(model.experts, hidden)]
    if model.attentive:
        query = model.query(model.gate.hidden(x))
        scores = torch.stack([(query * model.key(h)).sum(1) for h in hidden], dim=1) / math.sqrt(query.shape[1])
    else:
        scores = model.gate(x)
    p = F.softmax(scores, dim=1)
    loss, classes, experts = x.new_zeros(()), answers[0].shape[1], len(answers)
    for row, label in enumerate(labels):
        if model.top_1:
            best = int(scores[row].argmax())
            m = p[row, best] * answers[best][row, label] + (1 - p[row, best]) / classes
        else:
            m = sum(p[row, e] * answers[e][row, label] for e in range(experts))
        loss = loss - m.log() / len(x)
    if model.similarity:
        pairs = [(i, j) for i in range(len(x)) for j in range(len(x)) if i != j]
        terms = [(x[i] - x[j]).norm() / model.scale * (p[i] @ p[j]) / experts for i, j in pairs]
        loss = loss + model.similarity * sum(terms) / len(pairs)
    return loss


def loss_and_gradients(model, loss) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    model.zero_grad(set_to_none=True)
    value = loss()
    value.backward()
    zeros = torch.zeros_like
    return value.detach(), {
        name: zeros(parameter) if parameter.grad is None else parameter.grad.clone()
        for name, parameter in model.named_parameters()
    }


def difference(one, other) -> float:
    """The largest difference of two losses and of all their gradients."""
    (loss, gradients), (expected, references) = one, other
    assert gradients.keys() == references.keys(), (gradients.keys(), references.keys())
    worst = [(gradients[name] - references[name]).abs().max().item() for name in gradients]
    return max(abs((loss - expected).item()), *worst)


def check() -> None:
    """Raises SystemExit where a difference is larger than TOLERANCE."""
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(1)
    x, labels = torch.randn(12, 1, 28, 28), torch.randint(0, 10, (12,))
    scale = mean_distance(x)
    failures = 0

    def report(name: str, found: float) -> None:
        nonlocal failures
        failures += not found < TOLERANCE
        print(f"{name:58} {found:.1e}{'' if found < TOLERANCE else '  TOO LARGE'}")

    for name in ["mnist", "fashion-mnist"]:
        for options in [{}, {"attentive": True}, {"similarity": 0.85, "scale": scale}, {"top_1": True}]:
            model = Mixture(name, 4, **options)
            result = loss_and_gradients(model, lambda: model(x, labels))
            reference = loss_and_gradients(model, lambda: definition(model, x, labels))
            report(f"{name}, {next(iter(options), 'dense')}, against its definition", difference(result, reference))
        model = Mixture(name, 4)
        with torch.no_grad():
            if name == "fashion-mnist":
                # A negative scale turns the order of pooling and ReLU around if they are exchanged wrongly.
                model.gate.bn1.weight.copy_(torch.linspace(-1, 1, 8))
        plain = loss_and_gradients(model, lambda: model(x, labels))[0], fused_tensors(model, lambda p: p.grad)
        fused = FusedMixture(model)
        report(f"{name}, hand-fused against plain", difference(loss_and_gradients(fused, lambda: fused(x, labels)), plain))
    for name, experts, attentive, expected in PARAMETERS:
        found = sum(parameter.numel() for parameter in Mixture(name, experts, attentive).parameters())
        report(f"{name}{', attentive' * attentive}, parameters {found} of {expected}", abs(found - expected))
    if failures:
        raise SystemExit(f"pytorch_step.py: {failures} differences are {TOLERANCE} or larger")
