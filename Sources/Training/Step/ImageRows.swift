package import DataSets
internal import KernelInterface
package import MoE
package import Networks
package import Numerics

/// A batch of images as the rows of a layer.
package struct ImageRows: LayerRows {
  package let codec: any RowCodec
  private let images: ImageView
  private let normalisation: Normalisation
  private let samples: ArraySlice<Int32>

  /// - Parameters:
  ///   - samples: the sample of every row of the batch.
  ///   - shard: this rank's rows.
  package init(
    _ images: ImageView, samples: ArraySlice<Int32>, shard: Range<Int>, payload: Payload,
    normalisation: Normalisation
  ) {
    self.images = images
    self.normalisation = normalisation
    self.samples = samples
    let own = samples[samples.startIndex + shard.lowerBound..<samples.startIndex + shard.upperBound]
    codec = payload.codec(images, own, normalisation)
  }

  package var features: Int { images.pixels }

  package var areEverywhere: Bool { true }

  package func blocks(
    _ numbers: Range<Int>, of batch: BatchBlocks, shared: RowBlock?, in workspace: Workspace
  ) -> [RowBlock] {
    numbers.map { block in
      let rows = batch[block]
      if let shared = shared?.tiles, batch.blockRows % laneCount == 0 {
        return .tiles(shared.slice(first: rows.lowerBound, rows: rows.count))
      }
      let tiles = Tiles(
        base: workspace.floats(Tiles.floats(pixels: images.pixels, rows: rows.count)), pixels: images.pixels,
        rows: rows.count)
      normalisation.fill(tiles, of: images) { samples[samples.startIndex + rows.lowerBound + $0] }
      return .tiles(tiles)
    }
  }
}

extension Payload {
  /// Bytes of a row on the wire.
  package func rowBytes(pixels: Int) -> Int {
    switch self {
    case .uint8: pixels
    case .float32: pixels * 4
    case .index: 4
    }
  }

  /// Writes and reads images.
  ///
  /// - Parameter samples: of the shard's rows.
  fileprivate func codec(_ images: ImageView, _ samples: ArraySlice<Int32>, _ normalisation: Normalisation)
    -> any RowCodec
  {
    switch self {
    case .uint8: ByteCodec(images, samples, normalisation)
    case .float32: FloatCodec(images, samples, normalisation)
    case .index: IndexCodec(images, samples, normalisation)
    }
  }
}

/// What the codecs of images share.
private class ImageCodec {
  let images: ImageView
  let normalisation: Normalisation
  private let samples: ArraySlice<Int32>
  private let scratch: UnsafeMutablePointer<UInt8>

  init(_ images: ImageView, _ samples: ArraySlice<Int32>, _ normalisation: Normalisation) {
    self.images = images
    self.samples = samples
    self.normalisation = normalisation
    scratch = .allocate(capacity: max(images.pixels, 1))
  }

  deinit { scratch.deallocate() }

  func sample(_ row: Int) -> Int32 { samples[samples.startIndex + row] }

  /// Memory for rows that arrived.
  func tiles(_ count: Int, in workspace: Workspace) -> Tiles {
    Tiles(
      base: workspace.floats(Tiles.floats(pixels: images.pixels, rows: count)), pixels: images.pixels,
      rows: count)
  }

  /// The bytes of a row, augmented where the images are; valid until the next call.
  func bytes(_ row: Int) -> UnsafePointer<UInt8> { images.row(sample(row), scratch: scratch) }
}

/// Pixels as they are in the data.
private final class ByteCodec: ImageCodec, RowCodec {
  var rowBytes: Int { images.pixels }

  func write(_ row: Int, to target: UnsafeMutableRawPointer) {
    target.copyMemory(from: bytes(row), byteCount: images.pixels)
  }

  func read(_ arrived: UnsafeRawPointer, positions: [Int32]?, count: Int, in workspace: Workspace) -> RowBlock
  {
    let base = arrived.assumingMemoryBound(to: UInt8.self)
    let tiles = tiles(count, in: workspace)
    normalisation.fill(tiles) { row in base + (positions.map { Int($0[row]) } ?? row) * tiles.pixels }
    return .tiles(tiles)
  }
}

/// Normalised pixels.
private final class FloatCodec: ImageCodec, RowCodec {
  var rowBytes: Int { images.pixels * 4 }

  func write(_ row: Int, to target: UnsafeMutableRawPointer) {
    normalisation.writeRow(bytes(row), into: target.assumingMemoryBound(to: Float.self))
  }

  func read(_ arrived: UnsafeRawPointer, positions: [Int32]?, count: Int, in workspace: Workspace) -> RowBlock
  {
    let tiles = tiles(count, in: workspace)
    eachVector(ofRows: arrived, features: tiles.pixels, positions: positions, count: count) {
      first, count, rows in
      normalisation.writeTile(floats: rows, count: count, into: tiles[first / laneCount])
    }
    return .tiles(tiles)
  }
}

/// The number of the sample; every rank reads its own copy of the data.
private final class IndexCodec: ImageCodec, RowCodec {
  var rowBytes: Int { 4 }

  func write(_ row: Int, to target: UnsafeMutableRawPointer) {
    target.storeBytes(of: sample(row), as: Int32.self)
  }

  func read(_ arrived: UnsafeRawPointer, positions: [Int32]?, count: Int, in workspace: Workspace) -> RowBlock
  {
    let tiles = tiles(count, in: workspace)
    let samples = arrived.assumingMemoryBound(to: Int32.self)
    normalisation.fill(tiles, of: images) { row in samples[positions.map { Int($0[row]) } ?? row] }
    return .tiles(tiles)
  }
}
