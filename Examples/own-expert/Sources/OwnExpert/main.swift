// Trains trunk → mixture layer → head with an expert, a gate and a routing loss of its own, over any number of ranks.
//
//   swift build -c release
//   .build/release/OwnExpert                          one rank, without MPI
//   mpirun -np 3 .build/release/OwnExpert             three ranks, the same output
//   mpirun -np 3 .build/release/OwnExpert replicated  a copy of the gate on every rank: the same output again

import Dist
import Foundation
import KernelInterface
import MoE
import Networks
import Numerics

let (inputs, width, classes, experts) = (8, 12, 3, 4)
// A batch of 130 rows is cut into six blocks, whatever the number of ranks; each rank works on a run of them, its shard.
let (batchRows, blockRows, temperature) = (130, 24, Float(0.5))

/// The task: a sample is a function of its number, drawn by counters, so that any rank can make it.
func sample(_ number: Int) -> (x: [Float], label: Int) {
  let stream = RandomStream(seed: 7, purpose: .synthetic)
  let x = (0..<inputs).map { RandomStream.symmetric(stream.words(UInt64(number), UInt64($0 / 4))[$0 % 4]) }
  return (x, (x[0] + x[1] > 0 ? 1 : 0) + (x[2] > x[3] ? 1 : 0))
}

/// An own layer: GELU. Maps hold [features][rows], one per block. Functions come from VectorMap, because those of the C
/// library have other bits on other processors. A layer with tensors says them, and gives LayerGradients theirs.
struct OwnGELU: Layer {
  func forward(_ x: [FeatureMap], into y: [FeatureMap], _ place: LayerPlace) -> LayerTrace {
    for (x, y) in zip(x, y) { VectorMap.gelu(x, into: y) }
    return LayerTrace(x: x, y: y)
  }
  func backward(_ t: LayerTrace, dy: [FeatureMap], into dx: [FeatureMap]?, _: LayerPlace, _: LayerGradients) {
    for (i, dx) in (dx ?? []).enumerated() { VectorMap.geluGradient(dy[i], at: t.x[i], into: dx) }
  }
}

/// An own gate: it turns rows, block by block, into a message per row, here one number per expert.
final class LinearGate: ModuleGate {
  let module: any Module
  private let memory = Workspace()
  private var pass: (any ModulePass)?
  private var rows: [Int] = []
  init(_ module: any Module) { self.module = module }
  func forward(_ blocks: [RowBlock], mode: NetworkMode, into message: FeatureMap) throws {
    memory.reset()
    rows = blocks.map(\.rows)
    let (y, pieces) = (memory.maps(features: experts, rows: rows), rows.map { _ in memory.piece() })
    pass = try module.forward(blocks, into: y, taps: nil, mode: mode, in: pieces)
    message.join(y)
  }
  func backward(_ gradient: FeatureMap, rows ofRows: FeatureMap?) throws {
    guard let pass else { return }
    let (dy, dx) = (memory.maps(features: experts, rows: rows), memory.maps(features: width, rows: rows))
    gradient.split(into: dy)
    try module.backward(pass, dy: dy, into: dx)
    ofRows?.join(dx)
  }
}

/// Its scorer makes scores of messages on the rows' shards, by arithmetic per row alone: s = tanh m, ∂s/∂m = 1 − s².
struct BoundedScorer: Scorer {
  var messageFeatures: Int { experts }
  func score(_ rows: ShardRows, into scores: FeatureMap) { VectorMap.tanh(rows.message, into: scores) }
  func backward(_ rows: ShardRows, _ gradients: ScoreGradients, into result: ScorerGradients) {
    let m = result.message
    VectorMap.tanh(rows.message, into: m)
    VectorMap.multiply(m, m, into: m)
    VectorMap.multiply(gradients.gate, m, into: m)
    VectorMap.subtract(gradients.gate, m, into: m)
  }
}

/// An own loss of the choice, over the whole batch on rank 0: w·E·Σ_e P_e², P_e the mean of p_e; least where all are 1/E.
final class BalanceLoss: RoutingLoss {
  let (name, scope) = ("balance_loss", LossScope.batch(needsRows: false))
  let variable = LossVariable.probabilities
  func add(_ view: RoutingView, to gradient: FeatureMap) -> LossValue {
    let (p, scale, batch) = (view.probabilities, 0.01 * Double(view.experts), Double(view.batchRows))
    let means = (0..<p.features).map { VectorMap.sum(p[$0], count: p.rows) / batch }
    for e in means.indices { for i in view.rows { gradient[e][i] += Float(2 * scale * means[e] / batch) } }
    let loss = scale * means.reduce(0) { $0 + $1 * $1 }
    return LossValue(reported: loss, weighted: loss)
  }
}

