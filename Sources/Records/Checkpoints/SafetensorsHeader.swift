internal import Files

/// One tensor of a safetensors file.
public struct SafetensorsTensor: Equatable, Sendable {
  public let name: String
  public let type: SafetensorsType
  public let shape: [Int]
  /// Where its bytes lie in the file's data, counted from the end of the header.
  public let range: Range<Int>
}

/// What precedes the data of a safetensors file: eight bytes with the length of a JSON text, and that text.
///
/// `{"__metadata__": {key: text}, name: {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, …}`
public struct SafetensorsHeader: Equatable, Sendable {
  /// Free texts.
  public let metadata: [String: String]
  /// In the order of the data, without holes.
  public let tensors: [SafetensorsTensor]
  /// Where the data begin in the file: 8 + length of the text.
  public let dataOffset: Int
  /// Bytes of the data.
  public var dataBytes: Int { tensors.last?.range.upperBound ?? 0 }

  /// A length beyond this is refused; the reference reads 100 MB.
  static let maximumLength = 16 << 20
  static let maximumTensors = 100_000
  static let maximumRank = 8
  static let maximumNameBytes = 256

  /// A header for a new file of float32 tensors, ordered by name; see ``init(_:metadata:)``.
  init(float32 shapes: [(name: String, shape: [Int])], metadata: [String: String]) {
    self.init(shapes.map { ($0.name, .float32, $0.shape) }, metadata: metadata)
  }

  /// A header for a new file of tensors, ordered by name.
  ///
  /// Names must be distinct and consist of letters, digits, `.`, `_` and `-`; the bounds of a readable header must be kept.
  init(_ shapes: [(name: String, type: SafetensorsType, shape: [Int])], metadata: [String: String]) {
    var end = 0
    var tensors: [SafetensorsTensor] = []
    tensors.reserveCapacity(shapes.count)
    for (name, type, shape) in shapes.sorted(by: { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }) {
      precondition(
        Self.isAllowed(name: name), "a tensor's name has 1 to 256 letters, digits, '.', '_' or '-'")
      precondition(name != tensors.last?.name, "tensors have distinct names")
      precondition(
        shape.allSatisfy { $0 >= 0 } && shape.count <= Self.maximumRank, "a shape has up to 8 counts")
      guard let bytes = type.bytes(shape: shape) else {
        preconditionFailure("a tensor fits the address space")
      }
      tensors.append(
        SafetensorsTensor(name: name, type: type, shape: shape, range: end..<end + bytes))
      end += bytes
    }
    precondition(tensors.count <= Self.maximumTensors, "a file holds at most \(Self.maximumTensors) tensors")
    let length = Self.text(metadata: metadata, tensors: tensors).utf8.count
    self.init(metadata: metadata, tensors: tensors, dataOffset: 8 + Self.padded(length))
    precondition(dataOffset - 8 <= Self.maximumLength, "a header has at most 16 MiB")
  }

  init(metadata: [String: String], tensors: [SafetensorsTensor], dataOffset: Int) {
    self.metadata = metadata
    self.tensors = tensors
    self.dataOffset = dataOffset
  }

  /// The first ``dataOffset`` bytes of a new file: the length, little endian, and the text, padded with spaces to a
  /// multiple of eight so that the data are aligned.
  func bytes() -> [UInt8] {
    let text = Self.text(metadata: metadata, tensors: tensors)
    let length = Self.padded(text.utf8.count)
    var bytes = withUnsafeBytes(of: UInt64(length).littleEndian) { Array($0) }
    bytes += text.utf8
    bytes += repeatElement(UInt8(ascii: " "), count: length - text.utf8.count)
    return bytes
  }

  /// A whole file of tensors, given with their bytes.
  package static func file(
    of tensors: [(name: String, type: SafetensorsType, shape: [Int], data: [UInt8])]
  ) -> [UInt8] {
    let header = SafetensorsHeader(tensors.map { ($0.name, $0.type, $0.shape) }, metadata: [:])
    var bytes = header.bytes()
    for tensor in header.tensors {
      guard let data = tensors.first(where: { $0.name == tensor.name })?.data else { continue }
      precondition(data.count == tensor.range.count, "a tensor has the bytes of its shape")
      bytes += data
    }
    return bytes
  }

  /// The canonical text of a header, without padding.
  static func text(metadata: [String: String], tensors: [SafetensorsTensor]) -> String {
    var members = tensors.map { tensor in
      JSONValue.Member(
        key: tensor.name,
        value: [
          "dtype": .string(tensor.type.rawValue),
          "shape": .array(tensor.shape.map { .integer($0) }),
          "data_offsets": [.integer(tensor.range.lowerBound), .integer(tensor.range.upperBound)],
        ])
    }
    if !metadata.isEmpty {
      members.append(JSONValue.Member(key: "__metadata__", value: JSONValue(metadata)))
    }
    return JSONValue.object(members).text()
  }

  /// Whether a tensor may have this name. The reference allows any, even `../../etc/x`; programs that turn names into
  /// paths, shell words or HTML have been hurt by less.
  static func isAllowed(name: String) -> Bool {
    (1...maximumNameBytes).contains(name.utf8.count) && name != "__metadata__"
      && name.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
          true
        default: false
        }
      }
  }

  private static func padded(_ length: Int) -> Int { (length + 7) / 8 * 8 }
}
