public import Files

/// A safetensors file, open for reading: a checkpoint of ours, or weights that another program wrote.
///
/// Opening reads and checks the header alone. Tensors are read when asked for, straight into their place, and compared
/// with their checksums if the file has any. Reading is thread-safe.
public final class CheckpointFile: Sendable {
  public let path: String
  /// The texts that the writer added, without the checksums.
  public let metadata: [String: String]
  /// Every tensor's name, type and shape, in the order of the data (which is by name in our own files).
  public let tensors: [SafetensorsTensor]
  /// The SHA-256 that names the whole content, in hexadecimal; nil for a file without checksums.
  public let contentChecksum: String?

  private let file: CheckedFile
  private let dataOffset: Int
  private let indexOfName: [String: Int]
  private let checksums: [String]?

  /// Opens a file and checks its header.
  ///
  /// - Parameters:
  ///   - path: The file.
  ///   - followingLinks: Whether the file itself may be a symbolic link, as in caches of downloaded models. Files that
  ///     are found by listing a run directory must not be links.
  /// - Throws: ``Failure``: not found (66), malformed or damaged (65), not readable (74).
  public init(path: String, followingLinks: Bool = true) throws(Failure) {
    file = try CheckedFile.reading(path, followingLinks: followingLinks)
    let size = try file.size()
    let header: SafetensorsHeader
    do throws(Failure) {
      let prefix = try file.bytes(at: 0, count: min(8, size))
      let length = try SafetensorsHeader.textLength(prefix: prefix, fileSize: size, file: path)
      header = try SafetensorsHeader(
        parsing: try file.bytes(at: 8, count: length), fileSize: size, file: path)
    } catch {
      throw try Self.foreign(file, size, path) ?? error
    }

    checksums = try CheckpointChecksums.verify(header, file: path)
    contentChecksum = header.metadata[CheckpointChecksums.headerKey]
    metadata = header.metadata.filter { !CheckpointChecksums.isChecksum(key: $0.key) }
    tensors = header.tensors
    dataOffset = header.dataOffset
    indexOfName = Dictionary(uniqueKeysWithValues: header.tensors.enumerated().map { ($1.name, $0) })
    self.path = path
  }

  /// The failure of a file that is something else than safetensors by its first bytes, or by its name; nil where neither
  /// says so.
  private static func foreign(
    _ file: borrowing CheckedFile, _ size: Int, _ path: String
  ) throws(Failure) -> Failure? {
    let head = try file.bytes(at: 0, count: min(size, FileSignature.headBytes))
    if let found = FileSignature(head: head) {
      return Failure(
        .badData,
        "\(path): expected a safetensors file, found \(found.rawValue); \(found.adviceForWeights)")
    }
    for suffix in [".pt", ".pth", ".pkl", ".bin", ".ckpt", ".npz"] where path.hasSuffix(suffix) {
      return Failure(
        .badData,
        "\(path): expected a safetensors file, found the name of a pickle or archive (\(suffix)), which may run code when read; convert it with safetensors.torch.save_file"
      )
    }
    return nil
  }

  /// A tensor's type and shape; nil when the file lacks it.
  public func tensor(named name: String) -> SafetensorsTensor? { indexOfName[name].map { tensors[$0] } }

  /// Reads a float32 tensor into its place and compares it with its checksum.
  ///
  /// - Parameters:
  ///   - name: The full name, e.g. `experts.3.fc1.weight`.
  ///   - destination: Room for the product of `shape`; its content is undefined after an error.
  ///   - shape: What the network expects.
  ///   - converting: Whether it may also be float16 or bfloat16, which are widened exactly, or float64, which is rounded
  ///     to the nearest, ties to even.
  /// - Throws: ``Failure``: no such tensor, another shape or type, damaged data, a weight that is not finite, be it after
  ///   rounding (65), not readable (74).
  public func read(
    _ name: String, into destination: UnsafeMutablePointer<Float>, shape: [Int], converting: Bool = false
  ) throws(Failure) {
    let expected = converting ? "F32, F64, F16 or BF16" : "F32"
    guard let index = indexOfName[name] else {
      throw Failure(
        .badData, "\(path): tensor \(quoted(name)): expected \(expected) \(shape), found no such tensor")
    }
    let tensor = tensors[index]
    guard tensor.type == .float32 || converting && tensor.type.isConverted, tensor.shape == shape else {
      throw Failure(
        .badData,
        "\(path): tensor '\(tensor.name)': expected \(expected) \(shape), found \(tensor.type.rawValue) \(tensor.shape)"
      )
    }
    guard tensor.type == .float32 else { return try convert(index, into: destination) }
    let bytes = UnsafeMutableRawBufferPointer(start: destination, count: tensor.range.count)
    let checksum = SHA256()
    for begin in stride(from: 0, to: bytes.count, by: Self.pieceBytes) {
      let piece = bytes[begin..<min(begin + Self.pieceBytes, bytes.count)]
      try file.read(into: .init(rebasing: piece), at: dataOffset + tensor.range.lowerBound + begin)
      if checksums != nil { checksum.update(.init(rebasing: piece)) }
    }
    try verify(checksum.finish(), of: index)
    try checkNumbers(UnsafeRawBufferPointer(bytes), of: index)
  }

