internal import KernelInterface
package import Networks
package import Numerics

/// One wire format of a layer's rows: what a row takes, who writes it and who reads it.
package protocol RowCodec: AnyObject {
  var rowBytes: Int { get }

  /// Writes a row of this rank's shard, ``rowBytes`` bytes.
  func write(_ row: Int, to target: UnsafeMutableRawPointer)

  /// Reads rows that arrived, as the experts take them.
  ///
  /// - Parameters:
  ///   - positions: which of the rows, ascending; nil: the first ones as they lie.
  ///   - count: how many.
  /// - Returns: the rows, in memory of the workspace.
  func read(_ arrived: UnsafeRawPointer, positions: [Int32]?, count: Int, in workspace: Workspace) -> RowBlock
}

/// Visits rows of floats that arrived, sixteen at a time.
///
/// - Parameters:
///   - positions, count: as ``RowCodec/read(_:positions:count:in:)`` has them.
///   - visit: the place of the first of them among those that are read, how many there are, and where each begins; behind the
///     last row it is the last one's again.
package func eachVector(
  ofRows arrived: UnsafeRawPointer, features: Int, positions: [Int32]?, count: Int,
  _ visit: (Int, Int, UnsafeMutablePointer<UnsafePointer<Float>>) -> Void
) {
  let base = arrived.assumingMemoryBound(to: Float.self)
  withUnsafeTemporaryAllocation(of: UnsafePointer<Float>.self, capacity: laneCount) { lanes in
    guard let places = lanes.baseAddress else { return }
    for first in stride(from: 0, to: count, by: laneCount) {
      for lane in 0..<laneCount {
        let row = min(first + lane, count - 1)
        places[lane] = base + (positions.map { Int($0[row]) } ?? row) * features
      }
      visit(first, min(laneCount, count - first), places)
    }
  }
}

/// The rows of a batch as a layer takes them.
package protocol LayerRows {
  /// Values of a row.
  var features: Int { get }
  var codec: any RowCodec { get }

  /// Whether every rank can make every block; where not, a rank has those of its shard alone.
  var areEverywhere: Bool { get }

  /// The rows of some blocks, for gate and batch losses.
  ///
  /// - Parameter shared: the whole batch as the experts of this rank read it, where they have all rows: blocks may be
  ///   parts of it.
  func blocks(_ numbers: Range<Int>, of batch: BatchBlocks, shared: RowBlock?, in workspace: Workspace)
    -> [RowBlock]
}

/// The parts of a layer's work, for whoever measures them.
package enum LayerPart: Sendable {
  case input, gate, plan, dispatch, experts, combine, returning, loss, gateBackward, expertBackward
}

/// Measures the parts of a layer's work and waits for other ranks where waiting is not to be counted as an exchange.
package protocol LayerClock: AnyObject {
  func measure<Result>(part: LayerPart, _ body: () throws -> Result) throws -> Result
  /// Waits for all ranks. Collective.
  func meet() throws
  /// Rows have left for their experts.
  ///
  /// - Parameter rows: how many of this rank's shard go to every expert of the model, for whoever draws them.
  func dispatched(_ rows: () -> [Int])
  /// The answers of these rows are back.
  func combined()
}

extension LayerClock {
  package func dispatched(_ rows: () -> [Int]) {}
  package func combined() {}
}

/// Measures the work of single experts, on the threads on which they work.
package protocol ExpertWatch: AnyObject {
  /// - Parameter local: the expert's place among those of this rank.
  func measure(expert local: Int, rows: Int, isBackward: Bool, _ body: () throws -> Void) rethrows
}
