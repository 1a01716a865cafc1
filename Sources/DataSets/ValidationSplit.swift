internal import Numerics

/// Which training samples are held out for validation.
public struct ValidationSplit: Equatable, Sendable {
  /// The samples that are trained on, ascending.
  public let train: [Int32]
  /// The samples that are held out, ascending; empty at fraction 0.
  public let validation: [Int32]

  /// Holds out round(fraction · n_c) of the n_c samples of each class c (halves round up).
  ///
  /// The held-out samples of a class are the first by (draw, sample), where the draw is the first word at counters
  /// (sample, 0) under a fixed seed: the same set for every run, and for a larger fraction a superset.
  /// - Parameters:
  ///   - labels: the class of every sample of the training file.
  ///   - fraction: in [0, 1).
  public init(labels: [UInt8], fraction: Double) {
    precondition(fraction >= 0 && fraction < 1, "a validation fraction lies in [0, 1)")
    let all = (0..<Int32(labels.count)).map { $0 }
    guard fraction > 0 else {
      train = all
      validation = []
      return
    }
    var remaining = [Int](repeating: 0, count: 256)
    for label in labels { remaining[Int(label)] += 1 }
    for label in remaining.indices {
      remaining[label] = Int((fraction * Double(remaining[label])).rounded(.toNearestOrAwayFromZero))
    }
    let stream = RandomStream(seed: 0, purpose: .validation)
    var isHeldOut = [Bool](repeating: false, count: labels.count)
    for sample in sortedByDraw(all, draw: { stream.words(UInt64($0), 0).x }) {
      let label = Int(labels[Int(sample)])
      guard remaining[label] > 0 else { continue }
      remaining[label] -= 1
      isHeldOut[Int(sample)] = true
    }
    train = all.filter { !isHeldOut[Int($0)] }
    validation = all.filter { isHeldOut[Int($0)] }
  }
}
