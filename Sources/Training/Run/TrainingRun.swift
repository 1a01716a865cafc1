public import DataSets
public import Dist
public import Files
internal import MoE
public import Records

/// A run of training, from its settings to its record.
///
/// Made of configuration layers, as the command line does, or of a ``Configuration``; what can be wrong alike on every rank
/// is found then, before there are ranks. ``train(over:observer:watchdog:forecast:onStage:)`` does the rest: run directory,
/// `config.yaml`, `run.json`, `status.json`, metrics, checkpoints and summary.
///
///     var configuration = try Configuration(dataset: "synthetic")
///     configuration.experts = 4
///     let run = try TrainingRun(configuration)
///     let summary = try run.train(over: LocalCommunicator())
public struct TrainingRun {
  /// Whether a run begins or goes on.
  public enum Resume: Equatable, Sendable {
    /// Begins; a run directory that exists already is refused.
    case never
    /// Goes on from the newest valid checkpoint of the run directory; begins where there is none.
    case auto
    /// Goes on from the checkpoint at a path.
    case checkpoint(String)
  }

  /// Where a run is kept.
  public enum Place: Equatable, Sendable {
    /// Nowhere: no file is written.
    case nowhere
    case directory(String)
    /// The first free name for today's date in a directory of runs, see ``RunDirectory/freePath(in:dataset:gate:date:)``.
    case free(in: String)
  }

  /// What costs of steps are told by, the same on every rank; collective.
  public typealias Forecast = (Configuration, DataSetSize, any Communicator) throws -> (any StepForecast)?

  /// What is trained, checked and complete.
  public package(set) var configuration: Configuration
  public let data: DataSet
  /// What is to be said about how the configuration came about, a sentence each.
  public package(set) var notes: [Message]
  /// What is to be said about the run that goes on: that it was interrupted, and which checkpoints are not valid.
  public let warnings: [Message]
  /// As the configuration says at first: its run directory, or nowhere.
  public var place: Place
  /// What `run.json` says of this process.
  public var origin: RunOrigin
  /// How settings are spelled in what the run says to its observer and writes into `status.json` and `errors/`.
  public var spelling = Message.Spelling.settings
  let resume: Resume
  /// The checkpoint that it goes on from; nil: it begins.
  public var checkpoint: String? { resumed?.path }
  /// The same, open.
  private let resumed: CheckpointFile?
  /// The checkpoints that the run begins or goes on from, open: another run may remove their names meanwhile.
  let opened: [CheckpointFile]

  /// A run of configuration layers: the data set's defaults, then every layer over the ones before it. A run that goes on has
  /// what determines values from its checkpoint and the rest from its own `config.yaml`, below the layers.
  ///
  /// - Parameters:
  ///   - origin: also says the environment that the data are looked for by.
  ///   - onStage: called before the data are read; what it throws is thrown on.
  /// - Throws: ``Failure`` for settings, data or a checkpoint that do not fit.
  public init(
    _ layers: [ConfigurationLayer], resume: Resume = .never, origin: RunOrigin = RunOrigin(),
    onStage: StageObserver = { _, _ in }
  ) throws {
    let directory = layers.flatMap(\.entries).last { $0.key == "run-dir" }?.text
    let point = try ResumePoint(resume, of: directory)
    let checkpoint = point.checkpoint
    var resolved: ResolvedConfiguration
    if let checkpoint {
      let (parent, name) = pathParts(of: checkpoint.path)
      resolved = try Configuration.resuming(
        from: try Evaluator.configuration(of: checkpoint), earlier: try RunDirectory.settings(in: parent),
        layers, checkpoint: name)
      if resolved.configuration.runDirectory == nil { resolved.configuration.runDirectory = parent }
    } else if resume == .auto, let directory {
      let earlier = try RunDirectory.settings(in: directory)
      resolved = try Configuration.beginningAgain(earlier, layers, file: directory + "/config.yaml")
    } else {
      resolved = try Configuration.resolve(layers)
    }
    try onStage(.data, 0)
    let data = try resolved.configuration.loadData(origin.environment)
    if checkpoint != nil {
      try resolved.configuration.checkScale(resolved.given["similarity-scale"], against: data)
    }
    try self.init(
      checked: resolved.configuration, data: data, notes: resolved.notes, warnings: point.notes,
      resume: resume,
      checkpoint: checkpoint, origin: origin)
  }

