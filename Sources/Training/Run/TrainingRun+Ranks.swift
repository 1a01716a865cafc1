internal import DataSets
public import Dist
internal import Files
internal import Foundation
internal import KernelInterface
internal import MoE
internal import Numerics
public import Records

extension TrainingRun {
  /// Trains to the end, or until all ranks agree to stop, and keeps the record. Collective; the summary is complete on
  /// rank 0.
  ///
  /// An error of a run that had begun is written into its directory: `errors/` and `status.json`.
  ///
  /// - Parameters:
  ///   - watchdog: warns and ends the process as ``Configuration/stallWarn`` and ``Configuration/stallAbort`` say, also when
  ///     the run has ended, until it is told to rest; nil: nothing watches.
  ///   - forecast: what steps cost; nil: the placement `auto` goes by FLOPs.
  ///   - onStage: called on every rank when a stage begins.
  /// - Throws: ``Failure`` when the loss is not finite or something cannot be written, ``AgreedError`` for what all ranks know.
  public func train(
    over communicator: any Communicator, observer: any TrainingObserver = SilentObserver(),
    watchdog: Watchdog? = nil, forecast: Forecast? = nil, onStage: @escaping StageObserver = { _, _ in }
  ) throws -> RunSummary {
    func enter(_ stage: RunStage, _ step: Int) throws {
      watchdog?.enter(phase: stage.index, step: step)
      try onStage(stage, step)
    }
    if let watchdog { watch(watchdog) }
    try configuration.checkMemory(size: DataSetSize(data), hasData: true, over: communicator)
    let opened = try open(over: communicator)
    let wasStalled = opened.path.flatMap { Self.state(of: $0) } == .stalled
    watchdog?.onStall { [path = opened.path] in Self.write($0, in: path, wasStalled: wasStalled) }
    // How a run that is over ended is known.
    defer { watchdog?.onStall(nil) }
    let trainer: Trainer
    do {
      try checkTrace(over: communicator)
      try enter(.model, 0)
      trainer = try self.trainer(
        opened, over: communicator, observer: observer, forecast: forecast, onStage: enter)
    } catch {
      if opened.isNew { opened.run?.discardIfEmpty() }
      throw error
    }
    do {
      try begin(opened, trainer, observer, over: communicator)
      return try trainer.train()
    } catch {
      // Of an error that all ranks have, rank 0 speaks.
      if communicator.rank == 0 || !(error is AgreedError) {
        write(error, in: opened.path, rank: communicator.rank, host: communicator.hostName)
      }
      throw error
    }
  }

  /// What the run would do; nothing is kept. Collective.
  public func plan(over communicator: any Communicator, forecast: Forecast? = nil) throws -> RunPlan {
    try trainer(
      Opened(), over: communicator, observer: SilentObserver(), forecast: forecast, onStage: { _, _ in }
    ).plan()
  }

  // MARK: - The directory

  private struct Opened {
    /// On every rank; nil: nothing is kept.
    var path: String?
    /// On rank 0.
    var run: RunDirectory?
    /// Whether it was made for this run.
    var isNew = false
  }

  /// Makes or takes hold of the directory, on rank 0.
  private func open(over communicator: any Communicator) throws -> Opened {
    guard place != .nowhere else { return Opened() }
    var opened = Opened()
    var failure: Failure?
    if communicator.rank == 0 {
      do {
        let path = pathToOpen
        let exists = RunDirectory.exists(path)
        let goesOn = exists && resume != .never
        opened.run = goesOn ? try RunDirectory.reopen(path) : try RunDirectory.create(path)
        opened.isNew = !goesOn
      } catch {
        failure = error
      }
    }
    try communicator.agree(on: failure)
    opened.path = try communicator.broadcast(text: opened.run?.path ?? "")
    return opened
  }

  private var pathToOpen: String {
    switch place {
    case .nowhere: preconditionFailure("a run that is kept nowhere has no directory")
    case .directory(let path): return path
    case .free(let parent):
      let date = Date().formatted(.iso8601.year().month().day())
      return RunDirectory.freePath(
        in: parent, dataset: configuration.dataset, gate: configuration.gate.rawValue, date: date)
    }
  }

  /// Checks on rank 0 that a trace can be written. Collective.
  private func checkTrace(over communicator: any Communicator) throws {
    guard let trace = configuration.trace else { return }
    var failure: Failure?
    if communicator.rank == 0 {
      do {
        try OutputFile.check(trace, force: nil, option: "trace", replacing: TraceFile.isOne)
      } catch {
        failure = error
      }
    }
    try communicator.agree(on: failure)
  }

