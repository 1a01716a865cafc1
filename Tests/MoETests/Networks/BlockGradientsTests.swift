import Dist
import KernelInterface
import Networks
import Numerics
import Testing

/// Gradients of blocks are added along the tree of architecture's reduction: node(lo, hi) is a block's own vector, or
/// node(lo, mid) + node(mid, hi) with mid = lo + the largest power of two below hi − lo.
struct BlockGradientsTests {
  static func middle(_ low: Int, _ high: Int) -> Int {
    var half = 1
    while half * 2 < high - low { half *= 2 }
    return low + half
  }

  static func tree<Value>(
    _ low: Int, _ high: Int, leaf: (Int) -> Value, add: (Value, Value) -> Value
  ) -> Value {
    if high - low == 1 { return leaf(low) }
    let middle = middle(low, high)
    return add(tree(low, middle, leaf: leaf, add: add), tree(middle, high, leaf: leaf, add: add))
  }

  /// A stack that follows the additions makes the same expression.
  @Test(arguments: 1...20)
  func additionsAreTheTree(blocks: Int) {
    var stack: [String] = []
    for (block, additions) in BlockTree.additions(3..<3 + blocks).enumerated() {
      stack.append("\(block)")
      for _ in 0..<additions {
        let right = stack.removeLast()
        stack.append("(\(stack.removeLast())+\(right))")
      }
    }
    #expect(
      stack == [
        BlockGradientsTests.tree(0, blocks) {
          "\($0)"
        } add: {
          "(\($0)+\($1))"
        }
      ])
  }

  /// The blocks that a rank works on, of a batch of more; `total` is not called here.
  final class Run: BlockSums {
    let first, count: Int

    init(first: Int, count: Int) {
      (self.first, self.count) = (first, count)
    }

    func nodes(ofBlocks blocks: Int) -> [BlockNode] {
      BlockNode.nodes(within: first..<first + blocks, count: count)
    }
    func combine(_ perBlock: [[Double]], length: Int) -> [Double] { [] }
    func total(_ nodes: [NodeSum], count: Int, into gradients: Floats) {}
  }

  static func parameters(_ count: Int) -> Parameters {
    Parameters([TensorSpec(name: "w", shape: [count], role: .weight(fanIn: 1))], training: true)
  }

  /// A run of blocks becomes the nodes of the whole tree that lie within it, with their sums, in the tree's order.
  @Test(arguments: 1...9)
  func blocksOfARunAreAddedNodeByNode(blocks: Int) {
    var values = KernelTests.Values(state: UInt64(blocks) * 31)
    let vectors = (0..<blocks).map { _ in (0..<21).map { _ in values.next() } }
    for first in 0..<blocks {
      for end in first + 1...blocks {
        func within(_ low: Int, _ high: Int) -> [Range<Int>] {
          if high <= first || end <= low { return [] }
          if first <= low && high <= end { return [low..<high] }
          let middle = BlockGradientsTests.middle(low, high)
          return within(low, middle) + within(middle, high)
        }
        let gradients = BlockGradients(
          BlockGradientsTests.parameters(21), blockFloats: 21, sums: Run(first: first, count: blocks))
        for _ in 0..<2 {
          let nodes = gradients.nodes(blocks: end - first)
          let targets = gradients.blockTargets(nodes)
          for (block, target) in targets.enumerated() {
            target.update(from: vectors[first + block], count: 21)
          }
          gradients.addBlocks(nodes, targets)
          #expect(nodes.map(\.node.blocks) == within(0, blocks))
          #expect(nodes.map { first + $0.node.here.lowerBound } == within(0, blocks).map(\.lowerBound))
          for (node, range) in zip(nodes, within(0, blocks)) {
            let expected = BlockGradientsTests.tree(range.lowerBound, range.upperBound) {
              vectors[$0]
            } add: {
              zip($0, $1).map { $0 + $1 }
            }
            #expect((0..<21).map { node.sum[$0] } == expected)
          }
        }
      }
    }
  }

  /// dW over several blocks: every element is the tree's sum of the blocks' chains, whichever thread's share it is in.
  @Test(arguments: [1, 2, 3, 4, 5, 8, 11], [(5, 70), (13, 200), (32, 512)])
  func weightGradientsAreTheTreeOfChains(blocks: Int, size: (outputs: Int, inputs: Int)) {
    var values = KernelTests.Values(state: UInt64(blocks * 1009 + size.inputs))
    let rows = (0..<blocks).map { $0 == blocks - 1 ? 21 : 48 }
    let maps = rows.map { rows in
      let maps = (KernelTests.map(size.outputs, rows), KernelTests.map(size.inputs, rows))
      DenseProductTests.fill(maps.0, &values)
      DenseProductTests.fill(maps.1, &values)
      return maps
    }
    let count = size.outputs * size.inputs
    let found = Floats.allocate(capacity: count)
    found.initialize(repeating: .nan, count: count)
    defer {
      found.deallocate()
      for (gradient, input) in maps {
        gradient.base.deallocate()
        input.base.deallocate()
      }
    }
    let workspace = Workspace(
      capacity: DenseProducts.own.layerWorkspaceBytes(
        inputs: size.inputs, outputs: size.outputs, rows: 48, blocks: blocks))
    for share in 0..<3 {
      DenseProducts.own.weightGradient(
        maps.map { .init(gradient: $0.0, input: $0.1) }, additions: BlockTree.additions(0..<blocks),
        share: (share, of: 3), into: found, in: workspace)
    }
    var wrong = 0
    for o in 0..<size.outputs {
      for i in 0..<size.inputs {
        let plain = BlockGradientsTests.tree(0, blocks) { block in
          DenseProductTests.chain(rows[block]) {
            maps[block].0[o][$0]
          } _: {
            maps[block].1[i][$0]
          }
        } add: {
          $0 + $1
        }
        if found[o * size.inputs + i] != plain { wrong += 1 }
      }
    }
    #expect(wrong == 0)
  }
}
