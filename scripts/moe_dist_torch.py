"""The paper's mixtures as PyTorch modules with the tensor names of moe-dist, and the files between the two.

    model = load_run("runs/a")                      # a run directory, or a checkpoint's path
    y, p = model(model.normalised(read_images("t10k-images-idx3-ubyte.gz")))
    save_weights(model, "weights.safetensors")      # moe-dist train --init-from weights.safetensors

Conventions, as in docs/python.md: ReLU and max pooling commute, a pool of 2 x 2 leaves out the last row and column of
an odd side; a hidden layer is tapped before its ReLU; BatchNorm has epsilon 1e-5 and momentum 0.1, and statistics of
its own where a model is evaluated; pixels are (b/255 - mean)/deviation.

Letters: B rows, E experts, C classes, H width of the last hidden layers, S the side of the square images.
Needs torch; files of weights need safetensors.
"""

import gzip
import json
import math
import pathlib
import struct

import torch
from torch import nn
from torch.nn import functional as F


class Network(nn.Module):
    """Stages of convolution, BatchNorm if asked for, ReLU and max pool 2x2; then dense layers with ReLU between.

    filters: of the only stage, or a list of every stage's. batch_norm: True for the only stage, or the numbers of the
    stages that have it; with several stages, their convolutions have no bias. headless: the last hidden layer is the
    output.
    """

    def __init__(
        self, filters, hidden, outputs=0, batch_norm=False, side=28, channels=1, padding=0, kernel=3, headless=False
    ):
        super().__init__()
        widths = [filters] if isinstance(filters, int) else filters
        normalised = [1] if batch_norm is True else batch_norm or []
        self.stages, self.depth = len(widths), len(hidden)
        for stage, width in enumerate(widths, 1):
            bias = self.stages == 1 or stage not in normalised
            setattr(self, f"conv{stage}", nn.Conv2d(channels, width, kernel, padding=padding, bias=bias))
            setattr(self, f"bn{stage}", nn.BatchNorm2d(width) if stage in normalised else None)
            channels, side = width, (side - kernel + 1 + 2 * padding) // 2
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
            x = F.max_pool2d(F.relu(x if norm is None else norm(x)), 2)
        x = x.flatten(1)
        for layer in range(1, self.depth):
            x = F.relu(getattr(self, f"fc{layer}")(x))
        return getattr(self, f"fc{self.depth}")(x)

    def forward(self, images):
        """[B, channels, S, S] normalised pixels to [B, outputs] logits, or what `hidden` gives where headless."""
        hidden = self.hidden(images)
        return hidden if self.out is None else self.out(F.relu(hidden))


class Attention(nn.Module):
    """Query of the gate's hidden layer, key of every expert's (arXiv 2302.14703, section 4)."""

    def __init__(self, width):
        super().__init__()
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)

    def forward(self, gate_hidden, expert_hidden):
        """[B, H] and [B, E, H] to scores [B, E]."""
        scores = (self.query(gate_hidden)[:, None] * self.key(expert_hidden)).sum(2)
        return scores / math.sqrt(expert_hidden.shape[2])


def best(scores, k):
    """[B, E] True for the k largest scores of a row; among equal ones the lowest expert wins."""
    runs = torch.zeros_like(scores, dtype=torch.bool)
    for _ in range(k):
        chosen = scores.masked_fill(runs, -math.inf).argmax(dim=1, keepdim=True)
        runs = runs.scatter(1, chosen, True)
    return runs


