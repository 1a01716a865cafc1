"""The training losses of the paper's mixtures in plain, vectorised eager PyTorch, as a PyTorch user would write them: a
stack over the experts, log space; the networks are those of moe_dist_torch. And the same hand-fused for MNIST and FashionMNIST under a softmax gate (FusedMixture).

Letters: B rows, E experts, C classes, H width of the last hidden layers. Formulas: arXiv 2302.14703.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

from moe_dist_torch import networks

MODELS = ["mnist", "fashion-mnist", "cifar", "cifar-small"]


def mean_distance(images: torch.Tensor) -> float:
    """The mean distance between two different samples of the first 1000: the unit of the similarity regulariser."""
    flat = images[:1000].flatten(1)
    return (torch.cdist(flat, flat).sum() / (len(flat) * (len(flat) - 1))).item()


class Mixture(nn.Module):
    """The training loss of E experts under a softmax or an attentive gate: −ln m(x) of the label, all experts on all rows;
    or, top_1, only the expert of the largest logit with its full softmax weight p, the rest of the mass spread evenly over
    the classes: m = p·y + (1 − p)/C. similarity is the weight β_s of the sample-similarity regulariser, scale its unit.
    """

    def __init__(
        self, model: str, experts: int, attentive=False, top_1=False, similarity=0.0, scale=1.0
    ):
        super().__init__()
        self.attentive, self.top_1, self.similarity, self.scale = attentive, top_1, similarity, scale
        self.gate, several = networks(model, experts, 0 if attentive else experts)
        self.experts = nn.ModuleList(several)
        # Of the last batch; all of them where all run.
        self.experts_used = experts
        if attentive:
            self.query = nn.Linear(32, 32, bias=False)
            self.key = nn.Linear(32, 32, bias=False)

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if self.top_1:
            return self.of_chosen(x, labels)
        if self.attentive:
            hidden = torch.stack([expert.hidden(x) for expert in self.experts], dim=1)  # (B, E, H)
            query = self.query(self.gate.hidden(x)).unsqueeze(2)  # (B, H, 1)
            scores = torch.bmm(self.key(hidden), query).squeeze(2) / math.sqrt(hidden.shape[2])
            active = F.relu(hidden)
            logits = torch.stack([expert.out(active[:, e]) for e, expert in enumerate(self.experts)], dim=1)
        else:
            scores = self.gate(x)
            logits = torch.stack([expert(x) for expert in self.experts], dim=1)  # (B, E, C)
        log_p = F.log_softmax(scores, dim=1)  # (B, E)
        log_y = F.log_softmax(logits, dim=2)
        log_y_label = log_y.gather(2, labels[:, None, None].expand(-1, log_y.shape[1], 1)).squeeze(2)
        loss = -torch.logsumexp(log_p + log_y_label, dim=1).mean()
        return loss + self.similarity * self.distance_within(log_p.exp(), x) if self.similarity else loss

    def of_chosen(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Every expert on the rows that chose it, gathered once in the order of the experts."""
        log_p = F.log_softmax(self.gate(x), dim=1)
        chosen = log_p.argmax(dim=1)
        order = chosen.argsort(stable=True)
        shares = x[order].split(chosen.bincount(minlength=len(self.experts)).tolist())
        self.experts_used = sum(len(rows) > 0 for rows in shares)
        logits = torch.cat([expert(rows) for expert, rows in zip(self.experts, shares) if len(rows)])
        log_y_label = F.log_softmax(logits, dim=1).gather(1, labels[order, None]).squeeze(1)
        log_p, column = log_p[order], chosen[order, None]
        unchosen = log_p.scatter(1, column, -math.inf).logsumexp(dim=1) - math.log(logits.shape[1])
        return -torch.logaddexp(log_p.gather(1, column).squeeze(1) + log_y_label, unchosen).mean()

    def distance_within(self, p: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """S: the mean over pairs of rows of d(x,x')·Σ_e p_e(x) p_e(x') / E."""
        flat = x.flatten(1)
        distances = torch.cdist(flat, flat) / self.scale
        rows, experts = p.shape
        return (distances * (p @ p.T)).sum() / (experts * rows * (rows - 1))


class FusedMixture(nn.Module):
    """A dense Mixture of MNIST's or FashionMNIST's networks under a softmax gate with what eager PyTorch can do by hand: one convolution for
    gate and experts, pooling before ReLU, baddbmm over the experts. Starts from the plain mixture's weights.
    """

    def __init__(self, plain: Mixture):
        super().__init__()
        self.channels = plain.gate.conv1.out_channels
        self.norm = nn.BatchNorm2d(self.channels) if plain.gate.bn1 is not None else None
        for name, value in fused_tensors(plain, lambda parameter: parameter.detach().clone()).items():
            if not name.startswith("norm."):
                setattr(self, name, nn.Parameter(value))
        if self.norm:
            self.norm.load_state_dict(plain.gate.bn1.state_dict())

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        maps = F.conv2d(x, self.conv_weight, self.conv_bias)  # (B, channels + E, 26, 26)
        of_gate, of_experts = maps.split([self.channels, maps.shape[1] - self.channels], dim=1)
        if self.norm:
            pooled = F.relu(F.max_pool2d(self.norm(of_gate), 2)).flatten(1)
            rows = F.relu(F.max_pool2d(of_experts, 2)).flatten(2).transpose(0, 1)
        else:
            together = F.relu(F.max_pool2d(maps, 2)).flatten(2)
            pooled = together[:, : self.channels].flatten(1)
            rows = together[:, self.channels :].transpose(0, 1)  # (E, B, 169)
        for layer in ("1", "2"):
            pooled = F.relu(F.linear(pooled, getattr(self, f"gate_w{layer}"), getattr(self, f"gate_b{layer}")))
            rows = F.relu(torch.baddbmm(getattr(self, f"b{layer}"), rows, getattr(self, f"w{layer}")))
        logits = torch.baddbmm(self.b3, rows, self.w3)  # (E, B, C)
        log_p = F.log_softmax(F.linear(pooled, self.gate_w3, self.gate_b3), dim=1)
        of_label = logits.gather(2, labels[None, :, None].expand(len(logits), -1, 1)).squeeze(2)
        log_y_label = of_label - logits.logsumexp(dim=2)  # (E, B)
        return -torch.logsumexp(log_p.T + log_y_label, dim=0).mean()


def fused_tensors(plain: Mixture, read) -> dict[str, torch.Tensor]:
    """What `read` gives for the parameters of a plain mixture (values, gradients), in the shapes of a FusedMixture."""
    gate, experts = plain.gate, list(plain.experts)
    tensors = {
        "conv_weight": torch.cat([read(network.conv1.weight) for network in [gate, *experts]]),
        "conv_bias": torch.cat([read(network.conv1.bias) for network in [gate, *experts]]),
    }
    if gate.bn1 is not None:
        tensors |= {"norm.weight": read(gate.bn1.weight), "norm.bias": read(gate.bn1.bias)}
    for number, name in enumerate(["fc1", "fc2", "out"], start=1):
        layers = [getattr(expert, name) for expert in experts]
        tensors[f"gate_w{number}"] = read(getattr(gate, name).weight)
        tensors[f"gate_b{number}"] = read(getattr(gate, name).bias)
        tensors[f"w{number}"] = torch.stack([read(layer.weight).T for layer in layers]).contiguous()
        tensors[f"b{number}"] = torch.stack([read(layer.bias)[None] for layer in layers])
    return tensors
