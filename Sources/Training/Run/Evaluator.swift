public import DataSets
public import Dist
public import Files
internal import MoE
public import Records

/// What is asked of a trained model.
public struct EvaluationRequest: Sendable {
  /// Path of the checkpoint.
  public var checkpoint: String
  /// The rule to combine by, where it is not the model's own.
  public var combine: CombineRule?
  public var topK: Int?
  public var topKWeights: TopKWeights?
  public var placement = "auto"
  public var payload = Payload.uint8

  /// Open already; a run that is being written may remove its name.
  private var opened: CheckpointFile?

  public init(checkpoint: String) { self.checkpoint = checkpoint }

  /// - Parameter file: stays open, whatever becomes of its path.
  public init(_ file: CheckpointFile) {
    checkpoint = file.path
    opened = file
  }

  /// The checkpoint, opened where it is not open.
  public func file() throws(Failure) -> CheckpointFile {
    if let opened, opened.path == checkpoint { return opened }
    return try CheckpointFile(path: checkpoint)
  }
}

/// Which part of a data set.
public enum Split: String, CaseIterable, Sendable {
  case test
  case validation
  case train
}

/// What an evaluation found; complete on rank 0 only.
public struct Evaluation: Sendable {
  public let metrics: Metrics?
  public let account: ComputeAccount?
  public let timing: TimingTable?
  /// What has to be said where experts were chosen by the labels; nil where they were not.
  public let oracleNote: Message?

  /// The metrics and whether they are those of an oracle; null where they are not known.
  public var json: JSONValue {
    guard case .object(let members) = metrics?.json else { return .null }
    return .object(members + [.init(key: "oracle", value: .bool(oracleNote != nil))])
  }
}

/// Runs a trained model, dropless and without changing it.
public enum Evaluator {
  /// The configuration that a checkpoint was trained with.
  public static func configuration(of checkpoint: String) throws(Failure) -> Configuration {
    try configuration(of: CheckpointFile(path: checkpoint))
  }

  /// The configuration that a checkpoint was trained with.
  public static func configuration(of file: CheckpointFile) throws(Failure) -> Configuration {
    guard let text = file.metadata["configuration"] else {
      throw Failure(
        .badData,
        "\(file.path): has no configuration, so it is not a checkpoint of this program; train from it with \(setting: "init-from")"
      )
    }
    do { return try Configuration(valueKeysJSON: text) } catch {
      throw Failure(error.code, "\(file.path): \(error.words)")
    }
  }

  /// The data that a model answers for, as its checkpoint describes them: without images or fingerprints. Of a checkpoint
  /// of an earlier version, which describes none, the data set itself is read.
  ///
  /// - Parameters:
  ///   - trained: the checkpoint's configuration, with the place of the data.
  ///   - environment: of the process.
  /// - Throws: ``Failure`` for a damaged description, or for data that are not found or are damaged.
  public static func data(
    of request: EvaluationRequest, trained: Configuration, environment: [String: String]
  ) throws -> DataSet {
    if let description = try TrainingState.description(request.file()) { return description.withoutImages }
    return try trained.loadData(environment)
  }

  /// Metrics of a split. Collective.
  ///
  /// - Parameters:
  ///   - trained: the checkpoint's configuration.
  ///   - each: receives what the model says of the samples, batch by batch, on rank 0.
  /// - Throws: ``Failure`` when the checkpoint does not fit the data or is damaged.
  public static func evaluate(
    _ request: EvaluationRequest, split: Split, trained: Configuration, data: DataSet,
    communicator: any Communicator, each: (([SampleOutcome]) throws -> Void)? = nil
  ) throws -> Evaluation {
    let (images, samples) = try self.samples(of: split, trained, data)
    return try run(
      request, images, samples, trained: trained, data: data, communicator: communicator, each: each
    ).evaluation
  }

  /// The images of a split and the numbers of its samples among them.
  static func samples(of split: Split, _ trained: Configuration, _ data: DataSet) throws
    -> (ImageSet, [Int32])
  {
    let parts = ValidationSplit(labels: data.train.labels, fraction: trained.validationFraction)
    let samples: [Int32]
    switch split {
    case .test: samples = (0..<data.test.count).map { Int32($0) }
    case .validation: samples = parts.validation
    case .train: samples = parts.train
    }
    guard !samples.isEmpty else {
      throw AgreedError(
        Failure(.usage, "the run held out no validation samples; evaluate \(setting: "split") test or train"))
    }
    return (split == .test ? data.test : data.train, samples)
  }

  /// What the model says of images without labels. Collective.
  ///
  /// - Parameters:
  ///   - data: those of the training, or what ``data(of:trained:environment:)`` gives.
  ///   - each: receives it batch by batch, on rank 0.
  ///   - detail: the same with distributions and the experts' answers, which cost memory and time.
  public static func predict(
    _ request: EvaluationRequest, images: ImageSet, trained: Configuration, data: DataSet,
    communicator: any Communicator, each: (([SampleOutcome]) throws -> Void)? = nil,
    detail: (([SampleDetail]) throws -> Void)? = nil
  ) throws -> Evaluation {
    guard !trained.gate.design.isOracle else {
      throw AgreedError(
        Failure(
          .usage,
          "a model with \(setting: "gate", trained.gate.rawValue) chooses experts by the label, so it cannot predict; train a gate "
            + "for its experts: \(setting: "gate") softmax \(setting: "freeze") experts \(setting: "init-only") experts \(setting: "init-from", request.checkpoint)"
        ))
    }
    let samples = (0..<images.count).map { Int32($0) }
    return try run(
      request, images, samples, trained: trained, data: data, communicator: communicator, each: each,
      detail: detail
    ).evaluation
  }

