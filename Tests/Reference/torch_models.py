"""A training step of the plain PyTorch modules of scripts/moe_dist_torch.py, for the comparison of results in float64.

Letters: B rows, E experts, C classes. Needs torch only.
"""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from moe_dist_torch import Attention, Mixture, Network  # noqa: E402, F401


def losses(model, images, labels):
    """[B] what training minimises per row: the cross-entropy of the mixture, or the loss of Jacobs et al."""
    weights, answers = model.terms(images)
    at_label = answers.gather(2, labels.expand(len(answers), -1)[:, :, None]).squeeze(2)
    if model.gated and model.rule == "stochastic":
        at_label = at_label / 2
    return -torch.logsumexp(weights + at_label, dim=0)


def clear_bias_gradients_before_batch_norm(model):
    """A bias before BatchNorm has gradient 0; what autograd leaves is rounding, which Adam would blow up to ±lr."""
    for network in model.modules():
        if not isinstance(network, Network) or network.bn1 is None or network.conv1.bias is None:
            continue
        if network.conv1.bias.grad is not None:
            network.conv1.bias.grad.zero_()


def adam(model, learning_rate=1e-3, weight_decay=0.0):
    return torch.optim.Adam(model.parameters(), lr=learning_rate, weight_decay=weight_decay)


def train_step(model, optimiser, images, labels):
    """One step of training; returns the mean loss before it.

    Every parameter takes its step, those of an expert without rows too (with gradient 0).
    """
    optimiser.zero_grad(set_to_none=False)
    for parameter in model.parameters():
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    loss = losses(model, images, labels).mean()
    loss.backward()
    clear_bias_gradients_before_batch_norm(model)
    optimiser.step()
    return loss.item()
