import Files
import Records
import TestSupport
import Testing

@Suite struct CheckpointDamageTests {
  /// A checkpoint's bytes, and what reading all of it says.
  private func verdict(on bytes: [UInt8], in scratch: TemporaryDirectory) throws -> Failure? {
    let path = try scratch.write(bytes, to: "damaged.safetensors")
    return thrownFailure { try CheckpointFile(path: path).verifyAll() }
  }

  private func sampleBytes(in scratch: TemporaryDirectory) throws -> [UInt8] {
    let receipt = try #require(writeSample(to: scratch.path).first).get()
    return try scratch.read(String(receipt.path.split(separator: "/").last ?? ""))
  }

  @Test func everyFlippedBitIsFound() throws {
    let scratch = TemporaryDirectory()
    let bytes = try sampleBytes(in: scratch)
    #expect(try verdict(on: bytes, in: scratch) == nil)
    var random = TestRandom(state: 1)
    for _ in 0..<600 {
      let bit = Int(random.next() % UInt64(bytes.count * 8))
      var damaged = bytes
      damaged[bit / 8] ^= 1 << UInt8(bit % 8)
      let found = try verdict(on: damaged, in: scratch)
      #expect(found?.code == .badData, "bit \(bit % 8) of byte \(bit / 8)")
      #expect(found?.message.contains("damaged.safetensors") == true)
    }
  }

  @Test func everyTruncationIsFound() throws {
    let scratch = TemporaryDirectory()
    let bytes = try sampleBytes(in: scratch)
    for place in 0..<100 {
      let found = try verdict(on: Array(bytes[..<(bytes.count * place / 100)]), in: scratch)
      #expect(found?.code == .badData)
    }
    #expect(try verdict(on: bytes.dropLast(), in: scratch)?.code == .badData)
    #expect(try verdict(on: bytes + [0], in: scratch)?.code == .badData)
  }

  @Test func damagedDataNamesTheTensorAndTheWayOut() throws {
    let scratch = TemporaryDirectory()
    var bytes = try sampleBytes(in: scratch)
    // Data are ordered by name: the last byte is that of "scalar".
    bytes[bytes.count - 1] ^= 0x40
    let path = try scratch.write(bytes, to: "damaged.safetensors")
    let file = try CheckpointFile(path: path)
    let found = thrownFailure { _ = try file.read("scalar", shape: []) }
    #expect(found?.code == .badData)
    #expect(found?.message.hasPrefix("\(path): tensor 'scalar': expected SHA-256 '") == true)
    #expect(found?.message.contains("resume auto falls back") == true)
    _ = try file.read("gate.out.bias", shape: [3])
  }

  @Test func fewerChecksumsThanTensorsAreRefused() throws {
    let scratch = TemporaryDirectory()
    let text = String(decoding: try sampleBytes(in: scratch), as: UTF8.self)
    // One letter of a key: that tensor has no checksum any more, or the header has none.
    for key in ["\"sha256.scalar\"", "\"sha256\""] {
      var bytes = try sampleBytes(in: scratch)
      #expect(text.contains(key))
      let start = try #require(bytes.indices.first { bytes[$0...].starts(with: key.utf8) })
      bytes[start + 1] = UInt8(ascii: "S")
      #expect(try verdict(on: bytes, in: scratch)?.code == .badData)
    }
  }
}

/// splitmix64, for choosing places.
struct TestRandom: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
