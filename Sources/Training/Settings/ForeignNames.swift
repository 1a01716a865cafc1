package import Files

// What users of PyTorch's trainers, of Lightning, timm and Megatron type, and what it is called here.

/// What stands here for a name that others use.
private enum Counterpart {
  /// A setting, on the command line and in a file.
  case setting(String)
  /// An option of the command line that is no setting.
  case option(String)
  /// Nothing; a sentence about what there is instead.
  case nothing(Message)
}

private let computing: Message =
  "it runs on processors: start N ranks with 'mpirun -np N moe-dist …'; '\(setting: "threads")' is how many threads each has"
private let loading: Message = "the images are in memory, and nobody loads them beside the training"
private let betas: Message = "beta1 = 0.9, beta2 = 0.999 and epsilon = 1e-8 are fixed"
private let precision: Message =
  "everything is computed in single precision, and sums in an order that never changes"
private let tracking: Message = "a run writes metrics.jsonl and report.html into '\(setting: "run-dir")'"
private let batches: Message = "'\(setting: "batch-size")' is that of a step, over all ranks together"
private let warmUpUnit: Message = "'\(setting: "warm-up")' counts steps"

/// Their names, by what they are called here.
private let foreignNames: [(counterpart: Counterpart, names: [String])] = [
  (.setting("learning-rate"), ["lr", "base-lr", "init-lr", "initial-lr", "eta"]),
  (.setting("weight-decay"), ["wd", "decay", "l2", "l2-reg"]),
  (
    .setting("batch-size"),
    ["b", "bs", "batch", "batchsize", "train-batch-size", "global-batch-size", "total-batch-size"]
  ),
  (
    .setting("epochs"),
    ["epoch", "num-epochs", "n-epochs", "nepochs", "max-epochs", "train-epochs", "num-train-epochs"]
  ),
  (
    .setting("max-steps"),
    [
      "steps", "num-steps", "total-steps", "train-steps", "max-iters", "max-iter", "train-iters",
      "iterations",
    ]
  ),
  (.setting("optimiser"), ["optimizer", "optim", "opt", "optimizer-name", "optimizer-type"]),
  (.setting("momentum"), ["mu", "sgd-momentum"]),
  (
    .setting("schedule"),
    [
      "scheduler", "sched", "lr-scheduler", "lr-schedule", "lr-sched", "lr-scheduler-type", "lr-policy",
      "lr-decay", "lr-decay-style", "learning-rate-schedule",
    ]
  ),
  (
    .setting("schedule-epochs"), ["t-max", "tmax", "decay-epochs", "lr-decay-epochs", "cosine-epochs"]
  ),
  (.setting("step-epochs"), ["step-size", "lr-step-size", "lr-step"]),
  (
    .nothing("'\(setting: "schedule") step' takes a factor every '\(setting: "step-epochs")' epochs"),
    ["milestones", "lr-milestones"]
  ),
  (.setting("step-factor"), ["gamma", "lr-gamma", "decay-rate", "lr-decay-rate", "lr-decay-factor"]),
  (
    .setting("warm-up"),
    [
      "warmup", "warmup-steps", "warm-up-steps", "num-warmup-steps", "lr-warmup", "lr-warmup-steps",
      "lr-warmup-iters", "warmup-iters",
    ]
  ),
  (
    .nothing(warmUpUnit),
    ["warmup-epochs", "lr-warmup-epochs", "warm-up-epochs", "warmup-ratio", "warmup-fraction"]
  ),
  (
    .setting("clip-norm"),
    [
      "clip", "grad-clip", "clip-grad", "clip-grad-norm", "max-grad-norm", "max-norm", "gradient-clip",
      "gradient-clipping", "gradient-clip-val", "grad-clip-norm",
    ]
  ),
  (.setting("stall-abort"), ["watchdog", "stall-timeout", "stall-shutdown-time-seconds", "ddp-timeout"]),
  (.setting("stall-warn"), ["stall-check-time-seconds", "stall-check"]),
  (.setting("patience"), ["early-stopping", "early-stop", "early-stopping-patience", "es-patience"]),
  (
    .setting("experts"),
    ["num-experts", "n-experts", "n-expert", "expert-num", "num-local-experts", "moe-experts"]
  ),
  (
    .setting("top-k"),
    [
      "k", "topk", "num-experts-per-tok", "num-experts-per-token", "moe-top-k", "moe-router-topk",
      "router-top-k", "gate-top-k",
    ]
  ),
  (.setting("gate"), ["router", "gating", "gate-type", "router-type", "moe-router-type"]),
  (
    .setting("importance"),
    [
      "aux-loss", "aux-loss-coef", "aux-loss-coeff", "aux-loss-weight", "moe-aux-loss-coeff",
      "router-aux-loss-coef", "balance-loss", "load-balancing-loss",
    ]
  ),
  (.setting("temperature"), ["temp", "tau", "softmax-temperature"]),
  (.setting("model"), ["arch", "architecture", "net", "network", "model-name", "backbone"]),
  (.setting("dataset"), ["dataset-name", "ds", "data-set"]),
  (
    .setting("data-dir"),
    ["data", "data-path", "data-root", "dataroot", "dataset-dir", "dataset-path", "root", "data-folder"]
  ),
  (.setting("train-samples"), ["max-train-samples", "num-train-samples"]),
  (
    .setting("validation-fraction"),
    ["val-split", "validation-split", "val-fraction", "valid-fraction", "val-size", "val-ratio"]
  ),
  (.setting("augment"), ["augmentation", "data-augmentation", "aug"]),
  (.setting("seed"), ["random-seed", "manual-seed", "rng-seed", "random-state"]),
  (
    .setting("run-dir"),
    [
      "output", "out", "output-dir", "out-dir", "save", "save-dir", "save-path", "log-dir", "logdir",
      "checkpoint-dir", "ckpt-dir", "work-dir", "exp-dir", "default-root-dir", "run-name", "exp-name",
      "experiment",
    ]
  ),
  (
    .option("resume"),
    [
      "resume-from", "resume-from-checkpoint", "resume-path", "load", "load-checkpoint", "ckpt", "ckpt-path",
      "checkpoint", "checkpoint-path", "resume",
    ]
  ),
  (
    .setting("init-from"),
    ["pretrained", "weights", "pretrained-path", "pretrained-checkpoint", "finetune", "init-checkpoint"]
  ),
  (.setting("init-experts-from"), ["upcycle", "upcycle-from", "sparse-upcycling"]),
  (
    .setting("checkpoint-every"),
    ["save-every", "save-freq", "save-interval", "save-epochs", "checkpoint-freq", "checkpoint-interval"]
  ),
  (.setting("checkpoint-every-steps"), ["save-steps", "save-every-n-steps", "checkpoint-steps"]),
  (
    .setting("keep"),
    [
      "save-total-limit", "save-top-k", "max-to-keep", "keep-last", "keep-last-n", "keep-last-epochs",
      "keep-checkpoint-max", "checkpoint-hist",
    ]
  ),
  (
    .setting("log-every"),
    [
      "log-interval", "log-steps", "logging-steps", "log-freq", "log-every-n-steps", "print-freq",
      "print-every", "report-every",
    ]
  ),
  (.setting("threads"), ["num-threads", "n-threads", "omp-num-threads", "cpus-per-task"]),
  (.option("config"), ["config-file", "cfg"]),
  (.option("quiet"), ["silent"]),
  (.option("progress"), ["verbose", "verbosity", "progress-bar", "enable-progress-bar"]),

  (
    .nothing(loading),
    ["j", "num-workers", "workers", "n-workers", "data-workers", "dataloader-num-workers", "pin-memory"]
  ),
  (
    .nothing(computing),
    [
      "device", "devices", "gpu", "gpus", "cuda", "no-cuda", "use-cuda", "accelerator", "num-gpus", "ranks",
      "np", "nproc", "nproc-per-node", "num-processes", "num-nodes", "nnodes", "world-size", "rank",
      "local-rank", "backend", "dist-backend", "distributed", "expert-parallel-size", "ep-size",
      "expert-model-parallel-size",
    ]
  ),
  (
    .nothing(betas),
    ["betas", "beta1", "beta2", "adam-beta1", "adam-beta2", "eps", "epsilon", "adam-epsilon", "adam-eps"]
  ),
  (.nothing("momentum is plain, as in torch.optim.SGD without nesterov"), ["nesterov", "dampening"]),
  (
    .nothing(precision),
    [
      "fp16", "bf16", "amp", "use-amp", "precision", "mixed-precision", "dtype", "tf32", "deterministic",
      "benchmark",
    ]
  ),
  (
    .nothing(batches),
    [
      "per-device-train-batch-size", "per-device-batch-size", "micro-batch-size", "local-batch-size",
      "accumulate", "accumulate-grad-batches", "grad-accum", "gradient-accumulation-steps",
    ]
  ),
  (
    .nothing(tracking),
    ["wandb", "use-wandb", "wandb-project", "tensorboard", "logger", "report-to", "mlflow"]
  ),
]