  // MARK: - The trainer, and what describes the run

  private func trainer(
    _ opened: Opened, over communicator: any Communicator, observer: any TrainingObserver,
    forecast: Forecast?, onStage: @escaping StageObserver
  ) throws -> Trainer {
    var configuration = configuration
    configuration.runDirectory = opened.path
    return try Trainer(
      configuration: configuration, data: data, communicator: communicator, directory: opened.path,
      run: opened.run, resume: checkpoint, opened: self.opened, observer: observer,
      forecast: try forecast?(configuration, DataSetSize(data), communicator), spelling: spelling,
      onStage: onStage)
  }

  /// Writes what describes the run, on rank 0, and warns where ranks differ. Collective.
  private func begin(
    _ opened: Opened, _ trainer: Trainer, _ observer: any TrainingObserver,
    over communicator: any Communicator
  ) throws {
    // Of every rank, where OpenBLAS computes.
    let kernels =
      configuration.products == .openblas ? try communicator.allGather(text: BLAS.kernelName) : []
    let levels = try communicator.allGather(text: ProcessorLevel.current.name)
    guard communicator.rank == 0 else { return }
    if Set(kernels).count > 1 {
      observer.note(
        "OpenBLAS uses different kernels on different ranks (\(kernels.joined(separator: ", "))); results then depend "
          + "on where experts live. Set OPENBLAS_CORETYPE to one of them on every host.")
    }
    guard let run = opened.run else { return }
    if let note = run.lockNote { observer.note(note) }
    // Of a run that was stopped without a checkpoint nothing stays: it begins again.
    let step = trainer.currentPosition.step
    if !opened.isNew { try run.truncateMetrics(toStep: step) }
    if configuration.tensorBoard {
      run.events = try EventFiles(in: run.path, host: communicator.hostName, after: step)
    }
    try run.write(configuration: trainer.configuration)
    let plan = try trainer.plan()
    try run.append(
      session: RunSession(
        started: Date().formatted(.iso8601), command: origin.command, versions: origin.versions,
        gitCommit: origin.gitCommit, buildFlags: origin.buildFlags, hosts: plan.ranks.map(\.host),
        threads: plan.threads,
        placement: trainer.owners, levels: levels, blasKernels: kernels, dataFingerprints: data.fingerprints,
        classNames: data.classNames, coarseClassNames: data.coarseNames ?? [],
        coarseClasses: data.coarseOfClass ?? [],
        resumedFrom: checkpoint.map { pathParts(of: $0).name }, environment: origin.environment))
  }

  // MARK: - Failure

  private func watch(_ watchdog: Watchdog) {
    let advice: Message =
      "look for a rank that is stopped or a host that is lost, then continue with \(setting: "resume") auto"
    watchdog.watchPhases(
      abortAfter: configuration.stallAbort, warnAfter: configuration.stallWarn,
      advice: advice.text(as: spelling))
  }

  /// Writes why a job is ended into the directory of its run, as the error of the rank that is late.
  ///
  /// - Parameter wasStalled: whether an earlier start has written that already.
  /// - Returns: whether it is news: false where another host has named the rank that is late, and this one cannot.
  @Sendable private static func write(_ stall: Watchdog.Stall, in directory: String?, wasStalled: Bool)
    -> Bool
  {
    guard let directory else { return true }
    if !stall.isLate, !wasStalled, state(of: directory) == .stalled { return false }
    RunDirectory.writeError(
      in: directory, rank: stall.rank, host: stall.host, code: ExitCode.stalled.rawValue,
      message: stall.message)
    RunDirectory.writeFailure(
      in: directory, state: .stalled,
      reason: "rank \(stall.rank) on host \(stall.host): \(stall.message)")
    return true
  }

  private static func state(of directory: String) -> RunState? {
    (try? RunDirectory.state(of: directory)) ?? nil
  }

  /// Writes an error into the directory of a run, as the last that its rank says.
  private func write(_ error: any Error, in directory: String?, rank: Int, host: String) {
    guard let directory else { return }
    let code = (error as? any ProcessError)?.exitCode ?? ExitCode.internalError.rawValue
    let words = Message(error).text(as: spelling)
    RunDirectory.writeError(in: directory, rank: rank, host: host, code: code, message: words)
    RunDirectory.writeFailure(
      in: directory, state: code == ExitCode.diverged.rawValue ? .diverged : .failed, reason: words)
  }
}
