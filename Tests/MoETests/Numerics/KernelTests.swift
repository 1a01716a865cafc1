import KernelInterface
import Networks
import Numerics
import Testing
import Training

#if canImport(Glibc)
  import Glibc
#endif

/// Fast kernels against their plain versions, and the law that a lane's bits depend on neither its place nor its company.
struct KernelTests {
  /// A small deterministic generator of values in −1 … 1.
  struct Values {
    var state: UInt64
    mutating func next() -> Float {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Float(Int64(bitPattern: state) >> 40) / Float(1 << 23)
    }
  }

  final class Images {
    let tiles: Tiles
    let rows: [[Float]]
    let height: Int
    let width: Int

    init(rows count: Int, height: Int, width: Int, seed: UInt64) {
      var values = Values(state: seed)
      let rows = (0..<count).map { _ in (0..<height * width).map { _ in values.next() } }
      let base = Floats.allocate(capacity: Tiles.floats(pixels: height * width, rows: count))
      base.initialize(repeating: 0, count: Tiles.floats(pixels: height * width, rows: count))
      tiles = Tiles(base: base, pixels: height * width, rows: count)
      for (r, row) in rows.enumerated() {
        for (pixel, value) in row.enumerated() { tiles[r / 16][pixel * 16 + r % 16] = value }
      }
      self.rows = rows
      self.height = height
      self.width = width
    }

    deinit { tiles.base.deallocate() }
  }

  static func map(_ features: Int, _ rows: Int) -> FeatureMap {
    let count = FeatureMap.count(features: features, rows: rows)
    let base = Floats.allocate(capacity: count)
    base.initialize(repeating: 0, count: count)
    return FeatureMap(base: base, features: features, rows: rows)
  }

  /// Convolution, pooling and ReLU of one image in double precision; the position of each maximum beside it.
  static func plainStem(
    _ image: [Float], _ shape: ConvolutionShape, _ weights: [Float], _ bias: [Float]
  ) -> [(value: Double, position: Int)] {
    var result: [(Double, Int)] = []
    for f in 0..<shape.filters {
      for i in 0..<shape.pooledHeight {
        for j in 0..<shape.pooledWidth {
          var best = (-Double.infinity, 0)
          for k in 0..<4 {
            let y = 2 * i + k / 2
            let x = 2 * j + k % 2
            var sum = Double(bias[f])
            for d in 0..<9 {
              sum += Double(weights[f * 9 + d]) * Double(image[(y + d / 3) * shape.width + x + d % 3])
            }
            if sum > best.0 { best = (sum, k) }
          }
          result.append((max(best.0, 0), best.1))
        }
      }
    }
    return result
  }

