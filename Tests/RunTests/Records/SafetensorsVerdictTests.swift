import Files
import Foundation
import Records
import TestSupport
import Testing

/// A file by hand: length, header, data.
private func file(_ header: String, data: Int = 0, length: UInt64? = nil) -> [UInt8] {
  let length = length ?? UInt64(header.utf8.count)
  return withUnsafeBytes(of: length.littleEndian) { Array($0) } + Array(header.utf8)
    + [UInt8](repeating: 0, count: data)
}

private func entry(_ name: String, _ shape: String, _ begin: String, _ end: String, dtype: String = "F32")
  -> String
{
  #""\#(name)":{"dtype":"\#(dtype)","shape":\#(shape),"data_offsets":[\#(begin),\#(end)]}"#
}

/// A hostile or odd file and what a reader should say.
struct Verdict: Sendable, CustomTestStringConvertible {
  let title: String
  let bytes: [UInt8]
  let isAccepted: Bool
  /// What the message must name.
  let words: [String]

  init(_ title: String, _ bytes: [UInt8], accepted: Bool = false, _ words: String...) {
    self.title = title
    self.bytes = bytes
    self.isAccepted = accepted
    self.words = words
  }

  var testDescription: String { title }
}

/// The verdicts of the safetensors package 0.8.0 on 22 files; it accepts the two that are marked as ours.
private let referenceVerdicts: [Verdict] = [
  Verdict("one tensor", file("{" + entry("a", "[2,3]", "0", "24") + "}", data: 24), accepted: true),
  Verdict("no tensor", file("{}"), accepted: true),
  Verdict("a dimension of zero", file("{" + entry("a", "[0,3]", "0", "0") + "}"), accepted: true),
  Verdict("leading white space", file(" \n{" + entry("a", "[1]", "0", "4") + "}", data: 4), accepted: true),
  Verdict(
    "ours: a name like a path", file("{" + entry("../../etc/x", "[1]", "0", "4") + "}", data: 4),
    "../../etc/x"),
  Verdict(
    "ours: the same key and entry twice",
    file("{" + entry("a", "[1]", "0", "4") + "," + entry("a", "[1]", "0", "4") + "}", data: 4),
    "same key twice"),
  Verdict(
    "a hole", file("{" + entry("a", "[1]", "0", "4") + "," + entry("b", "[1]", "8", "12") + "}", data: 12),
    "'b'", "hole"),
  Verdict(
    "an overlap", file("{" + entry("a", "[2]", "0", "8") + "," + entry("b", "[1]", "4", "8") + "}", data: 8),
    "'b'",
    "overlap"),
  Verdict("trailing bytes", file("{" + entry("a", "[1]", "0", "4") + "}", data: 5), "bytes follow"),
  Verdict("a truncated body", file("{" + entry("a", "[2]", "0", "8") + "}", data: 7), "truncated"),
  Verdict(
    "a negative offset", file("{" + entry("a", "[1]", "-4", "0") + "}", data: 4), "'a'", "data_offsets"),
  Verdict(
    "shape and bytes differ", file("{" + entry("a", "[3]", "0", "8") + "}", data: 8), "'a'", "expected 12",
    "found"),
  Verdict(
    "a product that overflows",
    file("{" + entry("a", "[4294967296,4294967296,4294967296]", "0", "8") + "}", data: 8), "'a'"),
  Verdict(
    "the same key with other offsets",
    file("{" + entry("a", "[1]", "0", "4") + "," + entry("a", "[1]", "4", "8") + "}", data: 8),
    "same key twice"),
  Verdict("metadata that is no string", file(#"{"__metadata__":{"a":1}}"#), "__metadata__", "'a'"),
  Verdict(
    "an unknown dtype", file("{" + entry("a", "[1]", "0", "4", dtype: "F33") + "}", data: 4), "'a'", "F33"),
  Verdict("a float in the shape", file("{" + entry("a", "[1.0]", "0", "4") + "}", data: 4), "'a'", "shape"),
  Verdict(
    "JSON 100 000 deep",
    file(String(repeating: "[", count: 100_000) + String(repeating: "]", count: 100_000)), "nested"),
  Verdict("0 bytes", [], "found 0 bytes"),
  Verdict("7 bytes", [0, 0, 0, 0, 0, 0, 0], "found 7 bytes"),
  Verdict("a length of 2^64 - 1", file("{}", length: .max), "18446744073709551615"),
  Verdict("a length of 200 MB", file("{}", length: 200_000_000), "200000000"),
]

/// Cases beyond that list.
private let ownVerdicts: [Verdict] = [
  Verdict("a scalar", file("{" + entry("a", "[]", "0", "4") + "}", data: 4), accepted: true),
  Verdict("trailing white space", file("{} \n\t\r "), accepted: true),
  Verdict(
    "data in another order",
    file("{" + entry("a", "[1]", "4", "8") + "," + entry("b", "[1]", "0", "4") + "}", data: 8), accepted: true
  ),
  Verdict("half a byte", file("{" + entry("a", "[1]", "0", "1", dtype: "F4") + "}", data: 1), "'a'"),
  Verdict(
    "two half bytes", file("{" + entry("a", "[2]", "0", "1", dtype: "F4") + "}", data: 1), accepted: true),
  Verdict("a length beyond the file", file("{}", length: 3), "found 3"),
  Verdict("no object", file("[]"), "expected a JSON object"),
  Verdict("text after the object", file("{}{}"), "header"),
  Verdict("zero bytes as padding", file("{}\0\0"), "header"),
  Verdict(
    "rank 9", file("{" + entry("a", "[1,1,1,1,1,1,1,1,1]", "0", "4") + "}", data: 4), "'a'", "at most 8"),
  Verdict("rank 8", file("{" + entry("a", "[1,1,1,1,1,1,1,1]", "0", "4") + "}", data: 4), accepted: true),
  Verdict("an empty name", file("{" + entry("", "[1]", "0", "4") + "}", data: 4), "''"),
  Verdict(
    "a name of 256 bytes", file("{" + entry(String(repeating: "a", count: 256), "[0]", "0", "0") + "}"),
    accepted: true),
  Verdict(
    "a name of 257 bytes", file("{" + entry(String(repeating: "a", count: 257), "[0]", "0", "0") + "}"), "256"
  ),
  Verdict("a terminal escape in a name", file("{" + entry(#"a\u001b[2J"#, "[0]", "0", "0") + "}"), "'a?[2J'"),
  Verdict(
    "an offset of 2^64", file("{" + entry("a", "[1]", "0", "18446744073709551616") + "}", data: 4),
    "out of range"),
  Verdict("begin after end", file("{" + entry("a", "[0]", "4", "0") + "}", data: 4), "'a'"),
  Verdict(
    "three offsets", file(#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}}"#, data: 4), "'a'"),
  Verdict("no shape", file(#"{"a":{"dtype":"F32","data_offsets":[0,4]}}"#, data: 4), "'a'"),
  Verdict("a tensor that is a number", file(#"{"a":1}"#), "'a'"),
  Verdict(
    "100 001 tensors",
    file("{" + (0...100_000).map { entry("t\($0)", "[0]", "0", "0") }.joined(separator: ",") + "}"), "100000"),
  Verdict("malformed UTF-8", file("{}").dropLast(2) + [0x7B, 0x22, 0xFF, 0x22, 0x7D], "header"),
]

@Suite struct SafetensorsVerdictTests {
  @Test(arguments: referenceVerdicts + ownVerdicts)
  func everyFileGetsItsVerdict(_ verdict: Verdict) throws {
    let scratch = TemporaryDirectory()
    let path = try scratch.write(verdict.bytes, to: "x.safetensors")
    let found = thrownFailure { _ = try CheckpointFile(path: path) }
    #expect((found == nil) == verdict.isAccepted, "\(found?.message ?? "accepted")")
    guard let found else { return }
    #expect(found.code == .badData)
    #expect(found.message.hasPrefix(path + ": "))
    #expect(!found.message.contains("\n") && found.message.utf8.allSatisfy { $0 >= 0x20 })
    for word in verdict.words { #expect(found.message.contains(word)) }
  }

  @Test func whatIsNoRegularFileIsRefusedAtOnce() throws {
    let scratch = TemporaryDirectory()
    #expect(thrownFailure { _ = try CheckpointFile(path: scratch.path + "/none") }?.code == .notFound)
    #expect(thrownFailure { _ = try CheckpointFile(path: scratch.path) }?.code == .badData)
    #expect(thrownFailure { _ = try CheckpointFile(path: "/dev/zero") }?.code == .badData)
    let fifo = scratch.path + "/fifo"
    #expect(mkfifo(fifo, 0o600) == 0)
    #expect(thrownFailure { _ = try CheckpointFile(path: fifo) }?.code == .badData)
    let pickle = try scratch.write([0x80, 2], to: "weights.pt")
    #expect(thrownFailure { _ = try CheckpointFile(path: pickle) }?.message.contains("save_file") == true)
  }

  @Test func aLinkIsFollowedOnlyWhereAllowed() throws {
    let scratch = TemporaryDirectory()
    let path = try scratch.write(file("{}"), to: "x.safetensors")
    let link = scratch.path + "/link.safetensors"
    #expect(symlink(path, link) == 0)
    _ = try CheckpointFile(path: link)
    #expect(thrownFailure { _ = try CheckpointFile(path: link, followingLinks: false) }?.code == .badData)
  }

  @Test func anotherTypeParsesButDoesNotLoad() throws {
    let scratch = TemporaryDirectory()
    let path = try scratch.write(
      file("{" + entry("a", "[2]", "0", "4", dtype: "BF16") + "}", data: 4), to: "x.safetensors")
    let opened = try CheckpointFile(path: path)
    #expect(opened.tensor(named: "a")?.type == .bfloat16)
    let found = thrownFailure { _ = try opened.read("a", shape: [2]) }
    #expect(found?.code == .badData)
    #expect(found?.message.contains("expected F32 [2], found BF16 [2]") == true)
  }

  @Test func anotherShapeOrNameIsNamed() throws {
    let scratch = TemporaryDirectory()
    let path = try scratch.write(
      file("{" + entry("a", "[2,1]", "0", "8") + "}", data: 8), to: "x.safetensors")
    let opened = try CheckpointFile(path: path)
    #expect(opened.contentChecksum == nil)
    #expect(try opened.read("a", shape: [2, 1]) == [0, 0])
    let shape = thrownFailure { _ = try opened.read("a", shape: [2]) }
    #expect(shape?.message == "\(path): tensor 'a': expected F32 [2], found F32 [2, 1]")
    let name = thrownFailure { _ = try opened.read("b", shape: [2]) }
    #expect(name?.message == "\(path): tensor 'b': expected F32 [2], found no such tensor")
  }
}
