import Glibc
import TestSupport

/// A mixture of experts in Double: its parameters, its training step with every gradient, and Adam.
///
/// Usage: `let step = model.step(images, labels, ReferenceMethod())`, compare `step.gradients`, and
/// `model.update(step, learningRate: 1e-3)` to go on to the next step.
struct ReferenceModel {
  /// Weights, and running statistics of BatchNorm, by name; shapes as PyTorch has them.
  var parameters: Tensors
  /// nil: the single model, or a gate without a network. Headless: the attentive gate's.
  let gate: ReferenceNetwork?
  let experts: [ReferenceNetwork]
  /// `gate.…` and `attention.…` of the attentive model that is distilled; its experts are this model's.
  var teacher: Tensors?
  private var adam = ReferenceAdam()

  /// - Parameters:
  ///   - gate: its name and number of outputs are set here.
  ///   - expert: the network of every expert.
  init(parameters: Tensors, gate: ReferenceNetwork?, expert: ReferenceNetwork, count: Int) {
    self.parameters = parameters
    var named = gate
    named?.name = "gate"
    named?.outputs = count
    self.gate = named
    experts = (0..<count).map { number in
      var network = expert
      network.name = "experts.\(number)"
      return network
    }
    for (name, shape) in shapes {
      precondition(parameters[name]?.count == shape.reduce(1, *), "\(name) needs \(shape) values")
    }
  }

  /// H, the width of the last hidden layers.
  var width: Int { experts[0].hidden.last ?? 0 }

  /// Every tensor's shape by name, running statistics included.
  var shapes: [String: [Int]] {
    let attention = gate?.headless == true ? ReferenceAttention.shapes(width: width) : [:]
    return ([gate].compactMap { $0 } + experts).reduce(into: attention) { all, network in
      all.merge(network.shapes) { own, _ in own }
    }
  }

  /// What can be trained, by name in ascending order.
  var trained: [String] { shapes.keys.filter { !$0.contains(".running_") }.sorted() }

  /// What a method trains, by name in ascending order.
  func trained(_ method: ReferenceMethod) -> [String] {
    trained.filter { $0.hasPrefix("experts.") ? method.freeze != .experts : method.freeze != .gate }
  }

  /// Takes the step: Adam on every tensor with a gradient, and BatchNorm's running statistics.
  mutating func update(
    _ step: ReferenceStep, learningRate: Double = 1e-3, weightDecay: Double = 0, clipNorm: Double? = nil
  ) {
    // torch.nn.utils.clip_grad_norm_
    let scale = clipNorm.map { min(1, $0 / (Self.norm(step) + 1e-6)) } ?? 1
    adam.update(
      &parameters, names: step.gradients.keys.sorted(),
      step.gradients.mapValues { gradient in gradient.map { $0 * scale } }, learningRate: learningRate,
      weightDecay: weightDecay)
    parameters.merge(step.statistics) { _, new in new }
  }

  /// The norm of all gradients of a step.
  static func norm(_ step: ReferenceStep) -> Double {
    step.gradients.keys.sorted().reduce(0) { sum, name in
      step.gradients[name]!.reduce(sum) { $0 + $1 * $1 }
    }.squareRoot()
  }
}

/// torch.optim.Adam: coupled weight decay, β = (0.9, 0.999), ε = 1e-8 outside the root.
struct ReferenceAdam {
  private(set) var steps = 0
  private(set) var first: Tensors = [:]
  private(set) var second: Tensors = [:]

  mutating func update(
    _ parameters: inout Tensors, names: [String], _ gradients: Tensors, learningRate: Double,
    weightDecay: Double
  ) {
    steps += 1
    let correction1 = 1 - pow(0.9, Double(steps))
    let correction2 = 1 - pow(0.999, Double(steps))
    for name in names {
      var values = parameters[name]!
      var m = first[name] ?? values.map { _ in 0 }
      var v = second[name] ?? values.map { _ in 0 }
      for i in values.indices {
        let g = gradients[name]![i] + weightDecay * values[i]
        m[i] = 0.9 * m[i] + 0.1 * g
        v[i] = 0.999 * v[i] + 0.001 * g * g
        values[i] -= learningRate * (m[i] / correction1) / ((v[i] / correction2).squareRoot() + 1e-8)
      }
      (parameters[name], first[name], second[name]) = (values, m, v)
    }
  }
}

extension ReferenceModel {
  /// Random weights about as large as PyTorch's initial ones, BatchNorm away from its usual start 1 and 0.
  ///
  /// Every value is a Float, so that a model in Float can start from the same ones.
  static func random(
    seed: UInt64, gate: ReferenceNetwork?, expert: ReferenceNetwork, count: Int
  ) -> ReferenceModel {
    var generator = SplitMix(state: seed)
    var networks = (0..<count).map { number in
      var network = expert
      network.name = "experts.\(number)"
      return network
    }
    if var gate {
      (gate.name, gate.outputs) = ("gate", count)
      networks.append(gate)
    }
    var parameters: Tensors = [:]
    var layers = networks.map(\.shapes)
    if gate?.headless == true { layers.append(ReferenceAttention.shapes(width: expert.hidden.last ?? 0)) }
    for shapes in layers {
      for (name, shape) in shapes.sorted(by: { $0.key < $1.key }) {
        let layer = name[..<name.lastIndex(of: ".")!]
        let fanIn = shapes[layer + ".weight"]!.dropFirst().reduce(1, *)
        let isNorm = layer.contains(".bn")
        let isScale = isNorm && (name.hasSuffix(".weight") || name.hasSuffix("running_var"))
        let limit = isNorm ? 0.5 : 1 / Double(fanIn).squareRoot()
        parameters[name] = (0..<shape.reduce(1, *)).map { _ in
          Double(Float(isScale ? 0.5 + generator.unit() : generator.symmetric(limit)))
        }
      }
    }
    return ReferenceModel(parameters: parameters, gate: gate, expert: expert, count: count)
  }
}
