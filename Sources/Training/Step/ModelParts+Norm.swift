internal import Dist
internal import MoE
internal import Networks

extension ModelParts {
  /// The norm of the gradients of everything that is trained, the same bits on every rank. Collective.
  ///
  /// Squares are summed in double precision: a module's by its owner, chunk by chunk, then those of trunk and head, and
  /// layer by layer the gate's sum and those of the experts in ascending order. Neither who owns what nor where the gate
  /// works changes an addition.
  package func gradientNorm() throws -> Double {
    var sum = 0.0
    if trainsTrunk { for parameters in shared { sum += try base.squareSum(parameters) } }
    for layer in layers { sum = try layer.squareSum(startingAt: sum, over: communicator) }
    return sum.squareRoot()
  }
}

extension LayerParts {
  /// Adds the squares of the layer's gradients to a sum. Collective.
  fileprivate func squareSum(startingAt sum: Double, over communicator: any Communicator) throws -> Double {
    var ofGate = 0.0
    for parameters in gate?.trained ?? [] { ofGate += try place.squareSum(parameters) }
    let own = experts.map { expert in
      expert.parameters.reduce(0) { $0 + ($1.training == nil ? 0 : $1.squareSum()) }
    }
    // From every rank the sum of its gate, which counts from rank 0, and one per expert.
    let counts = Partition(counts: placement.expertsOfRank.map { $0.count + 1 })
    let sums = try communicator.allGather([ofGate] + own, counts)
    var ofExpert = [Double](repeating: 0, count: placement.experts)
    for (rank, experts) in placement.expertsOfRank.enumerated() {
      for (place, expert) in zip(counts[rank].dropFirst(), experts) { ofExpert[expert] = sums[place] }
    }
    return ofExpert.reduce(sum + sums[0], +)
  }
}
