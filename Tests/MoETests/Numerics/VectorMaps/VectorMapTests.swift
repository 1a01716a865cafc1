import KernelInterface
import Numerics
import Testing

/// That an element's bits depend on its operands alone, and what the vectors and maps of the public functions hold.
struct VectorMapTests {
  /// Every function as one of three operands, of which it takes those that it needs.
  struct Function: Sendable {
    let name: String
    let run: @Sendable (any KernelLevel.Type, [UnsafePointer<Float>], Floats, Int) -> Void
  }

  static let functions: [Function] = {
    var all: [Function] = []
    for f in UnaryFunction.allCases {
      all.append(Function(name: "\(f)") { $0.map(f, $1[0], into: $2, count: $3) })
    }
    for f in BinaryFunction.allCases {
      all.append(Function(name: "\(f)") { $0.map(f, $1[0], $1[1], into: $2, count: $3) })
    }
    for f in TernaryFunction.allCases {
      all.append(Function(name: "\(f)") { $0.map(f, $1[0], $1[1], $1[2], into: $2, count: $3) })
    }
    return all
  }()

  /// Values of all sizes in three operands, NaN and zeros among them.
  static func operands(_ count: Int) -> [[Float]] {
    var values = KernelTests.Values(state: 77)
    return (0..<3).map { operand in
      (0..<count).map { i in
        if i % 23 == operand { return [0, -0.0, .infinity, .nan][i / 23 % 4] }
        return values.next() * Float(sign: .plus, exponent: i % 9 - 3, significand: 1)
      }
    }
  }

  static func same(_ a: Float, _ b: Float) -> Bool { a.bitPattern == b.bitPattern || (a.isNaN && b.isNaN) }

  @Test(arguments: ProcessorLevel.runnable, 0..<functions.count)
  func bitsDependOnNeitherOffsetNorLength(level: ProcessorLevel, index: Int) {
    let f = VectorMapTests.functions[index]
    let all = 32 + 70 + 10
    let operands = VectorMapTests.operands(all)
    let memory = operands.map { operand in
      let base = Floats.allocate(capacity: all)
      base.initialize(from: operand, count: all)
      return base
    }
    defer { for base in memory { base.deallocate() } }
    var whole = [Float](repeating: 7, count: all)
    f.run(level.implementation, memory.map { UnsafePointer($0) }, &whole, all)
    var wrong: [String] = []
    for offset in 0..<32 {
      for count in 1...70 {
        // The result at another offset than the operands, and over the first operand.
        var y = [Float](repeating: 7, count: all)
        y.withUnsafeMutableBufferPointer {
          f.run(level.implementation, memory.map { UnsafePointer($0 + offset) }, $0.baseAddress! + 5, count)
        }
        let beside = (y[..<5] + y[(5 + count)...]).allSatisfy { $0 == 7 }
        let inside = (0..<count).allSatisfy { VectorMapTests.same(y[5 + $0], whole[offset + $0]) }
        f.run(level.implementation, memory.map { UnsafePointer($0 + offset) }, memory[0] + offset, count)
        let inPlace = (0..<all).allSatisfy {
          let changed = offset..<offset + count ~= $0
          return VectorMapTests.same(memory[0][$0], changed ? whole[$0] : operands[0][$0])
        }
        memory[0].update(from: operands[0], count: all)
        if !beside || !inside || !inPlace { wrong.append("\(count) elements from \(offset)") }
      }
    }
    #expect(wrong.isEmpty, "\(f.name): \(wrong.prefix(3))")
  }

