/// Every setting that a user can give, in the order in which help texts and `config.yaml` list them.
///
/// The command line's options, the keys of a YAML file, the help texts and the configuration in a checkpoint are all
/// derived from this table: a new setting is one field of ``Configuration`` and one entry here.
public enum ConfigurationSchema {
  public static let settings: [Setting] = [
    // MARK: The data
    .word(
      "dataset", \.dataset, .values, "NAME",
      default: "fashion-mnist, or synthetic where its files are not found",
      "The data set."),
    .path(
      "data-dir", \.dataDirectory, .run, "DIR", default: "the usual places, see doctor",
      "Where the data set's files are."),
    .path("train-images", \.trainImages, .run, "FILE", default: "none", "IDX file, for --dataset idx."),
    .path("train-labels", \.trainLabels, .run, "FILE", default: "none", "IDX file, for --dataset idx."),
    .path("test-images", \.testImages, .run, "FILE", default: "none", "IDX file, for --dataset idx."),
    .path("test-labels", \.testLabels, .run, "FILE", default: "none", "IDX file, for --dataset idx."),
    .list(
      "mean", \.mean, .values, default: "the data set's own; computed for idx", where: { _ in true },
      expected: "numbers with commas between them, one per channel",
      "Mean of the pixels as numbers from 0 to 1, per channel."),
    .list(
      "std", \.standardDeviation, .values, default: "the data set's own; computed for idx", where: { $0 > 0 },
      expected: "positive numbers with commas between them, one per channel",
      "Standard deviation of the pixels, per channel."),
    .optionalWhole(
      "train-samples", \.trainSamples, .values, in: 1...Int(Int32.max), default: "all",
      "Take only the first training samples of every class, this many in all, equally many per class."),
    .optionalWhole(
      "test-samples", \.testSamples, .values, in: 1...Int(Int32.max), default: "all",
      "Take only the first test samples of every class, this many in all, equally many per class."),
    .onOff(
      "augment", \.augment, .values,
      "Flip and crop training images at random, for data sets that are trained so: cifar-10, cifar-100."),
    .real(
      "validation-fraction", \.validationFraction, .values, where: { (0..<1).contains($0) },
      expected: "a number from 0 to less than 1",
      "Share of the training samples held out for validation, the same share of every class; 0: none."),

    // MARK: The model
    .word(
      "model", \.model, .values, "NAME", default: "by data set", "The networks of the experts and the gate."),
    .whole(
      "layers", \.layers, .values, in: 1...64,
      "Mixture layers, one behind the other, for --model mlp and cifar-trunk; each has --experts experts."
    ).addedLater(),
    .whole("experts", \.experts, .values, in: 1...65_536, default: "by data set", "Number of experts."),
    .choice("gate", \.gate, .values, "What chooses the experts; none: a single model."),
    .choice("combine", \.combine, .values, "How the experts' answers become the model's."),
    .whole("top-k", \.topK, .values, in: 1...65_536, "Experts that run per sample, for --combine top-k."),
    .choice(
      "top-k-weights", \.topKWeights, .values, default: "full for --top-k 1, otherwise renormalised",
      "Weights of the experts that run, for --combine top-k."),
    .real(
      "noise", \.noise, .values, where: { $0 >= 0 }, expected: "a number, at least 0",
      "Noise on the gate's scores in training, for --combine top-k: normal, of standard deviation noise/E."
    ).addedLater(),
    .optionalReal(
      "capacity", \.capacity, .values, "X", default: "no limit", where: { $0 > 0 },
      expected: "a positive number",
      "An expert takes at most capacity·k·B/E rows of a training batch, for --combine top-k; later rows are dropped."
    ).addedLater(),
    .real(
      "temperature", \.temperature, .values, where: { $0 > 0 }, expected: "a positive number",
      "T of the gate's softmax(g/T)."),
    .optionalReal(
      "expert-temperature", \.expertTemperature, .values, "X", default: "that of --temperature",
      where: { $0 > 0 }, expected: "a positive number",
      "T of the gate's softmax in the loss of the experts, which then train with the gate detached, and it with them."
    ),
    .optionalWord(
      "expert-classes", \.expertClasses, .values, "C,C/C,C/…", default: "none",
      where: { ClassLists($0) != nil },
      expected: "the classes of every expert, such as 0,7/1,9/2,4/3,8/5,6, each class once",
      "The classes of every expert, for --gate classes, which it implies."),
    .choice(
      "freeze", \.freeze, .values, "Leave the gate or the experts as they start (see --init-from)."),

    // MARK: Regularisers
    .real(
      "importance", \.importance, .values, where: { $0 >= 0 }, expected: "a number, at least 0",
      "Weight of the importance regulariser, (std(I)/mean(I))² of the sums I of p: equal use of the experts."),
    .real(
      "similarity", \.similarity, .values, where: { $0 >= 0 }, expected: "a number, at least 0",
      "Weight of distances within an expert: similar samples to one expert. Acts with --dissimilarity as one weight, "
        + "similarity/E + dissimilarity/(E²−E)."),
    .real(
      "dissimilarity", \.dissimilarity, .values, where: { $0 >= 0 }, expected: "a number, at least 0",
      "Weight of distances between experts; see --similarity."),
    .choice(
      "similarity-scaling", \.similarityScaling, .values,
      "Divide both similarity terms by the pairs of the batch, or as the authors' code does."),
    .choice("similarity-distance", \.similarityDistance, .values, "Distance between two samples."),
    .word(
      "similarity-scale", \.similarityScale, .values, "dataset|batch-max|none|X",
      default: "dataset; with the scaling authors none, on CIFAR batch-max",
      where: { Configuration.isSimilarityScale($0) },
      expected: "dataset, batch-max, none or a positive number",
      "What distances are divided by; dataset: the mean distance of the first 1000 training samples."),
    .real(
      "z-loss", \.zLoss, .values, where: { $0 >= 0 }, expected: "a number, at least 0",
      "Weight of the router z-loss, the mean of (ln Σ exp s)² of the gate's scores s: small scores."
    ).addedLater(),
    .real(
      "load-balance", \.loadBalance, .values, where: { $0 >= 0 }, expected: "a number, at least 0",
      "Weight of the load-balancing loss E·Σ f·P of the experts' shares f of the choices and means P of p, for --combine "
        + "top-k."
    ).addedLater(),

    // MARK: Training
    .whole(
      "epochs", \.epochs, .run, in: 0...1_000_000, default: "by data set", "Passes over the training samples."
    ),
    .whole(
      "batch-size", \.batchSize, .values, in: 1...16_777_216, default: "by data set", "Samples per step."),
    .real(
      "learning-rate", \.learningRate, .values, default: "by data set", where: { $0 >= 0 },
      expected: "a number, at least 0", "The optimiser's step size."),
    .choice("optimiser", \.optimiser, .values, "What updates the parameters, as in torch.optim.")
      .addedLater(),
    .real(
      "weight-decay", \.weightDecay, .values, where: { $0 >= 0 }, expected: "a number, at least 0",
      "Decay of every trained tensor: decoupled with --optimiser adamw, otherwise added to the gradient (L2)."
    ),
    .optionalReal(
      "momentum", \.momentum, .values, "X", default: "0.9 with sgd", where: { (0..<1).contains($0) },
      expected: "a number from 0 to less than 1", "For --optimiser sgd; 0 keeps no state."
    ).addedLater(),
    .choice(
      "schedule", \.schedule, .values,
      "How the learning rate changes: not, by a factor every --step-epochs, or by half a cosine to 0."
    ).addedLater(),
    .optionalWhole(
      "schedule-epochs", \.scheduleEpochs, .values, in: 1...1_000_000,
      default: "--epochs as the run began",
      "Epochs until a cosine reaches 0. A run trains no further; to begin with fewer --epochs and go on later, give it "
        + "from the start."
    ).addedLater(),
    .optionalWhole(
      "step-epochs", \.stepEpochs, .values, in: 1...1_000_000, default: "none",
      "Epochs between the factors of --schedule step, which needs it."
    ).addedLater(),
    .optionalReal(
      "step-factor", \.stepFactor, .values, "X", default: "0.1 with step", where: { $0 > 0 },
      expected: "a positive number", "The factor of --schedule step."
    ).addedLater(),
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
      "Finish when this many epochs have not brought a smaller validation error; an equal one is none. The model stays "
        + "that of the last epoch; evaluate --checkpoint best takes the best."),
    .seed("seed", \.seed, "Determines every random draw."),
    .onOff("shuffle", \.shuffle, .values, "Draw a new order of the samples in every epoch."),
    .whole(
      "block-rows", \.blockRows, .values, in: 1...1_048_576,
      "Rows per block, the unit in which a batch is divided among ranks."),
    .choice(
      "products", \.products, .values,
      "What computes the matrix products of dense layers: own kernels, with the same bits on every processor that has "
        + "fused multiply-add, or OpenBLAS, whose bits depend on the kernels that it chooses."
    ).addedLater(),
    .path(
      "init-from", \.initFrom, .start, "FILE|RUN", default: "none",
      "Start from the weights of a safetensors file, or of a run directory's newest checkpoint."),
    .onOff("init-partial", \.initPartial, .start, "Let the file of --init-from lack tensors."),
    .choice("init-only", \.initOnly, .start, "Which tensors to take from the file of --init-from."),
    .path(
      "distill-from", \.distillFrom, .run, "FILE", default: "none",
      "Checkpoint of an attentive run: train a plain gate for its experts (see the command distill)."),
    .choice(
      "distill-loss", \.distillLoss, .values, "What the gate learns from: the labels, or the attentive gate."),
    .optionalWhole(
      "max-steps", \.maxSteps, .run, in: 0...Int.max, default: "no limit",
      "Finish after this many steps, counted from the start of the run; 0: write the initial weights."),
    .optionalReal(
      "max-time", \.maxTime, .run, "SECONDS", default: "no limit", where: { $0 > 0 },
      expected: "a positive number of seconds",
      "Stop in time to end within this many seconds, resumable."),

