import KernelInterface
import MoE
import Numerics
import Testing

/// Which experts are selected, slot by slot.
struct SelectionTests {
  private static func table(_ selection: any Selection, _ scores: [[Double]]) -> [[Int]] {
    let workspace = Workspace()
    let scores = map(scores[0].count, scores.count, in: workspace) { Float(scores[$1][$0]) }
    guard let table = selection.table(of: scores) else { return [] }
    return (0..<table.rows).map { row in (0..<table.slots).map { table[row, $0] } }
  }

  @Test func tiesGoToTheLowestAndSlotsAscend() {
    #expect(
      Self.table(TopK(2), [[1, 3, 3, 3], [0, 0, 0, 0], [4, 1, 2, 9]]) == [[1, 2], [0, 1], [0, 3]])
  }

  @Test func allNeedsNoTable() {
    #expect(Self.table(AllExperts(), [[1, 2]]).isEmpty)
    #expect(AllExperts().slots(experts: 7) == 7 && AllExperts().takesAll)
  }

  @Test(arguments: [1, 2, 3, 5])
  func topKIsTheReferencesChoice(k: Int) {
    let scores = randomScores(rows: 60, experts: 5, seed: UInt64(k))
    #expect(Self.table(TopK(k), scores) == scores.map { ReferenceRule.topK(k, full: true).selected($0) })
  }

  /// Four rows want expert 0, which takes ⌈½·1·6/3⌉ = 1: the first.
  @Test func laterRowsAreDropped() {
    let scores: [[Double]] = [[9, 0, 0], [9, 1, 0], [0, 9, 0], [9, 0, 1], [9, 0, 0], [0, 0, 9]]
    let selection = Capacity(TopK(1), factor: 0.5)
    #expect(Self.table(selection, scores) == [[0], [-1], [1], [-1], [-1], [2]])
    #expect(Self.table(selection.dropless, scores) == [[0], [0], [1], [0], [0], [2]])
  }

  /// A row of two experts keeps the one that has room, in its slot, or none.
  @Test func slotsAreDroppedOneByOne() {
    let scores: [[Double]] = [[9, 8, 0], [9, 0, 8], [9, 8, 0], [9, 0, 8]]
    // ⌈¼·2·4/3⌉ = 1.
    #expect(
      Self.table(Capacity(TopK(2), factor: 0.25), scores) == [[0, 1], [-1, 2], [-1, -1], [-1, -1]])
  }

  @Test(arguments: [
    (0.5, 1, 6, 3, 1), (1, 1, 6, 3, 2), (1, 2, 6, 3, 4), (1.25, 1, 8, 4, 3), (0.01, 1, 10, 5, 1),
    (100, 2, 10, 5, 10), (1, 2, 37, 5, 15),
  ])
  func capacityIsRoundedUpAndAtMostTheBatch(factor: Double, k: Int, rows: Int, experts: Int, limit: Int) {
    #expect(Capacity(TopK(k), factor: factor).limit(rows: rows, experts: experts) == limit)
  }

  @Test(arguments: [0.1, 0.5, 1, 1.5])
  func noExpertHasMoreThanItsCapacity(factor: Double) {
    let scores = randomScores(rows: 83, experts: 5, seed: 12)
    let capacity = Capacity(TopK(2), factor: factor)
    let limited = Self.table(capacity, scores)
    let free = Self.table(TopK(2), scores)
    let limit = capacity.limit(rows: 83, experts: 5)
    for e in 0..<5 {
      let wanted = free.indices.filter { free[$0].contains(e) }
      #expect(limited.indices.filter { limited[$0].contains(e) } == Array(wanted.prefix(limit)))
    }
    for row in free.indices {
      for slot in 0..<2 { #expect([SlotTable.empty, free[row][slot]].contains(limited[row][slot])) }
    }
  }

  @Test func noiseAndScopePassThrough() {
    let noise = ScoreNoise(factor: 2)
    let capacity = Capacity(TopK(3, noise: noise), factor: 1)
    #expect(capacity.noise == noise && capacity.dropless.noise == noise)
    #expect(capacity.scope == .batch && capacity.dropless.scope == .row && capacity.slots(experts: 9) == 3)
    #expect(TopK(1).noise == nil)
  }
}
