/// Fields of a message in the wire format of Protocol Buffers, as far as TensorBoard's events need it.
struct WireWriter {
  private(set) var bytes: [UInt8] = []

  private mutating func varint(_ number: UInt64) {
    var rest = number
    while rest >= 128 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 128)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  private mutating func key(_ field: Int, _ type: WireType) {
    varint(UInt64(field << 3 | Int(type.rawValue)))
  }

  mutating func add(_ field: Int, _ number: Int) {
    key(field, .varint)
    varint(UInt64(bitPattern: Int64(number)))
  }

  mutating func add(_ field: Int, _ number: Double) {
    key(field, .eightBytes)
    bytes += littleEndian(number.bitPattern)
  }

  mutating func add(_ field: Int, _ number: Float) {
    key(field, .fourBytes)
    bytes += littleEndian(number.bitPattern)
  }

  /// Text, bytes or a message within.
  mutating func add(_ field: Int, _ content: some Collection<UInt8>) {
    key(field, .bytes)
    varint(UInt64(content.count))
    bytes += content
  }
}

enum WireType: UInt8 {
  case varint = 0
  case eightBytes = 1
  case bytes = 2
  case fourBytes = 5
}

/// The fields of a message, one after the other; nothing behind the first that is damaged.
struct WireReader: Sequence, IteratorProtocol {
  enum Value {
    case number(UInt64)
    case bytes(ArraySlice<UInt8>)
  }

  private var rest: ArraySlice<UInt8>

  init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

  private mutating func varint() -> UInt64? {
    var number: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 64, by: 7) {
      guard let byte = rest.popFirst() else { return nil }
      number |= UInt64(byte & 127) << shift
      if byte < 128 { return number }
    }
    return nil
  }

  private mutating func take(_ count: UInt64) -> ArraySlice<UInt8>? {
    guard count <= rest.count else { return nil }
    defer { rest = rest.dropFirst(Int(count)) }
    return rest.prefix(Int(count))
  }

  mutating func next() -> (field: Int, value: Value)? {
    guard let key = varint(), key >> 3 <= 1 << 29, let type = WireType(rawValue: UInt8(key & 7)) else {
      return nil
    }
    let value: Value? =
      switch type {
      case .varint: varint().map { .number($0) }
      case .eightBytes: take(8).map { .number(number(littleEndian: $0)) }
      case .fourBytes: take(4).map { .number(number(littleEndian: $0)) }
      case .bytes: varint().flatMap { take($0) }.map { .bytes($0) }
      }
    return value.map { (Int(key >> 3), $0) }
  }
}

func littleEndian(_ number: some FixedWidthInteger) -> [UInt8] {
  withUnsafeBytes(of: number.littleEndian) { Array($0) }
}

func number(littleEndian bytes: ArraySlice<UInt8>) -> UInt64 {
  bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
}
