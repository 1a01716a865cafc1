public import Files
internal import Glibc

/// In what two checkpoints differ, to the last bit.
///
/// Values are compared as they are in the files, whatever their checksums say, so that a damaged tensor shows where.
public struct CheckpointDifference: Equatable, Sendable {
  /// A text of the metadata that is not the same. A text that is a JSON object in both files, such as `configuration`, is
  /// compared key by key, and the keys are called `configuration.<key>`.
  public struct Text: Equatable, Sendable {
    public let key: String
    /// nil: the first file lacks it.
    public let first: String?
    public let second: String?
  }

  /// Type and shape of a tensor.
  public struct Layout: Equatable, Sendable {
    public let type: SafetensorsType
    public let shape: [Int]
  }

  /// One element of a tensor in one of the files.
  public struct Value: Equatable, Sendable {
    public let type: SafetensorsType
    public let bits: UInt64
  }

  /// An element that is not the same.
  public struct Element: Equatable, Sendable {
    /// Its place in the tensor, row-major.
    public let index: Int
    /// Its place along every axis.
    public let position: [Int]
    public let first: Value
    public let second: Value
  }

  /// A tensor that is not the same.
  public struct Tensor: Equatable, Sendable {
    public let name: String
    /// nil: the first file lacks it.
    public let first: Layout?
    public let second: Layout?
    /// How many elements differ; 0 where the layouts do. Elements of types below a byte are counted by bytes.
    public internal(set) var count = 0
    /// The largest |a − b|; NaN where one of them is, nil for types whose values are not read (all but F32 and F64).
    public internal(set) var largest: Double?
    /// The first that differs; nil where the layouts do.
    public internal(set) var element: Element?

    /// Elements of the tensor where both have the same layout.
    public var elements: Int { first?.shape.reduce(1, *) ?? 0 }
  }

  /// Ordered by key.
  public let texts: [Text]
  /// Ordered by name.
  public let tensors: [Tensor]

  /// Whether the checkpoints are equal.
  public var isEmpty: Bool { texts.isEmpty && tensors.isEmpty }

  /// Compares two files.
  ///
  /// - Throws: ``Failure`` for a file that cannot be read to its end.
  public init(_ first: CheckpointFile, _ second: CheckpointFile) throws(Failure) {
    texts = Self.compare(first.metadata, second.metadata)
    let names = Set(first.tensors.map(\.name)).union(second.tensors.map(\.name))
    var tensors: [Tensor] = []
    for name in names.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
      let (one, other) = (first.tensor(named: name), second.tensor(named: name))
      guard let one, let other, one.type == other.type, one.shape == other.shape else {
        tensors.append(Tensor(name: name, first: one.map(Layout.init), second: other.map(Layout.init)))
        continue
      }
      if let difference = try Self.compare((first, one), (second, other)) { tensors.append(difference) }
    }
    self.tensors = tensors
  }

  init(texts: [Text], tensors: [Tensor]) {
    self.texts = texts
    self.tensors = tensors
  }

  // MARK: - Texts

  private static func compare(_ first: [String: String], _ second: [String: String]) -> [Text] {
    var texts: [Text] = []
    for key in Set(first.keys).union(second.keys) where first[key] != second[key] {
      guard let one = members(first[key]), let other = members(second[key]) else {
        texts.append(Text(key: key, first: first[key], second: second[key]))
        continue
      }
      texts += compare(one, other).map { Text(key: key + "." + $0.key, first: $0.first, second: $0.second) }
    }
    return texts.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
  }

  /// The members of a text that is a JSON object, as texts; nil where it is none.
  private static func members(_ text: String?) -> [String: String]? {
    guard let text, case .object(let members)? = try? JSONValue(parsing: text) else { return nil }
    return Dictionary(
      members.map { ($0.key, $0.value.stringValue ?? $0.value.text()) },
      uniquingKeysWith: { first, _ in first })
  }

  // MARK: - Tensors

  /// Compares tensors of one layout, piece by piece; nil where they are equal.
  private static func compare(
    _ first: (file: CheckpointFile, tensor: SafetensorsTensor),
    _ second: (file: CheckpointFile, tensor: SafetensorsTensor)
  ) throws(Failure) -> Tensor? {
    let layout = Layout(first.tensor)
    let width = max(1, layout.type.bits / 8)
    let bytes = first.tensor.range.count
    // Every width divides the piece.
    let piece = CheckpointFile.pieceBytes
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 2 * piece, alignment: 64)
    defer { room.deallocate() }
    var difference = Tensor(name: first.tensor.name, first: layout, second: layout)
    for begin in stride(from: 0, to: bytes, by: piece) {
      let count = min(piece, bytes - begin)
      let one = UnsafeMutableRawBufferPointer(rebasing: room[..<count])
      let other = UnsafeMutableRawBufferPointer(rebasing: room[piece..<piece + count])
      try first.file.read(into: one, of: first.tensor, at: begin)
      try second.file.read(into: other, of: second.tensor, at: begin)
      guard memcmp(room.baseAddress!, room.baseAddress! + piece, count) != 0 else { continue }
      for offset in stride(from: 0, to: count, by: width) {
        let a = Value(type: layout.type, bits: bits(one, offset, width))
        let b = Value(type: layout.type, bits: bits(other, offset, width))
        if a.bits != b.bits { difference.add(a, b, at: (begin + offset) / width) }
      }
    }
    return difference.count > 0 ? difference : nil
  }

  /// An element's bytes as a number, little endian as in the file.
  private static func bits(_ bytes: UnsafeMutableRawBufferPointer, _ offset: Int, _ width: Int) -> UInt64 {
    var bits: UInt64 = 0
    for byte in (0..<width).reversed() { bits = bits << 8 | UInt64(bytes[offset + byte]) }
    return bits
  }
}

extension CheckpointDifference.Layout {
  init(_ tensor: SafetensorsTensor) { self.init(type: tensor.type, shape: tensor.shape) }

  /// The place along every axis of an element, row-major.
  func position(_ index: Int) -> [Int] {
    guard type.bits >= 8 else { return [index] }
    var rest = index
    var position: [Int] = []
    for extent in shape.reversed() {
      position.append(rest % extent)
      rest /= extent
    }
    return position.reversed()
  }
}

extension CheckpointDifference.Value {
  /// The value as a number; nil for types other than F32 and F64.
  public var number: Double? {
    switch type {
    case .float32: Double(Float(bitPattern: UInt32(truncatingIfNeeded: bits)))
    case .float64: Double(bitPattern: bits)
    default: nil
    }
  }
}

extension CheckpointDifference.Tensor {
  mutating func add(_ one: CheckpointDifference.Value, _ other: CheckpointDifference.Value, at index: Int) {
    count += 1
    if element == nil, let first {
      element = .init(index: index, position: first.position(index), first: one, second: other)
    }
    guard let a = one.number, let b = other.number else { return }
    let distance = (a - b).magnitude
    // Where a NaN stands nothing is larger.
    guard let before = largest else {
      largest = distance
      return
    }
    if distance.isNaN || distance > before { largest = distance }
  }
}