class Mixture(nn.Module):
    """E experts under a gate, or one network alone when gate is None.

    The gate is softmax, or attentive where `attention` is given; then its network is headless.
    rule: "expectation", "stochastic" or "top-k"; weights: "full" or "renormalised" (top-k only).
    """

    def __init__(
        self, experts, gate=None, rule="expectation", k=1, weights="full", temperature=1.0, attention=None
    ):
        super().__init__()
        assert gate is not None or len(experts) == 1, "several experts need a gate"
        if gate is not None:
            self.gate = gate
        if attention is not None:
            self.attention = attention
        self.experts = nn.ModuleList(experts)
        self.gated, self.attentive = gate is not None, attention is not None
        self.rule, self.k, self.weights, self.temperature = rule, k, weights, temperature
        # What pixels are normalised by, a number per channel.
        self.mean = self.deviation = None

    def normalised(self, pixels):
        """[B, channels, S, S] bytes to what the networks see."""
        assert self.mean is not None, "set mean and deviation, a number per channel"
        mean, deviation = (torch.tensor(values).view(1, -1, 1, 1) for values in (self.mean, self.deviation))
        return (pixels.float() / 255 - mean) / deviation

    def forward(self, images):
        """[B, channels, S, S] normalised pixels to class probabilities [B, C] and the gate's, all of them, [B, E]."""
        weights, answers, p = self._terms(images)
        return torch.logsumexp(weights[:, :, None] + answers, dim=0).exp(), p

    def terms(self, images):
        """Log weights of what the model's answer is made of [terms, B], and those terms' log answers [terms, B, C].

        The terms are the experts; under "full" one more, which stands for the experts that did not run and
        holds every class equally likely.
        """
        weights, answers, _ = self._terms(images)
        return weights, answers

    def _terms(self, images):
        if not self.gated:
            answers = F.log_softmax(self.experts[0](images), dim=1)[None]
            return answers.new_zeros(answers.shape[:2]), answers, answers.new_ones(len(images), 1)
        if self.attentive:
            # Keys need every expert's hidden layer.
            hidden = torch.stack([expert.hidden(images) for expert in self.experts], dim=1)
            scores = self.attention(self.gate(images), hidden)
            logits = [expert.out(F.relu(hidden[:, e])) for e, expert in enumerate(self.experts)]
            answers = F.log_softmax(torch.stack(logits), dim=2)
        else:
            scores, answers = self.gate(images), None
        p = F.softmax(scores / self.temperature, dim=1)
        rule, k, kept = self.rule, self.k, self.weights
        if rule == "stochastic" and not self.training:
            # It is evaluated by the expert of the largest score alone.
            rule, k, kept = "top-k", 1, "renormalised"
        if rule != "top-k":
            if answers is None:
                answers = F.log_softmax(torch.stack([expert(images) for expert in self.experts]), dim=2)
            return F.log_softmax(scores / self.temperature, dim=1).T, answers, p
        return *self._sparse(images, scores, k, kept, answers), p

    def _sparse(self, images, scores, k, kept, answers):
        count = scores.shape[1]
        runs = best(scores, k)
        scaled = scores / self.temperature
        if kept == "renormalised":
            scaled = scaled.masked_fill(~runs, -math.inf)
        weights = F.log_softmax(scaled, dim=1)
        if answers is None:
            answers = torch.stack([self._answer(images, runs[:, e], e) for e in range(count)])
        if kept == "full" and k < count:
            remainder = torch.logsumexp(weights.masked_fill(runs, -math.inf), dim=1, keepdim=True)
            weights = torch.cat([weights.masked_fill(~runs, -math.inf), remainder], dim=1)
            unknown = torch.full_like(answers[:1], -math.log(answers.shape[2]))
            answers = torch.cat([answers, unknown])
        return weights.T, answers

    def _answer(self, images, rows, expert):
        """ln y of an expert [B, C]. In training it sees the rows that chose it alone, because of BatchNorm."""
        network = self.experts[expert]
        if not self.training:
            return F.log_softmax(network(images), dim=1)
        where = rows.nonzero().squeeze(1)
        answer = images.new_full((len(images), network.out.out_features), -math.inf)
        if len(where) == 0:
            return answer
        return answer.index_put((where,), F.log_softmax(network(images[where]), dim=1))


