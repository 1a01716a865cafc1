import KernelInterface
import Numerics
import Testing

#if canImport(Glibc)
  import Glibc
#endif

/// The law of the dense products: every element is one chain of multiply-adds over ascending k, whatever the shape.
struct DenseProductTests {
  /// One link of the chain: fused where the kernels have such instructions.
  static func link(_ a: Float, _ b: Float, _ c: Float) -> Float {
    kernels.isFused ? c.addingProduct(a, b) : c + a * b
  }

  /// Σ_k a(k)·b(k), ascending.
  static func chain(_ depth: Int, _ a: (Int) -> Float, _ b: (Int) -> Float) -> Float {
    (0..<depth).reduce(Float(0)) { link(a($1), b($1), $0) }
  }

  /// Values that a sum in another order would round differently; what lies behind the rows must not reach any result.
  static func fill(_ map: FeatureMap, _ values: inout KernelTests.Values) {
    for feature in 0..<map.features {
      for row in 0..<map.stride { map[feature][row] = row < map.rows ? values.next() : .nan }
    }
  }

  /// A layer's maps, weights that lie somewhere inside a larger buffer, and a workspace of exactly the promised size.
  final class Layer {
    let inputs, outputs, rows: Int
    let x, h, gradient, inputGradient: FeatureMap
    let buffer: Floats
    let workspace: Workspace
    /// An odd place: nothing may rely on alignment.
    var weights: Floats { buffer + 3 }

    init(inputs: Int, outputs: Int, rows: Int) {
      (self.inputs, self.outputs, self.rows) = (inputs, outputs, rows)
      x = KernelTests.map(inputs, rows)
      h = KernelTests.map(outputs, rows)
      gradient = KernelTests.map(outputs, rows)
      inputGradient = KernelTests.map(inputs, rows)
      buffer = Floats.allocate(capacity: inputs * outputs + 6)
      workspace = Workspace(
        capacity: DenseProducts.own.layerWorkspaceBytes(inputs: inputs, outputs: outputs, rows: rows))
      var values = KernelTests.Values(state: UInt64(inputs * 1_000_003 + outputs * 1009 + rows))
      DenseProductTests.fill(x, &values)
      DenseProductTests.fill(gradient, &values)
      for i in 0..<inputs * outputs + 6 { buffer[i] = values.next() }
    }

    deinit {
      for map in [x, h, gradient, inputGradient] { map.base.deallocate() }
      buffer.deallocate()
    }

    func weight(_ output: Int, _ input: Int) -> Float { weights[output * inputs + input] }
  }

  /// Differences from the plain sums in the three products of a layer.
  static func wrongElements(inputs: Int, outputs: Int, rows: Int) -> [Int] {
    let layer = Layer(inputs: inputs, outputs: outputs, rows: rows)
    var wrong = [0, 0, 0, 0]
    DenseProducts.own.forward(layer.weights, outputs: outputs, layer.x, into: layer.h, in: layer.workspace)
    for o in 0..<outputs {
      for r in 0..<rows {
        let plain = chain(inputs) {
          layer.weight(o, $0)
        } _: {
          layer.x[$0][r]
        }
        if layer.h[o][r] != plain { wrong[0] += 1 }
      }
    }
    DenseProducts.own.inputGradient(
      layer.weights, layer.gradient, into: layer.inputGradient, in: layer.workspace)
    for i in 0..<inputs {
      for r in 0..<rows {
        let plain = chain(outputs) {
          layer.weight($0, i)
        } _: {
          layer.gradient[$0][r]
        }
        if layer.inputGradient[i][r] != plain { wrong[1] += 1 }
      }
    }
    let around = (0..<3).map { layer.buffer[$0] } + (0..<3).map { layer.weights[inputs * outputs + $0] }
    DenseProducts.own.weightGradient(
      [.init(gradient: layer.gradient, input: layer.x)], additions: [0], into: layer.weights,
      in: layer.workspace)
    for o in 0..<outputs {
      for i in 0..<inputs {
        let plain = chain(rows) {
          layer.gradient[o][$0]
        } _: {
          layer.x[i][$0]
        }
        if layer.weight(o, i) != plain { wrong[2] += 1 }
      }
    }
    let after = (0..<3).map { layer.buffer[$0] } + (0..<3).map { layer.weights[inputs * outputs + $0] }
    if around != after { wrong[3] += 1 }
    return wrong
  }

