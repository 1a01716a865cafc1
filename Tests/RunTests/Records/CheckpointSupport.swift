import Dist
import Files
import Foundation
import Records
import Testing

/// A tensor of a model made up for these tests.
struct SampleTensor: Sendable {
  let name: String
  let shape: [Int]
  let values: [Float]
}

/// Tensors of different ranks and sizes, one without elements and one scalar; values by a formula.
let sampleTensors: [SampleTensor] = [
  ("gate.out.weight", [3, 5]), ("gate.out.bias", [3]), ("experts.0.conv1.weight", [4, 1, 3, 3]),
  ("experts.1.conv1.weight", [4, 1, 3, 3]), ("experts.10.conv1.weight", [4, 1, 3, 3]),
  ("experts.2.out.bias", [7]), ("optimizer.gate.out.bias.m", [3]), ("empty", [0, 4]), ("scalar", []),
].enumerated().map { position, tensor in
  let (name, shape) = tensor
  let values = (0..<shape.reduce(1, *)).map { Float(position + 1) / Float($0 + 3) }
  return SampleTensor(name: name, shape: shape, values: values)
}

let sampleMetadata = [
  "epoch": "3", "step": "47", "note": "quotes \" and \\ and ünïcode\n", "seed": "18446744073709551615",
]

/// Runs `body` once per rank, on threads; the outcomes in the order of ranks.
func onRanks<Value: Sendable>(
  _ ranks: Int, _ body: @escaping @Sendable (any Communicator) throws -> Value
) -> [Result<Value, any Error>] {
  do {
    return try LocalGroup.run(ranks: ranks) { communicator in Result { try body(communicator) } }
  } catch { return Array(repeating: .failure(error), count: ranks) }
}

/// Writes tensors on `ranks` ranks; `owner` says who owns which. One result per rank.
func writeSample(
  _ tensors: [SampleTensor] = sampleTensors, metadata: [String: String] = sampleMetadata,
  to directory: String,
  fileName: String = "checkpoint-0003-00000047.safetensors", ranks: Int = 1,
  owner: @escaping @Sendable (Int) -> Int = { _ in 0 }
) -> [Result<CheckpointReceipt, any Error>] {
  onRanks(ranks) { communicator in
    let rank = communicator.rank
    var storages: [UnsafeMutablePointer<Float>] = []
    defer { for storage in storages { storage.deallocate() } }
    let list = tensors.enumerated().map { position, tensor in
      guard owner(position) == rank else {
        return CheckpointTensor(name: tensor.name, shape: tensor.shape, owner: owner(position), storage: nil)
      }
      let storage = UnsafeMutablePointer<Float>.allocate(capacity: max(1, tensor.values.count))
      for (index, value) in tensor.values.enumerated() { storage[index] = value }
      storages.append(storage)
      return CheckpointTensor(
        name: tensor.name, shape: tensor.shape, owner: rank, storage: UnsafePointer(storage))
    }
    // Only rank 0's metadata count.
    let metadata = rank == 0 ? metadata : ["elsewhere": String(repeating: "x", count: rank)]
    return try CheckpointWriter.write(
      directory: directory, fileName: fileName, tensors: list, metadata: metadata, over: communicator)
  }
}