  /// Arithmetic is what one scalar operation of the processor gives, at every level.
  @Test(arguments: ProcessorLevel.runnable)
  func arithmeticIsThatOfScalars(level: ProcessorLevel) {
    let count = 1000
    let x = VectorMapTests.operands(count)
    let fused = level.implementation.isFused
    let expected: [String: (Float, Float, Float) -> Float] = [
      "add": { a, b, _ in a + b }, "subtract": { a, b, _ in a - b }, "multiply": { a, b, _ in a * b },
      "divide": { a, b, _ in a / b },
      "maximum": { a, b, _ in a.isNaN || b.isNaN ? .nan : a > b ? a : b },
      "squareRoot": { a, _, _ in a.squareRoot() },
      "multiplyAdd": { a, b, c in fused ? c.addingProduct(a, b) : a * b + c },
      "select": { a, b, c in a > 0 ? b : c },
    ]
    for f in VectorMapTests.functions {
      guard let scalar = expected[f.name] else { continue }
      var y = [Float](repeating: 7, count: count)
      x.withPointers { f.run(level.implementation, $0, &y, count) }
      let wrong = (0..<count).filter { !VectorMapTests.same(y[$0], scalar(x[0][$0], x[1][$0], x[2][$0])) }
      #expect(wrong.isEmpty, "\(f.name)")
    }
  }

  @Test(arguments: ProcessorLevel.runnable)
  func fusedLevelsGiveTheSameBits(level: ProcessorLevel) {
    guard level.implementation.isFused, let last = ProcessorLevel.runnable.last else { return }
    let x = VectorMapTests.operands(4000)
    for f in VectorMapTests.functions {
      var (a, b) = ([Float](repeating: 7, count: 4000), [Float](repeating: 7, count: 4000))
      x.withPointers {
        f.run(level.implementation, $0, &a, 4000)
        f.run(last.implementation, $0, &b, 4000)
      }
      #expect(zip(a, b).allSatisfy(VectorMapTests.same), "\(f.name)")
    }
  }

  @Test(arguments: ProcessorLevel.runnable)
  func sumsHaveOneOrder(level: ProcessorLevel) {
    var values = KernelTests.Values(state: 3)
    let x = (0..<150).map { _ in values.next() * 1e6 }
    for offset in 0..<32 {
      for count in 0...70 {
        var partial = [Double](repeating: 0, count: 16)
        for i in 0..<count { partial[i % 16] += Double(x[offset + i]) }
        for width in [8, 4, 2, 1] { for i in 0..<width { partial[i] += partial[i + width] } }
        let found = x.withUnsafeBufferPointer {
          level.implementation.sum($0.baseAddress! + offset, count: count)
        }
        #expect(found == partial[0])
      }
    }
  }

