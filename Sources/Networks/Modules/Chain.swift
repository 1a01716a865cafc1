internal import KernelInterface
public import Numerics

/// Modules one behind the other, each of which takes what the one before it gives.
public struct ChainSpec: ModuleSpec {
  /// The parts and what the names of their tensors have behind the prefix; empty: nothing.
  public let parts: [(name: String, spec: any ModuleSpec)]

  /// - Parameter parts: at least one; each takes as many values as the one before gives.
  public init(_ parts: [(name: String, spec: any ModuleSpec)]) {
    precondition(!parts.isEmpty, "a chain has a module")
    for (before, after) in zip(parts, parts.dropFirst()) {
      precondition(before.spec.outputs == after.spec.inputs, "\(after.name) takes what \(before.name) gives")
    }
    self.parts = parts
  }

  private var last: any ModuleSpec { parts[parts.count - 1].spec }
  public var input: ImageShape { parts[0].spec.input }
  public var outputs: Int { last.outputs }
  public var tapped: Int { last.tapped }
  public var forwardFlops: Int { parts.reduce(0) { $0 + $1.spec.forwardFlops } }
  public var backwardFlops: Int {
    parts[0].spec.backwardFlops
      + parts.dropFirst().reduce(0) { $0 + $1.spec.backwardFlops + $1.spec.inputGradientFlops }
  }
  public var inputGradientFlops: Int { parts[0].spec.inputGradientFlops }

  private func prefix(_ prefix: String, _ name: String) -> String {
    name.isEmpty ? prefix : "\(prefix).\(name)"
  }

  public func tensors(prefix: String) -> [TensorSpec] {
    parts.flatMap { $0.spec.tensors(prefix: self.prefix(prefix, $0.name)) }
  }

  public func workspaceBytes(rows: Int, blocks: Int, products: DenseProducts) -> Int {
    parts.reduce(0) { $0 + $1.spec.workspaceBytes(rows: rows, blocks: blocks, products: products) }
  }

  public func scratchBytes(rows: Int, blocks: Int, products: DenseProducts) -> Int {
    parts.map { $0.spec.scratchBytes(rows: rows, blocks: blocks, products: products) }.max() ?? 0
  }

  public func makeModule(prefix: String, isTapped: Bool, _ context: ModuleContext) -> any Module {
    Chain(
      parts.enumerated().map { index, part in
        part.spec.makeModule(
          prefix: self.prefix(prefix, part.name), isTapped: isTapped && index == parts.count - 1, context)
      })
  }
}

final class Chain: Module {
  private let modules: [any Module]

  /// - Parameter modules: at least one.
  init(_ modules: [any Module]) { self.modules = modules }

  private struct Pass: ModulePass {
    let passes: [any ModulePass]
    /// Memory of the blocks.
    let pieces: [Workspace]
    let rows: [Int]
  }

  var parameters: [Parameters] { modules.flatMap(\.parameters) }
  var inputs: Int { modules[0].inputs }
  var outputs: Int { modules[modules.count - 1].outputs }
  var tapped: Int { modules[modules.count - 1].tapped }
  var work: ModuleWork {
    get {
      modules.reduce(into: ModuleWork()) { sum, module in
        sum.rows = module.work.rows
        sum.forwardFlops += module.work.forwardFlops
        sum.backwardFlops += module.work.backwardFlops
      }
    }
    set {
      // The parts' shares of a number that is put back are nobody's business.
      for module in modules.dropFirst() {
        module.work = ModuleWork()
        module.work.rows = newValue.rows
      }
      modules[0].work = newValue
    }
  }

  func forward(
    _ blocks: [RowBlock], into outputs: [FeatureMap], taps: [FeatureMap]?, mode: NetworkMode,
    in pieces: [Workspace]
  ) throws -> any ModulePass {
    var current = blocks
    var passes: [any ModulePass] = []
    for (index, module) in modules.enumerated() {
      let isLast = index == modules.count - 1
      let targets =
        isLast ? outputs : zip(blocks, pieces).map { $1.map(features: module.outputs, rows: $0.rows) }
      passes.append(
        try module.forward(
          current, into: targets, taps: isLast ? taps : nil, mode: mode, in: pieces))
      current = targets.map { .features($0) }
    }
    return Pass(passes: passes, pieces: pieces, rows: blocks.map(\.rows))
  }

  func backward(
    _ pass: any ModulePass, gradients: [FeatureMap], taps: [FeatureMap]?, inputs: [FeatureMap]?
  ) throws {
    guard let pass = pass as? Pass else { preconditionFailure("a pass of this module") }
    var current = gradients
    for (index, module) in modules.enumerated().reversed() {
      let below =
        index == 0
        ? inputs : zip(pass.rows, pass.pieces).map { $1.map(features: module.inputs, rows: $0) }
      try module.backward(
        pass.passes[index], gradients: current, taps: index == modules.count - 1 ? taps : nil, inputs: below)
      current = below ?? []
    }
  }
}
