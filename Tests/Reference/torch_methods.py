"""Every gate and every loss of moe-dist as a plain PyTorch module, for the comparison of results in float64.

Gates: softmax, attentive (arXiv 2302.14703, section 4), peeking, loudest, loss and classes (the authors' follow-up
work and their hand-made decompositions). All experts run on all rows; what a rule leaves out is masked.

Letters: B rows, E experts, C classes, H width of the last hidden layers. Needs torch only.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F
from torch_models import Attention

CHOOSING_GATES = ["peeking", "loudest", "loss", "classes"]


class Method(nn.Module):
    """E experts under a gate, with all that training can add.

    options: gate, rule, k, weights, temperature, expert_temperature, importance, similarity, dissimilarity, scaling,
    distance, scale (a number or "batch-max"), freeze, expert_of_class.
    teacher: an attentive gate's (network, attention); then the gate learns its probabilities of the same experts.
    """

    def __init__(self, experts, gate, width, options, teacher=None):
        super().__init__()
        self.experts = nn.ModuleList(experts)
        self.kind = options.get("gate", "softmax")
        self.option = options.get
        self.temperature = options.get("temperature", 1.0)
        if gate is not None:
            self.gate = gate
        if self.kind == "attentive":
            self.attention = Attention(width)
        # In a list, so that the teacher's tensors are none of the model's.
        self.teacher = [] if teacher is None else list(teacher)

    def parts(self, frozen):
        """The modules that are frozen, or those that are trained."""
        gate = [module for name, module in self.named_children() if name in ["gate", "attention"]]
        return (gate if (self.option("freeze") == "gate") == frozen else []) + (
            [self.experts] if (self.option("freeze") == "experts") == frozen else []
        )

    def prepare(self):
        """Training mode, frozen parts in evaluation mode."""
        self.train()
        for module in self.parts(frozen=True):
            module.eval().requires_grad_(False)

    def answers(self, images):
        """ln y [B, E, C] and hidden layers [B, E, H]."""
        hidden = torch.stack([expert.hidden(images) for expert in self.experts], 1)
        logits = [expert.out(F.relu(hidden[:, e])) for e, expert in enumerate(self.experts)]
        return F.log_softmax(torch.stack(logits, 1), 2), hidden

    def scores(self, gate_output, answers, hidden, labels):
        """[B, E], of which softmax(scores / T) is p."""
        if self.kind == "attentive":
            return self.attention(gate_output, hidden)
        if self.kind == "classes":
            chosen = torch.tensor(self.option("expert_of_class"))[labels]
            return F.one_hot(chosen, len(self.experts)).double()
        if self.kind == "peeking":
            return at_label(answers, labels).detach() / math.log(2)
        if self.kind == "loudest":
            return (answers.exp() * answers).sum(2).detach() / math.log(2)
        return gate_output

    def mixture(self, scores, answers, labels, temperature):
        """[B] −ln m_label, or the loss of Jacobs et al."""
        answer = at_label(answers, labels)
        if self.kind in CHOOSING_GATES:
            return -answer.gather(1, scores.argmax(1, keepdim=True)).squeeze(1)
        rule, k = self.option("rule"), self.option("k", 1)
        scaled = scores / temperature
        if rule != "top-k" or k == scores.shape[1]:
            return -torch.logsumexp(F.log_softmax(scaled, 1) + answer * (0.5 if rule == "stochastic" else 1), 1)
        chosen = torch.sort(scores, dim=1, descending=True, stable=True).indices[:, :k]
        runs = torch.zeros_like(scores, dtype=torch.bool).scatter(1, chosen, True)
        if self.option("weights") == "renormalised":
            return -torch.logsumexp(F.log_softmax(scaled.masked_fill(~runs, -math.inf), 1).gather(1, chosen)
                                    + answer.gather(1, chosen), 1)  # fmt: skip
        weights = F.log_softmax(scaled, 1)
        rest = torch.logsumexp(weights.masked_fill(runs, -math.inf), 1) - math.log(answers.shape[2])
        return -torch.logsumexp(torch.cat([(weights + answer).gather(1, chosen), rest[:, None]], 1), 1)

    def regularisers(self, scores, images):
        """w·L_imp + L_s of p, the full softmax."""
        p = F.softmax(scores / self.temperature, 1)
        total = p.new_zeros(())
        if self.option("importance"):
            importance = p.sum(0)
            total = total + self.option("importance") * (importance.std(unbiased=True) / importance.mean()) ** 2
        if self.option("similarity") or self.option("dissimilarity"):
            total = total + self.similarity(p, self.distances(images))
        return total

    def distances(self, images):
        flat = images.flatten(1)
        distances = (flat[:, None] - flat[None]).square().sum(2).sqrt()
        scale = self.option("scale", 1.0)
        distances = distances / (distances.max() if scale == "batch-max" else scale)
        return distances.square() if self.option("distance") == "squared-euclidean" else distances

    def similarity(self, p, distances):
        rows, experts = p.shape
        pairs = rows * (rows - 1)
        authors = self.option("scaling") == "authors"
        # [e, e'] Σ over x ≠ x' of p_e(x) p_e'(x') d(x, x')
        table = p.T @ distances @ p
        same = table.trace() / experts / (1 if authors else pairs)
        other = (table.sum() - table.trace()) / (experts**2 - experts) / (rows**2 if authors else pairs)
        return self.option("similarity", 0.0) * same - self.option("dissimilarity", 0.0) * other

    def step(self, images, labels):
        """A dict: rows [B] as training reports them, p [B, E], and the losses: of the gate and of the experts.

        The two are the same tensor where one loss trains both.
        """
        answers, hidden = self.answers(images)
        output = self.gate(images) if hasattr(self, "gate") else None
        scores = self.scores(output, answers, hidden, labels)
        p = F.softmax(scores / self.temperature, 1)
        if self.teacher:
            return self.distillation(images, hidden, scores, p)
        if self.kind == "loss":
            errors = (scores - at_label(answers, labels).detach()).abs().sum(1)
            rows = self.mixture(scores, answers, labels, 1.0)
            gate = errors.mean() + self.regularisers(scores, images)
            return {"rows": rows + errors, "p": p, "gate": gate, "experts": rows.mean()}
        if not self.option("expert_temperature"):
            rows = self.mixture(scores, answers, labels, self.temperature)
            loss = rows.mean() + self.regularisers(scores, images)
            return {"rows": rows, "p": p, "gate": loss, "experts": loss}
        # Two temperatures: the gate learns with the experts detached, the experts with the gate detached.
        of_gate = self.scores(output, answers.detach(), hidden.detach(), labels)
        rows = self.mixture(of_gate, answers.detach(), labels, self.temperature)
        if self.kind == "attentive":
            key, query = self.attention.key.weight.detach(), self.attention.query.weight.detach()
            of_experts = ((output.detach() @ query.T @ key)[:, None] * hidden).sum(2) / math.sqrt(hidden.shape[2])
        else:
            of_experts = scores.detach()
        experts = self.mixture(of_experts, answers, labels, self.option("expert_temperature")).mean()
        return {"rows": rows, "p": p, "gate": rows.mean() + self.regularisers(of_gate, images), "experts": experts}

    def distillation(self, images, hidden, scores, p):
        """mean KL(p_teacher ‖ p_student); the teacher is in evaluation mode and learns nothing."""
        network, attention = self.teacher
        with torch.no_grad():
            known = F.log_softmax(attention(network.eval()(images), hidden) / self.temperature, 1)
        learned = F.log_softmax(scores / self.temperature, 1)
        rows = (known.exp() * (known - learned)).sum(1)
        loss = rows.mean()
        return {"rows": rows, "p": p, "gate": loss, "experts": loss}


def at_label(answers, labels):
    """[B, E, C] at every row's label, [B, E]."""
    return answers.gather(2, labels[:, None, None].expand(-1, answers.shape[1], 1)).squeeze(2)