func module(_ layers: [any Layer], of n: Int, _ name: String, _ context: ModuleContext) -> any Module {
  SequentialSpec(layers, input: ImageShape(features: n)).makeModule(prefix: name, isTapped: false, context)
}

/// What every rank does. All ranks make the same collectives in the same order.
func train(_ comm: any Communicator) throws -> Int32 {
  // Trunk and head are on every rank, for its shard; the layer makes gate and experts where they live.
  let shared = ReplicatedBlocks(comm)
  let trunk = module([Dense(width), ReLU()], of: inputs, "trunk", ModuleContext(sums: shared))
  let head = module([Dense(classes)], of: width, "head", ModuleContext(sums: shared))
  let layer = MixtureLayer(
    experts: experts, outputs: width, blockRows: blockRows, selection: TopK(2), scorer: BoundedScorer(),
    losses: [BalanceLoss()], temperature: temperature,
    replicatesGate: CommandLine.arguments.contains("replicated"), over: comm,
    gate: { LinearGate(module([Dense(experts)], of: width, "gate", $0)) },
    expert: { module([Dense(16), OwnGELU(), Dense(width)], of: width, "experts.\($0)", $1) })
  let readout = LinearCombine(.renormalised, temperature: temperature)
  let copied = trunk.parameters + head.parameters
  for parameters in copied + layer.parameters {
    parameters.initialise(seed: 1)
    parameters.prepare(for: Adam())
  }
  /// All parameters, each once: trunk, head and gate from rank 0, then the experts from their owners, ascending.
  func gathered() throws -> [Float] {
    let mine = ((comm.rank == 0 ? copied : []) + layer.ownedParameters).flatMap(\.floats)
    return try comm.allGather(mine, Partition(counts: try comm.allGather([mine.count])))
  }
  let (start, memory) = (try gathered(), Workspace())
  for step in 1...60 {
    memory.reset()
    let batch = layer.batch(rows: batchRows)
    shared.begin(batch)
    let samples = batch.blocks(of: comm.rank).map { batch[$0].map { sample(step * batchRows + $0) } }
    let (rows, pieces) = (samples.map(\.count), samples.map { _ in memory.piece() })
    func maps(_ features: Int) -> [FeatureMap] { memory.maps(features: features, rows: rows) }
    let (x, h, logits) = (maps(inputs), maps(width), maps(classes))
    for (map, block) in zip(x, samples) { map.write(block.map(\.x)) }
    let ofTrunk = try trunk.forward(x, into: h, in: pieces)
    let mixed = try layer.forward(h, features: width, batch, through: readout, at: StepPoint(mode: .training))
    let ofHead = try head.forward(mixed.outputs, into: logits, in: pieces)

    // The loss of every block, added along the tree of blocks; then gradients, back on the same way.
    let (dLogits, dMixed, dh) = (maps(classes), maps(width), maps(width))
    let perBlock = CrossEntropy.perBlock(
      logits, labels: samples.map { $0.map(\.label) }, batchRows: batchRows, into: dLogits, in: memory)
    let loss = try comm.reduceBlocks(perBlock, count: batch.count, length: 1)[0]
    try head.backward(ofHead, dy: dLogits, into: dMixed)
    try layer.backward(mixed, gradients: dMixed, through: readout, into: dh)
    try trunk.backward(ofTrunk, dy: dh, into: nil)
    let point = UpdatePoint(step: step, learningRate: 0.01)
    for parameters in copied { try shared.update(parameters, point) }
    try layer.update(point)
    let balance = mixed.losses.first?.reported ?? 0
    if step % 10 == 0, comm.rank == 0 { print("step \(step) loss \(loss) balance \(balance)") }
  }
  let end = try gathered()
  // FNV-1a over the words of all parameters.
  let hash = end.reduce(UInt64(0xCBF2_9CE4_8422_2325)) { ($0 ^ UInt64($1.bitPattern)) &* 0x100_0000_01B3 }
  let changed = zip(start, end).count { $0 != $1 }
  if comm.rank == 0 { print("parameters \(end.count) changed \(changed) checksum", String(hash, radix: 16)) }
  return 0
}
exit(Ranks.run(Program(name: "OwnExpert"), environment: ProcessInfo.processInfo.environment, train))
