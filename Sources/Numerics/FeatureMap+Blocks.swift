public import KernelInterface

/// Rows of several blocks and the same rows side by side.
extension FeatureMap {
  /// Writes the rows of blocks side by side, ascending, and zeros behind the last.
  ///
  /// - Parameter blocks: of as many features as this map, and of as many rows together.
  public func join(_ blocks: [FeatureMap]) {
    precondition(
      blocks.allSatisfy { $0.features == features } && blocks.reduce(0) { $0 + $1.rows } == rows,
      "blocks do not fit a map of \(features) features x \(rows) rows")
    var first = 0
    for block in blocks {
      for feature in 0..<features { (self[feature] + first).update(from: block[feature], count: block.rows) }
      first += block.rows
    }
    clearPadding()
  }

  /// Writes the rows into blocks, ascending, and zeros behind the last of each: the adjoint of ``join(_:)``.
  ///
  /// - Parameter blocks: of as many features as this map, and of as many rows together.
  public func split(into blocks: [FeatureMap]) {
    precondition(
      blocks.allSatisfy { $0.features == features } && blocks.reduce(0) { $0 + $1.rows } == rows,
      "blocks do not fit a map of \(features) features x \(rows) rows")
    var first = 0
    for block in blocks {
      for feature in 0..<features { block[feature].update(from: self[feature] + first, count: block.rows) }
      block.clearPadding()
      first += block.rows
    }
  }
}

extension FeatureMap {
  /// Writes rows, each of as many values as the map has features, and zeros behind the last.
  public func write(_ values: [[Float]]) {
    precondition(
      values.count == rows && values.allSatisfy { $0.count == features },
      "\(values.count) rows do not fit a map of \(features) features x \(rows) rows")
    for (row, values) in values.enumerated() {
      for feature in 0..<features { self[feature][row] = values[feature] }
    }
    clearPadding()
  }
}

extension Workspace {
  /// Maps of so many features with the rows of some blocks, not yet written.
  ///
  /// - Parameters:
  ///   - features: of every map.
  ///   - rows: per block.
  public func maps(features: Int, rows: [Int]) -> [FeatureMap] {
    rows.map { map(features: features, rows: $0) }
  }
}