CIFAR = {"batch_norm": [2, 4], "padding": 1}
CIFAR_GATE = [64, 128, 256, 512]
FAMILIES = {
    "mnist": {
        "expert": {"filters": 1, "hidden": [5, 32]},
        "gate": {"filters": 1, "hidden": [128, 32]},
    },
    "fashion-mnist": {
        "expert": {"filters": 1, "hidden": [64, 32]},
        "gate": {"filters": 8, "hidden": [512, 32], "batch_norm": True},
    },
    "combined": {
        "expert": {"filters": 1, "hidden": [5, 32]},
        "gate": {"filters": 1, "hidden": [128, 32], "kernel": 5},
    },
    "cifar": {
        "expert": {"filters": [16, 32, 64, 128], "hidden": [1024, 256], **CIFAR},
        "gate": {"filters": CIFAR_GATE, "hidden": [1024, 256], **CIFAR},
    },
    "cifar-small": {
        "expert": {"filters": [8, 16, 32, 64], "hidden": [128, 64], **CIFAR},
        "gate": {"filters": CIFAR_GATE, "hidden": [512, 64], **CIFAR},
    },
    "expert-heavy": {
        "expert": {"filters": 4, "hidden": [2048, 1024]},
        "gate": {"filters": 1, "hidden": [128, 32]},
    },
}
GATES = ["softmax", "attentive", "none"]
# Mean and deviation of the pixels where a data set has its own, a number per channel.
NORMALISATION = {
    "mnist": ([0.1307], [0.3081]),
    "fashion-mnist": ([0.2859], [0.3530]),
    "fashion-mnist+mnist": ([0.5], [0.5]),
    "cifar-10": ([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]),
    "cifar-100": ([0.5074, 0.4867, 0.4411], [0.2011, 0.1987, 0.2025]),
}


def is_cifar(model):
    return model.startswith("cifar")


def networks(model, experts, gate_outputs, classes=None, side=None, channels=None):
    """The gate and the experts of a named model; a gate of 0 outputs is headless."""
    colour = is_cifar(model)
    input = {"side": side or (32 if colour else 28), "channels": channels or (3 if colour else 1)}
    classes = classes or (100 if colour else 10)
    gate = Network(**FAMILIES[model]["gate"], **input, outputs=gate_outputs, headless=gate_outputs == 0)
    return gate, [Network(**FAMILIES[model]["expert"], **input, outputs=classes) for _ in range(experts)]


def build(model, experts=5, gate="softmax", classes=None, side=None, channels=None, **rule):
    """A named model: `experts` experts under a softmax or an attentive gate, or the single model with gate="none"."""
    if model not in FAMILIES:
        raise ValueError(f"model {model}: known are {', '.join(FAMILIES)}")
    if gate not in GATES:
        raise ValueError(f"gate {gate}: known are {', '.join(GATES)}")
    if gate == "none":
        return Mixture(networks(model, 1, 1, classes, side, channels)[1])
    network, members = networks(model, experts, 0 if gate == "attentive" else experts, classes, side, channels)
    attention = Attention(FAMILIES[model]["gate"]["hidden"][-1]) if gate == "attentive" else None
    return Mixture(members, network, attention=attention, **rule)


def load(model, tensors):
    """Loads a checkpoint's tensors and raises when any but bookkeeping is missing or left over."""
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    # A checkpoint has no counter of batches (momentum .1 never needs it), the modules have no optimiser state.
    missing = [name for name in missing if not name.endswith(".num_batches_tracked")]
    unexpected = [name for name in unexpected if not name.startswith("optimizer.")]
    if missing or unexpected:
        raise KeyError(f"missing: {missing}; unexpected: {unexpected}")
    return model


def checkpoint_of(run):
    """The newest checkpoint of a run directory, or the file itself."""
    path = pathlib.Path(run)
    return path / (path / "latest").read_text().strip() if path.is_dir() else path


