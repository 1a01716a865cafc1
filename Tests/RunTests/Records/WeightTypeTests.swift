import Files
import Foundation
import Records
import TestSupport
import Testing

/// Weights of other types than float32, bit by bit.
@Suite struct WeightTypeTests {
  private let scratch = TemporaryDirectory()

  /// A file of one tensor `a`.
  private func file(_ type: String, count: Int, _ data: [UInt8]) throws -> CheckpointFile {
    let text = #"{"a":{"dtype":"\#(type)","shape":[\#(count)],"data_offsets":[0,\#(data.count)]}}"#
    let length = withUnsafeBytes(of: UInt64(text.utf8.count).littleEndian) { Array($0) }
    return try CheckpointFile(
      path: scratch.write(length + Array(text.utf8) + data, to: "\(type).safetensors"))
  }

  private func values(_ type: String, count: Int, _ data: [UInt8]) throws -> [Float] {
    let file = try file(type, count: count, data)
    var values = [Float](repeating: .nan, count: count)
    try values.withUnsafeMutableBufferPointer {
      try file.read("a", into: #require($0.baseAddress), shape: [count], converting: true)
    }
    return values
  }

  private func bytes<Word: FixedWidthInteger>(_ words: [Word]) -> [UInt8] {
    words.flatMap { word in withUnsafeBytes(of: word.littleEndian) { Array($0) } }
  }

  /// Every float16 that is finite, against the formula of IEEE 754: ±2^(e−15)·(1 + f/1024), or ±2^−14·f/1024.
  @Test func everyFloat16IsWidenedExactly() throws {
    let all = (0...UInt16.max).filter { $0 >> 10 & 31 != 31 }
    let found = try values("F16", count: all.count, bytes(all))
    for (bits, value) in zip(all, found) {
      let (exponent, fraction) = (Double(bits >> 10 & 31), Double(bits & 1023))
      let magnitude =
        exponent == 0 ? 0x1p-14 * fraction / 1024 : exp2(exponent - 15) * (1 + fraction / 1024)
      #expect(Double(value) == (bits >> 15 == 1 ? -magnitude : magnitude))
      #expect(value.sign == (bits >> 15 == 1 ? .minus : .plus))
    }
  }

  /// A bfloat16 is the upper half of a float32.
  @Test func everyBfloat16IsWidenedExactly() throws {
    let all = (0...UInt16.max).filter { $0 >> 7 & 255 != 255 }
    let found = try values("BF16", count: all.count, bytes(all))
    let wrong = zip(all, found).first { UInt32($0) << 16 != $1.bitPattern }
    #expect(wrong == nil)
  }

  /// To the nearest, ties to even; more than the largest is refused.
  @Test func float64IsRoundedToTheNearest() throws {
    let half = 0x1p-24
    let given: [Double] = [
      0, -0.0, 1, 1 + half, 1 + 3 * half, 1 + half * 1.001, 1e-46, 0x1.FFFFFEp127, -0.1, -0x1.8p-148,
    ]
    let expected: [Float] = [
      0, -0.0, 1, 1, 1 + 4 * 0x1p-24, 1 + 2 * 0x1p-24, 0, .greatestFiniteMagnitude, -0.1,
      Float(bitPattern: 0x8000_0003),
    ]
    let found = try values("F64", count: given.count, bytes(given.map { $0.bitPattern }))
    #expect(found.map(\.bitPattern) == expected.map(\.bitPattern))
    for (value, expected) in [
      (0x1.FFFFFFp127, "more than single precision holds"), (-1e300, "element 1 is -1e+300"),
      (.infinity, "not a finite number"), (.nan, "not a finite number"),
    ] as [(Double, String)] {
      let words = [Double(0).bitPattern, value.bitPattern]
      let failure = thrownFailure { _ = try values("F64", count: 2, bytes(words)) }
      #expect(failure?.code == .badData && failure?.message.contains(expected) == true)
    }
  }

  @Test func otherTypesAndAResumeAreRefused() throws {
    let whole = thrownFailure { _ = try values("I32", count: 1, [0, 0, 0, 0]) }
    #expect(whole?.message.contains("expected F32, F64, F16 or BF16 [1], found I32 [1]") == true)
    let infinite = thrownFailure { _ = try values("F16", count: 1, [0, 0x7C]) }
    #expect(infinite?.message.contains("element 0 is inf, not a finite number") == true)
    let file = try file("F64", count: 1, bytes([Double(1).bitPattern]))
    #expect(thrownFailure { _ = try file.read("a", shape: [1]) }?.message.contains("expected F32") == true)
  }

  @Test(arguments: [
    ("version https://git-lfs.github.com/spec/v1\n", "x.safetensors", "a Git LFS pointer", "git lfs pull"),
    ("\u{1F}", "x.bin", "the name of a pickle", "save_file"),
    ("{\"metadata\": {}, \"weight_map\": {}}", "model.safetensors.index.json", "found JSON", "not an index"),
  ])
  func otherFilesAreNamed(text: String, name: String, kind: String, advice: String) throws {
    let path = try scratch.write(Array(text.utf8), to: name)
    let found = thrownFailure { _ = try CheckpointFile(path: path) }
    #expect(found?.code == .badData)
    #expect(
      found?.message.contains(kind) == true && found?.message.contains(advice) == true,
      "\(found?.message ?? "")")
  }

  @Test func picklesZipsAndHDF5AreNamed() throws {
    for (head, words) in [
      ([0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9], "a pickle"),
      ([0x50, 0x4B, 3, 4, 0, 0, 0, 0, 0, 0], "a zip archive"),
      ([0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A, 0], "an HDF5 file"),
    ] as [([UInt8], String)] {
      let path = try scratch.write(head, to: "weights.safetensors")
      #expect(thrownFailure { _ = try CheckpointFile(path: path) }?.message.contains(words) == true)
    }
  }
}
