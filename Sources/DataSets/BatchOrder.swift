internal import Numerics

/// The order in which an epoch sees the training samples: the same on every rank, from (seed, epoch) alone.
public struct BatchOrder: Sendable {
  /// The training samples, ascending.
  public let samples: [Int32]
  private let stream: RandomStream?

  /// - Parameters:
  ///   - samples: indices into the training file, ascending and distinct.
  ///   - seed: the run's.
  ///   - shuffle: false keeps the ascending order in every epoch.
  public init(samples: [Int32], seed: UInt64, shuffle: Bool) {
    precondition(
      zip(samples, samples.dropFirst()).allSatisfy { $0 < $1 } && (samples.first ?? 0) >= 0,
      "samples are distinct indices in ascending order")
    self.samples = samples
    self.stream = shuffle ? RandomStream(seed: seed, purpose: .shuffle) : nil
  }

  /// The samples of an epoch (0, 1, …) in the order of training: sorted by (draw, sample), where the draw is the first
  /// word at counters (epoch, sample). A sample's draw does not depend on which other samples there are.
  public func permutation(epoch: Int) -> [Int32] {
    guard let stream else { return samples }
    return sortedByDraw(samples) { stream.words(UInt64(epoch), UInt64($0)).x }
  }
}

/// Ascending samples, sorted by (draw, sample).
///
/// A radix sort, three passes of 11 bits: 1 ms for 60 000 samples where a comparison sort takes five. It is
/// stable, and the samples come in ascending order, which settles equal draws.
@inline(__always)
func sortedByDraw(_ samples: [Int32], draw: (Int32) -> UInt32) -> [Int32] {
  var keys = samples.map { UInt64(draw($0)) << 32 | UInt64(UInt32($0)) }
  var sorted = keys
  for shift: UInt64 in [32, 43, 54] {
    var starts = [Int](repeating: 0, count: 2048)
    for key in keys { starts[Int(truncatingIfNeeded: key >> shift & 2047)] += 1 }
    var sum = 0
    for digit in starts.indices {
      let count = starts[digit]
      starts[digit] = sum
      sum += count
    }
    for key in keys {
      let digit = Int(truncatingIfNeeded: key >> shift & 2047)
      sorted[starts[digit]] = key
      starts[digit] += 1
    }
    swap(&keys, &sorted)
  }
  return keys.map { Int32(truncatingIfNeeded: $0) }
}