/// A name as it is looked for: `--Warmup_Steps` as `warmup-steps`.
private func plain(_ name: String) -> String {
  name.lowercased().replacing("_", with: "-")
}

/// What to say behind `unknown option '--…'`, or behind `unknown key '…'`: what the name is called here, what there is in
/// its place, or which setting it nearly is; nothing where nobody knows.
///
/// - Parameter isOption: whether it was given as an option; a key of a file keeps its name in every spelling.
package func settingHint(_ name: String, isOption: Bool = false) -> Message {
  foreignNameHint(name, isOption: isOption)
    ?? Message(didYouMean(name, among: ConfigurationSchema.settings.map(\.key)))
}

/// The same for a name that others use; nil for any other.
package func foreignNameHint(_ name: String, isOption: Bool) -> Message? {
  let wanted = plain(name)
  guard let found = foreignNames.first(where: { $0.names.contains(wanted) }) else { return nil }
  switch found.counterpart {
  case .setting(let key): return isOption ? "; it is '\(setting: key)' here" : "; it is '\(key)' here"
  case .option(let key):
    return isOption
      ? "; it is '\(setting: key)' here" : "; it is the option '\(setting: key)' of the command line"
  case .nothing(let words): return "; it has no counterpart: \(words)"
  }
}

/// Every foreign name with the setting that it stands for; nil where it stands for none.
package var foreignNameList: [(name: String, setting: String?)] {
  foreignNames.flatMap { entry in
    entry.names.map { name in
      guard case .setting(let key) = entry.counterpart else { return (name, nil) }
      return (name, key)
    }
  }
}
