internal import Dist
internal import Files

/// Which bytes of a new checkpoint each rank writes.
struct CheckpointPlan {
  /// Names, shapes and ranges, ordered by name.
  let layout: SafetensorsHeader
  /// Where the data begin in the file.
  let dataOffset: Int
  /// This rank's tensors, in the order of the layout.
  let own: [(tensor: SafetensorsTensor, storage: UnsafePointer<Float>?)]
  /// The rank that writes each tensor of the layout.
  private let owners: [Int]

  /// A collective: the length of the header, which depends on rank 0's metadata, is rank 0's word.
  init(
    _ tensors: [CheckpointTensor], _ metadata: [String: String], over communicator: any Communicator
  ) throws(CommunicationError) {
    let ordered = tensors.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    let unsealed = CheckpointChecksums.unsealed(metadata, names: ordered.map(\.name))
    layout = SafetensorsHeader(float32: ordered.map { ($0.name, $0.shape) }, metadata: unsealed)
    owners = ordered.map(\.owner)
    precondition(owners.allSatisfy { (0..<communicator.size).contains($0) }, "every tensor's owner is a rank")
    own = zip(layout.tensors, ordered).filter { $1.owner == communicator.rank }.map { ($0, $1.storage) }
    precondition(
      own.allSatisfy { $0.storage != nil || $0.tensor.range.isEmpty },
      "an owner has the values of its tensors")

    let text = SafetensorsHeader.text(metadata: [:], tensors: layout.tensors) + owners.description
    let agreed = SHA256.digest(of: text) + withUnsafeBytes(of: UInt64(layout.dataOffset)) { Array($0) }
    var rootWord = agreed
    try rootWord.withUnsafeMutableBufferPointer { (bytes) throws(CommunicationError) in
      try communicator.broadcast(UnsafeMutableRawBufferPointer(bytes), root: 0)
    }
    precondition(
      rootWord.prefix(SHA256.size) == agreed.prefix(SHA256.size),
      "all ranks list the same tensors and owners")
    dataOffset = rootWord.withUnsafeBytes {
      Int($0.loadUnaligned(fromByteOffset: SHA256.size, as: UInt64.self))
    }
  }

  /// The final header on rank 0 and its checksum on all. A collective.
  ///
  /// - Parameter digests: Of this rank's own tensors, one after the other.
  func sealed(
    _ digests: [UInt8], _ metadata: [String: String], over communicator: any Communicator
  ) throws(CommunicationError) -> (header: SafetensorsHeader, contentChecksum: String) {
    let isRoot = communicator.rank == 0
    let counts = Partition(counts: (0..<communicator.size).map { rank in owners.count { $0 == rank } })
    var gathered = [UInt8](repeating: 0, count: isRoot ? counts.total * SHA256.size : 0)
    try digests.withUnsafeBufferPointer { (digests) throws(CommunicationError) in
      try gathered.withUnsafeMutableBufferPointer { (gathered) throws(CommunicationError) in
        try communicator.gather(
          UnsafeRawBufferPointer(digests), into: UnsafeMutableRawBufferPointer(gathered), counts,
          rowBytes: SHA256.size, root: 0)
      }
    }

    var header = layout
    if isRoot {
      // The digests arrive by rank, each rank's in the order of the layout.
      var next = counts.offsets
      let ordered = owners.map { owner in
        defer { next[owner] += 1 }
        return Array(gathered[next[owner] * SHA256.size..<(next[owner] + 1) * SHA256.size])
      }
      header = SafetensorsHeader(
        metadata: CheckpointChecksums.sealed(metadata, tensors: layout.tensors, digests: ordered),
        tensors: layout.tensors, dataOffset: dataOffset)
    }
    var word = Array((header.metadata[CheckpointChecksums.headerKey] ?? "").utf8)
    try word.withUnsafeMutableBufferPointer { (bytes) throws(CommunicationError) in
      try communicator.broadcast(UnsafeMutableRawBufferPointer(bytes), root: 0)
    }
    return (header, String(decoding: word, as: UTF8.self))
  }
}
