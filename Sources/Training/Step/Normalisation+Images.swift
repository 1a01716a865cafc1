package import DataSets
package import KernelInterface
package import Numerics

extension Normalisation {
  /// Fills tiles from rows of bytes.
  package func fill(_ tiles: Tiles, row: (Int) -> UnsafePointer<UInt8>) {
    withUnsafeTemporaryAllocation(of: UnsafePointer<UInt8>.self, capacity: laneCount) { lanes in
      for tile in 0..<tiles.count {
        let count = min(laneCount, tiles.rows - tile * laneCount)
        for lane in 0..<count { lanes[lane] = row(tile * laneCount + lane) }
        writeTile(lanes.baseAddress!, count: count, into: tiles[tile])
      }
    }
  }

  /// Fills tiles from the images of samples.
  package func fill(_ tiles: Tiles, of images: ImageView, sample: (Int) -> Int32) {
    let scratchBytes = images.isAugmented ? laneCount * images.pixels : 0
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: max(scratchBytes, 1)) { scratch in
      guard let scratch = scratch.baseAddress else { return }
      fill(tiles) { row in
        let place = images.isAugmented ? row % laneCount * images.pixels : 0
        return images.row(sample(row), scratch: scratch + place)
      }
    }
  }
}

extension DataSet {
  /// How its bytes become floats.
  package var normalisation: Normalisation {
    Normalisation(
      mean: mean, standardDeviation: standardDeviation,
      channelPixels: train.shape.height * train.shape.width)
  }
}