    // MARK: Ranks
    .choice(
      "payload", \.payload, .run, "What travels when a sample is sent to an expert's rank; same results."),
    .choice(
      "gate-placement", \.gatePlacement, .run,
      "Run the gate on rank 0, or a copy of it on every rank for a share of the rows; same results."),
    .whole(
      "threads", \.threads, .run, in: 1...1024,
      "Threads of every rank, for blocks of the gate and for experts; same results."),
    .word(
      "placement", \.placement, .run, "auto|block|round-robin|R,R,…", where: isPlacement,
      expected: "auto, block, round-robin or the rank of every expert, such as 0,0,1",
      "Which rank owns which expert; same results."),

    // MARK: What is kept
    .path(
      "run-dir", \.runDirectory, .run, "DIR", default: "runs/<dataset>-<gate>-<date>-<n>",
      "Where the run is kept."
    )
    .unsaved(),
    .whole(
      "checkpoint-every", \.checkpointEvery, .run, in: 0...1_000_000,
      "Epochs between checkpoints; 0: at the end only."),
    .whole(
      "checkpoint-every-steps", \.checkpointEverySteps, .run, in: 0...Int.max,
      "Steps between further checkpoints; 0: none."),
    .whole(
      "log-every", \.logEvery, .run, in: 0...Int.max, "Steps between step lines in metrics.jsonl; 0: none."),
    .real(
      "watchdog", \.watchdog, .run, "SECONDS", where: { $0 >= 0 },
      expected: "a number of seconds, at least 0",
      "End the job when no phase was completed for this long; 0: never."),
  ]

  /// The setting of a name.
  public static func setting(_ key: String) -> Setting? { settings.first { $0.key == key } }

  @Sendable private static func isPlacement(_ text: String) -> Bool {
    ["auto", "block", "round-robin"].contains(text)
      || text.split(separator: ",", omittingEmptySubsequences: false).allSatisfy {
        Int($0).map { $0 >= 0 } ?? false
      }
  }
}
