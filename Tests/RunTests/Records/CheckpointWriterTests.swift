import Files
import Foundation
import Records
import TestSupport
import Testing

@Suite struct CheckpointWriterTests {
  let fileName = "checkpoint-0003-00000047.safetensors"

  @Test func whatIsWrittenIsReadBack() throws {
    let scratch = TemporaryDirectory()
    let receipt = try #require(writeSample(to: scratch.path).first).get()
    let file = try CheckpointFile(path: receipt.path)
    #expect(file.metadata == sampleMetadata)
    #expect(file.contentChecksum == receipt.contentChecksum)
    #expect(try scratch.read(fileName).count == receipt.bytes)
    #expect(
      file.tensors.map(\.name)
        == sampleTensors.map(\.name).sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) })
    for tensor in sampleTensors {
      #expect(try file.read(tensor.name, shape: tensor.shape) == tensor.values)
    }
    try file.verifyAll()
    #expect(scratch.names == [fileName, "latest"])
    #expect(try scratch.read("latest") == Array((fileName + "\n").utf8))
  }

  @Test func theFileIsStandard() throws {
    let scratch = TemporaryDirectory()
    _ = try #require(writeSample(to: scratch.path).first).get()
    let bytes = try scratch.read(fileName)
    let length = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    #expect(length % 8 == 0)
    let header = try JSONValue(parsing: Array(bytes[8..<8 + length]))
    // The values lie where the header says, little endian.
    for tensor in sampleTensors {
      let offsets = header[tensor.name]?["data_offsets"]
      guard case .array(let pair) = offsets, let begin = pair[0].integerValue, let end = pair[1].integerValue
      else {
        Issue.record("\(tensor.name) has no offsets")
        continue
      }
      let expected = tensor.values.flatMap { value in
        (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * $0)) }
      }
      #expect(Array(bytes[8 + length + begin..<8 + length + end]) == expected)
    }
  }

  @Test(arguments: [1, 2, 3, 5])
  func theBytesDoNotDependOnRanksOrOwners(ranks: Int) throws {
    let reference = TemporaryDirectory()
    let expected = try #require(writeSample(to: reference.path).first).get()
    let maps: [@Sendable (Int) -> Int] = [{ $0 % ranks }, { _ in ranks - 1 }, { ($0 * 7 + 1) % ranks }]
    for owner in maps {
      let scratch = TemporaryDirectory()
      let receipts = try writeSample(to: scratch.path, ranks: ranks, owner: owner).map { try $0.get() }
      #expect(
        receipts.allSatisfy { $0.contentChecksum == expected.contentChecksum && $0.bytes == expected.bytes })
      #expect(try scratch.read(fileName) == reference.read(fileName))
      let reversed = TemporaryDirectory()
      _ = try writeSample(sampleTensors.reversed(), to: reversed.path, ranks: ranks, owner: owner).map {
        try $0.get()
      }
      #expect(try reversed.read(fileName) == reference.read(fileName))
    }
  }

  @Test func anEmptyModelIsAFile() throws {
    let scratch = TemporaryDirectory()
    let receipts = try writeSample([], metadata: [:], to: scratch.path, ranks: 2).map { try $0.get() }
    let file = try CheckpointFile(path: receipts[0].path)
    try file.verifyAll()
    #expect(file.tensors.isEmpty && file.metadata.isEmpty)
  }

  @Test func aLargeTensorTakesSeveralPieces() throws {
    let scratch = TemporaryDirectory()
    let count = 2_500_000
    let large = SampleTensor(name: "large", shape: [count], values: (0..<count).map { Float($0) })
    let receipt = try #require(writeSample([large] + sampleTensors, to: scratch.path).first).get()
    let file = try CheckpointFile(path: receipt.path)
    try file.verifyAll()
    #expect(try file.read("large", shape: [count]) == large.values)
  }

  @Test func aLeftoverIsReplaced() throws {
    let scratch = TemporaryDirectory()
    _ = try scratch.write(Array(repeating: 7, count: 100_000), to: fileName + ".tmp")
    _ = try scratch.write(Array("an older one".utf8), to: fileName)
    let receipts = try writeSample(to: scratch.path, ranks: 2) { $0 % 2 }.map { try $0.get() }
    try CheckpointFile(path: receipts[0].path).verifyAll()
    #expect(scratch.names == [fileName, "latest"])
  }

  @Test func allRanksThrowTheSameFailure() throws {
    let scratch = TemporaryDirectory()
    let missing = failures(writeSample(to: scratch.path + "/none", ranks: 3) { $0 % 3 })
    #expect(missing.count == 3 && Set(missing.map(\.message)).count == 1)
    #expect(missing.first?.code == .cannotCreate)
    #expect(missing.first?.message.contains("(rank 0 on host ") == true)

    let file = try scratch.write([], to: "file")
    #expect(failures(writeSample(to: file)).first?.code == .cannotCreate)
  }

  @Test(arguments: ["directory", "link", "temporary directory"])
  func aTakenNameIsNotReplaced(by kind: String) throws {
    let scratch = TemporaryDirectory()
    let target = scratch.path + "/" + fileName
    let outside = try scratch.write([1, 2, 3], to: "outside")
    switch kind {
    case "directory": #expect(mkdir(target, 0o700) == 0)
    case "link": #expect(symlink(outside, target) == 0)
    default: #expect(mkdir(target + ".tmp", 0o700) == 0)
    }
    let before = scratch.names
    let found = failures(writeSample(to: scratch.path, ranks: 2) { $0 % 2 })
    #expect(found.count == 2 && found.allSatisfy { $0.code == .cannotCreate })
    #expect(scratch.names == before)
    #expect(try scratch.read("outside") == [1, 2, 3])
  }

  @Test func aLinkAsTemporaryFileIsNotFollowed() throws {
    let scratch = TemporaryDirectory()
    let outside = try scratch.write([1, 2, 3], to: "outside")
    #expect(symlink(outside, scratch.path + "/" + fileName + ".tmp") == 0)
    _ = try #require(writeSample(to: scratch.path).first).get()
    #expect(try scratch.read("outside") == [1, 2, 3])
  }

  private func failures(_ results: [Result<CheckpointReceipt, any Error>]) -> [Failure] {
    results.compactMap { result in thrownFailure { _ = try result.get() } }
  }
}
