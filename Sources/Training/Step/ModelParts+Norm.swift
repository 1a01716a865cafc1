internal import Dist
internal import MoE
internal import Networks

extension ModelParts {
  /// The norm of the gradients of everything that is trained, gate and experts, the same bits on every rank. Collective.
  ///
  /// Squares are summed in double precision: a network's by its owner, chunk by chunk, then the gate's sum and those of
  /// the experts in ascending order. Neither who owns what nor where the gate works changes an addition.
  package func gradientNorm() throws -> Double {
    var ofGate = 0.0
    for parameters in trainedOfGate { ofGate += try place.squareSum(parameters) }
    let own = experts.map { $0.parameters.training == nil ? 0 : $0.parameters.squareSum() }
    // From every rank the sum of its gate, which counts from rank 0, and one per expert.
    let counts = Partition(counts: placement.expertsOfRank.map { $0.count + 1 })
    let sums = try communicator.allGather([ofGate] + own, counts)
    var ofExpert = [Double](repeating: 0, count: placement.experts)
    for (rank, experts) in placement.expertsOfRank.enumerated() {
      for (place, expert) in zip(counts[rank].dropFirst(), experts) { ofExpert[expert] = sums[place] }
    }
    return ofExpert.reduce(sums[0], +).squareRoot()
  }
}
