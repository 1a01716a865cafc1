internal import Files
internal import Networks

extension ConfigurationSchema {
  /// How parameters change, and from where they start.
  static let trainingSettings: [Setting] = [
    .whole(
      "epochs", \.epochs, .run, in: 0...1_000_000, default: "by data set", "Passes over the training samples."
    ).mostUsed(),
    .whole(
      "batch-size", \.batchSize, .values, in: 1...16_777_216, default: "by data set", "Samples per step."
    )
    .mostUsed(),
    .real(
      "learning-rate", \.learningRate, .values, default: "by data set", where: { $0 >= 0 },
      expected: "a number, at least 0", "The optimiser's step size."
    )
    .mostUsed(),
    .choice("optimiser", \.optimiser, .values, "What updates the parameters, as in torch.optim.")
      .addedLater(),
    .real(
      "weight-decay", \.weightDecay, .values, where: { $0 >= 0 }, expected: "a number, at least 0",
      "Decay of every trained tensor: decoupled with \(setting: "optimiser") adamw, otherwise added to the gradient (L2)."
    ),
    .optionalReal(
      "momentum", \.momentum, .values, "X", default: "0.9 with sgd",
      where: { $0 >= 0 && Float($0) < 1 },
      expected: "a number from 0 to less than 1", "For \(setting: "optimiser") sgd; 0 keeps no state."
    ).addedLater().applies(.with("optimiser", \.optimiser, .sgd)),
    .choice(
      "schedule", \.schedule, .values,
      "How the learning rate changes: not, by a factor every \(setting: "step-epochs"), or by half a cosine to 0."
    ).addedLater(),
    .optionalWhole(
      "schedule-epochs", \.scheduleEpochs, .values, in: 1...1_000_000,
      default: "\(setting: "epochs") as the run began",
      """
      Epochs until a cosine reaches 0. A run trains no further; to begin with fewer \(setting: "epochs") and go on later, give it \
      from the start.
      """
    ).addedLater().applies(.with("schedule", \.schedule, .cosine)),
    .optionalWhole(
      "step-epochs", \.stepEpochs, .values, in: 1...1_000_000, default: "none",
      "Epochs between the factors of \(setting: "schedule") step, which needs it."
    ).addedLater().applies(.with("schedule", \.schedule, .step)),
    .optionalReal(
      "step-factor", \.stepFactor, .values, "X", default: "0.1 with step", where: { $0 > 0 },
      expected: "a positive number", "The factor of \(setting: "schedule") step."
    ).addedLater().applies(.with("schedule", \.schedule, .step)),
    .whole(
      "warm-up", \.warmUp, .values, in: 0...Int(Int32.max),
      "Steps in which the learning rate rises: that of step s is multiplied by s/N; 0: none."
    ).addedLater(),
    .optionalReal(
      "clip-norm", \.clipNorm, .values, "X", default: "no limit", where: { $0 > 0 },
      expected: "a positive number; leave it out for no limit",
      "Scale gradients down to this norm, taken over all trained tensors together."
    ).addedLater(),
    .optionalWhole(
      "patience", \.patience, .run, in: 1...1_000_000, default: "go on",
      """
      Finish when this many epochs have not brought a smaller validation error; an equal one is none. The model stays \
      that of the last epoch; evaluate \(setting: "checkpoint") best takes the best.
      """),
    .seed("seed", \.seed, "Determines every random draw.")
      .mostUsed(),
    .onOff("shuffle", \.shuffle, .values, "Draw a new order of the samples in every epoch."),
    .whole(
      "block-rows", \.blockRows, .values, in: 1...1_048_576,
      "Rows per block, the unit in which a batch is divided among ranks."),
    .choice(
      "products", \.products, .values,
      """
      What computes the matrix products of dense layers: own kernels, with the same bits on every processor that has \
      fused multiply-add, or OpenBLAS, whose bits depend on the kernels that it chooses.
      """
    ).addedLater(),
    .path(
      "init-from", \.initFrom, .start, "FILE|RUN", default: "none",
      """
      Start from the weights of a safetensors file, or of a run directory's newest checkpoint: F32; F16 and BF16, widened \
      exactly; F64, rounded to the nearest.
      """),
    .onOff("init-partial", \.initPartial, .start, "Let the file of \(setting: "init-from") lack tensors.")
      .applies(.toInitialTensors),
    .choice(
      "init-only", \.initOnly, .start, "Which tensors to take from the file of \(setting: "init-from")."
    )
    .applies(.toInitialTensors),
    .path(
      "init-experts-from", \.initExpertsFrom, .start, "FILE|RUN", default: "none",
      """
      Start every expert from the network of a single model (\(setting: "gate") none), trunk and head from its own; the \
      gate starts at random.
      """),
    .choice(
      "freeze", \.freeze, .values,
      "Leave the gate or the experts as they start (see \(setting: "init-from"))."
    )
    .applies(.toMixtures, .toGatesWithTensors),
    .path(
      "distill-from", \.distillFrom, .run, "FILE", default: "none",
      "Checkpoint of an attentive run: train a plain gate for its experts (see the command distill)."),
    .choice(
      "distill-loss", \.distillLoss, .values, "What the gate learns from: the labels, or the attentive gate."
    )
    .applies(.toDistillation),
    .optionalWhole(
      "max-steps", \.maxSteps, .run, in: 0...Int.max, default: "no limit",
      "Finish after this many steps, counted from the start of the run; 0: write the initial weights."),
    .optionalReal(
      "max-time", \.maxTime, .run, "SECONDS", default: "no limit", precision: .double, where: { $0 > 0 },
      expected: "a positive number of seconds",
      "Stop in time to end within this many seconds, resumable."),
  ]