  @Test(arguments: [(8, 8), (9, 11), (28, 28)], [1, 16, 37])
  func convolutionEqualsItsPlainVersion(size: (Int, Int), rows: Int) {
    let shape = ConvolutionShape(height: size.0, width: size.1, filters: 3)
    let images = Images(rows: rows, height: size.0, width: size.1, seed: 5)
    var values = Values(state: 9)
    let weights = (0..<27).map { _ in values.next() }
    let bias = (0..<3).map { _ in values.next() }
    let output = KernelTests.map(shape.features, rows)
    let which = UnsafeMutablePointer<UInt8>.allocate(capacity: shape.features * output.columns)
    let gradient = KernelTests.map(shape.features, rows)
    defer {
      output.base.deallocate()
      gradient.base.deallocate()
      which.deallocate()
    }
    kernels.convolvePoolRectify(images.tiles, shape, weights: weights, bias: bias, into: output, which: which)
    var sums = [Double](repeating: 0, count: 30)
    var largest = 0.0
    for r in 0..<rows {
      for (f, plain) in KernelTests.plainStem(images.rows[r], shape, weights, bias).enumerated() {
        largest = max(largest, abs(Double(output[f][r]) - plain.value))
        let g = values.next()
        gradient[f][r] = g
        guard plain.value > 0 else { continue }
        let filter = f / shape.pooled
        let place = f % shape.pooled
        let y = 2 * (place / shape.pooledWidth) + plain.position / 2
        let x = 2 * (place % shape.pooledWidth) + plain.position % 2
        for d in 0..<9 {
          sums[filter * 10 + d] += Double(g) * Double(images.rows[r][(y + d / 3) * shape.width + x + d % 3])
        }
        sums[filter * 10 + 9] += Double(g)
      }
    }
    #expect(largest < 2e-6)
    var fast = [Double](repeating: 0, count: 30)
    var memory = [Float](repeating: 0, count: 3 * 160)
    kernels.convolutionGradientSums(
      images.tiles, shape, activation: output, gradient: gradient, which: which, into: &fast,
      memory: &memory)
    let scale = sums.map(abs).max() ?? 1
    for (a, b) in zip(fast, sums) { #expect(abs(a - b) < 2e-5 * max(scale, 1)) }
  }

  @Test(arguments: [(8, 8), (9, 11), (28, 28)])
  func patchMomentsEqualTheSumsOverPatches(size: (Int, Int)) {
    let rows = 19
    let shape = ConvolutionShape(height: size.0, width: size.1, filters: 1)
    let images = Images(rows: rows, height: size.0, width: size.1, seed: 77)
    var fast = [Double](repeating: 0, count: PatchSums.count)
    var memory = [Float](repeating: 0, count: PatchSums.memoryFloats)
    kernels.addPatchMoments(images.tiles, shape, to: &fast, memory: &memory)
    var plain = [Double](repeating: 0, count: PatchSums.count)
    for image in images.rows {
      for y in 0..<shape.convolvedHeight {
        for x in 0..<shape.convolvedWidth {
          let patch = (0..<9).map { Double(image[(y + $0 / 3) * shape.width + x + $0 % 3]) }
          var next = 9
          for a in 0..<9 {
            plain[a] += patch[a]
            for b in a..<9 {
              plain[next] += patch[a] * patch[b]
              next += 1
            }
          }
        }
      }
    }
    let count = Double(rows * shape.positions)
    for (a, b) in zip(fast, plain) { #expect(abs(a - b) < 1e-6 * count) }
  }

  @Test func bytesAreTransposedAndNormalised() {
    let pixels = 37
    let normalisation = Normalisation(mean: [0.2859], standardDeviation: [0.3530], channelPixels: pixels)
    let rows = (0..<11).map { r in (0..<pixels).map { UInt8(truncatingIfNeeded: r * 53 + $0 * 17) } }
    let tile = Floats.allocate(capacity: pixels * 16)
    let row = Floats.allocate(capacity: pixels)
    defer {
      tile.deallocate()
      row.deallocate()
    }
    let flat = rows.flatMap { $0 }
    flat.withUnsafeBufferPointer { bytes in
      let tiles = Tiles(base: tile, pixels: pixels, rows: 11)
      normalisation.fill(tiles) { bytes.baseAddress! + $0 * pixels }
    }
    for r in 0..<16 {
      if r < 11 { normalisation.writeRow(rows[r], into: row) }
      for p in 0..<pixels {
        let found = tile[p * 16 + r]
        guard r < 11 else {
          #expect(found == 0)
          continue
        }
        let exact = (Double(rows[r][p]) / 255 - 0.2859) / 0.3530
        #expect(abs(Double(found) - exact) < 1e-6)
        #expect(found == row[p])
      }
    }
  }

  @Test func logSoftmaxAndItsGradientFollowTheFormulas() {
    let rows = 21
    let map = KernelTests.map(6, rows)
    let result = KernelTests.map(6, rows)
    let gradient = KernelTests.map(6, rows)
    defer { for m in [map, result, gradient] { m.base.deallocate() } }
    var values = Values(state: 3)
    for f in 0..<6 { for r in 0..<rows { map[f][r] = 20 * values.next() } }
    for f in 0..<6 { for r in 0..<rows { gradient[f][r] = values.next() } }
    kernels.logSoftmax(map, scale: 0.5, into: result)
    for r in 0..<rows {
      let z = (0..<6).map { Double(map[$0][r]) * 0.5 }
      let top = z.max() ?? 0
      let normaliser = top + log(z.reduce(0) { $0 + exp($1 - top) })
      for f in 0..<6 { #expect(abs(Double(result[f][r]) - (z[f] - normaliser)) < 4e-6) }
    }
    let before = (0..<6).map { f in (0..<rows).map { Double(gradient[f][$0]) } }
    kernels.logSoftmaxGradient(gradient, logProbabilities: result)
    for r in 0..<rows {
      let sum = (0..<6).reduce(0) { $0 + before[$1][r] }
      for f in 0..<6 {
        #expect(abs(Double(gradient[f][r]) - (before[f][r] - exp(Double(result[f][r])) * sum)) < 2e-6)
      }
    }
  }

  /// Every offset within a vector and many lengths: the bits of a row are those that it has alone.
  @Test(arguments: [1, 2, 15, 16, 17, 31, 32, 33, 64, 70])
  func aRowsBitsDoNotDependOnItsPlace(rows: Int) {
    let map = KernelTests.map(4, rows)
    let single = KernelTests.map(4, 1)
    let result = KernelTests.map(4, rows)
    let alone = KernelTests.map(4, 1)
    defer { for m in [map, single, result, alone] { m.base.deallocate() } }
    var values = Values(state: UInt64(rows))
    for f in 0..<4 { for r in 0..<rows { map[f][r] = 9 * values.next() } }
    kernels.logSoftmax(map, scale: 1, into: result)
    for r in 0..<rows {
      for f in 0..<4 { single[f][0] = map[f][r] }
      kernels.logSoftmax(single, scale: 1, into: alone)
      for f in 0..<4 { #expect(alone[f][0].bitPattern == result[f][r].bitPattern) }
    }
  }

  /// torch.optim.Adam's formulas in double precision, three steps.
  @Test func adamFollowsItsFormulas() {
    let count = 48
    let buffers = (0..<4).map { _ in Floats.allocate(capacity: count) }
    defer { for buffer in buffers { buffer.deallocate() } }
    for buffer in buffers { buffer.initialize(repeating: 0, count: count) }
    var values = Values(state: 11)
    var w = (0..<count).map { _ in Double(values.next()) }
    var m = [Double](repeating: 0, count: count)
    var v = m
    for i in 0..<count { buffers[0][i] = Float(w[i]) }
    for t in 1...3 {
      let g = (0..<count).map { _ in values.next() }
      for i in 0..<count {
        buffers[1][i] = g[i]
        let gradient = Double(g[i]) + 0.01 * w[i]
        m[i] = 0.9 * m[i] + 0.1 * gradient
        v[i] = 0.999 * v[i] + 0.001 * gradient * gradient
        let first = m[i] / (1 - pow(0.9, Double(t)))
        let second = (v[i] / (1 - pow(0.999, Double(t)))).squareRoot()
        w[i] -= 0.002 * first / (second + 1e-8)
      }
      kernels.adam(
        AdamStep(step: t, learningRate: 0.002, weightDecay: 0.01), values: buffers[0], gradients: buffers[1],
        first: buffers[2], second: buffers[3], count: count)
    }
    for i in 0..<count { #expect(abs(Double(buffers[0][i]) - w[i]) < 1e-6) }
  }
}

/// The networks of the paper have the published numbers of parameters.
struct NetworkTests {
  static let image = ImageShape(channels: 1, height: 28, width: 28)

  @Test func parameterCountsArePublished() throws {
    let mnist = try #require(PaperNetworks.named("mnist"))
    #expect(mnist.expert(input: NetworkTests.image, classes: 10).parameterCount == 1_382)
    #expect(mnist.expert(input: NetworkTests.image, classes: 12).parameterCount == 1_448)
    #expect(mnist.gate(input: NetworkTests.image, experts: 5).parameterCount == 26_063)
    let fashion = try #require(PaperNetworks.named("fashion-mnist"))
    #expect(fashion.expert(input: NetworkTests.image, classes: 10).parameterCount == 13_300)
    #expect(fashion.gate(input: NetworkTests.image, experts: 5).parameterCount == 709_413)
    #expect(709_413 + 5 * 13_300 == 775_913)
    #expect(26_063 + 5 * 1_382 == 32_973)
  }

  @Test func flopsPerSampleArePublished() throws {
    let fashion = try #require(PaperNetworks.named("fashion-mnist"))
    // 2·9·676 + 2·(169·64 + 64·32 + 32·10)
    #expect(fashion.expert(input: NetworkTests.image, classes: 10).forwardFlops == 38_536)
    // 2·9·8·676 + 2·(1352·512 + 512·32 + 32·5)
    #expect(fashion.gate(input: NetworkTests.image, experts: 5).forwardFlops == 1_514_880)
  }
}