  /// Every height and width of a tile, whole panels and what is left of them, copied and used in place.
  @Test(arguments: 1...13)
  func everyElementIsOneChain(outputs: Int) {
    for inputs in 1...70 {
      #expect(DenseProductTests.wrongElements(inputs: inputs, outputs: outputs, rows: 21) == [0, 0, 0, 0])
    }
  }

  @Test(arguments: [1, 15, 16, 17, 33, 64, 65, 100], [(7, 29), (169, 64), (37, 26), (129, 25)])
  func everyElementIsOneChainForEveryNumberOfRows(rows: Int, size: (Int, Int)) {
    let wrong = DenseProductTests.wrongElements(inputs: size.0, outputs: size.1, rows: rows)
    #expect(wrong == [0, 0, 0, 0])
  }

  /// A block of k that is as long as it may be, and two.
  @Test(arguments: [575, 576, 577])
  func everyElementIsOneChainAlsoInLongBlocks(depth: Int) {
    #expect(DenseProductTests.wrongElements(inputs: 70, outputs: depth, rows: 17) == [0, 0, 0, 0])
    #expect(DenseProductTests.wrongElements(inputs: depth, outputs: 70, rows: 17) == [0, 0, 0, 0])
  }

  /// Five features end where the process may not read on.
  @Test func nothingBehindTheLastFeatureIsRead() throws {
    let page = 4096
    let memory = try #require(
      mmap(nil, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
    defer { munmap(memory, 2 * page) }
    try #require(memory != MAP_FAILED && mprotect(memory + page, page, PROT_NONE) == 0)
    // Rows that are no whole vectors, so that the copy for the loop goes value by value at the end.
    let count = FeatureMap.count(features: 5, rows: 21)
    let base = (memory + page - 4 * count).assumingMemoryBound(to: Float.self)
    let x = FeatureMap(base: base, features: 5, rows: 21)
    var values = KernelTests.Values(state: 3)
    DenseProductTests.fill(x, &values)
    let layer = Layer(inputs: 5, outputs: 9, rows: 21)
    DenseProducts.own.weightGradient(
      [.init(gradient: layer.gradient, input: x)], additions: [0], into: layer.weights, in: layer.workspace)
    for o in 0..<9 {
      for i in 0..<5 {
        let plain = DenseProductTests.chain(21) {
          layer.gradient[o][$0]
        } _: {
          x[i][$0]
        }
        #expect(layer.weight(o, i) == plain)
      }
    }
  }

  /// More blocks than a batch of the paper has, and fewer outputs than are copied for the loop as they are.
  @Test(arguments: [7, 40, 70])
  func sumsOfManyBlocksStayInTheirMemory(outputs: Int) {
    let blocks = 11
    let layer = Layer(inputs: 100, outputs: outputs, rows: 128)
    let workspace = Workspace(
      capacity: DenseProducts.own.layerWorkspaceBytes(
        inputs: 100, outputs: outputs, rows: 128, blocks: blocks))
    let block = DenseProducts.BlockOfRows(gradient: layer.gradient, input: layer.x)
    let additions = (0..<blocks).map { $0 == 0 ? 0 : 1 }
    DenseProducts.own.weightGradient(
      Array(repeating: block, count: blocks), additions: additions, into: layer.weights, in: workspace)
    for o in 0..<outputs {
      for i in 0..<100 {
        let once = DenseProductTests.chain(128) {
          layer.gradient[o][$0]
        } _: {
          layer.x[i][$0]
        }
        var sum = once
        for _ in 1..<blocks { sum += once }
        #expect(layer.weight(o, i) == sum)
      }
    }
  }

  /// Several groups of panels, the last of them narrower.
  @Test func everyElementIsOneChainAlsoInLargeProducts() {
    let wrong = DenseProductTests.wrongElements(inputs: 1352, outputs: 53, rows: 217)
    #expect(wrong == [0, 0, 0, 0])
  }

  @Test(arguments: [5, 60])
  func biasAndRectifierFollowTheSum(outputs: Int) {
    let layer = Layer(inputs: 41, outputs: outputs, rows: 35)
    let bias = layer.buffer
    for rectify in [false, true] {
      DenseProducts.own.forward(
        layer.weights, outputs: outputs, layer.x, bias: bias, rectify: rectify, into: layer.h,
        in: layer.workspace)
      for o in 0..<outputs {
        for r in 0..<35 {
          let sum = DenseProductTests.chain(41) {
            layer.weight(o, $0)
          } _: {
            layer.x[$0][r]
          }
          let plain = rectify ? max(sum + bias[o], 0) : sum + bias[o]
          #expect(layer.h[o][r] == plain)
        }
      }
    }
  }

  @Test(arguments: [5, 60])
  func inputGradientStopsWhereTheActivationIsNotPositive(inputs: Int) {
    let layer = Layer(inputs: inputs, outputs: 19, rows: 35)
    layer.x[0][3] = 0
    DenseProducts.own.inputGradient(
      layer.weights, layer.gradient, rectifiedBy: layer.x, into: layer.inputGradient, in: layer.workspace)
    var stopped = 0
    for i in 0..<inputs {
      for r in 0..<35 {
        let sum = DenseProductTests.chain(19) {
          layer.weight($0, i)
        } _: {
          layer.gradient[$0][r]
        }
        if layer.x[i][r] <= 0 { stopped += 1 }
        #expect(layer.inputGradient[i][r] == (layer.x[i][r] > 0 ? sum : 0))
      }
    }
    #expect(stopped > 0 && stopped < inputs * 35)
  }

  @Test(arguments: [1, 6, 16, 63, 64, 65, 100, 150])
  func gramIsTheProductOfAllPairs(rows: Int) {
    let x = KernelTests.map(27, rows)
    let stride = FeatureMap.stride(rows: rows)
    let product = Floats.allocate(capacity: rows * stride)
    defer {
      x.base.deallocate()
      product.deallocate()
    }
    var values = KernelTests.Values(state: UInt64(rows))
    DenseProductTests.fill(x, &values)
    let workspace = Workspace(
      capacity: DenseProducts.bytes(depth: 27, columns: FeatureMap.columns(rows: rows)))
    PairProducts.gram(x, into: product, stride: stride, in: workspace)
    var wrong = 0
    for a in 0..<rows {
      for b in a..<rows {
        let plain = DenseProductTests.chain(27) {
          x[$0][a]
        } _: {
          x[$0][b]
        }
        if product[a * stride + b] != plain { wrong += 1 }
      }
    }
    #expect(wrong == 0)
  }

  /// The same sums within the error of single precision, by OpenBLAS.
  @Test func agreesWithOpenBLAS() {
    let layer = Layer(inputs: 70, outputs: 40, rows: 48)
    let h = KernelTests.map(40, 48)
    defer { h.base.deallocate() }
    DenseProducts.own.forward(layer.weights, outputs: 40, layer.x, into: layer.h, in: layer.workspace)
    DenseProducts.openblas.forward(layer.weights, outputs: 40, layer.x, into: h, in: layer.workspace)
    for o in 0..<40 { for r in 0..<48 { #expect(abs(layer.h[o][r] - h[o][r]) < 1e-5) } }
  }
}