  @Test(arguments: ProcessorLevel.runnable, [1, 15, 16, 17, 70])
  func rowsAreSummedByFeature(level: ProcessorLevel, rows: Int) {
    for features in [0, 1, 3, 11] {
      let (a, b, y) = (filled(features, rows, 1), filled(features, rows, 2), filled(features, rows, 3))
      defer { for map in [a, b, y] { map.base.deallocate() } }
      let fused = level.implementation.isFused
      var (sums, products) = ([Float](repeating: 7, count: rows + 1), [Float](repeating: 7, count: rows + 1))
      level.implementation.sumOverFeatures(a, into: &sums)
      level.implementation.dotPerRow(a, b, into: &products)
      level.implementation.scaleRows(a, by: Array(sums[..<rows]), into: y)
      for r in 0..<rows {
        var (sum, product) = (Float(0), Float(0))
        for f in 0..<features {
          sum += a[f][r]
          product = fused ? product.addingProduct(a[f][r], b[f][r]) : a[f][r] * b[f][r] + product
        }
        #expect(sums[r] == sum && products[r] == product)
        for f in 0..<features { #expect(y[f][r] == a[f][r] * sum) }
      }
      #expect(sums[rows] == 7 && products[rows] == 7)
      for f in 0..<features { #expect((rows..<y.columns).allSatisfy { y[f][$0] == 0 }) }
    }
  }

  @Test func mapsAreVectorsPerFeature() {
    let (x, y, z) = (filled(3, 21, 5), filled(3, 21, 6), filled(3, 21, 7))
    defer { for map in [x, y, z] { map.base.deallocate() } }
    func expect(_ name: String, _ line: (Int, Floats) -> Void) {
      for f in 0..<3 {
        var expected = [Float](repeating: 7, count: 21)
        line(f, &expected)
        #expect((0..<21).allSatisfy { VectorMapTests.same(z[f][$0], expected[$0]) }, "\(name)")
        #expect((21..<32).allSatisfy { z[f][$0] == 0 }, "\(name) leaves zeros behind the rows")
      }
    }
    typealias Line = UnsafePointer<Float>
    func unary(
      _ name: String, _ map: (FeatureMap, FeatureMap) -> Void, _ vector: (Line, Floats, Int) -> Void
    ) {
      map(x, z)
      expect(name) { vector(x[$0], $1, 21) }
    }
    func binary(
      _ name: String, _ map: (FeatureMap, FeatureMap, FeatureMap) -> Void,
      _ vector: (Line, Line, Floats, Int) -> Void
    ) {
      map(x, y, z)
      expect(name) { vector(x[$0], y[$0], $1, 21) }
    }
    func ternary(
      _ name: String, _ map: (FeatureMap, FeatureMap, FeatureMap, FeatureMap) -> Void,
      _ vector: (Line, Line, Line, Floats, Int) -> Void
    ) {
      map(x, y, x, z)
      expect(name) { vector(x[$0], y[$0], x[$0], $1, 21) }
    }
    unary("exp", VectorMap.exp, VectorMap.exp)
    unary("log", VectorMap.log, VectorMap.log)
    unary("tanh", VectorMap.tanh, VectorMap.tanh)
    unary("erf", VectorMap.erf, VectorMap.erf)
    unary("sigmoid", VectorMap.sigmoid, VectorMap.sigmoid)
    unary("squareRoot", VectorMap.squareRoot, VectorMap.squareRoot)
    unary("gelu", VectorMap.gelu, VectorMap.gelu)
    binary("geluGradient", VectorMap.geluGradient, VectorMap.geluGradient)
    binary("add", VectorMap.add, VectorMap.add)
    binary("subtract", VectorMap.subtract, VectorMap.subtract)
    binary("multiply", VectorMap.multiply, VectorMap.multiply)
    binary("divide", VectorMap.divide, VectorMap.divide)
    binary("maximum", VectorMap.maximum, VectorMap.maximum)
    ternary("multiplyAdd", VectorMap.multiplyAdd, VectorMap.multiplyAdd)
    ternary("select", VectorMap.select, VectorMap.select)
    // The public functions are those of the level in use, under the right names.
    let tenth = [Float](repeating: 0.1, count: 1)
    var y1: [Float] = [0]
    VectorMap.gelu(tenth, into: &y1, count: 1)
    #expect(abs(Double(y1[0]) - 0.1 * VectorFunctionTests.normal(0.1)) < 1e-8)
    #expect(VectorMap.sum([1, 2, 4], count: 3) == 7)
  }

  /// Values of a map with NaN behind the rows, which nobody may see.
  private func filled(_ features: Int, _ rows: Int, _ seed: UInt64) -> FeatureMap {
    let map = KernelTests.map(features, rows)
    var values = KernelTests.Values(state: seed)
    for f in 0..<features {
      for r in 0..<map.columns { map[f][r] = r < rows ? values.next() * 3 : .nan }
    }
    return map
  }
}

extension [[Float]] {
  /// The arrays as pointers, for the time of the body.
  fileprivate func withPointers(_ body: ([UnsafePointer<Float>]) -> Void) {
    let memory = map { array in
      let base = Floats.allocate(capacity: array.count)
      base.initialize(from: array, count: array.count)
      return base
    }
    body(memory.map { UnsafePointer($0) })
    for base in memory { base.deallocate() }
  }
}
