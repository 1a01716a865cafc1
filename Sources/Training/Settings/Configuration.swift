public import MoE
public import Networks
public import Numerics

public enum SimilarityDistance: String, CaseIterable, Sendable {
  case euclidean
  case squaredEuclidean = "squared-euclidean"
}

/// Which tensors a run leaves as they start.
public enum Freeze: String, CaseIterable, Sendable {
  case none
  case gate
  case experts
}

/// Which tensors are taken from the file of `initFrom`.
public enum InitialTensors: String, CaseIterable, Sendable {
  case all
  case gate
  case experts
}

/// What a gate learns from an attentive model.
public enum DistillationLoss: String, CaseIterable, Sendable {
  /// The mixture's cross-entropy on the labels: the authors' way, without a teacher.
  case labels
  /// KL(p_attentive ‖ p_plain).
  case kl
}

/// How the experts' answers become the model's (method: arXiv 2302.14703, section 3).
public enum CombineRule: String, CaseIterable, Sendable {
  /// m = Σ_e p_e y_e over all experts.
  case expectation
  /// Trains every expert with the loss of Jacobs et al. 1991; evaluates the arg-max expert alone.
  case stochastic
  /// Only the k experts with the largest gate logits run.
  case topK = "top-k"
}

/// What the selected experts' weights are under ``CombineRule/topK``.
public enum TopKWeights: String, CaseIterable, Sendable {
  /// The full softmax; the mass of the experts that did not run predicts nothing.
  case full
  /// A softmax over the selected logits.
  case renormalised
}

/// What travels when a sample is sent to an expert's rank.
public enum Payload: String, CaseIterable, Sendable {
  /// Raw pixels, one byte each.
  case uint8
  /// Normalised pixels.
  case float32
  /// The sample's number; the receiver reads its own copy of the data.
  case index
}

/// Where the gate's network runs.
public enum GatePlacement: String, CaseIterable, Sendable {
  /// On rank 0, for the whole batch.
  case root
  /// On every rank, for the rows of its shard.
  case replicated
}

/// Everything that determines a run, resolved: defaults, then the YAML file, then the command line.
///
/// The first group determines the values of the trained parameters and is stored in every checkpoint; the others
/// are not, and may differ at a resume. How each is named, checked and explained: ``ConfigurationSchema``.
public struct Configuration: Equatable, Sendable {
  // MARK: What determines values
  /// Chosen once, because other defaults follow from it, see ``init(dataset:)``.
  public package(set) var dataset = "fashion-mnist"
  /// Name of a network family, see `NetworkFamilies`.
  public var model = "fashion-mnist"
  /// Mixture layers, one behind the other, of a model that has them inside a deeper network.
  public var layers = 1
  public var experts = 5
  public var gate = GateKind.softmax
  public var combine = CombineRule.expectation
  public var topK = 1
  public var topKWeights = TopKWeights.full
  /// Standard deviation of the noise on the scores in training under ``CombineRule/topK``, times the number of experts.
  public var noise = 0.0
  /// c of ⌈c·k·B/E⌉, the rows of a batch that an expert takes at most in training under ``CombineRule/topK``; nil: no limit.
  public var capacity: Double?
  /// T of softmax(g/T).
  public var temperature = 1.0
  /// T of the gate's softmax in the loss that the experts are trained with; nil: `temperature`, one loss for both.
  public var expertTemperature: Double?
  /// The classes of every expert, `0,7/1,9/…`, for ``GateKind/classes``.
  public var expertClasses: String?
  /// w of w·(std(I)/mean(I))².
  public var importance = 0.0
  /// β_s and β_d of the sample-similarity loss β_s·S − β_d·D.
  public var similarity = 0.0
  public var dissimilarity = 0.0
  public var similarityScaling = SimilarityScaling.perPair
  public var similarityDistance = SimilarityDistance.euclidean
  /// What distances are divided by: `dataset`, `batch-max`, `none` or a number.
  public var similarityScale = "dataset"
  /// Weights of losses that are named in their list alone, those that are not 0; see ``subscript(weight:)``.
  var lossWeights: [String: Double] = [:]
  public var freeze = Freeze.none
  public var distillLoss = DistillationLoss.kl
  public var batchSize = 512
  public var learningRate = 1e-3
  public var weightDecay = 0.0
  public var optimiser = OptimiserKind.adam
  /// μ, for ``OptimiserKind/sgd``; nil: another optimiser, which has none.
  public var momentum: Double?
  public var schedule = ScheduleKind.constant
  /// Epochs until a cosine has come down to 0; nil: another schedule.
  public var scheduleEpochs: Int?
  /// Epochs between the factors of a step schedule, and the factor; nil: another schedule.
  public var stepEpochs: Int?
  public var stepFactor: Double?
  /// Steps in which the learning rate rises; 0: none.
  public var warmUp = 0
  /// The largest norm of the gradients; nil: any.
  public var clipNorm: Double?
  public var seed: UInt64 = 0
  /// Share of the training samples held out, stratified by class; 0 = none.
  public var validationFraction = 0.1
  public var shuffle = true
  /// Rows per block: the unit in which the gate's work and every sum over rows is cut.
  public var blockRows = 128
  /// What computes the matrix products of dense layers.
  public var products = DenseProducts.standard
  /// Per channel; nil: the data set's published figures, or for `idx` those of the training images.
  public var mean: [Double]?
  public var standardDeviation: [Double]?
  /// The first samples of every class, this many in all; nil: all samples.
  public var trainSamples: Int?
  public var testSamples: Int?
  /// Whether training images are changed at random, where the data set has that.
  public var augment = true