  /// Reads a tensor of another type of numbers.
  private func convert(_ index: Int, into destination: UnsafeMutablePointer<Float>) throws(Failure) {
    let tensor = tensors[index]
    let size = tensor.type.bits / 8
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.pieceBytes, alignment: 64)
    defer { room.deallocate() }
    let checksum = SHA256()
    for begin in stride(from: 0, to: tensor.range.count, by: Self.pieceBytes) {
      let piece = UnsafeMutableRawBufferPointer(
        rebasing: room[..<min(Self.pieceBytes, tensor.range.count - begin)])
      try file.read(into: piece, at: dataOffset + tensor.range.lowerBound + begin)
      checksum.update(UnsafeRawBufferPointer(piece))
      for place in 0..<piece.count / size {
        let value = tensor.type.value(UnsafeRawBufferPointer(piece), at: place * size)
        let single = SafetensorsType.nearest(value)
        guard single.isFinite else {
          let why = value.isFinite ? "more than single precision holds" : "not a finite number"
          throw Failure(
            .badData, "\(path): tensor '\(tensor.name)': element \(begin / size + place) is \(value), \(why)")
        }
        destination[begin / size + place] = single
      }
    }
    try verify(checksum.finish(), of: index)
  }

  /// Reads a float32 tensor, see ``read(_:into:shape:)``.
  public func read(_ name: String, shape: [Int]) throws(Failure) -> [Float] {
    // The shape is compared before anything as large as it says is allocated.
    guard let tensor = tensor(named: name), tensor.shape == shape, tensor.type == .float32 else {
      var nothing: Float = 0
      try read(name, into: &nothing, shape: shape)
      return []
    }
    var values = [Float](repeating: 0, count: tensor.range.count / MemoryLayout<Float>.stride)
    try values.withUnsafeMutableBufferPointer { (buffer) throws(Failure) in
      if let start = buffer.baseAddress { try read(name, into: start, shape: shape) }
    }
    return values
  }

  /// Reads every byte and compares every tensor with its checksum; a file without checksums needs to be readable only. All
  /// weights must be finite.
  public func verifyAll() throws(Failure) {
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.pieceBytes, alignment: 64)
    defer { room.deallocate() }
    let checksum = SHA256()
    for (index, tensor) in tensors.enumerated() {
      for begin in stride(from: tensor.range.lowerBound, to: tensor.range.upperBound, by: Self.pieceBytes) {
        let piece = UnsafeMutableRawBufferPointer(
          rebasing: room[..<min(Self.pieceBytes, tensor.range.upperBound - begin)])
        try file.read(into: piece, at: dataOffset + begin)
        checksum.update(UnsafeRawBufferPointer(piece))
        try checkNumbers(UnsafeRawBufferPointer(piece), of: index, at: begin - tensor.range.lowerBound)
      }
      try verify(checksum.finish(), of: index)
    }
  }

  /// Reads bytes of a tensor as they are, whatever its checksum says.
  ///
  /// - Parameter offset: of the first byte in the tensor.
  func read(into bytes: UnsafeMutableRawBufferPointer, of tensor: SafetensorsTensor, at offset: Int)
    throws(Failure)
  {
    try file.read(into: bytes, at: dataOffset + tensor.range.lowerBound + offset)
  }

  /// Bytes of the whole file.
  public var bytes: Int { dataOffset + (tensors.last?.range.upperBound ?? 0) }

  private func verify(_ digest: [UInt8], of index: Int) throws(Failure) {
    guard let expected = checksums?[index] else { return }
    let found = SHA256.hexadecimal(digest)
    guard found == expected else {
      throw Failure(
        .badData,
        "\(path): tensor '\(tensors[index].name)': expected SHA-256 \(quoted(expected)), found '\(found)'; \(CheckpointChecksums.advice)"
      )
    }
  }

  /// Weights that are not finite would answer plausibly: the largest of NaN is the first class.
  private func checkNumbers(
    _ bytes: UnsafeRawBufferPointer, of index: Int, at offset: Int = 0
  ) throws(Failure) {
    let tensor = tensors[index]
    guard tensor.type == .float32, !tensor.name.hasPrefix("optimizer.") else { return }
    let size = MemoryLayout<Float>.stride
    for i in 0..<bytes.count / size {
      let value = bytes.loadUnaligned(fromByteOffset: i * size, as: Float.self)
      guard !value.isFinite else { continue }
      throw Failure(
        .badData,
        "\(path): tensor '\(tensor.name)': element \(offset / size + i) is \(value), not a finite number; take a checkpoint "
          + "from before the run diverged")
    }
  }

  /// Large enough to keep system calls rare, small enough that the checksum reads from the cache.
  static let pieceBytes = 1 << 20
}
