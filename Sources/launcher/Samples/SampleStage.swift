package import Files
package import Training

/// Where the experts of a model live, and who ran for an image.
package struct SampleStage: Equatable, Sendable {
  /// The rank of every expert.
  package let owners: [Int]
  package let ranks: Int
  /// Whether it is the stage of the run that trained the model; otherwise that of this command.
  package let isOfRun: Bool
  /// Whether a gate works on rank 0 for all.
  package let hasGateOnRoot: Bool

  package init(owners: [Int], ranks: Int, isOfRun: Bool, hasGateOnRoot: Bool) {
    self.owners = owners
    self.ranks = ranks
    self.isOfRun = isOfRun
    self.hasGateOnRoot = hasGateOnRoot
  }

  /// The ranks on which experts ran, ascending.
  package func busy(_ detail: SampleDetail) -> [Int] {
    Set(detail.layers.flatMap { layer in layer.ran.map { owners[$0] } }).sorted()
  }

  /// The ranks that had nothing to do for the image: no expert ran there, and no gate that works for all.
  package func idle(_ detail: SampleDetail) -> [Int] {
    let busy = busy(detail)
    return (0..<ranks).filter { !busy.contains($0) && !(hasGateOnRoot && $0 == 0) }
  }

  /// A sample with who ran for it and what that cost.
  package func json(_ detail: SampleDetail, _ costs: SampleCosts) -> JSONValue {
    func list(_ numbers: [Int]) -> JSONValue { .array(numbers.map { .integer($0) }) }
    return .object(
      detail.json(top: nil) + [
        .init(key: "busy_ranks", value: list(busy(detail))),
        .init(key: "idle_ranks", value: list(idle(detail))),
        .init(key: "flops", value: .integer(costs.flops(detail))),
      ])
  }
}

/// Numbers as words: `none`, `0`, `0, 2-4`.
package func numberWords(_ numbers: [Int]) -> String {
  var runs: [ClosedRange<Int>] = []
  for number in numbers {
    if let last = runs.last, last.upperBound + 1 == number {
      runs[runs.count - 1] = last.lowerBound...number
    } else {
      runs.append(number...number)
    }
  }
  let words = runs.map { run in
    switch run.count {
    case 1: "\(run.lowerBound)"
    case 2: "\(run.lowerBound), \(run.upperBound)"
    default: "\(run.lowerBound)-\(run.upperBound)"
    }
  }
  return words.isEmpty ? "none" : words.joined(separator: ", ")
}