  /// How the work is divided; the results are the same.
  static let rankSettings: [Setting] = [
    .choice(
      "payload", \.payload, .run, "What travels when a sample is sent to an expert's rank; same results."
    )
    .applies(.toImagesOnTheWire),
    .choice(
      "gate-placement", \.gatePlacement, .run,
      "Run the gate on rank 0, or a copy of it on every rank for a share of the rows; same results."),
    .whole(
      "threads", \.threads, .run, in: 1...1024,
      "Threads of every rank, for blocks of the gate and for experts; same results."
    ).ofEveryHost(),
    .word(
      "placement", \.placement, .run, "auto|block|round-robin|R,R,…", where: isPlacement,
      expected: "auto, block, round-robin or the rank of every expert, such as 0,0,1",
      "Which rank owns which expert; same results."),
  ]

  /// What a run leaves behind, and when.
  static let keptSettings: [Setting] = [
    .path(
      "run-dir", \.runDirectory, .run, "DIR", default: "runs/<dataset>-<gate>-<date>-<n>",
      "Where the run is kept."
    ).unsaved().mostUsed(),
    .whole(
      "checkpoint-every", \.checkpointEvery, .run, in: 0...1_000_000,
      "Epochs between checkpoints; 0: at the end only."),
    .whole(
      "checkpoint-every-steps", \.checkpointEverySteps, .run, in: 0...Int.max,
      "Steps between further checkpoints; 0: none."),
    .whole(
      "keep", \.keep, .run, in: 0...1_000_000,
      "Newest checkpoints that are kept, beside the best by validation error; 0: all."),
    .whole(
      "log-every", \.logEvery, .run, in: 0...Int.max, "Steps between step lines in metrics.jsonl; 0: none."),
    .onOff(
      "images", \.images, .run,
      "Keep a few test images by the expert that they choose, for the report; at most 36 kB."),
    .onOff(
      "tensorboard", \.tensorBoard, .run,
      "Keep metrics and pictures as event files for TensorBoard, too."),
    .path(
      "trace", \.trace, .run, "FILE", default: "none",
      "Write when every rank did what, as a trace for Perfetto (Chrome's JSON format)."
    ).unsaved(),
    .word(
      "trace-steps", \.traceSteps, .run, "A:B", where: { TraceWindow($0) != nil },
      expected: "two numbers of steps, the first smaller, at most \(TraceWindow.most) apart, such as 10:30",
      "Trace the steps of the run after A up to B."
    ).unsaved().applies(.toTrace),
    .real(
      "stall-warn", \.stallWarn, .run, "SECONDS", precision: .double, where: { $0 >= 0 },
      expected: "a number of seconds, at least 0",
      "Say which rank is late when no phase was completed for this long; 0: never."),
    .real(
      "stall-abort", \.stallAbort, .run, "SECONDS", precision: .double, where: { $0 >= 0 },
      expected: "a number of seconds, at least 0",
      "End the job, and say which rank is late, when no phase was completed for this long; 0: never."
    ).formerly("watchdog"),
    .real(
      "start-limit", \.startLimit, .run, "SECONDS", precision: .double, where: { $0 >= 0 },
      expected: "a number of seconds, at least 0",
      "End the job when not all ranks have arrived after this long; 0: never."),
  ]

  @Sendable private static func isPlacement(_ text: String) -> Bool {
    ["auto", "block", "round-robin"].contains(text)
      || text.split(separator: ",", omittingEmptySubsequences: false).allSatisfy {
        Int($0).map { $0 >= 0 } ?? false
      }
  }
}