def load_run(run, rule=None, k=None, weights=None):
    """The model of a run or a checkpoint, in evaluation mode, with its normalisation where it is known.

    rule, k and weights are what `evaluate` calls --combine, --top-k and --top-k-weights; without them the model's own.
    """
    from safetensors import safe_open

    with safe_open(str(checkpoint_of(run)), "pt") as file:
        settings = json.loads((file.metadata() or {}).get("configuration", "{}"))
        tensors = {name: file.get_tensor(name) for name in file.keys() if not name.startswith("optimizer.")}
    if not settings:
        raise ValueError(f"{run}: no checkpoint of a run; build() and load() take tensors without settings")
    spec = FAMILIES.get(settings["model"], {}).get("expert")
    if spec is None or settings["gate"] not in GATES:
        raise ValueError(
            f"{run}: model {settings['model']} under gate {settings['gate']}; "
            f"known are {', '.join(FAMILIES)} under {', '.join(GATES)}"
        )
    # The smallest side from which the first dense layer gets its features.
    stages = [spec["filters"]] if isinstance(spec["filters"], int) else spec["filters"]
    side = math.isqrt(tensors["experts.0.fc1.weight"].shape[1] // stages[-1])
    for _ in stages:
        side = 2 * side + spec.get("kernel", 3) - 1 - 2 * spec.get("padding", 0)
    own = (settings["combine"], int(settings["top-k"]), settings["top-k-weights"])
    rule, k, weights = as_asked(own, rule, k, weights)
    shape = {
        "classes": tensors["experts.0.out.weight"].shape[0],
        "channels": tensors["experts.0.conv1.weight"].shape[1],
        "side": side,
    }
    model = build(
        settings["model"], int(settings["experts"]), settings["gate"], **shape,
        **({} if settings["gate"] == "none" else
           {"rule": rule, "k": k, "weights": weights, "temperature": float(settings["temperature"])}),
    )  # fmt: skip
    load(model, tensors)
    mean, deviation = NORMALISATION.get(settings["dataset"], (None, None))
    model.mean = numbers(settings["mean"]) if "mean" in settings else mean
    model.deviation = numbers(settings["std"]) if "std" in settings else deviation
    model.side, model.channels = side, shape["channels"]
    return model.eval()


def as_asked(own, rule, k, weights):
    """Combine rule, k and weights of an evaluation: its own words, then the model's, then the defaults."""
    rule, asked = rule or own[0], rule
    k = k or (own[1] if rule == own[0] else 1)
    changed = asked and (rule, k) != own[:2]
    return rule, k, weights or (("full" if k == 1 else "renormalised") if changed else own[2])


def numbers(text):
    return [float(word) for word in text.split(",")]


def save_weights(model, path):
    """Writes the weights under our names, for --init-from: float32, without the counters of BatchNorm."""
    from safetensors.torch import save_file

    tensors = {
        name: value.detach().float().contiguous().clone()
        for name, value in model.state_dict().items()
        if not name.endswith(".num_batches_tracked")
    }
    save_file(tensors, str(path), metadata={"format": "pt"})


def read_idx(path):
    """The bytes of an IDX file, plain or gzip, in its own shape."""
    data = pathlib.Path(path).read_bytes()
    data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    if data[:3] != b"\0\0\x08":
        raise ValueError(f"{path}: no IDX file of bytes")
    shape = struct.unpack(f">{data[3]}I", data[4 : 4 + 4 * data[3]])
    return torch.frombuffer(bytearray(data[4 + 4 * data[3] :]), dtype=torch.uint8).reshape(shape)


def read_cifar_100(path):
    """Images [N, 3, 32, 32] as bytes, and fine labels, of a CIFAR-100 file in the binary format."""
    records = torch.frombuffer(bytearray(pathlib.Path(path).read_bytes()), dtype=torch.uint8).reshape(-1, 3074)
    return records[:, 2:].reshape(-1, 3, 32, 32), records[:, 1].long()


def read_images(path):
    """The images of an IDX file, or of a CIFAR-100 file whose name ends with .bin, [N, channels, S, S] bytes."""
    if str(path).endswith(".bin"):
        return read_cifar_100(path)[0]
    images = read_idx(path)
    return images.unsqueeze(1) if images.dim() == 3 else images
