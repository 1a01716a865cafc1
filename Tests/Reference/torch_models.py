"""The mixtures of moe-dist as plain PyTorch modules.

Tensor names and shapes are those of our checkpoints, so the file that `moe-dist train` writes loads with

    model = build("fashion-mnist", experts=5)
    load(model, safetensors.torch.load_file("checkpoint-....safetensors"))

The modules are what a PyTorch user would write: one module per expert, everything else vectorised. They serve as
the other side of the comparisons of results (float64) and of speed (float32, eager). Needs torch only.

Letters: B rows, E experts, C classes, S the side of the square images.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F


class Network(nn.Module):
    """Stages of conv 3x3, BatchNorm if asked for, max pool 2x2 and ReLU; then dense layers with ReLU between.

    filters: of the only stage, or a list of every stage's. batch_norm: True for the only stage, or the numbers of the
    stages that have it; with several stages, their convolutions have no bias. headless: the last hidden layer is the
    output.
    """

    def __init__(
        self, filters, hidden, outputs=0, batch_norm=False, side=28, channels=1, padding=0, headless=False
    ):
        super().__init__()
        widths = [filters] if isinstance(filters, int) else filters
        normalised = [1] if batch_norm is True else batch_norm or []
        self.stages, self.depth = len(widths), len(hidden)
        for stage, width in enumerate(widths, 1):
            bias = self.stages == 1 or stage not in normalised
            setattr(self, f"conv{stage}", nn.Conv2d(channels, width, 3, padding=padding, bias=bias))
            setattr(self, f"bn{stage}", nn.BatchNorm2d(width) if stage in normalised else None)
            channels, side = width, (side - 2 + 2 * padding) // 2
        widths = [channels * side**2, *hidden]
        for layer in range(self.depth):
            setattr(self, f"fc{layer + 1}", nn.Linear(widths[layer], widths[layer + 1]))
        self.out = None if headless else nn.Linear(widths[-1], outputs)

    def hidden(self, images):
        """[B, channels, S, S] normalised pixels to the last hidden layer before its ReLU, [B, H]."""
        x = images
        for stage in range(1, self.stages + 1):
            x = getattr(self, f"conv{stage}")(x)
            norm = getattr(self, f"bn{stage}")
            x = F.relu(F.max_pool2d(x if norm is None else norm(x), 2))
        x = x.flatten(1)
        for layer in range(1, self.depth):
            x = F.relu(getattr(self, f"fc{layer}")(x))
        return getattr(self, f"fc{self.depth}")(x)

    def forward(self, images):
        """[B, channels, S, S] normalised pixels to [B, outputs] logits, or what `hidden` gives where headless."""
        hidden = self.hidden(images)
        return hidden if self.out is None else self.out(F.relu(hidden))


class Mixture(nn.Module):
    """E experts under a gate, or one network alone when gate is None.

    rule: "expectation", "stochastic" or "top-k"; weights: "full" or "renormalised" (top-k only).
    """

    def __init__(self, experts, gate=None, rule="expectation", k=1, weights="full", temperature=1.0):
        super().__init__()
        assert gate is not None or len(experts) == 1, "several experts need a gate"
        if gate is not None:
            self.gate = gate
        self.experts = nn.ModuleList(experts)
        self.gated = gate is not None
        self.rule, self.k, self.weights, self.temperature = rule, k, weights, temperature

    def forward(self, images):
        """Log weights of what the model's answer is made of [terms, B], and those terms' log answers [terms, B, C].

        The terms are the experts; under "full" one more, which stands for the experts that did not run and
        holds every class equally likely.
        """
        if not self.gated:
            answers = F.log_softmax(self.experts[0](images), dim=1)[None]
            return answers.new_zeros(answers.shape[:2]), answers
        logits = self.gate(images)
        if self.rule != "top-k":
            answers = F.log_softmax(torch.stack([expert(images) for expert in self.experts]), dim=2)
            return F.log_softmax(logits / self.temperature, dim=1).T, answers
        return self._sparse(images, logits)

    def _sparse(self, images, logits):
        rows, count = logits.shape
        # A stable sort: among equal logits the lowest expert wins.
        chosen = torch.sort(logits, dim=1, descending=True, stable=True).indices[:, : self.k]
        runs = torch.zeros_like(logits, dtype=torch.bool).scatter(1, chosen, True)
        scaled = logits / self.temperature
        if self.weights == "renormalised":
            scaled = scaled.masked_fill(~runs, -math.inf)
        weights = F.log_softmax(scaled, dim=1)
        answers = []
        for expert, network in enumerate(self.experts):
            where = runs[:, expert].nonzero().squeeze(1)
            classes = network.out.out_features
            answer = images.new_full((rows, classes), -math.inf)
            if len(where) > 0:
                answer = answer.index_put((where,), F.log_softmax(network(images[where]), dim=1))
            answers.append(answer)
        if self.weights == "full" and self.k < count:
            remainder = torch.logsumexp(weights.masked_fill(runs, -math.inf), dim=1, keepdim=True)
            weights = torch.cat([weights, remainder], dim=1)
            answers.append(images.new_full((rows, classes), -math.log(classes)))
        return weights.T, torch.stack(answers)

    def losses(self, images, labels):
        """[B] what training minimises per row: the cross-entropy of the mixture, or the loss of Jacobs et al."""
        weights, answers = self(images)
        at_label = answers.gather(2, labels.expand(len(answers), -1)[:, :, None]).squeeze(2)
        if self.gated and self.rule == "stochastic":
            at_label = at_label / 2
        return -torch.logsumexp(weights + at_label, dim=0)

    def loss(self, images, labels):
        return self.losses(images, labels).mean()


FAMILIES = {
    "mnist": {
        "expert": {"filters": 1, "hidden": [5, 32]},
        "gate": {"filters": 1, "hidden": [128, 32]},
    },
    "fashion-mnist": {
        "expert": {"filters": 1, "hidden": [64, 32]},
        "gate": {"filters": 8, "hidden": [512, 32], "batch_norm": True},
    },
}


def build(family, experts=5, classes=10, gate="softmax", **rule):
    """The model of a data set: `experts` experts under a softmax gate, or the single model with gate="none"."""
    specs = FAMILIES[family]
    if gate == "none":
        return Mixture([Network(outputs=classes, **specs["expert"])])
    members = [Network(outputs=classes, **specs["expert"]) for _ in range(experts)]
    return Mixture(members, Network(outputs=experts, **specs["gate"]), **rule)


def load(model, tensors):
    """Loads a checkpoint's tensors and raises when any but bookkeeping is missing or left over."""
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    # A checkpoint has no counter of batches (momentum .1 never needs it), the modules have no optimiser state.
    missing = [name for name in missing if not name.endswith(".num_batches_tracked")]
    unexpected = [name for name in unexpected if not name.startswith("optimizer.")]
    if missing or unexpected:
        raise KeyError(f"missing: {missing}; unexpected: {unexpected}")
    return model


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
    loss = model.loss(images, labels)
    loss.backward()
    clear_bias_gradients_before_batch_norm(model)
    optimiser.step()
    return loss.item()
