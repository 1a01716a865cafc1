public import Dist
public import Files
import Glibc

/// A tensor of a checkpoint, as every rank lists it.
public struct CheckpointTensor {
  /// The full name, e.g. `experts.3.fc1.weight`.
  public let name: String
  public let shape: [Int]
  /// The rank that holds the values and writes them.
  public let owner: Int
  /// The values, row-major, on the owner; nil elsewhere.
  public let storage: UnsafePointer<Float>?

  public init(name: String, shape: [Int], owner: Int, storage: UnsafePointer<Float>?) {
    self.name = name
    self.shape = shape
    self.owner = owner
    self.storage = storage
  }
}

/// What was written.
public struct CheckpointReceipt: Equatable, Sendable {
  public let path: String
  /// Bytes of the file.
  public let bytes: Int
  /// The SHA-256 that names the whole content, in hexadecimal, see ``CheckpointFile/contentChecksum``.
  public let contentChecksum: String
}

/// Writes checkpoints: all ranks together, one standard safetensors file.
public enum CheckpointWriter {
  static let temporarySuffix = ".tmp"

  /// Writes a checkpoint, each rank the bytes of the tensors that it owns, and names it in `latest`. A collective.
  ///
  /// The file appears under its name complete or not at all: it grows under a temporary name, is forced to the disk by
  /// every rank, and renamed when all have succeeded. A failure of one rank is thrown by all, and the temporary file is
  /// removed. Plain pwrite and fsync rather than MPI-IO, which reports success on a full disk.
  ///
  /// The bytes depend on names, shapes, values and metadata alone: data are ordered by name.
  ///
  /// - Parameters:
  ///   - directory: The run directory, which exists, on a file system that all ranks share.
  ///   - fileName: The name in it, without a path.
  ///   - tensors: The same list on all ranks, but for `storage`; names are distinct.
  ///   - metadata: Free texts; rank 0's are written. Keys that begin with `sha256` are the checksums'.
  ///   - communicator: The ranks that own the tensors.
  ///   - onPiece: Called by every owner before it writes a piece of its tensors; what it throws is a failure to write.
  /// - Throws: The same ``Failure`` on all ranks: the file cannot be made (73), disk full or another error of the file
  ///   system (74). ``CommunicationError`` when a peer is gone.
  @discardableResult
  public static func write(
    directory: String, fileName: String, tensors: [CheckpointTensor], metadata: [String: String],
    over communicator: any Communicator, onPiece: () throws(Failure) -> Void = { () throws(Failure) in }
  ) throws -> CheckpointReceipt {
    precondition(!fileName.isEmpty && !fileName.contains("/"), "a file name has no path")
    let plan = try CheckpointPlan(tensors, metadata, over: communicator)
    let path = directory + "/" + fileName
    let temporary = path + temporarySuffix
    let vote = Vote(communicator: communicator)
    let isRoot = communicator.rank == 0
    var contentChecksum: String

    var hasTemporary = false
    do {
      try vote.agree { () throws(Failure) in
        guard isRoot else { return }
        try checkTarget(path)
        try CheckedDirectory.remove(temporary)
        var file = try CheckedFile.creating(temporary)
        hasTemporary = true
        try file.close()
      }
      let digests = try vote.agree { () throws(Failure) in
        try writeOwnTensors(of: plan, to: temporary, onPiece)
      }
      let sealed = try plan.sealed(digests, metadata, over: communicator)
      contentChecksum = sealed.contentChecksum
      try vote.agree { () throws(Failure) in
        guard isRoot else { return }
        try write(header: sealed.header, of: plan, to: temporary)
        try CheckedDirectory.rename(temporary, to: path)
        hasTemporary = false
        try CheckedDirectory.synchronise(directory)
      }
    } catch {
      if hasTemporary { unlink(temporary) }
      guard let failure = error as? Failure else { throw error }
      throw Failure(failure.code, "\(failure.words); no checkpoint was written, earlier ones are intact")
    }
    try vote.agree { () throws(Failure) in
      guard isRoot else { return }
      try SafeFile.replace(directory + "/" + CheckpointDirectory.latestName, fileName + "\n")
      try CheckedDirectory.synchronise(directory)
    }
    return CheckpointReceipt(
      path: path, bytes: plan.dataOffset + plan.layout.dataBytes, contentChecksum: contentChecksum)
  }

  /// Renaming would replace a symbolic link, but a name that is taken by anything but a checkpoint is not ours.
  private static func checkTarget(_ path: String) throws(Failure) {
    guard let kind = FileKind(at: path, followingLinks: false), kind != .plain else { return }
    throw Failure(
      .cannotCreate,
      "\(path): expected no file or a checkpoint, found \(kind.rawValue) of that name; remove it")
  }

  /// Writes this rank's tensors and returns their digests, one after the other.
  private static func writeOwnTensors(
    of plan: CheckpointPlan, to temporary: String, _ onPiece: () throws(Failure) -> Void
  ) throws(Failure) -> [UInt8] {
    guard !plan.own.isEmpty else { return [] }
    var file = try CheckedFile.writing(temporary)
    let checksum = SHA256()
    var digests: [UInt8] = []
    digests.reserveCapacity(plan.own.count * SHA256.size)
    for (tensor, storage) in plan.own {
      // Little endian in memory as in the file, see the check below.
      let bytes = UnsafeRawBufferPointer(start: storage, count: tensor.range.count)
      for begin in stride(from: 0, to: bytes.count, by: pieceBytes) {
        try onPiece()
        let piece = UnsafeRawBufferPointer(rebasing: bytes[begin..<min(begin + pieceBytes, bytes.count)])
        checksum.update(piece)
        try file.write(piece, at: plan.dataOffset + tensor.range.lowerBound + begin)
      }
      digests += checksum.finish()
    }
    try file.synchronise()
    try file.close()
    return digests
  }

  private static func write(
    header: SafetensorsHeader, of plan: CheckpointPlan, to temporary: String
  ) throws(Failure) {
    var file = try CheckedFile.writing(temporary)
    let bytes = header.bytes()
    precondition(bytes.count == plan.dataOffset, "the header is as long as planned")
    try file.write(bytes, at: 0)
    let expected = plan.dataOffset + plan.layout.dataBytes
    let found = try file.size()
    guard found == expected else {
      throw Failure(
        .inputOutput,
        "\(temporary): expected \(expected) bytes from all ranks, found \(found); do all ranks share this directory?"
      )
    }
    try file.synchronise()
    try file.close()
  }

  /// Bytes per system call: a checksum of a piece this large leaves it in the cache for the copy to the kernel.
  private static let pieceBytes = 4 << 20
}

#if !_endian(little)
  #error("safetensors data are little endian and written from memory as they are")
#endif
