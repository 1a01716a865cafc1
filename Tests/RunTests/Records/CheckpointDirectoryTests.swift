import Files
import Foundation
import Records
import TestSupport
import Testing

@Suite struct CheckpointDirectoryTests {
  private func write(_ names: [CheckpointName], to scratch: TemporaryDirectory) throws {
    for name in names {
      for result in writeSample(
        metadata: ["step": "\(name.steps)"], to: scratch.path, fileName: name.fileName)
      {
        _ = try result.get()
      }
    }
  }

  private let names = [(0, 0), (1, 10), (2, 20), (10_000, 123_456_789)].map {
    CheckpointName(epochs: $0.0, steps: $0.1)
  }

  @Test func namesArePaddedAndGrow() {
    #expect(
      names.map(\.fileName) == [
        "checkpoint-0000-00000000.safetensors", "checkpoint-0001-00000010.safetensors",
        "checkpoint-0002-00000020.safetensors", "checkpoint-10000-123456789.safetensors",
      ])
    for name in names { #expect(CheckpointName(fileName: name.fileName) == name) }
  }

  @Test(arguments: [
    "", "checkpoint-.safetensors", "checkpoint-0001-00000010.safetensors.tmp",
    "checkpoint-001-00000010.safetensors",
    "checkpoint-00001-00000010.safetensors", "checkpoint-0001-0000010.safetensors",
    "checkpoint-0001-00000010-.safetensors", "checkpoint-+001-00000010.safetensors",
    "checkpoint--001-00000010.safetensors", "../checkpoint-0001-00000010.safetensors",
    "checkpoint-0001-00000010.safetensors\n", "checkpoint-0001-99999999999999999999.safetensors",
    "Checkpoint-0001-00000010.safetensors", "checkpoint-٠٠٠١-00000010.safetensors",
  ])
  func otherNamesAreNoCheckpoints(name: String) { #expect(CheckpointName(fileName: name) == nil) }

  @Test func listsInOrderOfProgress() throws {
    let scratch = TemporaryDirectory()
    let directory = CheckpointDirectory(scratch.path)
    #expect(try CheckpointDirectory(scratch.path + "/none").list().isEmpty)
    #expect(try directory.list().isEmpty && directory.latest() == nil)
    try write(names.reversed(), to: scratch)
    _ = try scratch.write([], to: "checkpoint-best.safetensors")
    #expect(
      symlink(scratch.path + "/" + names[0].fileName, scratch.path + "/checkpoint-0009-00000090.safetensors")
        == 0)
    #expect(mkdir(scratch.path + "/checkpoint-0008-00000080.safetensors", 0o700) == 0)
    #expect(try directory.list() == names)
    #expect(try directory.latest() == names[0])
  }

  @Test(arguments: [
    "", "\n", "checkpoint-0007-00000070.safetensors\n", "../x/checkpoint-0001-00000010.safetensors\n",
    "/etc/passwd\n", "checkpoint-0001-00000010.safetensors\n\n", "checkpoint-0001-00000010.safetensors\nmore",
    String(repeating: "x", count: 10_000),
  ])
  func aStrangeLatestCountsAsNothing(text: String) throws {
    let scratch = TemporaryDirectory()
    try write([names[1]], to: scratch)
    #expect(try CheckpointDirectory(scratch.path).latest() == names[1])
    _ = try scratch.write(Array(text.utf8), to: "latest")
    #expect(try CheckpointDirectory(scratch.path).latest() == nil)
  }

