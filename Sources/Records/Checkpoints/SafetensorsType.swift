/// The element types of the safetensors format, as of version 0.8.
public enum SafetensorsType: String, CaseIterable, Sendable {
  case bool = "BOOL"
  case float4 = "F4"
  case float6E2M3 = "F6_E2M3"
  case float6E3M2 = "F6_E3M2"
  case uint8 = "U8"
  case int8 = "I8"
  case float8E5M2 = "F8_E5M2"
  case float8E4M3 = "F8_E4M3"
  case float8E8M0 = "F8_E8M0"
  case float8E4M3FNUZ = "F8_E4M3FNUZ"
  case float8E5M2FNUZ = "F8_E5M2FNUZ"
  case int16 = "I16"
  case uint16 = "U16"
  case float16 = "F16"
  case bfloat16 = "BF16"
  case int32 = "I32"
  case uint32 = "U32"
  case float32 = "F32"
  case complex64 = "C64"
  case float64 = "F64"
  case int64 = "I64"
  case uint64 = "U64"

  /// Bits of an element.
  public var bits: Int {
    switch self {
    case .float4: 4
    case .float6E2M3, .float6E3M2: 6
    case .bool, .uint8, .int8, .float8E5M2, .float8E4M3, .float8E8M0, .float8E4M3FNUZ, .float8E5M2FNUZ: 8
    case .int16, .uint16, .float16, .bfloat16: 16
    case .int32, .uint32, .float32: 32
    case .complex64, .float64, .int64, .uint64: 64
    }
  }

  /// Bytes of a tensor; nil when the number overflows or is not a whole number of bytes.
  func bytes(shape: [Int]) -> Int? {
    var total = 1
    for extent in shape {
      let (product, overflow) = total.multipliedReportingOverflow(by: extent)
      if overflow { return nil }
      total = product
    }
    let (allBits, overflow) = total.multipliedReportingOverflow(by: bits)
    return overflow || allBits % 8 != 0 ? nil : allBits / 8
  }

  /// Whether weights of this type become float32: exactly, or rounded.
  var isConverted: Bool { [.float16, .bfloat16, .float64].contains(self) }

  /// An element of a float type, exactly.
  ///
  /// - Parameter offset: of its first byte; little-endian.
  func value(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> Double {
    switch self {
    case .float64:
      let bits = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
      return Double(bitPattern: UInt64(littleEndian: bits))
    case .float32:
      let bits = bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
      return Double(Float(bitPattern: UInt32(littleEndian: bits)))
    case .bfloat16:
      let bits = UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
      // A thread may take numbers below the normal ones as zeros.
      let small = Double(bits & 0x7F) * 0x1p-133
      guard bits >> 7 & 255 == 0 else { return Double(Float(bitPattern: UInt32(bits) << 16)) }
      return bits >> 15 == 0 ? small : -small
    case .float16:
      let bits = UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
      return Self.half(bits)
    default: preconditionFailure("\(rawValue) is no type of weights")
    }
  }

  /// The nearest float32, ties to even. Those below the normal ones are made of bits, for a thread may flush them to zero.
  static func nearest(_ value: Double) -> Float {
    guard value.magnitude < 0x1p-126 else { return Float(value) }
    let fraction = UInt32((value.magnitude * 0x1p149).rounded(.toNearestOrEven))
    return Float(bitPattern: fraction | (value.sign == .minus ? 1 << 31 : 0))
  }

  /// A float16: 1 bit of sign, 5 of the exponent, 10 of the fraction (IEEE 754 binary16).
  private static func half(_ bits: UInt16) -> Double {
    let (exponent, fraction) = (Int(bits >> 10 & 31), Double(bits & 0x3FF))
    let magnitude =
      switch exponent {
      case 0: fraction * 0x1p-24
      case 31: fraction == 0 ? Double.infinity : Double.nan
      default: Double(sign: .plus, exponent: exponent - 15, significand: 1 + fraction * 0x1p-10)
      }
    return bits >> 15 == 0 ? magnitude : -magnitude
  }
}
