public import KernelInterface

/// The k experts with the largest scores; ties go to the lowest expert. With noise it is that of Shazeer et al. 2017 (arXiv
/// 1701.06538, equations 3 to 5): the scores that select and weigh are H(x) = s(x) + noise, see ``ScoreNoise``.
public struct TopK: Selection {
  /// k
  public let count: Int
  public let noise: ScoreNoise?

  /// - Parameters:
  ///   - count: k, from 1 to the number of experts.
  ///   - noise: on the scores in training; nil: none.
  public init(_ count: Int, noise: ScoreNoise? = nil) {
    self.count = count
    self.noise = noise
  }

  public func slots(experts: Int) -> Int { count }

  public func select(_ scores: FeatureMap, into table: inout SlotTable) {
    table.fill { places in
      for row in 0..<scores.rows { selectTop(of: scores, row: row, into: places + row * count) }
    }
  }

  /// The experts with the largest scores of a row, written in ascending order.
  private func selectTop(of scores: FeatureMap, row: Int, into chosen: UnsafeMutablePointer<Int32>) {
    for slot in 0..<count {
      var best = -1
      var bestValue = -Float.infinity
      for expert in 0..<scores.features {
        let value = scores.base[expert &* scores.stride &+ row]
        if best < 0 || value > bestValue {
          var taken = false
          for earlier in 0..<slot where chosen[earlier] == Int32(expert) { taken = true }
          if !taken {
            best = expert
            bestValue = value
          }
        }
      }
      chosen[slot] = Int32(best)
    }
    var ascending = UnsafeMutableBufferPointer(start: chosen, count: count)
    ascending.sort()
  }
}