  @Test func theNewestValidOneIsFoundBehindDamagedOnes() throws {
    let scratch = TemporaryDirectory()
    try write(names, to: scratch)
    var bytes = try scratch.read(names[3].fileName)
    bytes[bytes.count - 2] ^= 1
    _ = try scratch.write(bytes, to: names[3].fileName)
    _ = try scratch.write(try scratch.read(names[2].fileName).dropLast(), to: names[2].fileName)

    var warnings: [String] = []
    let file = try CheckpointDirectory(scratch.path).newestValid { warnings.append($0.description) }
    #expect(file?.metadata == ["step": "10"])
    #expect(warnings.count == 2)
    #expect(warnings.first?.contains(names[3].fileName) == true)
    #expect(warnings.last?.contains(names[2].fileName) == true)

    for name in names { _ = try scratch.write([], to: name.fileName) }
    let failure = #expect(throws: Failure.self) {
      try CheckpointDirectory(scratch.path).newestValid { warnings.append($0.description) }
    }
    #expect(failure?.code == .badData && failure?.message.contains(names[3].fileName) == true)
    // Of the oldest there is none before it to try.
    #expect(warnings.count == 5)
    let empty = TemporaryDirectory()
    #expect(try CheckpointDirectory(empty.path).newestValid { warnings.append($0.description) } == nil)
  }

  /// The rule finds one that was removed, then one that is there.
  @Test func whoFindsANameGoneLooksAgain() throws {
    let scratch = TemporaryDirectory()
    try write([names[1]], to: scratch)
    let directory = CheckpointDirectory(scratch.path)
    var found = [names[0], names[0], names[1]].makeIterator()
    let file = try directory.open { () throws(Failure) in
      guard let name = found.next() else { throw Failure(.internalError, "the rule was asked too often") }
      return name
    }
    #expect(file.path == directory.path(of: names[1]) && found.next() == nil)
    // The file stays whole without its name.
    try directory.prune(keeping: 1)
    #expect(unlink(file.path) == 0)
    try file.verifyAll()
  }

  /// What stays gone is an error, and so is what is damaged while nothing newer is there.
  @Test func lookingAgainEnds() throws {
    let scratch = TemporaryDirectory()
    let directory = CheckpointDirectory(scratch.path)
    let missing = names[0]
    let gone = thrownFailure { _ = try directory.open { () throws(Failure) in missing } }
    #expect(gone?.code == .notFound)
    _ = try scratch.write([1, 2], to: names[1].fileName)
    let damaged = names[1]
    var asked = 0
    let bad = thrownFailure {
      _ = try directory.open { () throws(Failure) in
        asked += 1
        return damaged
      }
    }
    #expect(bad?.code == .badData && asked == 2)
    // A newer one by then.
    try write([names[2]], to: scratch)
    var found = [names[1], names[2]].makeIterator()
    let newer = names[2]
    let file = try directory.open { () throws(Failure) in found.next() ?? newer }
    #expect(file.path == directory.path(of: newer))
  }

  private func metrics(_ lines: [(split: String, epoch: Int, step: Int, error: Double)]) -> [UInt8] {
    Array(
      lines.map {
        #"{"epoch":\#($0.epoch),"error":\#($0.error),"split":"\#($0.split)","step":\#($0.step)}"# + "\n"
      }.joined().utf8)
  }

  /// Of the epochs with a checkpoint, whatever the other splits and epochs say.
  @Test func theBestHasTheSmallestValidationError() throws {
    let scratch = TemporaryDirectory()
    try write(Array(names.prefix(3)), to: scratch)
    let lines = [
      ("validation", 1, 10, 0.25), ("test", 2, 20, 0.01), ("train", 2, 20, 0.02),
      ("validation", 2, 20, 0.125),
      ("step", 1, 10, 0.03), ("validation", 3, 30, 0.0625),
    ]
    _ = try scratch.write(metrics(lines), to: "metrics.jsonl")
    let best = try BestCheckpoint(of: scratch.path)
    #expect(best.name == names[2] && best.validationError == 0.125 && best.choices == 2)
    // Half a line, as a process that is writing leaves it.
    _ = try scratch.write(metrics(lines) + Array(#"{"epoch":1,"er"#.utf8), to: "metrics.jsonl")
    #expect(try BestCheckpoint(of: scratch.path) == best)
    _ = try scratch.write(
      metrics([("validation", 1, 10, 0.5), ("validation", 2, 20, 0.5)]), to: "metrics.jsonl")
    #expect(try BestCheckpoint(of: scratch.path).name == names[1])
  }

  @Test func withoutAValidationErrorNoneIsTheBest() throws {
    let scratch = TemporaryDirectory()
    try write(Array(names.prefix(2)), to: scratch)
    let none = thrownFailure { _ = try BestCheckpoint(of: scratch.path) }
    #expect(none?.code == .notFound && none?.message.contains("validation-fraction above 0") == true)
    _ = try scratch.write(metrics([("validation", 3, 30, 0.5)]), to: "metrics.jsonl")
    let elsewhere = thrownFailure { _ = try BestCheckpoint(of: scratch.path) }
    #expect(elsewhere?.code == .notFound && elsewhere?.message.contains("checkpoint-every 1") == true)
    _ = try scratch.write(Array("nonsense\n".utf8), to: "metrics.jsonl")
    let damaged = thrownFailure { _ = try BestCheckpoint(of: scratch.path) }
    #expect(damaged?.code == .badData && damaged?.message.contains("metrics.jsonl:1") == true)
  }

  @Test func pruningRemovesOldCheckpointsAndNothingElse() throws {
    let scratch = TemporaryDirectory()
    let directory = CheckpointDirectory(scratch.path)
    try write(names, to: scratch)
    let others = ["checkpoint-best.safetensors", "config.yaml", "checkpoint-0000-00000000.safetensors.bak"]
    for other in others { _ = try scratch.write([], to: other) }

    #expect(try directory.prune(keeping: 4).isEmpty)
    #expect(try directory.prune(keeping: 2, except: [names[1]]) == [names[0]])
    #expect(try directory.prune(keeping: 1) == [names[1], names[2]])
    #expect(scratch.names == (others + ["latest", names[3].fileName]).sorted())
  }

  @Test func unfinishedFilesAreRemoved() throws {
    let scratch = TemporaryDirectory()
    let kept = ["checkpoint-0001-00000010.safetensors", "notes.tmp", "checkpoint-1.safetensors.tmp"]
    for name in kept + [
      "checkpoint-0002-00000020.safetensors.tmp", "checkpoint-0000-00000000.safetensors.tmp",
    ] {
      _ = try scratch.write([], to: name)
    }
    try CheckpointDirectory(scratch.path).removeUnfinished()
    #expect(scratch.names == kept.sorted())
  }
}