  // MARK: What determines values once, at the start of a run; a resumed run has no use for it
  /// A safetensors file to start from.
  public var initFrom: String?
  /// Allows `initFrom` to lack tensors.
  public var initPartial = false
  public var initOnly = InitialTensors.all
  /// A safetensors file of a single model, which every expert starts from.
  public var initExpertsFrom: String?

  // MARK: What does not
  public var epochs = 20
  /// Finish when so many epochs have not lowered the validation error; nil: go on.
  public var patience: Int?
  /// Stop after this step, counted from step 0 of the run; nil: no limit.
  public var maxSteps: Int?
  /// Stop in time to end within this many seconds; nil: no limit.
  public var maxTime: Double?
  /// The checkpoint of the attentive run that is distilled; its content is known by its fingerprint.
  public var distillFrom: String?
  public var payload = Payload.uint8
  public var gatePlacement = GatePlacement.root
  /// Threads of every rank, on which whole blocks and whole experts run.
  public var threads = 1
  /// `auto`, `block`, `round-robin`, or the rank of every expert: `0,0,1`.
  public var placement = "auto"
  /// Epochs between checkpoints; 0: only at the end.
  public var checkpointEvery = 1
  /// Steps between checkpoints; 0: by epochs only.
  public var checkpointEverySteps = 0
  /// How many of the newest checkpoints are kept, beside the best by validation error; 0: all.
  public var keep = 3
  /// Steps between step lines in metrics.jsonl; 0: none.
  public var logEvery = 0
  /// Whether images by expert are kept for the report.
  public var images = true
  /// Whether metrics and pictures are kept for TensorBoard, too.
  public var tensorBoard = true
  /// Where a trace of some steps is written; nil: none is.
  public var trace: String?
  /// Which, see ``TraceWindow``: those after the first number up to the second.
  public var traceSteps = "10:30"
  public var dataDirectory: String?
  /// The four IDX files of the data set `idx`; their content is known by its fingerprint, not by its place.
  public var trainImages: String?
  public var trainLabels: String?
  public var testImages: String?
  public var testLabels: String?
  public var runDirectory: String?
  /// Seconds without a completed phase after which a line says which rank is late; 0: never.
  public var stallWarn = 60.0
  /// Seconds without a completed phase after which the watchdog ends the job; 0: never.
  public var stallAbort = 600.0
  /// Seconds within which all ranks must have arrived; 0: any time.
  public var startLimit = 300.0

  /// The defaults of the first data set; a program begins with ``init(dataset:)``.
  package init() {}

  /// What settings are where they make no difference: what then happens.
  static let neutral: Configuration = {
    var configuration = Configuration()
    configuration.experts = 1
    configuration.augment = false
    return configuration
  }()
}