  /// A run of a configuration, as it is: no setting is derived from another, but for the gate's place in a deeper network.
  /// A run that goes on must have the settings that determine values of its checkpoint.
  ///
  /// - Parameter data: read by the configuration where it is nil.
  /// - Throws: ``Failure`` for settings, data or a checkpoint that do not fit.
  public init(
    _ configuration: Configuration, data: DataSet? = nil, resume: Resume = .never,
    origin: RunOrigin = RunOrigin()
  ) throws {
    let resolved = try configuration.checked()
    try self.init(
      resolved: resolved.configuration, data: data, notes: resolved.notes, resume: resume, origin: origin)
  }

  /// A run of a configuration that came out of ``Configuration/resolve(_:)``.
  package init(
    resolved configuration: Configuration, data: DataSet?, notes: [Message] = [], resume: Resume,
    origin: RunOrigin
  ) throws {
    let point = try ResumePoint(resume, of: configuration.runDirectory)
    let data = try data ?? configuration.loadData(origin.environment)
    if let checkpoint = point.checkpoint {
      try configuration.resolvingScale(of: data).check(goesOnFrom: checkpoint)
    } else if resume == .auto, let directory = configuration.runDirectory {
      try configuration.check(begins: RunDirectory.settings(in: directory), in: directory)
    }
    try self.init(
      checked: configuration, data: data, notes: notes, warnings: point.notes, resume: resume,
      checkpoint: point.checkpoint, origin: origin)
  }

  private init(
    checked configuration: Configuration, data: DataSet, notes: [Message], warnings: [Message],
    resume: Resume,
    checkpoint: CheckpointFile?, origin: RunOrigin
  ) throws {
    var configuration = configuration
    // The file, not the directory, which may have a newer one when config.yaml is used again.
    func open(_ path: String) throws(Failure) -> CheckpointFile { try CheckpointDirectory.open(at: path) }
    let initial = try configuration.initFrom.map(open)
    configuration.initFrom = initial?.path
    let single = try configuration.initExpertsFrom.map(open)
    configuration.initExpertsFrom = single?.path
    // One that is not there is told where it is read.
    let distilled = configuration.distillFrom.flatMap { try? CheckpointFile(path: $0) }
    self.configuration = configuration
    self.data = data
    self.notes = notes
    self.warnings = warnings
    self.resume = resume
    resumed = checkpoint
    opened = [checkpoint, initial, single, distilled].compactMap { $0 }
    self.origin = origin
    place = configuration.runDirectory.map { .directory($0) } ?? .nowhere
  }

  // MARK: - Before it begins

  /// The name and the content of the checkpoint that it goes on from, which all ranks must have alike; nil: it begins.
  public var checkpointIdentity: String? {
    resumed.map { "\(pathParts(of: $0.path).name) \($0.contentChecksum ?? "without checksums")" }
  }

  /// Ends the run after so many steps, however many epochs were asked for.
  package mutating func limit(steps: Int) {
    configuration.maxSteps = steps
    configuration.epochs = max(configuration.epochs, 1)
  }

  /// Checks that the experts can be placed on so many ranks.
  ///
  /// - Throws: ``Failure`` for a placement of other experts or ranks.
  public func checkPlacement(ranks: Int) throws {
    _ = try ExpertPlacement(
      configuration.placement, experts: configuration.modelExperts, ranks: ranks,
      load: PlacementLoad(
        gateForward: 0, gateBackward: 0, expertForward: 1, expertBackward: 0, overlaps: true))
  }
}

extension Configuration {
  /// Reads the data set that it names.
  ///
  /// - Parameter environment: of the process.
  /// - Throws: ``Failure`` for data that are not found or are damaged.
  public func loadData(_ environment: [String: String]) throws -> DataSet {
    var options = DataOptions(dataDirectory: dataDirectory, environment: environment)
    options.files[.trainImages] = trainImages
    options.files[.trainLabels] = trainLabels
    options.files[.testImages] = testImages
    options.files[.testLabels] = testLabels
    options.mean = mean
    options.standardDeviation = standardDeviation
    options.trainSamples = trainSamples
    options.testSamples = testSamples
    options.augment = augment
    return try DataSetRegistry.source(named: dataset).load(options)
  }
}
