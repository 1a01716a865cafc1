public import KernelInterface
public import Numerics

/// A block of rows as a module takes them.
public enum RowBlock {
  /// Images as convolutions read them, [tile][pixel][16].
  case tiles(Tiles)
  /// [features][rows]
  case features(FeatureMap)

  /// Rows of the block.
  public var rows: Int {
    switch self {
    case .tiles(let tiles): tiles.rows
    case .features(let map): map.rows
    }
  }

  /// Values of a row.
  public var width: Int {
    switch self {
    case .tiles(let tiles): tiles.pixels
    case .features(let map): map.features
    }
  }

  /// The same rows, [features][rows]; a copy in the workspace where they are tiles.
  public func features(in workspace: Workspace) -> FeatureMap {
    switch self {
    case .features(let map): return map
    case .tiles(let tiles):
      let map = workspace.map(features: tiles.pixels, rows: tiles.rows)
      for tile in 0..<tiles.count {
        // Lanes behind the last row are zero.
        kernels.copyTile(
          tiles[tile], pixels: tiles.pixels, lanes: laneCount, into: map, column: tile * laneCount)
      }
      return map
    }
  }

  /// The rows as tiles, where they are images.
  package var tiles: Tiles? {
    if case .tiles(let tiles) = self { tiles } else { nil }
  }
}
