import Networks
import Numerics
import TestSupport
import Testing

/// The formulas' gradients against central differences of the formulas, for every sequence of layers that the tests of
/// modules and networks compare with them.
struct ReferenceLayersTests {
  struct Case: CustomTestStringConvertible {
    var name: String
    var layers: ReferenceLayers
    var testDescription: String { name }
  }

  static let cases: [Case] =
    ConvolutionNetworkTests.specs.enumerated().map { number, spec in
      Case(name: "network \(number)", layers: ReferenceNetwork(spec, name: "net").layers)
    }
    + SequentialTests.cases.map { test in
      Case(
        name: test.name,
        layers: ReferenceLayers(SequentialSpec(test.layers, input: test.input), prefix: "net"))
    }

  /// About as large as they are at the start of a training; scales of BatchNorm of either sign.
  static func random(_ shapes: [String: [Int]], _ generator: inout SplitMix) -> Tensors {
    var tensors: Tensors = [:]
    for (name, shape) in shapes.sorted(by: { $0.key < $1.key }) {
      let fanIn = shapes[name.replacing(".bias", with: ".weight")]!.dropFirst().reduce(1, *)
      tensors[name] = (0..<shape.reduce(1, *)).map { _ in
        name.hasSuffix("running_var")
          ? 0.5 + generator.unit() : generator.symmetric(1 / Double(fanIn).squareRoot())
      }
    }
    return tensors
  }

  /// Σ r·output + Σ t·tap, differentiated by tensors and rows. At steps of 1e-7 central differences are exact to 1e-8 where no
  /// maximum or ReLU changes sides.
  @Test(arguments: cases)
  func gradientsAreDerivatives(_ test: Case) throws {
    let layers = test.layers
    var generator = SplitMix(state: 7)
    let tensors = Self.random(layers.tensors, &generator)
    func numbers(_ count: Int) -> [[Double]] {
      (0..<3).map { _ in (0..<count).map { _ in generator.symmetric(1) } }
    }
    let rows = numbers(layers.input.pixels)
    let r = numbers(layers.output.pixels)
    let tapped = try #require(layers.withTensors.dropLast().last)
    let pass = layers.forward(rows, tensors)
    let t = numbers(pass.layers[tapped].y[0].count)
    func value(_ rows: [[Double]], _ tensors: Tensors) -> Double {
      let pass = layers.forward(rows, tensors)
      return zip(pass.outputs + pass.layers[tapped].y, r + t).reduce(0) { $0 + dot($1.0, $1.1) }
    }
    func expect(_ found: Double, _ name: String, _ move: (inout [[Double]], inout Tensors, Double) -> Void) {
      let values = [1e-7, -1e-7].map { step in
        var (rows, tensors) = (rows, tensors)
        move(&rows, &tensors, step)
        return value(rows, tensors)
      }
      let difference = (values[0] - values[1]) / 2e-7
      #expect(
        abs(difference - found) < 1e-6 * max(1, abs(difference)), "\(name): \(found), not \(difference)")
    }
    var gradients: Tensors = [:]
    let ofRows = layers.backward(pass, r, tap: (tapped, t), tensors, &gradients)
    #expect(gradients.keys.sorted() == tensors.keys.filter { !$0.contains(".running_") }.sorted())
    for (name, gradient) in gradients.sorted(by: { $0.key < $1.key }) {
      for i in Set([0, gradient.count / 2, gradient.count - 1]) {
        expect(gradient[i], "\(name)[\(i)]") { $1[name]![i] += $2 }
      }
    }
    for i in [0, layers.input.pixels / 2, layers.input.pixels - 1] {
      expect(ofRows[1][i], "row 1, feature \(i)") { $0[1][i] += $2 }
    }
  }
}