  /// Runs the model on samples.
  ///
  /// - Returns: what it found, and the model.
  static func run(
    _ request: EvaluationRequest, _ images: ImageSet, _ samples: [Int32], trained: Configuration,
    data: DataSet, communicator: any Communicator, each: (([SampleOutcome]) throws -> Void)? = nil,
    detail: (([SampleDetail]) throws -> Void)? = nil
  ) throws -> (evaluation: Evaluation, session: ModelSession) {
    let start = PhaseClock.now()
    let clock = PhaseClock(communicator) { _, _ in }
    let session = try ModelSession(
      try overridden(trained, request), data: data, communicator: communicator, training: false, clock: clock)
    var failure: Failure?
    do {
      let file = try request.file()
      // What a checkpoint says of its data has no fingerprints.
      if !data.fingerprints.isEmpty { try TrainingState.checkData(file, data) }
      if communicator.rank == 0 { try file.verifyAll() }
      try TrainingState.load(file, into: session.parts, state: false)
    } catch let found as Failure {
      failure = found
    }
    try communicator.agree(on: failure)
    let metrics: Metrics?
    do {
      metrics = try session.evaluate(images, samples: samples, each: each, detail: detail)
    } catch let found as Failure
      where found.code == .diverged
    {
      throw Failure(
        .badData,
        "\(request.checkpoint): what the model says of these samples is not finite; its weights are too large for them"
      )
    }
    let seconds = PhaseClock.now() - start
    let reports = try RankReports(session.parts, clock: clock, over: communicator)
    let hosts = try communicator.allGather(text: communicator.hostName)
    let loops = try communicator.allGather([seconds])
    guard communicator.rank == 0 else {
      return (Evaluation(metrics: nil, account: nil, timing: nil, oracleNote: nil), session)
    }
    let timing = TimingTable(
      ranks: reports.seconds.indices.map {
        TimingTable.RankTimes(
          rank: $0, host: hosts[$0], seconds: reports.seconds[$0], loopSeconds: loops[$0],
          peakMemory: reports.peakMemory[$0])
      }, steps: (samples.count + ModelSession.evaluationRows - 1) / ModelSession.evaluationRows,
      samples: samples.count)
    let evaluation = Evaluation(
      metrics: metrics,
      account: reports.account(
        rows: samples.count, parts: session.parts, trained: 0,
        reasonForAll: session.evaluationRule.scorer.reasonForAll),
      timing: timing, oracleNote: trained.oracleNote)
    return (evaluation, session)
  }

  /// The trained configuration with the request's rule.
  private static func overridden(
    _ trained: Configuration, _ request: EvaluationRequest
  ) throws -> Configuration {
    let design = trained.gate.design
    if request.combine != nil || request.topK != nil {
      let rule: Message = "\(setting: "combine", request.combine?.rawValue ?? trained.combine.rawValue)"
      if design.choosesOne {
        throw AgreedError(
          Failure(
            .usage,
            "\(rule) has no meaning for \(setting: "gate", trained.gate.rawValue), whose arg-max expert answers alone"
          ))
      }
      if design.needsEveryExpert, request.combine != trained.combine, request.combine != .expectation {
        throw AgreedError(
          Failure(
            .usage,
            "\(rule) would save nothing: the keys of an attentive gate need every expert; make a plain gate of it "
              + "with 'moe-dist distill' first"))
      }
    }
    var configuration = trained
    configuration.placement = request.placement
    configuration.payload = request.payload
    if let combine = request.combine {
      configuration.combine = combine
      configuration.topK = request.topK ?? (combine == trained.combine ? trained.topK : 1)
      if combine != trained.combine || configuration.topK != trained.topK {
        configuration.topKWeights = configuration.topK == 1 ? .full : .renormalised
      }
    } else if let topK = request.topK {
      configuration.topK = topK
    }
    if let weights = request.topKWeights { configuration.topKWeights = weights }
    if configuration.combine != .topK {
      let idle: Message? =
        request.topK.map { "\(setting: "top-k", $0)" }
        ?? request.topKWeights.map { "\(setting: "top-k-weights", $0.rawValue)" }
      if let idle {
        throw AgreedError(
          Failure(
            .usage,
            "\(idle) has no effect with \(setting: "combine", configuration.combine.rawValue); add \(setting: "combine") top-k, or leave it out"
          ))
      }
    }
    guard configuration.combine != .topK || (1...max(configuration.experts, 1)).contains(configuration.topK)
    else {
      throw AgreedError(
        Failure(
          .usage,
          "\(setting: "top-k", configuration.topK) is not between 1 and the model's \(configuration.experts) experts"
        ))
    }
    return configuration
  }
}
