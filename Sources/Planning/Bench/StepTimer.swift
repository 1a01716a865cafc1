package import DataSets
package import Dist
internal import KernelInterface
package import MoE
internal import Networks
internal import Records
package import Training

/// Runs training steps of a model on random images and tells how long their phases took on this rank.
package final class StepTimer {
  package let session: ModelSession
  private let clock: PhaseClock
  private let data: DataSet
  private let rows: Int
  private var steps = 0
  private var sums: MetricsAccumulator

  /// One step on this rank.
  package struct Times: Equatable {
    /// Seconds per phase, in the order of ``Phase/allCases``; `other` is what no phase measured.
    package let phases: [Double]
    /// Seconds of the step, without the metrics that follow it.
    package let step: Double
  }

  /// - Parameters:
  ///   - size: of the data; as many random images are made as a batch has rows.
  ///   - load, place: as for ``ModelSession``.
  package init(
    _ configuration: Configuration, size: DataSetSize, augmentation: Augmentation?,
    communicator: any Communicator, load: PlacementLoad? = nil,
    place: (() -> any GatePlace)? = nil
  ) throws {
    rows = configuration.batchSize
    data = randomImages(size, samples: rows, augmentation: configuration.augment ? augmentation : nil)
    clock = PhaseClock(communicator) { _, _ in }
    session = try ModelSession(
      configuration, data: data, communicator: communicator, training: true, clock: clock, load: load,
      place: place)
    session.parts.initialise(seed: configuration.seed)
    sums = session.emptyAccumulator()
  }

  /// Does a step on the first rows; collective.
  package func step(rows count: Int? = nil) throws -> Times {
    guard let training = session.trainingStep else { preconditionFailure("the session is for training") }
    let before = clock.seconds
    steps += 1
    let point = UpdatePoint(step: steps, learningRate: 1e-4)
    let images = ImageView(data.train, augmentation: data.augmentation, seed: 0, epoch: steps)
    let batch = (0..<(count ?? rows)).map { Int32($0) }
    let begin = PhaseClock.now()
    let outcome = try training.run(batch[...], of: images, epoch: steps, mode: .training(point), word: 0)
    let duration = PhaseClock.now() - begin
    let measured = zip(clock.seconds, before).map { $0 - $1 }
    try session.add(outcome, batch[...], of: data.train, to: &sums)
    var phases = zip(clock.seconds, before).map { $0 - $1 }
    phases[Phase.other.index] += max(0, duration - measured.reduce(0, +))
    return Times(phases: phases, step: duration)
  }

  /// The tenth percentile per phase over steps, after some that are not counted: what else runs on the machine only adds.
  ///
  /// - Parameters:
  ///   - steps: at least so many.
  ///   - most: at most so many, as long as `seconds` are not over.
  package func typical(
    rows count: Int? = nil, warmUp: Int, steps: Int, most: Int, seconds: Double
  ) throws -> Times {
    for _ in 0..<warmUp { _ = try step(rows: count) }
    var times: [Times] = []
    let begin = PhaseClock.now()
    while times.count < steps || (times.count < most && PhaseClock.now() - begin < seconds) {
      times.append(try step(rows: count))
    }
    return Times(
      phases: Phase.allCases.indices.map { phase in Quantiles(times.map { $0.phases[phase] }).p10 },
      step: Quantiles(times.map(\.step)).p10)
  }
}
